"""No work of a search outside its bill: fits, weighing, calibration, the refit are all in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from automl.cost import Cost
from automl.errors import BudgetExhausted
from automl.estimator import FrugalClassifier
from automl.meters.base import cpu_seconds
from automl.search.evaluate import shift_seconds
from automl.search.objective import Objective
from automl.search.problem import prepare
from automl.trial import Candidate
from tests.automl.search.problems import rare

# Of the CPU-seconds of a process that has imported everything, at least this share is billed.
LEAST_BILLED = 0.95


@pytest.fixture(scope="module")
def warm() -> FrugalClassifier:
    """A fitted model to start from; what is imported on the way is imported by then."""
    dataset = rare(900, n_positive=60)
    return FrugalClassifier(mode="best", trials=5).fit(dataset.X, dataset.y)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "eco"},
        {"mode": "balanced", "cpu_seconds": 60},
        {"mode": "best", "trials": 8},
        {"objective": Objective(predictions_per_day=1e9, horizon_days=365)},
        {"objective": Objective(metric="expected_cost", missed_cost=50, alert_cost=1)},
        {"warm_start_from": True},
    ],
    ids=lambda options: "-".join(options),
)
def test_what_a_fit_takes_is_billed(options: dict[str, Any], warm: FrugalClassifier) -> None:
    dataset = rare(1_200, n_positive=90)
    if "warm_start_from" in options:
        options = {"warm_start_from": warm}
    before = cpu_seconds()
    model = FrugalClassifier(**options).fit(dataset.X, dataset.y)
    whole = cpu_seconds() - before
    assert LEAST_BILLED * whole <= model.cost_.cpu_seconds <= whole
    own = [t.cost for t in model.result_.trials if t.candidate.model not in ("ensemble", "student")]
    assert 0 < sum(cost.cpu_seconds for cost in own) <= model.result_.costs["search"].cpu_seconds


@pytest.mark.parametrize("unit", ["gco2e", "joules", "cpu_seconds", "trials"])
def test_half_of_what_it_takes_is_kept_to_within_a_trial(unit: str, warm: FrugalClassifier) -> None:
    """Nothing is promised of the wall clock: what else a machine does is not known beforehand."""
    dataset = rare(900, n_positive=60)

    def taken(cost: Cost, n_trials: int) -> float:
        if unit == "trials":
            return n_trials
        return cost.grams(56.0) if unit == "gco2e" else float(getattr(cost, unit))

    limit = taken(warm.cost_, 5) / 2
    model = FrugalClassifier(mode="best", grams_per_kwh=56.0, **{unit: limit})  # type: ignore[arg-type]
    try:
        model.fit(dataset.X, dataset.y)
    except BudgetExhausted:  # where the machine was slow at the probe: nothing is overrun
        return
    trials = [t for t in model.result_.trials if t.candidate.model != "ensemble"]
    largest = max(taken(trial.cost, 1) for trial in trials)
    assert f"budget: {unit}" in model.stop_reason_
    assert taken(model.cost_, len(trials)) <= limit + largest


def test_room_is_kept_for_the_limit_of_alerts_too() -> None:
    """Each part's rows go through all parts' models: of a forest that is more than its refit."""
    problem = prepare(rare(900, n_positive=60), seed=0)
    took = {
        name: shift_seconds(Candidate(model=name), problem)
        for name in ("logistic", "lightgbm", "extra_trees")
    }
    assert 0 < max(took["logistic"], took["lightgbm"]) < took["extra_trees"]
    grown = replace(problem, more_trees=2 * problem.more_trees)
    forest = Candidate(model="extra_trees")
    assert shift_seconds(forest, grown) == pytest.approx(2 * took["extra_trees"], rel=0.1)
