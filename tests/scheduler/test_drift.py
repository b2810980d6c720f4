"""Drift against its definition, chance by simulation, and the sentence that is made of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scheduler.drift import LEAST_ROWS, chance, histograms, moved, psi, score_histogram
from scheduler.worth import Gate, too_soon, verdict


def frame(n: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    number = rng.normal(shift, 1, n).astype(np.float32)
    number[: n // 20] = np.nan
    town = rng.choice(["Lyon", "Nice", "Metz"], n, p=[0.5, 0.3, 0.2])
    return pd.DataFrame({"number": number, "town": pd.Categorical(town)})


def test_bins_are_tenths_and_missing_cells_have_their_own() -> None:
    found = histograms(frame(2000, 0))
    counts = found["number"]["counts"]
    assert len(counts) == 11
    assert counts[-1] == 100
    assert max(counts[:-1]) - min(counts[:-1]) <= 2
    assert found["town"]["levels"] == ["Lyon", "Nice", "Metz"]
    assert sum(found["town"]["counts"]) == 2000


def test_no_histogram_names_a_level_of_few_rows() -> None:
    towns = ["Lyon"] * 50 + [f"only-{i}" for i in range(LEAST_ROWS - 1)]
    found = histograms(pd.DataFrame({"town": pd.Categorical(towns)}))
    assert found["town"] == {"levels": ["Lyon"], "counts": [50, LEAST_ROWS - 1, 0]}


def test_new_rows_are_counted_in_the_old_bins() -> None:
    before = histograms(frame(2000, 0))
    late = frame(1000, 1).assign(other=1.0)
    late["town"] = pd.Categorical(["Brest"] * 1000)
    now = histograms(late, like=before)
    assert set(now) == {"number", "town"}
    assert now["number"]["edges"] == before["number"]["edges"]
    assert now["town"]["counts"] == [0, 0, 0, 1000, 0]


def test_the_index_is_its_definition() -> None:
    a, b = np.array([100.0, 300.0]), np.array([200.0, 200.0])
    p, q = (a + 0.5) / (a + 0.5).sum(), (b + 0.5) / (b + 0.5).sum()
    assert psi([*a], [*b]) == pytest.approx(float(((q - p) * np.log(q / p)).sum()))
    assert psi([7, 9, 0], [7, 9, 0]) == 0


def test_chance_rarely_looks_like_drift_and_a_shift_does() -> None:
    before = histograms(frame(3000, 0))
    alarms = 0
    for seed in range(1, 201):
        told = moved(before, histograms(frame(200, seed), like=before))
        alarms += any(float(one["psi"]) > float(one["chance"]) for one in told)
    assert alarms <= 8  # of 200, where 2 are expected
    told = moved(before, histograms(frame(200, 5, shift=1.0), like=before))
    assert told[0]["column"] == "number"
    assert float(told[0]["psi"]) > max(0.2, float(told[0]["chance"]))
    assert chance([10, 0], [10, 0], n_columns=1) == float("inf")  # one bin tells nothing


def test_columns_that_are_missing_everywhere_are_left_out() -> None:
    """Features that no model of the champion uses are; infinity does not cross to the service."""
    frame = pd.DataFrame({"used": np.arange(40.0), "unused": np.nan, "same": 1.0})
    before = histograms(frame)
    told = moved(before, histograms(frame.head(20), like=before))
    assert [one["column"] for one in told] == ["used"]
    json.dumps(told, allow_nan=False)
    scores = score_histogram(np.zeros(30))
    assert moved({"score": scores}, {"score": score_histogram(np.zeros(9), like=scores)}) == []


def test_scores_are_weighted() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=4000)
    kept = np.concatenate([np.arange(2000), np.arange(2000, 4000, 4)])
    weight = np.concatenate([np.ones(2000), np.full(500, 4.0)])
    thinned = score_histogram(scores[kept], weight)
    whole = score_histogram(scores, like=thinned)
    assert psi(thinned["counts"], whole["counts"]) < 0.02
    assert sum(thinned["counts"]) == pytest.approx(2500)


def numbers(**changes: Any) -> dict[str, Any]:
    calm = {"column": "age", "psi": 0.04, "chance": 0.03}
    found = {
        "n_new_labels": 12,
        "n_new_positive": 11,
        "drift": {"columns": [calm], "scores": {"column": "score", "psi": 0.01, "chance": 0.1}},
        "decay": {
            "metric": "average_precision",
            "score": 0.41,
            "interval": [0.33, 0.49],
            "at_training": 0.42,
            "difference": [-0.1, 0.09],
        },
    }
    return {**found, **changes}


def test_the_sentence_has_the_numbers() -> None:
    found = verdict(numbers(), Gate(), days=3)
    assert not found.worth
    assert found.because == (
        "not worth it today, because 12 new labels (< 50), PSI <= 0.04, PSI of scores <= 0.01, "
        "average precision 0.41 [0.33, 0.49] against 0.42 at training"
    )


@pytest.mark.parametrize(
    ("changes", "days", "said"),
    [
        ({"n_new_labels": 50}, 1, "50 new labels (>= 50)"),
        (
            {"drift": {"columns": [{"column": "age", "psi": 0.3, "chance": 0.1}], "scores": None}},
            1,
            "PSI 0.3 (> 0.2) of 'age'",
        ),
        (
            {"drift": {"columns": [], "scores": {"column": "score", "psi": 0.5, "chance": 0.1}}},
            1,
            "PSI of scores 0.5 (> 0.2)",
        ),
        (
            {"decay": {**numbers()["decay"], "difference": [-0.2, -0.01]}},
            1,
            "average precision 0.41 [0.33, 0.49] against 0.42 at training",
        ),
        ({}, 30, "30 days since the last training (>= 30)"),
    ],
)
def test_any_one_finding_is_enough(changes: dict[str, Any], days: float, said: str) -> None:
    found = verdict(numbers(**changes), Gate(), days=days)
    assert found.worth
    assert found.because == f"worth it, because {said}"
    few = verdict(numbers(**changes, n_new_positive=9), Gate(), days=days)
    assert not few.worth
    assert "only 9 new positives are labelled (< 10)" in few.because


def test_what_chance_reaches_is_no_drift() -> None:
    one = {"column": "age", "psi": 0.5, "chance": 0.6}
    found = verdict(numbers(drift={"columns": [one], "scores": None}), Gate(), days=1)
    assert not found.worth
    assert "PSI 0.5, which chance alone reaches" in found.because


def test_a_training_that_was_lately_is_enough() -> None:
    assert too_soon(Gate(min_days=2), 1.9) is not None
    assert too_soon(Gate(min_days=2), 2.0) is None
    assert too_soon(Gate(), 0.0) is None
