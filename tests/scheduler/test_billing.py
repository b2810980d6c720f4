"""Where the energy of a job lies in time, whatever became of its processes."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from automl.cost import Cost
from automl.trial import Candidate, Proposal, Trial
from scheduler.billing import stretches_of, unfinished
from scheduler.records import Phase, StoredTrial
from tests.scheduler.test_emissions import NOON
from tests.scheduler.test_receipt import a_job

SECOND = timedelta(seconds=1)


def cost(joules: float) -> Cost:
    return Cost(cpu_seconds=joules / 4, joules=joules, meter="cpu_time")


def phase(name: str, joules: float, end: float, *, epoch: int = 1, start: float | None = None):
    return Phase(
        job_id="1" * 32,
        epoch=epoch,
        name=name,
        cost=cost(joules),
        started_at=None if start is None else NOON + start * SECOND,
        ended_at=NOON + end * SECOND,
    )


def tried(number: int, start: float, end: float, joules: float, **changes: Any) -> StoredTrial:
    candidate = Candidate(model=changes.pop("model", "linear"))
    proposal = Proposal(candidate=candidate, rung="screening", n_rows=10)
    trial = Trial(number=number, proposal=proposal, cost=cost(joules), expected=cost(1))
    stored = StoredTrial(
        job_id="1" * 32,
        number=number,
        proposal=proposal,
        expected=cost(1),
        started_at=NOON + start * SECOND,
        finished_at=NOON + end * SECOND,
        trial=trial,
    )
    return replace(stored, **changes)


def laid(phases: list[Phase], trials: list[StoredTrial], **changes: Any) -> list[Any]:
    """(phase, start and end in seconds after noon, joules)."""
    job = a_job(started_at=NOON, **changes)
    return [
        (
            one.phase,
            (one.start - NOON) / SECOND,
            (one.end - NOON) / SECOND,
            pytest.approx(one.cost.joules),
        )
        for one in stretches_of(job, phases, trials, now=NOON + 999 * SECOND)
    ]


def test_trials_have_their_own_time_and_the_rest_is_spread_over_the_search() -> None:
    phases = [
        phase("features", 8, 10),
        phase("search", 100, 60),
        phase("refit", 5, 70),
        phase("predict", 1, 71),
    ]
    trials = [tried(0, 12, 20, 30), tried(1, 22, 50, 50), tried(2, 55, 55, 99, model="ensemble")]
    assert laid(phases, trials) == [
        ("features", 10, 10, 8),  # nobody said how long it took
        ("search", 12, 20, 30),
        ("search", 22, 50, 50),
        ("search", 60, 60, 20),
        ("refit", 70, 70, 5),
        ("predict", 71, 71, 1),
    ]


def test_a_phase_begins_where_the_one_ahead_has_ended() -> None:
    phases = [phase("features", 8, 10, start=-30), phase("search", 10, 60, start=-5)]
    assert laid(phases, []) == [("features", 0, 10, 8), ("search", 10, 60, 10)]


def test_work_of_earlier_processes_is_counted_once() -> None:
    phases = [
        phase("features", 2, 10),
        phase("search", 10, 60),
        phase("refit", 3, 70),
        phase("features", 2, 210, epoch=2),
        phase("search", 11, 260, epoch=2),  # the trials of the first process are in it
        phase("refit", 4, 270, epoch=2),
    ]
    trials = [tried(0, 12, 20, 6), tried(1, 30, 50, 4), tried(2, 240, 250, 0.5)]
    found = laid(phases, trials, epoch=2)
    sums: dict[str, float] = {}
    for name, _, _, joules in found:
        sums[name] = sums.get(name, 0.0) + joules.expected
    assert sums == pytest.approx({"features": 4, "search": 11, "refit": 7})
    assert ("search", 12, 20, 6) in found


def test_a_search_that_never_ended_is_billed_by_its_trials() -> None:
    trials = [tried(0, 12, 20, 6), tried(1, 30, 50, 4), tried(2, 60, 61, 1, trial=None)]
    assert laid([phase("features", 2, 10)], trials) == [
        ("features", 10, 10, 2),
        ("search", 12, 20, 6),
        ("search", 30, 50, 4),
    ]


def test_trials_after_the_last_search_that_ended_are_added() -> None:
    phases = [phase("search", 10, 60)]
    trials = [tried(0, 12, 20, 6), tried(1, 300, 310, 5)]
    assert laid(phases, trials, epoch=2) == [
        ("search", 12, 20, 6),
        ("search", 60, 60, 4),
        ("search", 300, 310, 5),
    ]


def test_trials_never_sum_to_more_than_their_search() -> None:
    found = laid([phase("search", 9, 60)], [tried(0, 12, 20, 6), tried(1, 30, 50, 4)])
    assert sum(one[3].expected for one in found) == pytest.approx(9)


def test_what_was_not_measured_is_no_number_in_the_bill() -> None:
    odd = tried(0, 12, 20, 6)
    assert odd.trial is not None
    unknown = Cost(cpu_seconds=math.nan, joules=math.nan, meter="cpu_time")
    odd = replace(odd, trial=replace(odd.trial, cost=unknown))
    assert laid([], [odd]) == [("search", 12, 20, 0)]


def test_what_a_process_did_beside_its_phases_and_trials_was_in_vain() -> None:
    began = NOON + 100 * SECOND
    trials = [tried(0, 12, 20, 6), tried(1, 120, 130, 5), tried(2, 140, 141, 1, trial=None)]
    features = phase("features", 2, 110, epoch=2)
    search = phase("search", 20, 150, epoch=2)  # the trials of both processes are in it
    for rows, left in (([], 25), ([features], 23), ([features, search], 14)):
        rest = unfinished(cost(30), rows, trials, began=began)
        assert rest.joules == pytest.approx(left)
    assert unfinished(cost(3), [search], trials, began=began).joules == 0
    alone = replace(features, name="unfinished", started_at=began, cost=cost(9))
    assert laid([features, alone], [], epoch=2)[-1] == ("unfinished", 100, 110, 9)
