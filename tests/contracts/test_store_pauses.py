"""What holds of waiting, paused and resumed jobs, whichever database keeps them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduler.errors import Conflict, LostLease, UnknownRecord
from scheduler.records import Job, JobState
from scheduler.store import Store
from tests.contracts.conftest import NOW
from tests.contracts.records import EXPECTED, Tenant, a_proposal, a_tenant, claim, submit

HOUR = timedelta(hours=1)
PLAN = {"reason": "waits until 13:00 UTC", "start_at": (NOW + HOUR).isoformat()}


def planned(store: Store, tenant: Tenant, **changes: Any) -> Job:
    given = {"state": JobState.PLANNED, "plan": PLAN, "start_at": NOW + HOUR, **changes}
    return submit(store, tenant, **given)


def nothing_due(store: Store, *, now: Any = NOW) -> bool:
    return store.claim_job(owner="worker", lease_seconds=30, now=now) is None


def test_a_planned_job_starts_at_its_time_and_not_before(store: Store) -> None:
    job = planned(store, a_tenant(store))
    assert job.state is JobState.PLANNED
    assert job.plan == PLAN
    told = store.events(job.id)[0].data
    assert told == {"state": "PLANNED", "start_at": PLAN["start_at"], "reason": PLAN["reason"]}
    assert nothing_due(store, now=NOW + HOUR - timedelta(seconds=1))
    assert claim(store, now=NOW + HOUR).id == job.id


def test_the_nearest_deadline_comes_first_then_the_oldest(store: Store) -> None:
    tenant = a_tenant(store)
    oldest = submit(store, tenant, submitted_at=NOW - 3 * HOUR)
    younger = submit(store, tenant, submitted_at=NOW - 2 * HOUR)
    late = submit(store, tenant, finish_by=NOW + 9 * HOUR)
    soon = planned(store, tenant, finish_by=NOW + 5 * HOUR, start_at=NOW)
    waiting = planned(store, tenant, finish_by=NOW + 4 * HOUR, start_at=NOW + 2 * HOUR)
    order = [claim(store).id for _ in range(4)]
    assert order == [soon.id, late.id, oldest.id, younger.id]
    assert nothing_due(store)
    assert claim(store, now=NOW + 2 * HOUR, owner="other").id == waiting.id


def test_a_waiting_job_is_paused_at_once_and_goes_on_when_resumed(store: Store) -> None:
    tenant = a_tenant(store)
    job = submit(store, tenant)
    paused = store.request_pause(tenant.project_id, job.id, now=NOW)
    assert (paused.state, paused.start_at) == (JobState.PAUSED, None)
    assert store.request_pause(tenant.project_id, job.id, now=NOW) == paused
    assert nothing_due(store, now=NOW + timedelta(days=9))
    resumed = store.resume(tenant.project_id, job.id, now=NOW + HOUR)
    assert resumed.state is JobState.SUBMITTED
    assert claim(store, now=NOW).id == job.id  # the clock may have been set back since


def test_a_running_job_pauses_when_its_worker_says_so(store: Store) -> None:
    tenant = a_tenant(store)
    submit(store, tenant)
    job = claim(store)
    asked = store.request_pause(tenant.project_id, job.id, now=NOW)
    assert (asked.state, asked.pause_requested) == (JobState.RUNNING, True)
    assert store.heartbeat(job.id, epoch=job.epoch, lease_seconds=30, now=NOW).pause_requested
    store.begin_trial(
        job.id, number=0, epoch=job.epoch, proposal=a_proposal(0), expected=EXPECTED, now=NOW
    )
    paused = store.pause_job(job.id, epoch=job.epoch, now=NOW, reason="by the user", until=None)
    assert (paused.state, paused.start_at, paused.pause_requested) == (
        JobState.PAUSED,
        None,
        False,
    )
    assert store.trials(job.id) == []  # tried again, not taken for the cause of a death
    with pytest.raises(LostLease):
        store.heartbeat(job.id, epoch=job.epoch, lease_seconds=30, now=NOW)
    store.resume(tenant.project_id, job.id, now=NOW)
    assert claim(store).epoch == job.epoch + 1


def test_a_pause_for_a_cleaner_hour_ends_by_itself(store: Store) -> None:
    submit(store, a_tenant(store))
    job = claim(store)
    store.pause_job(job.id, epoch=job.epoch, now=NOW, reason="window ends", until=NOW + HOUR)
    assert nothing_due(store)
    again = claim(store, now=NOW + HOUR)
    assert (again.id, again.deaths) == (job.id, 0)


def test_a_pause_is_taken_back_before_it_took_effect(store: Store) -> None:
    tenant = a_tenant(store)
    submit(store, tenant)
    job = claim(store)
    store.request_pause(tenant.project_id, job.id, now=NOW)
    assert not store.resume(tenant.project_id, job.id, now=NOW).pause_requested
    with pytest.raises(Conflict) as refused:
        store.resume(tenant.project_id, job.id, now=NOW)
    assert refused.value.code == "not_paused"


def test_who_lost_the_job_cannot_pause_it(store: Store) -> None:
    submit(store, a_tenant(store))
    job = claim(store)
    claim(store, now=NOW + HOUR, owner="other")
    with pytest.raises(LostLease):
        store.pause_job(job.id, epoch=job.epoch, now=NOW, reason="window ends", until=None)


def test_a_job_that_is_cancelled_while_it_pauses_keeps_its_best_so_far(store: Store) -> None:
    tenant = a_tenant(store)
    submit(store, tenant)
    job = claim(store)
    store.request_cancel(tenant.project_id, job.id, now=NOW)
    store.pause_job(job.id, epoch=job.epoch, now=NOW, reason="window ends", until=NOW + HOUR)
    assert claim(store).cancel_requested


def test_what_ended_or_is_not_there_is_neither_paused_nor_resumed(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    job = submit(store, tenant)
    for move in (store.request_pause, store.resume):
        with pytest.raises(UnknownRecord):
            move(other.project_id, job.id, now=NOW)
    store.request_cancel(tenant.project_id, job.id, now=NOW)
    for move in (store.request_pause, store.resume):
        with pytest.raises(Conflict) as refused:
            move(tenant.project_id, job.id, now=NOW)
        assert refused.value.code == "job_finished"


def test_deadlines_are_told_nearest_first_and_hastened_jobs_are_due(store: Store) -> None:
    tenant = a_tenant(store)
    late = planned(store, tenant, finish_by=NOW + 9 * HOUR, expected_seconds=60.0)
    soon = planned(store, tenant, finish_by=NOW + 5 * HOUR)
    held = planned(store, tenant, finish_by=NOW + 4 * HOUR)
    submit(store, tenant)  # without one
    store.request_pause(tenant.project_id, held.id, now=NOW)
    found = store.deadlines()
    assert [one.id for one in found] == [soon.id, late.id]
    assert (found[1].finish_by, found[1].expected_seconds) == (NOW + 9 * HOUR, 60.0)
    assert store.hasten([late.id, held.id], now=NOW, reason="a full queue") == 1
    assert claim(store).id == late.id


def test_a_new_plan_reaches_only_a_job_that_still_waits_under_the_old_one(store: Store) -> None:
    tenant = a_tenant(store)
    job = planned(store, tenant)
    submit(store, tenant)
    assert [one.id for one in store.waiting(after=NOW, limit=10)] == [job.id]
    earlier = store.replan(job, plan={"reason": "cleaner now"}, start_at=NOW, now=NOW)
    assert earlier is not None
    assert (earlier.start_at, earlier.plan) == (NOW, {"reason": "cleaner now"})
    assert store.replan(job, plan=PLAN, start_at=NOW + HOUR, now=NOW) is None
