"""Whether a job may run: each code of the table of bad targets, and what is said otherwise."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from automl.data.admission import Admission, admit
from automl.data.leakage import auc
from automl.data.tables import ReadingLimits, ReadingOptions, ingest
from automl.errors import DataError
from tests.automl.data.reading import parquet_bytes

N = 1_000
RNG = np.random.default_rng(0)
X1, X2 = RNG.normal(size=N), RNG.integers(0, 9, size=N)
Y = (RNG.random(N) < 0.1).astype(int)


def job(columns: dict[str, Any], **request: Any) -> Admission:
    """Admission of a job on a table made of these columns."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "upload"
        source.write_bytes(parquet_bytes(pa.table({k: pa.array(v) for k, v in columns.items()})))
        profile = ingest(
            source, Path(folder) / "s", options=ReadingOptions(), limits=ReadingLimits()
        )
        asked = {"target": "y", "positive": None, **request}
        return admit(Path(folder) / "s" / "rows.parquet", asked, profile=profile)


def refused(columns: dict[str, Any], **request: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        job(columns, **request)
    return caught.value


def table(y: Any = Y, **more: Any) -> dict[str, Any]:
    return {"x1": X1, "x2": X2, **more, "y": y}


def codes(admission: Admission) -> list[str]:
    return [warning["code"] for warning in admission.warnings]


def positives(n: int) -> np.ndarray[Any, Any]:
    y = np.zeros(N, dtype=int)
    y[RNG.choice(N, n, replace=False)] = 1
    return y


def test_a_good_job() -> None:
    admission = job(table())
    assert (admission.n_rows, admission.n_labelled) == (N, N)
    assert admission.n_positive == Y.sum()
    assert (admission.positive_values, admission.n_features) == ([1], 2)
    assert codes(admission) == []
    assert admission.to_json()["excluded"] == []


def test_47_target_absent_has_near_names() -> None:
    error = refused(table(), target="Y1")
    assert (error.code, error.details["near"]) == ("target_not_found", ["y"])


@pytest.mark.parametrize("role", ["time_column", "group_column", "weight_column"])
def test_unknown_columns_have_near_names(role: str) -> None:
    error = refused(table(), **{role: "X_1"})
    assert error.code == "column_not_found"
    assert error.details == {"near": ["x1"], "field": role}
    assert refused(table(), exclude=["x1", "nope"]).column == "nope"
    assert refused(table(), **{role: "y"}).code == "target_has_two_roles"


def test_48_zero_positives() -> None:
    assert refused(table(np.zeros(N, dtype=int))).code == "no_positives"
    assert refused(table(np.where(Y, "a", "b")), positive="c").code == "no_positives"
    assert refused(table(np.full(N, "b")), positive="a").code == "no_positives"


@pytest.mark.parametrize("n", [1, 9])
def test_49_too_few_positives(n: int) -> None:
    error = refused(table(positives(n)))
    assert (error.code, error.details["n_positive"]) == ("too_few_positives", n)


def test_49_few_positives_warn_with_the_width_of_the_interval() -> None:
    assert codes(job(table(positives(10)))) == ["too_few_positives"]
    warning = job(table(positives(49))).warnings[0]
    assert warning["interval_width"] == 0.28
    assert codes(job(table(positives(50)))) == []


def test_50_constant_target() -> None:
    assert refused(table(np.ones(N, dtype=int))).code == "constant_target"
    assert refused(table(np.full(N, "a")), positive="a").code == "constant_target"
    assert refused(table(np.where(Y, "a", "b")), positive=["a", "b"]).code == "constant_target"
    assert refused(table(pa.nulls(N))).code == "constant_target"


def test_51_a_part_of_the_time_with_one_class() -> None:
    time = np.datetime64("2024-01-01", "us") + np.arange(N) * np.timedelta64(1, "h")
    late = np.zeros(N, dtype=int)
    late[-60:] = 1
    error = refused(table(late, time=time), time_column="time")
    assert error.code == "fold_without_class"
    windows: Any = error.details["windows"]
    assert [window["positive"] for window in windows] == [0, 0, 0, 0, 0, 60]
    assert job(table(time=time), time_column="time").n_features == 2


@pytest.mark.parametrize(
    ("texts", "fine"),
    [
        ([f"2024-W{1 + i // 20:02d}" for i in range(N)], True),
        ([f"{2000 + i // 100}{1 + i % 100 // 9:02d}" for i in range(N)], True),
        ([f"{1 + i % 12:02d}/{2020 + i // 250}" for i in range(N)], False),
        ([f"week {i // 20}" for i in range(N)], False),
    ],
)
def test_text_as_time_must_sort_as_time_passes(texts: list[str], fine: bool) -> None:
    columns = table(when=texts)
    if fine:
        assert job(columns, time_column="when").n_features == 2
        return
    error = refused(columns, time_column="when")
    assert (error.code, error.column, error.row) == ("time_is_text", "when", 1)
    assert texts[0] not in str(error)


def test_times_of_rows_without_a_target_do_not_count() -> None:
    """Labels that began late: the windows are those of the rows that can be learnt from."""
    late = [None if i < 2 * N // 5 else int(v) for i, v in enumerate(Y)]
    asked = {"time_column": "when", "accept_missing_target": True}
    assert job(table(late, when=np.arange(N)), **asked).n_labelled == 3 * N // 5
    gaps = [None if i == N - 1 else i for i in range(N)]
    error = refused(table(when=gaps), time_column="when")
    assert (error.code, error.column) == ("time_missing", "when")


def test_rows_without_a_group_are_counted() -> None:
    groups = [None if i % 5 == 0 else f"g{i % 90}" for i in range(N)]
    admission = job(table(g=groups), group_column="g")
    assert codes(admission) == ["group_missing"]
    assert admission.warnings[0]["n"] == N // 5


def test_51_groups_of_one_class() -> None:
    group = np.arange(N) // 10
    group[Y == 1] = 1_000
    error = refused(table(group=group), group_column="group")
    groups: Any = error.details["groups"]
    assert (error.code, groups["positive"]) == ("fold_without_class", 1)
    assert job(table(group=np.arange(N) // 10), group_column="group").n_features == 2


def test_52_missing_targets_are_counted_and_many_must_be_accepted() -> None:
    some = [None if i % 10 == 0 else int(v) for i, v in enumerate(Y)]
    admission = job(table(some))
    assert (admission.n_labelled, codes(admission)) == (900, ["target_missing"])
    many = [None if i % 4 == 0 else int(v) for i, v in enumerate(Y)]
    error = refused(table(many))
    assert (error.code, error.details["n_missing"]) == ("target_missing", 250)
    assert job(table(many), accept_missing_target=True).n_labelled == 750


@pytest.mark.parametrize(
    "values", [("OUI", "NON"), (2, 1), (1.0, 0.0), ("1", "0"), (1, -1)], ids=str
)
def test_53_labels_that_are_not_exactly_0_and_1(values: tuple[Any, Any]) -> None:
    y = [values[0] if one else values[1] for one in Y]
    assert refused(table(y)).code == "positive_label_required"
    admission = job(table(y), positive=values[0])
    assert (admission.n_positive, admission.positive_values) == (Y.sum(), [values[0]])


@pytest.mark.parametrize("positive", [1, 1.0, "1", [1], True, "1.0"])
def test_positive_is_compared_as_the_column_is_typed(positive: Any) -> None:
    assert job(table(), positive=positive).n_positive == Y.sum()
    assert job(table(Y.astype(float)), positive=positive).n_positive == Y.sum()


def test_booleans_need_no_positive() -> None:
    assert job(table(Y == 1)).n_positive == Y.sum()
    assert job(table(Y == 1), positive="true").n_positive == Y.sum()


def test_54_three_classes_and_floats() -> None:
    three = np.array(["a", "b", "c"])[RNG.integers(0, 3, N)]
    assert refused(table(three)).code == "not_binary"
    assert job(table(three), positive=["a"]).n_positive == (three == "a").sum()
    assert job(table(three), positive=["a", "b"]).n_positive == (three != "c").sum()
    assert refused(table(X1**2)).code == "not_binary"
    assert refused(table(X1**2), positive=1).code == "not_binary"


def test_55_more_positives_than_negatives() -> None:
    assert codes(job(table(), positive=0)) == ["positive_label_inverted?"]


@pytest.mark.parametrize(
    "leak", [Y, 1 - Y, np.where(Y, "yes", "no"), Y == 1, [1.5 if one else None for one in Y]]
)
def test_56_the_target_or_its_inverse(leak: Any) -> None:
    error = refused(table(leak=leak))
    assert (error.code, error.column) == ("leakage_suspected", "leak")
    assert codes(job(table(leak=leak), exclude=["leak"])) == []
    accepted = job(table(leak=leak), accept_leakage=["leak"])
    assert (codes(accepted), accepted.n_features) == (["leakage_suspected"], 3)


def test_56b_a_column_that_alone_ranks_the_rows() -> None:
    admission = job(table(leak=Y + RNG.random(N) * 0.99))
    assert [w["column"] for w in admission.warnings] == ["leak"]
    assert admission.n_features == 3


def test_auc_equals_that_of_scikit_learn() -> None:
    scores = np.round(X1, 1)
    truth = roc_auc_score(Y, scores)
    assert auc(scores, Y.astype(np.int8)) == pytest.approx(max(truth, 1 - truth), abs=1e-12)


def test_57_id_like_columns_are_left_out_with_the_reason() -> None:
    keys = [f"k{i:06d}" for i in RNG.permutation(N)]
    admission = job(table(no=np.arange(N) * 3, keys=keys))
    assert [one["column"] for one in admission.excluded] == ["no", "keys"]
    assert admission.n_features == 2


def test_58_a_million_levels() -> None:
    n = 300_000
    y = np.arange(n) % 50 == 0
    text = [f"free text {i % 280_000}" for i in range(n)]
    admission = job({"t": text, "x": np.arange(n) % 7, "y": y})
    assert admission.n_positive == 6_000


def test_59_and_60_duplicates_and_conflicts() -> None:
    columns = {"a": np.arange(N) % 50, "b": np.arange(N) % 2, "y": Y}
    admission = job(columns)
    assert codes(admission) == ["duplicate_rows", "conflicting_duplicates"]
    assert admission.warnings[0]["n"] == N - 50
    assert admission.group_identical
    grouped = job({**columns, "g": np.arange(N) % 97}, group_column="g")
    assert not grouped.group_identical  # the named group decides
    # truth by hand: in each of 50 cells the rarer label is wrong
    wrong = sum(
        min(Y[np.arange(N) % 50 == cell].sum(), (1 - Y[np.arange(N) % 50 == cell]).sum())
        for cell in range(50)
    )
    assert admission.warnings[1]["accuracy_ceiling"] == pytest.approx(1 - wrong / N)


def test_60_a_ceiling_below_one_is_not_told_as_100_percent() -> None:
    apart = np.arange(200_000)
    y = (apart % 20 == 0).astype(int)
    columns = {"a": np.where(apart < 2, -1, apart * 7919 % 1_000_003), "b": apart % 2 * 0, "y": y}
    detail = job(columns, exclude=["b"]).warnings[-1]["detail"]
    assert "more than 99.9995% of the rows" in detail


def test_a_named_positive_that_no_row_has_is_said() -> None:
    y = np.where(Y == 1, np.where(np.arange(N) % 2, "B", "D"), "A")
    assert codes(job(table(y), positive=["B", "D"])) == []
    admission = job(table(y), positive=["B", "D", "d"])
    assert codes(admission) == ["positive_not_found"]
    assert "1 of 3" in admission.warnings[0]["detail"]


def test_59_an_entity_with_several_rows_is_said() -> None:
    admission = job(table(customer_id=np.arange(N) // 4 * 7919 % 10_007))
    assert codes(admission) == ["entity_repeats"]


@pytest.mark.parametrize(
    "columns",
    [
        {"c": np.ones(N), "y": Y},
        {"c": pa.nulls(N), "d": np.arange(N), "y": Y},
    ],
)
def test_61_nothing_to_learn_from(columns: dict[str, Any]) -> None:
    assert refused(columns).code == "no_usable_features"


def test_61_all_excluded() -> None:
    assert refused(table(), exclude=["x1", "x2"]).code == "no_usable_features"


@pytest.mark.parametrize(
    "spoil", [lambda w: w * 0, lambda w: -w, lambda w: np.where(np.arange(N) == 3, np.nan, w)]
)
def test_weights_must_be_finite_and_above_0(spoil: Callable[[Any], Any]) -> None:
    error = refused(table(w=spoil(np.ones(N) + X2)), weight_column="w")
    assert (error.code, error.column) == ("bad_weight", "w")
    assert job(table(w=np.ones(N) + X2), weight_column="w").n_features == 2
    assert refused(table(w=["x"] * N), weight_column="w").code == "bad_weight"


DAYS = np.datetime64("2024-01-01", "us") + np.arange(N) * np.timedelta64(1, "D")


@pytest.mark.parametrize("time", [DAYS, np.arange(N), np.arange(N) / 1.0], ids=["d", "i", "f"])
def test_a_gap_that_leaves_no_validation_is_refused_with_the_longest(time: Any) -> None:
    seen, left = [0, 0], [0, 0]
    for side in (0, 1):
        rows = np.flatnonzero(side == Y)
        seen[side], left[side] = rows.min(), rows.max()
    longest = min(left) - max(seen)
    assert job(table(t=time), time_column="t", gap=longest).n_rows == N
    error = refused(table(t=time), time_column="t", gap=longest + 0.5)
    assert (error.code, error.column) == ("gap_too_long", "t")
    assert error.details["longest"] == pytest.approx(longest)


def test_a_gap_needs_times_with_a_unit() -> None:
    weeks = [f"{2001 + at // 50}-W{at % 50:02d}" for at in range(N)]
    assert job(table(t=weeks), time_column="t").n_rows == N
    error = refused(table(t=weeks), time_column="t", gap=2.0)
    assert (error.code, error.column) == ("gap_without_unit", "t")


def test_equal_columns_are_used_once() -> None:
    admission = job(table(copy=X1))
    assert [one["column"] for one in admission.excluded] == ["copy"]


def test_59_counts_made_from_a_part_of_the_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"a": np.arange(N) % 50, "b": np.arange(N) % 2, "y": Y}
    assert "about" not in str(job(columns).warnings)
    monkeypatch.setattr("automl.data.overlap.MAX_ROWS", N // 2)
    said = [one["detail"] for one in job(columns).warnings if "duplicate" in one["code"]]
    assert len(said) == 2
    assert all(detail.startswith("about ") for detail in said)


def test_monotone_columns_are_numbers_that_are_learnt_from() -> None:
    place = RNG.choice(["a", "b", "c"], N)
    fine = job(
        table(place=place, one=np.ones(N)), monotone={"x1": "increasing", "one": "decreasing"}
    )
    assert codes(fine) == ["monotone_unused"]  # constant, so that it says nothing
    text = refused(table(place=place), monotone={"place": "increasing"})
    assert (text.code, text.column) == ("monotone_not_numeric", "place")
    other = refused(table(), monotone={"x1": "increasing"}, exclude=["x1"])
    assert other.code == "monotone_not_feature"
    absent = refused(table(), monotone={"x3": "increasing"})
    assert (absent.code, absent.details["field"]) == ("column_not_found", "monotone")
    assert refused(table(), monotone={"y": "increasing"}).code == "target_has_two_roles"
