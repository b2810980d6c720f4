"""What holds of the ledger and of jobs without a bill, whichever database keeps them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.ledger import GROUPS, LedgerFilter, LedgerLine, LedgerSum
from scheduler.records import JobState
from scheduler.store import Store
from tests.contracts.conftest import NOW
from tests.contracts.records import Tenant, a_tenant, claim, new_id, submit

ALL = LedgerFilter()
HOUR = timedelta(hours=1)


def a_line(tenant: Tenant, **changes: Any) -> LedgerLine:
    line = LedgerLine(
        job_id=new_id(),
        phase="search",
        day="2026-03-28",
        project_id=tenant.project_id,
        dataset_id=tenant.dataset_id,
        cpu_seconds=1.0,
        joules=4.0,
        grams_per_kwh=50.0,
        gco2e=4.0 / 3.6e6 * 50,
        gco2e_at_submission=4.0 / 3.6e6 * 60,
        meter="cpu_time",
        intensity={"zone": "FR", "source": "example"},
    )
    return replace(line, **changes)


def write(store: Store, *lines: LedgerLine, settle_at: Any = None) -> None:
    for job_id in dict.fromkeys(line.job_id for line in lines):
        own = [line for line in lines if line.job_id == job_id]
        assert store.settle(job_id, receipt=None, lines=own, settle_at=settle_at, now=NOW)


def many(tenant: Tenant, n: int) -> list[LedgerLine]:
    """Lines of some jobs, phases, days, data sets and schedules, with savings of both signs."""
    chance = random.Random(1)
    jobs = [new_id() for _ in range(6)]
    datasets, schedules = [new_id() for _ in range(3)], [None, new_id(), new_id()]
    keys = {
        (chance.choice(jobs), chance.choice(("features", "search", "refit")), chance.randint(1, 9))
        for _ in range(n)
    }
    return [
        a_line(
            tenant,
            job_id=job_id,
            phase=phase,
            day=f"2026-03-0{day}",
            dataset_id=datasets[jobs.index(job_id) % 3],
            schedule_id=schedules[jobs.index(job_id) % 3],
            cpu_seconds=chance.random(),
            joules=chance.random() * 100,
            gco2e=chance.random(),
            gco2e_at_submission=chance.choice((None, chance.random())),
        )
        for job_id, phase, day in sorted(keys)
    ]


def pages(read: Any) -> list[Any]:
    found, after = [], None
    while True:
        items, after = read(after)
        found += items
        if after is None:
            return found


def test_pages_have_every_line_once_and_sums_equal_their_parts(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    lines = many(tenant, 60)
    write(store, *lines, a_line(other))
    project = tenant.project_id

    read = pages(lambda after: store.ledger_lines(project, ALL, limit=7, after=after))
    order = sorted(lines, key=lambda one: (one.job_id, one.phase))
    assert read == sorted(order, key=lambda one: one.day, reverse=True)

    total = store.ledger_total(project, ALL)
    summed: Any = sum(lines, start=LedgerSum())  # type: ignore[type-var]
    assert total.to_json() == pytest.approx(summed.to_json())
    assert total.n_lines == len(lines)
    for group in GROUPS:
        parts = pages(
            lambda after, by=group: store.ledger_sums(
                project, ALL, group_by=by, limit=2, after=after
            )
        )
        names = {"job": "job_id", "dataset": "dataset_id", "schedule": "schedule_id"}
        name = names.get(group, group)
        expected = {key: LedgerSum(key=key) for key in {getattr(one, name) for one in lines}}
        for line in lines:
            expected[getattr(line, name)] += line
        assert len(parts) == len(expected)
        for part in parts:
            assert part.to_json() == pytest.approx(expected[part.key].to_json())
        again = replace(sum(parts, start=LedgerSum()), key=None)
        assert again.to_json() == pytest.approx(total.to_json())


def test_filters_choose_as_a_plain_loop_would(store: Store) -> None:
    tenant = a_tenant(store)
    lines = many(tenant, 40)
    write(store, *lines)
    one = next(line for line in lines if line.schedule_id is not None)
    cases: list[tuple[LedgerFilter, Any]] = [
        (LedgerFilter(job_id=one.job_id), lambda x: x.job_id == one.job_id),
        (LedgerFilter(dataset_id=one.dataset_id), lambda x: x.dataset_id == one.dataset_id),
        (LedgerFilter(phase="refit"), lambda x: x.phase == "refit"),
        (
            LedgerFilter(first_day="2026-03-03", last_day="2026-03-05"),
            lambda x: "2026-03-03" <= x.day <= "2026-03-05",
        ),
        (
            LedgerFilter(schedule_id=one.schedule_id),
            lambda x: x.schedule_id == one.schedule_id,
        ),
    ]
    for chosen, keep in cases:
        found, _ = store.ledger_lines(tenant.project_id, chosen, limit=1000)
        assert {(x.job_id, x.phase, x.day) for x in found} == {
            (x.job_id, x.phase, x.day) for x in lines if keep(x)
        }
        total = store.ledger_total(tenant.project_id, chosen)
        assert total.joules == pytest.approx(sum(x.joules for x in lines if keep(x)))


def test_another_projects_lines_are_not_there(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    line = a_line(other)
    write(store, line)
    mine = LedgerFilter(job_id=line.job_id)
    assert store.ledger_lines(tenant.project_id, mine, limit=10) == ([], None)
    assert store.ledger_total(tenant.project_id, mine).n_lines == 0


def test_settling_twice_changes_nothing_and_later_prices_replace(store: Store) -> None:
    tenant = a_tenant(store)
    line = a_line(tenant)
    write(store, line)
    write(store, line)
    write(store, replace(line, gco2e=7.0))
    (found,), _ = store.ledger_lines(tenant.project_id, ALL, limit=10)
    assert found.gco2e == 7.0


def test_a_cursor_of_another_list_is_refused(store: Store) -> None:
    tenant = a_tenant(store)
    for cursor in ("x", "a~b", "a~b~c~d"):
        with pytest.raises(DataError) as refused:
            store.ledger_lines(tenant.project_id, ALL, limit=1, after=cursor)
        assert refused.value.code == "invalid_cursor"


def test_a_job_and_its_lines_end_together(store: Store) -> None:
    tenant = a_tenant(store)
    submit(store, tenant)
    job = claim(store)
    line = a_line(tenant, job_id=job.id)
    store.finish_job(
        job.id, epoch=job.epoch, state=JobState.DONE, now=NOW, receipt={"a": 1}, ledger=[line]
    )
    assert store.ledger_total(tenant.project_id, LedgerFilter(job_id=job.id)).n_lines == 1
    assert store.unsettled_jobs(now=NOW, limit=9) == []


def test_only_what_ended_without_a_receipt_is_unsettled(store: Store) -> None:
    tenant = a_tenant(store)
    waiting, cancelled, failed = (submit(store, tenant) for _ in range(3))
    store.request_cancel(tenant.project_id, cancelled.id, now=NOW)
    jobs = {claim(store, owner=f"w{i}").id: i for i in range(2)}
    assert set(jobs) == {waiting.id, failed.id}
    store.finish_job(failed.id, epoch=1, state=JobState.FAILED, now=NOW, problem={"code": "x"})
    unsettled = store.unsettled_jobs(now=NOW, limit=9)
    assert {job.id for job in unsettled} == {cancelled.id, failed.id}
    assert len(store.unsettled_jobs(now=NOW, limit=1)) == 1
    for job in unsettled:
        assert store.settle(job.id, receipt={"a": 1}, lines=[], settle_at=None, now=NOW)
    assert store.unsettled_jobs(now=NOW, limit=9) == []
    assert store.job(failed.id).receipt == {"a": 1}
    assert not store.settle(waiting.id, receipt={"a": 1}, lines=[], settle_at=None, now=NOW)
    assert store.job(waiting.id).receipt is None


def test_provisional_prices_come_back_when_they_are_due(store: Store) -> None:
    tenant = a_tenant(store)
    submit(store, tenant)
    job = claim(store)
    line = a_line(tenant, job_id=job.id)
    due = NOW + 6 * HOUR
    store.finish_job(
        job.id,
        epoch=1,
        state=JobState.DONE,
        now=NOW,
        receipt={"a": 1},
        ledger=[line],
        settle_at=due,
    )
    assert store.unsettled_jobs(now=due - HOUR, limit=9) == []
    assert [one.id for one in store.unsettled_jobs(now=due, limit=9)] == [job.id]
    store.settle(job.id, receipt={"a": 2}, lines=[line], settle_at=None, now=due)
    assert store.unsettled_jobs(now=due + HOUR, limit=9) == []


def test_reading_a_data_set_is_billed_once_and_outlives_its_rows(store: Store) -> None:
    tenant = a_tenant(store)
    (found,) = store.unsettled_datasets(now=NOW, limit=9)
    assert found.id == tenant.dataset_id
    line = a_line(tenant, job_id=tenant.dataset_id, phase="ingest", gco2e_at_submission=None)
    write(store, line)
    assert store.unsettled_datasets(now=NOW, limit=9) == []
    store.delete_dataset(tenant.project_id, tenant.dataset_id, force=True, now=NOW)
    (kept,), _ = store.ledger_lines(tenant.project_id, ALL, limit=9)
    assert kept == line
    assert store.ledger_total(tenant.project_id, ALL).saved_by_later == 0
