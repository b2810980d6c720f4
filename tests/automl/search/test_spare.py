"""Folds that judge the champion only: which rows they hold, and where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.data.dataset import Dataset
from automl.models.boosting import Boosting
from automl.models.trees import ExtraTrees
from automl.search.champion import Member
from automl.search.evaluate import shift_seconds
from automl.search.fitted import Fitted
from automl.search.objective import Objective
from automl.search.problem import Problem, prepare
from automl.search.spare import spare_parts
from automl.trial import Candidate
from tests.automl.search.problems import rare

PARAMS = {"learning_rate": 0.1}


def member_of(problem: Problem, *, model: str = "lightgbm") -> Member:
    """A refit of twelve rounds on all rows, at a scale of its own."""
    boosting = Boosting(params=PARAMS, info=problem.info, seed=0, patience=9, rounds=12)
    boosting.fit(problem.matrix, problem.dataset.y)
    fitted = Fitted(model=boosting, slope=1.5, shift=-0.5, n_rows=problem.dataset.n_rows)
    candidate = Candidate(model=model, params=PARAMS)
    return Member(trial=0, candidate=candidate, weight=1.0, models=(fitted,))


@pytest.fixture(scope="module")
def table() -> Dataset:
    return rare(2_000, n_positive=100)


def test_spare_folds_hold_rows_that_nobody_judged_and_their_models_did_not_see(
    table: Dataset,
) -> None:
    problem = prepare(table, seed=0)
    member = member_of(problem)
    spare = spare_parts([member], problem, affordable=lambda seconds: seconds < 100)
    assert len(spare) == 2  # two of the five folds validate, the fifth is left
    judged = set(problem.validation.rows.tolist())
    for part in spare:
        assert not judged & set(part.valid.tolist())
        assert not set(part.train.tolist()) & set(part.valid.tolist())
        (fitted,) = part.models
        assert fitted.model.details["best_iteration"] == 12
        assert (fitted.slope, fitted.shift, fitted.n_rows) == (1.5, -0.5, len(part.train))
        # Not the refit under another name: on rows it never saw it ranks worse than on its own.
        y = table.y
        gaps = [
            np.mean(logit[y[rows] == 1]) - np.mean(logit[y[rows] == 0])
            for rows in (part.train, part.valid)
            for logit in [part.decision([member], problem.matrix[rows])]
        ]
        assert gaps[1] < gaps[0]


def test_a_spare_forest_has_as_many_trees_as_the_refit(table: Dataset) -> None:
    problem = prepare(table, seed=0)
    forest = ExtraTrees(params={}, info=problem.info, seed=0, n_trees=7)
    forest.fit(problem.matrix, table.y)
    member = Member(
        trial=0,
        candidate=Candidate(model="extra_trees", params={}),
        weight=1.0,
        models=(Fitted(model=forest, n_rows=table.n_rows),),
    )
    spare = spare_parts([member], problem, affordable=lambda seconds: True)
    assert [part.models[0].model.details["n_trees"] for part in spare] == [7, 7]


def test_where_alerts_are_enough_no_fold_is_fitted(table: Dataset) -> None:
    problem = prepare(table, seed=0, objective=Objective(alert_rate=0.05))
    one = spare_parts([member_of(problem)], problem, affordable=lambda seconds: True)
    assert len(one) == 1  # 40 alerts of 800 rows, 60 with one more fold
    problem = prepare(table, seed=0, objective=Objective(alert_rate=0.1))
    assert spare_parts([member_of(problem)], problem, affordable=lambda seconds: True) == ()


def test_no_spare_folds_where_they_tell_nothing_or_cost_too_much(table: Dataset) -> None:
    problem = prepare(table, seed=0)
    member = member_of(problem)

    def made(member: Member, problem: Problem, *, affordable: bool = True) -> int:
        return len(spare_parts([member], problem, affordable=lambda seconds: affordable))

    assert made(member, problem) == 2
    assert made(member, problem, affordable=False) == 0
    sampled = replace(member, models=(replace(member.models[0], n_rows=1_600),))
    assert made(sampled, problem) == 0
    student = replace(member, candidate=Candidate(model="student", params={}))
    assert made(student, problem) == 0
    costs = Objective(metric="expected_cost", missed_cost=9, alert_cost=1)
    assert made(member, replace(problem, objective=costs)) == 0
    forward = prepare(replace(table, time=np.arange(2_000)), seed=0)
    assert made(member_of(forward), forward) == 0
    # Another validation than the folds' own, as after a start from a champion.
    other = replace(problem, validation=prepare(table, seed=1).validation)
    assert made(member, other) == 0


def test_what_all_of_them_take_must_be_affordable(table: Dataset) -> None:
    """Fits of the folds before are not on the bill yet when the next is asked about."""
    asked: list[float] = []

    def affordable(seconds: float) -> bool:
        asked.append(seconds)
        return True

    problem = prepare(table, seed=0)
    spare_parts([member_of(problem)], problem, affordable=affordable)
    reading = 2 * shift_seconds(Candidate(model="lightgbm", params=PARAMS), problem)
    assert len(asked) == 2
    assert asked[1] - reading == pytest.approx(2 * (asked[0] - reading), rel=0.01)
