"""A budget is overrun by no more than the error of the last estimate, in any unit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.cost import ZERO, Budget, Cost, Speed
from automl.meta.portfolio import NAMED
from automl.meters.cpu_time import CpuTimeMeter
from automl.search import ledger as module
from automl.search.evaluate import (
    Outcome,
    closing_seconds,
    expected_cost,
    refit_seconds,
    shift_seconds,
)
from automl.search.journal import MemoryJournal
from automl.search.ledger import Ledger
from automl.search.problem import Problem, prepare
from automl.search.speed import MOST_OFF, probed, speed_of
from automl.trial import Proposal, Trial
from tests.automl.search.problems import rare

UNITS = ("cpu_seconds", "joules", "gco2e", "wall_seconds")
GRAMS_PER_KWH = 50.0
NAMES = ("L15", "LRq", "ETs", "Lnb10", "Lps", "RF")


@cache
def problem() -> Problem:
    return prepare(rare(600, n_positive=60), seed=0)


def of(cost: Cost, unit: str) -> float:
    return cost.grams(GRAMS_PER_KWH) if unit == "gco2e" else float(getattr(cost, unit))


class Machine:
    """A machine and its meter: so fast, so hungry, so busy, and each work off by its own factor."""

    def __init__(self, *, seconds: float, watts: float, wall: float, errors: list[float]) -> None:
        self.speed = Speed(seconds=seconds, watts=watts, wall=wall)
        self.errors = iter(errors)

    def takes(self, expected_seconds: float) -> Cost:
        return replace(self.speed.cost(expected_seconds * next(self.errors)), meter="fake")

    def evaluate(
        self, proposal: Proposal, _: Any, *, number: int, expected: Cost, **__: Any
    ) -> Any:
        cost = self.takes(expected.cpu_seconds)
        return Outcome(
            trial=Trial(number=number, proposal=proposal, cost=cost, expected=expected, score=0.5),
            out_of_fold={"rows": np.arange(2), "logit": np.zeros(2)},
        )


@settings(max_examples=60, deadline=None)
@given(
    unit=st.sampled_from(UNITS),
    share=st.floats(0.05, 3.0),
    seconds=st.floats(0.2, 5.0),
    watts=st.floats(1.0, 40.0),
    wall=st.floats(1.0, 6.0),
    errors=st.lists(st.floats(0.2, 4.0), min_size=20, max_size=20),
    known=st.booleans(),
)
def test_a_limit_is_overrun_by_one_estimate_at_most(
    unit: str,
    share: float,
    seconds: float,
    watts: float,
    wall: float,
    errors: list[float],
    known: bool,
) -> None:
    shared = problem()
    machine = Machine(seconds=seconds, watts=watts, wall=wall, errors=errors)
    rungs = [Proposal(candidate=NAMED[n], rung="final", n_rows=600) for n in NAMES]
    everything = sum(expected_cost(p, shared).cpu_seconds for p in rungs)
    limit = share * of(machine.speed.cost(everything), unit)
    ledger = Ledger(
        problem=shared,
        meter=CpuTimeMeter(),
        budget=Budget(**{unit: limit}, grams_per_kwh=GRAMS_PER_KWH),
        journal=MemoryJournal(),
        stop=None,
        before=ZERO,
        speed=machine.speed if known else None,
    )
    worst = 0.0  # how far the last work was from what it was let in with
    with patch.object(module, "evaluate", machine.evaluate):
        for proposal in rungs:
            expected = expected_cost(proposal, shared).cpu_seconds
            let_in = of(ledger.speed.cost(expected), unit)
            before = of(ledger.spent, unit)
            done = ledger.run([proposal])
            if done:
                assert before + let_in <= limit
                worst = of(done[0].cost, unit) - let_in
                assert of(ledger.spent, unit) <= limit + max(worst, 0.0)
            else:
                assert ledger.refusals[-1].name == unit
    for name in NAMES:
        refit = refit_seconds(NAMED[name], shared)
        let_in = of(ledger.speed.cost(refit), unit)
        if ledger.affordable(refit):
            took = machine.takes(refit)
            ledger.charge(took)
            worst = of(took, unit) - let_in
        assert of(ledger.spent, unit) <= limit + max(worst, 0.0)


def test_the_first_trial_leaves_room_for_the_closing_and_later_ones_for_a_refit() -> None:
    shared, proposal = problem(), Proposal(candidate=NAMED["L15"], rung="final", n_rows=600)
    trial = expected_cost(proposal, shared).cpu_seconds
    closing = closing_seconds(shared)
    # The refit, and what reading its alert limit takes.
    refit = refit_seconds(NAMED["L15"], shared) + shift_seconds(NAMED["L15"], shared)
    machine = Machine(seconds=1.0, watts=4.0, wall=1.0, errors=[1.0] * 9)

    def n_run(limit: float, n_proposals: int) -> int:
        ledger = Ledger(
            problem=shared,
            meter=CpuTimeMeter(),
            budget=Budget(cpu_seconds=limit),
            journal=MemoryJournal(),
            stop=None,
            before=ZERO,
            speed=machine.speed,
        )
        machine.errors = iter([1.0] * 9)
        with patch.object(module, "evaluate", machine.evaluate):
            return sum(
                len(ledger.run([replace(proposal, n_rows=600 - i)])) for i in range(n_proposals)
            )

    assert n_run(trial + 0.5 * closing, 1) == 0
    assert n_run(trial + 1.01 * closing, 1) == 1
    assert n_run(2.01 * trial + closing, 2) == 1
    assert n_run(2.01 * trial + closing + refit, 2) == 2


def measured(ratio: float, *, expected: float = 1.0, wall: float = 2.0) -> Trial:
    cost = Cost(cpu_seconds=ratio * expected, joules=8 * ratio * expected, meter="fake")
    return Trial(
        number=0,
        proposal=Proposal(candidate=NAMED["L15"], rung="final", n_rows=600),
        cost=replace(cost, wall_seconds=wall * cost.cpu_seconds),
        expected=Cost(cpu_seconds=expected, joules=4 * expected, meter="expected"),
        score=0.5,
    )


def test_the_probe_weighs_as_much_as_two_trials() -> None:
    before = Speed(seconds=1.0, watts=4.0)
    assert speed_of([], before) == before
    one = speed_of([measured(4.0)], before)
    assert one.seconds == pytest.approx((2 * 1 + 4) / 3)
    assert (one.watts, one.wall) == pytest.approx((8.0, 2.0))
    many = speed_of([measured(4.0)] * 50, before)
    assert 3.5 < many.seconds < 4
    assert speed_of([measured(1e6)] * 50, before).seconds == MOST_OFF
    # The machine has become busy: a wall clock runs by its last trial, not by the mean.
    assert speed_of([*[measured(1.0)] * 9, measured(1.0, wall=9.0)], before).wall == 9.0


def test_what_died_tells_no_speed() -> None:
    died = replace(measured(1.0), cost=measured(1.0).expected)
    assert speed_of([died], Speed(seconds=3.0, watts=4.0)).seconds == 3.0


def test_the_probe_is_measured_against_its_reference() -> None:
    costs = problem().costs
    speed = probed(CpuTimeMeter(), costs)
    assert 0.05 < speed.seconds < MOST_OFF
    half = replace(costs, steps={**costs.steps, "probe": (costs.probe_seconds / 10,)})
    assert probed(CpuTimeMeter(), half).seconds > 2 * speed.seconds or speed.seconds > 2
    assert speed.watts >= 4.0
