"""What a kind of features is worth: paired, and nothing where the kind was never kept."""

import numpy as np

from benchmarks.relational_ablation import ablations, compared, draws, left_out, n_kept

WHOLE = {"average_precision": 0.5, "cpu_seconds": 8.0}


def row(kind, **about):
    return {"set": "bank", "system": f"without {kind}", **about}


def test_rows_are_drawn_by_unit_and_paired():
    y = np.array([0, 1, 0, 1, 0, 0])
    unit = np.array([0, 0, 1, 1, 2, 2])
    good, poor = y + 0.0, 1.0 - y
    assert set(draws(y, good, good, metric="average_precision", unit=unit)) == {0.0}
    assert min(draws(y, good, poor, metric="roc_auc", unit=unit)) == 1.0


def test_a_kind_counts_where_any_table_kept_it():
    kept = [["a.trends", "b.trends"], ["a.recency"], []]
    assert [n_kept(kind, kept) for kind in ("trends", "recency", "shape")] == [1, 1, 0]


def test_the_ratio_is_of_the_means_with_the_interval_of_the_mean_difference():
    kept = [["a.trends"]]
    halves = [
        row("trends", **compared(kind="trends", metric="average_precision", value=value,
                                 whole=WHOLE, kept=kept, differences=[lower, lower]))
        for value, lower in ((0.4, -0.1), (0.5, 0.0))
    ]  # fmt: skip
    unused = left_out(kind="shape", metric="average_precision", whole=WHOLE, kept=kept)
    other = {**row("shape", **unused), "set": "shop"}
    assert ablations([*halves, other]) == [
        "| without | bank | shop |",
        "|---|---:|---:|",
        "| trends | 0.900 [0.900, 0.900] | - |",
        "| shape | - | left out |",
    ]


def test_rows_of_before_without_a_score_of_all_are_not_compared():
    assert ablations([{**row("trends"), "average_precision": 0.3}]) == []


def test_a_split_that_kept_nothing_of_it_has_no_difference():
    some = compared(
        kind="trends", metric="average_precision", value=0.4, whole=WHOLE,
        kept=[["a.trends"]], differences=[-0.1] * 200,
    )  # fmt: skip
    none = left_out(kind="trends", metric="average_precision", whole=WHOLE, kept=[[]])
    (line,) = ablations([row("trends", **some), row("trends", **none)])[2:]
    assert line == "| trends | 0.900 [0.900, 0.900] |"
