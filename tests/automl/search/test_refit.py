"""What becomes of a finalist: rounds, refits that a budget refuses, scales that agree."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from automl.cost import ZERO
from automl.meta.portfolio import NAMED
from automl.meters.cpu_time import CpuTimeMeter
from automl.models.expected import FitShape
from automl.search import refit
from automl.search.calibration import fit_platt
from automl.search.evaluate import expected_cost
from automl.search.fitted import Fitted
from automl.search.objective import Objective
from automl.search.parts import fit_parts, like_parts
from automl.search.problem import Problem, prepare
from automl.search.refit import expected_predict_joules, fit_member, refit_rounds
from automl.trial import Proposal, Trial
from tests.automl.search.problems import rare


@pytest.fixture(scope="module")
def problem() -> Problem:
    return prepare(rare(1500, n_positive=300), objective=Objective(alert_rate=0.05), seed=0)


def trial(problem: Problem, name: str, *, parts: list[dict[str, Any]] | None = None) -> Trial:
    proposal = Proposal(candidate=NAMED[name], rung="final", n_rows=problem.final_rows)
    if parts is None:
        models = fit_parts(proposal, problem, meter=CpuTimeMeter())[0]
        parts = [dict(fitted.model.details) for fitted in models]
    return Trial(
        number=0, proposal=proposal, cost=ZERO, expected=ZERO, score=0.5, details={"parts": parts}
    )


@pytest.mark.parametrize(
    ("best", "rounds"), [([100, 100], 130), ([150, 101], 164), ([5, 9], 80), ([290, 300], 300)]
)
def test_rounds_follow_the_parts_within_limits(
    best: list[int], rounds: int, problem: Problem
) -> None:
    made = trial(problem, "L15", parts=[{"best_iteration": one} for one in best])
    assert refit_rounds(made) == rounds


@pytest.mark.parametrize(
    ("name", "affordable", "n_models"),
    [
        ("L15", True, 3),
        ("L15", False, 2),
        ("LRq", True, 1),
        ("LRq", False, 2),
        ("ETs", True, 1),
        ("ETs", False, 2),
    ],
)
def test_members_are_parts_refits_or_both(
    name: str, affordable: bool, n_models: int, problem: Problem
) -> None:
    assert len(problem.validation.parts) == 2
    member = fit_member(
        trial(problem, name),
        problem,
        weight=1.0,
        at_hand=(),
        meter=CpuTimeMeter(),
        affordable=lambda seconds: affordable,
    )
    assert len(member.models) == n_models
    assert np.isfinite(member.decision(problem.matrix)).all()


def test_models_at_hand_are_used_and_fitted_again_alike(problem: Problem) -> None:
    made = trial(problem, "L15")
    at_hand = fit_parts(made.proposal, problem, meter=CpuTimeMeter())[0]
    options: dict[str, Any] = {
        "weight": 1.0,
        "meter": CpuTimeMeter(),
        "affordable": lambda seconds: True,
    }
    kept = fit_member(made, problem, at_hand=at_hand, **options)
    again = fit_member(made, problem, at_hand=(), **options)
    assert kept.models[0] is at_hand[0]
    np.testing.assert_array_equal(kept.decision(problem.matrix), again.decision(problem.matrix))


def test_a_forest_of_the_parts_is_gone_before_that_of_all_rows_is_grown(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is as large as the other: a search on 1.5 million rows would hold both."""
    made = trial(problem, "ETs")
    hand = {0: fit_parts(made.proposal, problem, meter=CpuTimeMeter())[0]}
    older = weakref.ref(hand[0][0].model)
    alive: list[bool] = []
    fit_all = refit.fit_all

    def noted(*arguments: Any, **named: Any) -> Fitted:
        gc.collect()
        alive.append(older() is not None)
        return fit_all(*arguments, **named)

    monkeypatch.setattr(refit, "fit_all", noted)
    fit_member(
        made,
        problem,
        weight=1.0,
        at_hand=hand.pop(0),
        meter=CpuTimeMeter(),
        affordable=lambda seconds: True,
    )
    assert alive == [False]


class Scaled:
    """The true log-odds, seen through a scale."""

    details: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, truth: np.ndarray, slope: float, shift: float) -> None:
        self.truth, self.slope, self.shift = truth, slope, shift

    def decision(self, X: np.ndarray) -> np.ndarray:
        return self.slope * self.truth[X[:, 0].astype(int)] + self.shift


def test_a_refit_gets_the_parts_scale(problem: Problem) -> None:
    n_rows = problem.dataset.n_rows
    truth = np.random.default_rng(0).normal(size=n_rows)
    rows = np.arange(n_rows, dtype=np.float32)[:, None]
    seen = replace(problem, matrix=rows)
    parts: Any = tuple(Fitted(model=Scaled(truth, 1.0, -1.0)) for _ in range(2))  # type: ignore[arg-type]
    refitted: Any = Fitted(model=Scaled(truth, 4.0, 7.0))  # type: ignore[arg-type]
    np.testing.assert_allclose(
        like_parts(refitted, parts, seen).decision(rows), truth - 1.0, atol=1e-6
    )
    flat: Any = Fitted(model=Scaled(truth, 0.0, 7.0))  # type: ignore[arg-type]
    assert like_parts(flat, parts, seen) is flat


def test_parts_of_boosting_are_each_calibrated(problem: Problem) -> None:
    proposal = Proposal(candidate=NAMED["L15"], rung="final", n_rows=problem.final_rows)
    models, logit, predicting = fit_parts(proposal, problem, meter=CpuTimeMeter())
    assert predicting.wall_seconds > 0  # less CPU time than some kernels count
    start = 0
    for fitted, part in zip(models, problem.validation.parts, strict=True):
        own = logit[start : start + len(part.valid)]
        start += len(part.valid)
        np.testing.assert_allclose(fitted.decision(problem.matrix[part.valid]), own, atol=1e-9)
        platt = fit_platt(problem.dataset.y[part.valid], own, part.weight)
        # Shrunk targets make the second fit differ from the identity by a little.
        assert platt.slope == pytest.approx(1, abs=0.05)
        observed = np.average(problem.dataset.y[part.valid], weights=part.weight)
        assert np.average(expit(own), weights=part.weight) == pytest.approx(observed, abs=0.01)


def test_use_is_expected_to_cost_more_with_more_trees(problem: Problem) -> None:
    def joules(name: str, n: int) -> float:
        key = "n_trees" if name == "ETs" else "best_iteration"
        return expected_predict_joules(trial(problem, name, parts=[{key: n}]))

    assert joules("L15", 100) < joules("L15", 200)
    assert joules("ETs", 20) < joules("ETs", 60)
    linear = expected_predict_joules(trial(problem, "LRq", parts=[{}]))
    assert 0 < linear < joules("ETs", 60)


def test_a_forest_is_expected_to_cost_what_its_trees_do(problem: Problem) -> None:
    """A rung's trees are shared over its parts; the expectation follows those that are grown."""
    for rung, n_rows in (("screening", 400), ("final", problem.final_rows)):
        proposal = Proposal(candidate=NAMED["ETs"], rung=rung, n_rows=n_rows)
        models, _, _ = fit_parts(proposal, problem, meter=CpuTimeMeter())
        seconds = sum(
            problem.costs.seconds(
                proposal.candidate,
                FitShape(
                    n_rows=round(n_rows * len(part.train) / problem.dataset.n_rows),
                    n_columns=problem.n_columns,
                    n_wide=problem.n_wide,
                    n_bins=problem.n_bins,
                    n_valid=len(part.valid),
                    n_trees=fitted.model.details["n_trees"],
                ),
            )
            for part, fitted in zip(problem.validation.parts, models, strict=True)
        )
        seconds += problem.costs.score_seconds(len(problem.validation.rows))
        assert expected_cost(proposal, problem).cpu_seconds == pytest.approx(seconds)
