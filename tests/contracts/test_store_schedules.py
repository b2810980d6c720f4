"""What holds of schedules and their runs, whichever database keeps them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from automl.errors import DataError
from scheduler.errors import Conflict, LostLease, UnknownRecord
from scheduler.records import Job, JobState
from scheduler.records_schedules import Run, RunState, Schedule, ScheduleState
from scheduler.store import Store
from scheduler.store_outbox import Call
from scheduler.tables import models
from tests.contracts.conftest import NOW, at
from tests.contracts.records import Tenant, a_job, a_model, a_tenant, claim, new_id, submit

DAY = timedelta(days=1)
TODAY = date(2026, 3, 28)


def a_schedule(store: Store, tenant: Tenant, **changes: Any) -> Schedule:
    made = Schedule(
        id=new_id(),
        project_id=tenant.project_id,
        name="nightly",
        request={"model": "clients-fragile", "promote": "auto"},
        state=ScheduleState.ACTIVE,
        created_at=NOW,
        next_at=NOW,
        next_date=TODAY.isoformat(),
    )
    return store.add_schedule(replace(made, **changes), actor="token laptop")


def opened(store: Store, schedule: Schedule, *, missed: int = 0) -> bool:
    assert schedule.next_at is not None
    return store.open_run(
        schedule,
        local_date=TODAY,
        due_at=schedule.next_at,
        missed=missed,
        next_at=schedule.next_at + DAY,
        next_date=TODAY + DAY,
    )


def deciding(store: Store, schedule: Schedule, **given: Any) -> Run:
    assert opened(store, schedule, **given)
    claimed = store.claim_run(owner="one", lease_seconds=30, now=NOW)
    assert claimed is not None
    return claimed[1]


def registered(store: Store, tenant: Tenant) -> Job:
    """A finished job whose champion is the next version of clients-fragile."""
    submit(store, tenant)
    job = claim(store)
    store.finish_job(
        job.id, epoch=job.epoch, state=JobState.DONE, now=NOW, model=a_model(job), result={}
    )
    return job


def submitted(store: Store, tenant: Tenant, run: Run, *, champion: int = 1) -> Job:
    job = a_job(tenant.project_id, tenant.dataset_id, schedule_id=run.schedule_id)
    store.submit_run(run, job, decision={"worth": True}, champion=champion, max_queued=100, now=NOW)
    return job


def test_a_schedule_comes_back_and_is_of_its_project(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    made = a_schedule(store, tenant)
    assert store.get_schedule(tenant.project_id, made.id) == made
    assert store.list_schedules(tenant.project_id, limit=10) == ([made], None)
    for project, schedule_id in ((other.project_id, made.id), (tenant.project_id, new_id())):
        with pytest.raises(UnknownRecord):
            store.get_schedule(project, schedule_id)
    assert store.list_schedules(other.project_id, limit=10) == ([], None)


def test_schedules_are_paged_newest_first(store: Store) -> None:
    tenant = a_tenant(store)
    made = [a_schedule(store, tenant, created_at=at(i)) for i in range(3)]
    first, cursor = store.list_schedules(tenant.project_id, limit=2)
    second, end = store.list_schedules(tenant.project_id, limit=2, after=cursor)
    assert [one.id for one in (*first, *second)] == [one.id for one in reversed(made)]
    assert end is None
    with pytest.raises(DataError):
        store.list_schedules(tenant.project_id, limit=2, after=new_id())


def test_paused_and_deleted_schedules_are_not_due(store: Store) -> None:
    tenant = a_tenant(store)
    made = a_schedule(store, tenant)
    assert [one.id for one in store.due_schedules(NOW)] == [made.id]
    assert store.due_schedules(NOW - DAY) == []
    for state in (ScheduleState.PAUSED, ScheduleState.DELETED):
        store.move_schedule(
            tenant.project_id,
            made.id,
            state=state,
            next_at=None,
            next_date=None,
            actor="token laptop",
            now=NOW,
        )
        assert store.due_schedules(NOW + DAY) == []
    with pytest.raises(UnknownRecord):
        store.get_schedule(tenant.project_id, made.id)
    actions = [line.action for line in store.audit_lines(tenant.project_id, limit=9)[0]]
    assert actions == ["schedule.create", "schedule.pause", "schedule.delete"]


def test_a_schedule_that_a_wrong_clock_put_far_away_is_looked_at(store: Store) -> None:
    made = a_schedule(store, a_tenant(store), next_at=NOW + timedelta(days=3650))
    assert [one.id for one in store.due_schedules(NOW)] == [made.id]


def test_a_date_has_one_run_however_often_it_is_opened(store: Store) -> None:
    schedule = a_schedule(store, a_tenant(store))
    assert opened(store, schedule, missed=2)
    assert not opened(store, schedule)  # the schedule has moved on
    again = replace(schedule, next_at=NOW + DAY)
    assert not opened(store, again)  # the date has its run, as after a clock that went back
    assert [
        run.missed for run in store.list_runs(schedule.project_id, schedule.id, limit=9)[0]
    ] == [2]


def test_of_many_services_one_opens_the_run_and_one_decides_it(
    make_store: Callable[..., Store], store: Store
) -> None:
    schedule = a_schedule(store, a_tenant(store))
    stores = [make_store() for _ in range(5)]
    barrier = threading.Barrier(len(stores))
    seen: list[tuple[bool, bool]] = []

    def service(own: Store) -> None:
        barrier.wait()
        first = opened(own, schedule)
        claimed = own.claim_run(owner=new_id(), lease_seconds=30, now=NOW)
        seen.append((first, claimed is not None))

    threads = [threading.Thread(target=service, args=(own,)) for own in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(first for first, _ in seen) == 1
    assert sum(second for _, second in seen) <= 1
    assert len(store.list_runs(schedule.project_id, schedule.id, limit=9)[0]) == 1


def test_a_run_whose_decider_died_is_taken_over_and_the_dead_writes_nothing(store: Store) -> None:
    tenant = a_tenant(store)
    run = deciding(store, a_schedule(store, tenant))
    assert store.claim_run(owner="two", lease_seconds=30, now=at(29)) is None
    claimed = store.claim_run(owner="two", lease_seconds=30, now=at(31))
    assert claimed is not None
    assert claimed[1].epoch == run.epoch + 1
    for write in (
        lambda: store.keep_run(run, until=at(90)),
        lambda: store.end_decision(run, state=RunState.SKIPPED, decision={}, calls=(), now=at(32)),
        lambda: submitted(store, tenant, run),
    ):
        with pytest.raises(LostLease):
            write()
    assert store.list_jobs(tenant.project_id, limit=9)[0] == []  # not even half of it
    store.keep_run(claimed[1], until=None)
    assert store.claim_run(owner="three", lease_seconds=30, now=at(33)) is not None


def test_a_run_that_is_skipped_says_why_and_calls_its_webhook(store: Store) -> None:
    tenant = a_tenant(store)
    run = deciding(store, a_schedule(store, tenant))
    call = Call(project_id=tenant.project_id, url="https://x/y", payload={"event": "run.skipped"})
    why = {"worth": False, "because": "12 new labels (< 50)"}
    ended = store.end_decision(run, state=RunState.SKIPPED, decision=why, calls=[call], now=at(5))
    assert (ended.state, ended.decision, ended.finished_at) == (RunState.SKIPPED, why, at(5))
    assert store.claim_run(owner="two", lease_seconds=30, now=at(999)) is None
    assert [one.payload["event"] for one in store.take_calls(now=at(5), seconds=9, limit=9)] == [
        "run.skipped"
    ]


def test_a_run_and_its_job_are_one_and_its_champion_goes_on_answering(store: Store) -> None:
    tenant = a_tenant(store)
    registered(store, tenant)
    run = deciding(store, a_schedule(store, tenant))
    job = submitted(store, tenant, run)
    assert store.last_run(run.schedule_id, RunState.SUBMITTED).job_id == job.id
    assert store.ended_jobs() == []
    claimed = claim(store)
    assert claimed.id == job.id
    store.finish_job(
        job.id, epoch=claimed.epoch, state=JobState.DONE, now=NOW, model=a_model(job), result={}
    )
    assert store.get_model(tenant.project_id, job.model_name).version == 1
    ((schedule, ended, done),) = store.ended_jobs()
    assert (schedule.id, ended.job_id, done.state) == (run.schedule_id, job.id, JobState.DONE)


def challenged(store: Store, tenant: Tenant) -> Run:
    """A run whose job has registered version 2 against version 1."""
    registered(store, tenant)
    run = deciding(store, a_schedule(store, tenant))
    submitted(store, tenant, run)
    job = claim(store)
    store.finish_job(
        job.id, epoch=job.epoch, state=JobState.DONE, now=NOW, model=a_model(job), result={}
    )
    return store.ended_jobs()[0][1]


def end(store: Store, tenant: Tenant, run: Run) -> Run | None:
    return store.end_run(
        run,
        project_id=tenant.project_id,
        state=RunState.DONE,
        outcome={"promoted": True, "difference": 0.02},
        promote=("clients-fragile", 2, 1),
        calls=(),
        now=at(9),
    )


def test_a_winner_is_promoted_with_the_end_of_its_run_once(store: Store) -> None:
    tenant = a_tenant(store)
    run = challenged(store, tenant)
    assert end(store, tenant, run).outcome["promoted"] is True
    assert end(store, tenant, run) is None
    assert store.get_model(tenant.project_id, "clients-fragile").version == 2
    kinds = [one.kind for one in store.promotions(tenant.project_id, "clients-fragile")]
    assert kinds == ["schedule", "schedule"]  # the first one wrote down who answered before
    store.rollback(tenant.project_id, "clients-fragile", actor="me", reason={}, now=at(10))
    assert store.get_model(tenant.project_id, "clients-fragile").version == 1


def test_a_winner_over_one_that_no_longer_answers_is_not_promoted(store: Store) -> None:
    tenant = a_tenant(store)
    run = challenged(store, tenant)
    registered(store, tenant)
    store.promote(tenant.project_id, "clients-fragile", 3, actor="me", reason={}, now=NOW)
    ended = end(store, tenant, run)
    assert ended.outcome["promoted"] is False
    assert "no longer answers" in ended.outcome["because"]
    assert store.get_model(tenant.project_id, "clients-fragile").version == 3


def test_a_winner_that_was_deleted_meanwhile_is_not_promoted(store: Store) -> None:
    tenant = a_tenant(store)
    run = challenged(store, tenant)
    with store.write() as connection:
        connection.execute(update(models).where(models.c.version == 2).values(deleted_at=NOW))
    ended = end(store, tenant, run)
    assert ended.outcome["promoted"] is False
    assert "deleted" in ended.outcome["because"]
    assert store.get_model(tenant.project_id, "clients-fragile").version == 1
    assert len(store.promotions(tenant.project_id, "clients-fragile")) == 1


def test_runs_are_paged_newest_date_first(store: Store) -> None:
    schedule = a_schedule(store, a_tenant(store))
    for i in range(3):
        assert store.open_run(
            schedule,
            local_date=TODAY + i * DAY,
            due_at=NOW + i * DAY,
            missed=0,
            next_at=NOW + (i + 1) * DAY,
            next_date=TODAY + (i + 1) * DAY,
        )
        schedule = replace(schedule, next_at=NOW + (i + 1) * DAY)
    first, cursor = store.list_runs(schedule.project_id, schedule.id, limit=2)
    second, last = store.list_runs(schedule.project_id, schedule.id, limit=2, after=cursor)
    assert [one.local_date for one in (*first, *second)] == [
        "2026-03-30",
        "2026-03-29",
        "2026-03-28",
    ]
    assert last is None


def test_a_project_has_only_so_many_schedules(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.store_schedules.MOST_SCHEDULES", 1)
    tenant = a_tenant(store)
    a_schedule(store, tenant)
    with pytest.raises(Conflict) as caught:
        a_schedule(store, tenant)
    assert caught.value.code == "too_many_schedules"
