"""Objectives against scikit-learn and plain loops, their replicates, and searches by each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from automl.search.metrics import Bootstrap
from automl.search.objective import METRICS, Objective

Floats = npt.NDArray[np.float64]

ALL = (
    Objective(),
    Objective(metric="roc_auc"),
    Objective(metric="recall_at_alert_rate", alert_rate=0.1),
    Objective(metric="precision_at_recall", recall=0.6),
    Objective(metric="expected_cost", missed_cost=7, alert_cost=1.5),
)


def sample(n_rows: int = 300, *, seed: int = 0, ties: bool = True) -> tuple[Floats, Floats, Floats]:
    """Labels, logits that know them, and weights."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n_rows) < 0.15).astype(float)
    logit = rng.normal(size=n_rows) + y
    return y, np.round(logit, 1) if ties else logit, rng.uniform(0.2, 5, n_rows)


def cheapest(y: Floats, logit: Floats, weight: Floats, *, missed: float, alert: float) -> float:
    """Cost per row at the best of all thresholds, by trying each."""
    costs = []
    for threshold in [*np.unique(logit), np.inf]:
        alerted = logit >= threshold
        cost = missed * weight[(y == 1) & ~alerted].sum() + alert * weight[(y == 0) & alerted].sum()
        costs.append(cost / weight.sum())
    return min(costs)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn_and_of_plain_loops(seed: int) -> None:
    y, logit, weight = sample(seed=seed)
    precision, recall, _ = precision_recall_curve(y, logit, sample_weight=weight)
    least = cheapest(y, logit, weight, missed=7, alert=1.5)
    idle = min(7 * (weight * y).sum(), 1.5 * (weight * (1 - y)).sum()) / weight.sum()
    expected = {
        "average_precision": average_precision_score(y, logit, sample_weight=weight),
        "roc_auc": roc_auc_score(y, logit, sample_weight=weight),
        "precision_at_recall": precision[recall >= 0.6].max(),
        "expected_cost": least,
        "cost_saving": 1 - least / idle,
    }
    found = replace(ALL[3], missed_cost=7, alert_cost=1.5).scores(y, logit, weight)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("objective", ALL, ids=METRICS)
def test_scores_lie_between_0_and_1_and_a_perfect_order_has_1(objective: Objective) -> None:
    for seed in range(20):
        y, logit, weight = sample(40, seed=seed)
        y[0], y[1] = 1, 0
        assert 0 <= objective.score(y, logit, weight) <= 1
        if objective.metric != "recall_at_alert_rate":
            assert objective.score(y, y, weight) == pytest.approx(1)
    assert objective.score(y, np.zeros(40), weight) <= 0.5


@pytest.mark.parametrize("objective", ALL, ids=METRICS)
def test_one_class_has_no_score(objective: Objective) -> None:
    assert np.isnan(objective.score(np.zeros(5), np.arange(5.0)))


@pytest.mark.parametrize("objective", ALL, ids=METRICS)
@pytest.mark.parametrize("ties", [True, False])
def test_replicates_are_the_score_of_repeated_rows(objective: Objective, ties: bool) -> None:
    y, logit, weight = sample(ties=ties)
    bootstrap = Bootstrap(y, weight, seed=3, n=20)
    for counts, found in zip(
        bootstrap._counts, objective.replicates(bootstrap, logit), strict=True
    ):
        rows = np.repeat(np.arange(len(y)), counts)
        assert found == pytest.approx(objective.score(y[rows], logit[rows], weight[rows]))


def test_every_reported_score_has_an_interval_around_it() -> None:
    y, logit, weight = sample(2000)
    objective = replace(ALL[4], recall=0.5)
    scores = objective.scores(y, logit, weight)
    intervals = objective.intervals(Bootstrap(y, weight, seed=0), logit)
    assert set(intervals) == set(scores) == set(objective.metrics)
    for name, (low, high) in intervals.items():
        assert low <= scores[name] <= high


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"metric": "f1"}, "'f1'"),
        ({"alert_rate": 0.0}, "alert_rate"),
        ({"alert_rate": 1.0}, "alert_rate"),
        ({"alert_rate": float("nan")}, "alert_rate"),
        ({"metric": "precision_at_recall"}, "needs recall"),
        ({"recall": 1.1}, "recall is 1.1"),
        ({"metric": "expected_cost"}, "needs missed_cost"),
        ({"missed_cost": 5.0}, "go together"),
        ({"missed_cost": 5.0, "alert_cost": 0.0}, "alert_cost is 0.0"),
        ({"missed_cost": float("inf"), "alert_cost": 1.0}, "missed_cost is inf"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Objective(**wrong)
