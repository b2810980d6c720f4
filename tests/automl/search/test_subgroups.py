"""Figures by subgroup against counting by hand; small parts are not told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.meters.cpu_time import CpuTimeMeter
from automl.search.importance import importance
from automl.search.run import search
from automl.search.subgroups import LEAST_COUNT, LEAST_ROWS, OTHERS, subgroups
from tests.automl.search.problems import rare

THRESHOLD = 0.5


def arrays(n_rows: int = 4000, *, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n_rows) < 0.2).astype(np.int8)
    probability = np.clip(rng.normal(0.3 + 0.3 * y, 0.15), 0.01, 0.99)
    weight = np.where(y == 1, 1.0, rng.choice([1.0, 3.0], n_rows))
    return {"y": y, "weight": weight, "probability": probability}


def test_levels_against_counting_by_hand() -> None:
    made = arrays()
    rng = np.random.default_rng(1)
    column = pd.Series(rng.choice(["a", "b", "c"], 4000, p=[0.6, 0.3, 0.1]))
    (found,) = subgroups(made, pd.DataFrame({"group": column}), threshold=THRESHOLD)
    assert (found["column"], found["by"], found["n_too_few"]) == ("group", "levels", 0)
    assert [one["level"] for one in found["parts"]] == ["a", "b", "c"]
    y, weight, alert = made["y"], made["weight"], made["probability"] >= THRESHOLD
    for one in found["parts"]:
        own = (column == one["level"]).to_numpy()
        hit = own & alert & (y == 1)
        assert one["n_rows"] == own.sum()
        assert one["n_positive"] == y[own].sum()
        assert one["recall"] == pytest.approx(hit.sum() / y[own].sum(), rel=1e-5)
        precision = weight[hit].sum() / weight[own & alert].sum()
        assert one["precision"] == pytest.approx(precision, rel=1e-5)
        observed = np.average(y[own], weights=weight[own])
        assert one["observed"] == pytest.approx(observed, rel=1e-5)
        predicted = np.average(made["probability"][own], weights=weight[own])
        assert one["predicted"] == pytest.approx(predicted, rel=1e-5)
        for name in ("recall", "precision", "observed"):
            assert one[f"{name}_low"] < one[name] < one[f"{name}_high"]
    widths = [one["recall_high"] - one["recall_low"] for one in found["parts"]]
    assert widths == sorted(widths)  # fewer rows, less sure


def test_numbers_and_dates_are_cut_at_their_quartiles() -> None:
    made = arrays()
    rng = np.random.default_rng(2)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, 4000), unit="D")
    frame = pd.DataFrame(
        {
            "income": rng.normal(30_000, 5_000, 4000),
            "opened": days.astype("datetime64[us]"),
            "few": rng.integers(0, 3, 4000),
        }
    )
    frame.loc[:99, "income"] = np.nan
    income, opened, few = subgroups(made, frame, threshold=THRESHOLD)
    assert (income["by"], opened["by"], few["by"]) == ("quantiles", "quantiles", "levels")
    assert [one["n_rows"] for one in income["parts"]] == [975] * 4 + [100]
    assert income["parts"][0]["level"].startswith("below ")
    assert income["parts"][-1]["level"] == "missing"
    assert len(opened["parts"]) == 4
    assert opened["parts"][1]["level"].startswith("2024-")
    assert [one["level"] for one in few["parts"]] != []


def test_small_counts_are_not_told() -> None:
    made = arrays(400)
    names = np.full(400, "many", dtype=object)
    names[:5] = "one family"
    names[5 : 5 + LEAST_ROWS] = "healthy"
    made["y"][5 : 5 + LEAST_ROWS] = 0
    made["y"][5] = 1
    (found,) = subgroups(made, pd.DataFrame({"who": names}), threshold=THRESHOLD)
    assert found["n_too_few"] == 1
    told = {one["level"]: one for one in found["parts"]}
    assert set(told) == {"many", "healthy"}
    assert OTHERS not in told
    for name in ("n_positive", "recall", "recall_low", "observed", "observed_high"):
        assert told["healthy"][name] is None
    assert told["many"]["n_positive"] >= LEAST_COUNT
    assert "one family" not in str(found)


def test_importance_finds_the_columns_that_matter() -> None:
    dataset = rare(2000, n_positive=200)
    X = dataset.X.copy()
    champion = search(dataset, meter=CpuTimeMeter(), mode="eco").champion
    found = importance(champion, X, seed=0)
    assert found is not None
    names = [one["column"] for one in found["columns"]]
    assert names[0] == "a"
    assert set(names) <= set(X.columns)
    assert found == importance(champion, X, seed=0)
    assert importance(champion, X.head(5), seed=0) is None
    # What exchanging the cells of one column alone does.
    matrix = champion.matrix(X.iloc[np.linspace(0, len(X) - 1, 300).astype(np.intp)])
    own = np.flatnonzero([origin == "a" for origin in champion.encoder.origins])
    changed = matrix.copy()
    changed[:, own] = matrix[np.random.default_rng(0).permutation(300)][:, own]
    moved = np.abs(champion.logit(changed) - champion.logit(matrix)).mean()
    assert found["columns"][0]["importance"] == pytest.approx(moved, rel=1e-4)
