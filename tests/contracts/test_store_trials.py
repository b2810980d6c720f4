"""Trials, phases and leaderboards, on every database."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from sqlalchemy import insert

from automl.cost import Cost
from automl.trial import RUNGS
from scheduler.errors import Conflict, LostLease, UnknownRecord
from scheduler.records import JobState, Phase
from scheduler.store import LeaderboardSort, Store
from scheduler.tables import trials
from tests.contracts.conftest import NOW, at
from tests.contracts.records import (
    COST,
    EXPECTED,
    a_model,
    a_proposal,
    a_tenant,
    a_trial,
    claim,
    new_id,
    submit,
)


def begin(store: Store, job_id: str, number: int, *, epoch: int = 1) -> None:
    store.begin_trial(
        job_id,
        epoch=epoch,
        number=number,
        proposal=a_proposal(number),
        expected=EXPECTED,
        now=at(number),
    )


def test_a_trial_is_begun_once_and_ended_once(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    assert store.running_trial(job.id) is None
    begin(store, job.id, 0)
    running = store.running_trial(job.id)
    assert running is not None
    assert (running.number, running.trial, running.expected) == (0, None, EXPECTED)
    assert running.proposal == a_proposal(0)
    with pytest.raises(Conflict):
        begin(store, job.id, 0)
    store.end_trial(job.id, epoch=1, trial=a_trial(0), now=at(9))
    assert store.running_trial(job.id) is None
    with pytest.raises(Conflict):
        store.end_trial(job.id, epoch=1, trial=a_trial(0, score=0.9), now=at(10))
    [stored] = store.trials(job.id)
    assert (stored.trial, stored.started_at, stored.finished_at) == (a_trial(0), at(0), at(9))
    assert [event.kind for event in store.events(job.id)] == ["state", "state", "trial"]
    assert store.events(job.id)[-1].data == a_trial(0).to_json()


def test_a_mean_of_stored_predictions_needs_no_beginning(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    store.end_trial(job.id, epoch=1, trial=a_trial(3), now=at(9))
    [stored] = store.trials(job.id)
    assert (stored.trial, stored.started_at, stored.finished_at) == (a_trial(3), at(9), at(9))


def test_a_trial_that_was_running_is_seen_by_the_next_worker(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    begin(store, job.id, 0)
    store.end_trial(job.id, epoch=1, trial=a_trial(0), now=at(1))
    begin(store, job.id, 1)
    assert claim(store, now=at(60)).epoch == 2
    assert [found.trial is None for found in store.trials(job.id)] == [False, True]
    dead = a_trial(1, score=None, interval=None, scores={}, error="its process died")
    store.end_trial(job.id, epoch=2, trial=dead, now=at(61))
    begin(store, job.id, 2, epoch=2)
    assert store.trials(job.id)[1].trial == dead


def test_a_trial_that_a_clean_stop_interrupted_is_tried_again(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    store.end_trial(job.id, epoch=1, trial=a_trial(0), now=at(1))
    begin(store, job.id, 1)
    store.release_job(job.id, epoch=1, now=at(2), died=False)
    assert [found.number for found in store.trials(job.id)] == [0]
    claim(store, now=at(3))
    begin(store, job.id, 1, epoch=2)
    store.release_job(job.id, epoch=2, now=at(4))
    assert [found.number for found in store.trials(job.id)] == [0, 1]


def test_an_energy_that_is_not_known_sorts_as_the_dearest(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    for number, joules in enumerate((math.nan, 2.0, 1.0)):
        trial = a_trial(number, cost=replace(COST, joules=joules))
        store.end_trial(job.id, epoch=1, trial=trial, now=NOW)
    rows, total = store.leaderboard(job.id, sort="joules", descending=False, limit=9)
    assert total == 3
    assert [row.number for row in rows] == [2, 1, 0]


def test_phases_add_up_within_an_epoch(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    store.add_phase(Phase(job_id=job.id, epoch=1, name="search", cost=COST))
    store.add_phase(Phase(job_id=job.id, epoch=1, name="features", cost=COST))
    store.add_phase(Phase(job_id=job.id, epoch=1, name="search", cost=COST))
    claim(store, now=at(60))
    store.add_phase(Phase(job_id=job.id, epoch=2, name="search", cost=COST))
    with pytest.raises(LostLease):
        store.add_phase(Phase(job_id=job.id, epoch=1, name="search", cost=COST))
    store.finish_job(job.id, epoch=2, state=JobState.DONE, now=at(61))
    store.add_phase(Phase(job_id=job.id, epoch=2, name="predict", cost=COST))
    found = [(phase.epoch, phase.name, phase.cost.joules) for phase in store.phases(job.id)]
    assert found == [
        (1, "search", 12.5),
        (1, "features", 6.25),
        (2, "search", 6.25),
        (2, "predict", 6.25),
    ]


def test_an_event_of_no_job_is_refused(store: Store) -> None:
    with pytest.raises(UnknownRecord):
        store.add_event(new_id(), kind="warning", data={}, now=NOW)
    job = submit(store, a_tenant(store))
    event = store.add_event(job.id, kind="warning", data={"code": "x"}, now=at(1))
    assert (event.seq, event.at, store.events(job.id)[-1]) == (2, at(1), event)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", ["score", "joules", "predict_joules", "number"])
def test_the_leaderboard_is_in_order_and_pages_are_whole(
    store: Store, sort: LeaderboardSort, descending: bool
) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    chance = random.Random(0)
    made = []
    for number in range(23):
        trial = a_trial(
            number,
            score=round(chance.random(), 1),
            cost=replace(COST, joules=float(chance.randrange(5))),
            predict_joules=float(chance.randrange(4)),
        )
        rung = RUNGS[chance.randrange(3)]
        trial = replace(trial, proposal=replace(trial.proposal, rung=rung))
        if number % 5 == 0:
            trial = replace(trial, score=None, predict_joules=None, error="it failed")
        if number == 7:
            trial = replace(trial, score=math.nan)
        made.append(trial)
        store.end_trial(job.id, epoch=1, trial=trial, now=NOW)
    begin(store, job.id, 99)  # not ended, so not on the board

    def value(number: int) -> float | None:
        trial = made[number]
        found = trial.cost.joules if sort == "joules" else getattr(trial, sort)
        return None if found is None or found != found else float(found)

    def key(number: int) -> tuple[int, float, int]:
        natural = descending == (sort == "score")
        sign = -1 if descending else 1
        rung = RUNGS.index(made[number].proposal.rung) if sort == "score" else 0
        return sign * rung, sign * (value(number) or 0.0), number if natural else -number

    valued = [number for number in range(23) if value(number) is not None]
    expected = sorted(valued, key=key) + [n for n in range(23) if value(n) is None]
    for limit in (1, 4, 10, 100):
        found: list[int] = []
        for offset in range(0, 30, limit):
            rows, total = store.leaderboard(
                job.id, sort=sort, descending=descending, limit=limit, offset=offset
            )
            assert total == 23
            found += [row.number for row in rows]
        assert found == expected
    front = {1, 5, 9}
    rows, total = store.leaderboard(
        job.id, sort=sort, descending=descending, limit=9, offset=0, front=front
    )
    assert total == 3
    assert [row.number for row in rows] == [number for number in expected if number in front]
    assert store.leaderboard(job.id, limit=9, front=[]) == ([], 0)


def test_a_cancel_is_heard_at_every_write_and_ends_the_job_cancelled(store: Store) -> None:
    job = submit(store, a_tenant(store))
    running = claim(store)
    proposal = a_proposal(1)
    assert not store.end_trial(job.id, epoch=1, trial=a_trial(0), now=NOW)
    store.request_cancel(job.project_id, job.id, now=NOW)
    assert store.begin_trial(
        job.id, epoch=1, number=1, proposal=proposal, expected=EXPECTED, now=NOW
    )
    assert store.end_trial(job.id, epoch=1, trial=a_trial(1), now=NOW)
    done = store.finish_job(
        job.id, epoch=1, state=JobState.DONE, model=a_model(running), now=NOW, stop_reason="flat"
    )
    assert done.state is JobState.CANCELLED
    assert done.stop_reason == "cancelled on request at its end: flat"
    assert store.get_model(job.project_id, job.model_name).version == 1
    assert store.events(job.id)[-1].data["state"] == "CANCELLED"


def test_another_sort_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="sort"):
        store.leaderboard(new_id(), sort="score; DROP TABLE jobs", limit=1)  # type: ignore[arg-type]


def test_a_page_of_ten_thousand_trials_is_read_from_an_index(store: Store) -> None:
    job = submit(store, a_tenant(store))
    with store.write() as connection:
        connection.execute(
            insert(trials),
            [
                {
                    "job_id": job.id,
                    "number": number,
                    "epoch": 1,
                    "proposal": a_proposal(number).to_json(),
                    "expected": EXPECTED.to_json(),
                    "started_at": NOW,
                    "finished_at": NOW,
                    "rung": 0,
                    "score": (number * 7919 % 10_000) / 10_000,
                    "joules": float(number),
                    "predict_joules": float(-number),
                    "trial": a_trial(number).to_json(),
                }
                for number in range(10_000)
            ],
        )
    rows, total = store.leaderboard(job.id, limit=3, offset=5_000)
    assert total == 10_000
    assert [row.number * 7919 % 10_000 for row in rows] == [4999, 4998, 4997]
    plan = _plan_of_leaderboard(store, job.id)
    assert "ix_trials_job_id_rung_score_number" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def _plan_of_leaderboard(store: Store, job_id: str) -> str:
    """How the database reads the first page, in its own words."""
    explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
    with store.write() as connection:
        connection.exec_driver_sql("ANALYZE")
        rows = connection.exec_driver_sql(
            f"{explain}SELECT * FROM trials WHERE job_id = '{job_id}'"  # noqa: S608
            " AND score IS NOT NULL ORDER BY rung DESC, score DESC, number LIMIT 100"
        ).all()
    return "\n".join(str(row[-1]) for row in rows)


def test_costs_keep_their_meter(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    rapl = Cost(cpu_seconds=0.1, joules=1e-9, wall_seconds=0.2, meter="rapl")
    store.end_trial(job.id, epoch=1, trial=a_trial(0, cost=rapl), now=NOW)
    [stored] = store.trials(job.id)
    assert stored.trial is not None
    assert stored.trial.cost == rapl
