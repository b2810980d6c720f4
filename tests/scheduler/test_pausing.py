"""A job that makes way between two trials goes on later as if it had not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from automl.search.expectation import Expectation
from scheduler.artifacts import ArtifactStore
from scheduler.clock import utc_now
from scheduler.config import Settings
from scheduler.execution import execute
from scheduler.pausing import Pausing, next_slot, stop_reason
from scheduler.plan import Plan, Slot, When
from scheduler.records import Job, JobState
from scheduler.store import Store
from tests.scheduler.test_execution import dataset, start  # noqa: F401

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def plan(*slots: tuple[float, float], hours: float = 2, finish_by: float | None = None) -> Plan:
    """A plan of slots in hours after noon."""
    seconds = hours * 3600
    return Plan(
        when=When(
            policy="low_carbon", finish_by=None if finish_by is None else NOON + finish_by * HOUR
        ),
        decided_at=NOON,
        slots=tuple(Slot(start=NOON + a * HOUR, end=NOON + b * HOUR) for a, b in slots),
        latest_start=NOON + 20 * HOUR,
        expectation=Expectation(
            cpu_seconds=seconds,
            p95_cpu_seconds=seconds,
            seconds=seconds,
            p95_seconds=seconds,
            joules=1,
        ),
        reason="example",
    )


@pytest.mark.parametrize(
    ("hours", "found"),
    [
        (-1, None),  # not begun
        (0.5, None),  # inside the first
        (1, 5),  # its end belongs to the pause
        (2, 5),
        (4.99, None),  # too short a pause
        (5.5, None),
        (9, None),  # nothing ahead
    ],
)
def test_it_pauses_between_slots_only(hours: float, found: float | None) -> None:
    slot = next_slot(plan((0, 1), (5, 6)), now=NOON + hours * HOUR)
    assert (None if slot is None else slot.start) == (
        None if found is None else NOON + found * HOUR
    )


def test_a_deadline_that_leaves_no_room_forbids_the_pause() -> None:
    # 1.2 x 2 h less the hour that was run leaves 1.4 h to do from 17:00 on.
    assert next_slot(plan((0, 1), (5, 6), finish_by=6.3), now=NOON + HOUR) is None
    assert next_slot(plan((0, 1), (5, 6), finish_by=6.5), now=NOON + HOUR) is not None


@pytest.mark.parametrize(
    ("begun", "hours", "pauses"),
    [
        (0, 2, True),
        (1.5, 2, False),  # sent on in the pause: it would come and go at every tick
        (1.5, 7, True),  # after the next slot it pauses as planned
    ],
)
def test_a_job_that_was_sent_on_in_a_pause_does_not_pause_for_it_again(
    start: Callable[..., Job],  # noqa: F811
    begun: float,
    hours: float,
    pauses: bool,
) -> None:
    told = plan((0, 1), (5, 6), (9, 10)).to_json()
    job = replace(start(), plan=told, start_at=NOON + begun * HOUR)
    heart = SimpleNamespace(cancel_requested=threading.Event(), pause_requested=threading.Event())
    work: Any = SimpleNamespace(
        job=job,
        heart=heart,
        store=SimpleNamespace(job=lambda _: job),
        clock=lambda: NOON + hours * HOUR,
    )
    if pauses:
        with pytest.raises(Pausing):
            stop_reason(work)
    else:
        assert stop_reason(work) is None


@pytest.fixture
def run(store: Store, artifacts: ArtifactStore, settings: Settings) -> Callable[..., Job]:
    def go(job: Job, **given: Any) -> Job:
        told = execute(
            job.id,
            job.epoch,
            store=store,
            artifacts=artifacts,
            settings=settings,
            leave=lambda status: None,
            **given,
        )
        found = store.job(job.id)
        assert told == {"state": found.state}
        return found

    return go


def test_a_paused_job_goes_on_with_its_trials_and_picks_the_same_champion(
    store: Store,
    artifacts: ArtifactStore,
    start: Callable[..., Job],  # noqa: F811
    run: Callable[..., Job],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = run(start())
    job = start()
    ended = Store.end_trial

    def end_and_pause(self: Store, job_id: str, **given: Any) -> Any:
        told = ended(self, job_id, **given)
        if len(self.trials(job_id)) == 3:
            self.request_pause(job.project_id, job_id, now=utc_now())
        return told

    with monkeypatch.context() as patched:
        patched.setattr(Store, "end_trial", end_and_pause)
        paused = run(job)
    assert (paused.state, paused.owner, paused.start_at) == (JobState.PAUSED, None, None)
    done = store.trials(job.id)
    assert len(done) == 3
    assert artifacts.exists(f"jobs/{job.id}")  # out-of-fold scores, needed to go on
    store.resume(job.project_id, job.id, now=utc_now())
    again = store.claim_job(owner="test", lease_seconds=60, now=utc_now())
    assert again is not None
    final = run(again)
    assert (final.state, final.deaths, final.epoch) == (JobState.DONE, 0, 2)
    assert store.trials(job.id)[:3] == done  # none of them was run twice
    assert final.result is not None
    assert whole.result is not None
    assert final.result["front"] == whole.result["front"]
    assert final.result["picks"] == whole.result["picks"]


def test_a_job_that_makes_way_is_due_at_once(
    store: Store,
    start: Callable[..., Job],  # noqa: F811
    run: Callable[..., Job],
) -> None:
    job = start()
    assert store.request_yield(job.id, now=utc_now())
    assert not store.request_yield(job.id, now=utc_now())
    paused = run(job)
    assert (paused.state, paused.yield_requested) == (JobState.PAUSED, False)
    assert paused.start_at is not None
    assert paused.start_at <= utc_now()


@pytest.mark.parametrize("asked", ["user", "queue"])
def test_a_ranking_without_labels_pauses_too_and_goes_on(
    store: Store,
    start: Callable[..., Job],  # noqa: F811
    run: Callable[..., Job],
    asked: str,
) -> None:
    job = start(target=None, objective={"alert_rate": 0.02})
    if asked == "user":
        store.request_pause(job.project_id, job.id, now=utc_now())
    else:
        store.request_yield(job.id, now=utc_now())
    paused = run(job)
    assert paused.state is JobState.PAUSED
    assert (paused.start_at is None) is (asked == "user")
    assert store.trials(job.id) == []
    if asked == "user":
        store.resume(job.project_id, job.id, now=utc_now())
    again = store.claim_job(owner="test", lease_seconds=60, now=utc_now())
    assert again is not None
    assert run(again).state is JobState.DONE


def test_a_job_whose_window_ends_waits_for_the_next_one(
    store: Store,
    start: Callable[..., Job],  # noqa: F811
    run: Callable[..., Job],
) -> None:
    job = start()
    now = utc_now()
    slots = ((now - HOUR, now - HOUR / 2), (now + HOUR, now + 2 * HOUR))
    made = Plan(
        when=When(policy="low_carbon"),
        decided_at=now,
        slots=tuple(Slot(start=a, end=b) for a, b in slots),
        latest_start=now + 9 * HOUR,
        expectation=plan((0, 1)).expectation,
        reason="example",
    )
    with store.write() as connection:
        from sqlalchemy import update

        from scheduler.tables import jobs

        connection.execute(update(jobs).values(plan=made.to_json(), start_at=made.start_at))
    paused = run(job)
    assert paused.state is JobState.PAUSED
    assert paused.start_at == now + HOUR
    told = store.events(job.id)[-1].data
    assert told["state"] == "PAUSED"
    assert "its window has ended" in told["reason"]
