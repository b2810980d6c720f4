"""What holds of calls to the outside, whichever database keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from scheduler.records import JobState
from scheduler.store import Store
from scheduler.store_outbox import Call, calls_of
from tests.contracts.conftest import NOW
from tests.contracts.records import Tenant, a_tenant, claim, submit

HOOK = "https://hooks.example/x"
REQUEST = {"target": "fragile", "seed": 0, "webhook": HOOK}


def take(store: Store, *, now: Any = NOW) -> list[Call]:
    return store.take_calls(now=now, seconds=60, limit=10)


def ended(store: Store, tenant: Tenant, **values: Any) -> None:
    submit(store, tenant, request=REQUEST)
    job = claim(store)
    store.finish_job(job.id, epoch=job.epoch, now=NOW, **values)


def test_a_call_is_taken_by_one_and_comes_back_when_that_one_dies(store: Store) -> None:
    tenant = a_tenant(store)
    store.add_calls([Call(project_id=tenant.project_id, url=HOOK, payload={"a": 1})], now=NOW)
    (call,) = take(store)
    assert (call.url, call.payload, call.attempts) == (HOOK, {"a": 1}, 1)
    assert take(store) == []
    (again,) = take(store, now=NOW + timedelta(seconds=60))
    assert (again.id, again.attempts) == (call.id, 2)


def test_what_was_heard_or_given_up_is_not_sent_again(store: Store) -> None:
    tenant = a_tenant(store)
    calls = [Call(project_id=tenant.project_id, url=HOOK, payload={"n": n}) for n in range(3)]
    store.add_calls(calls, now=NOW)
    heard, later, lost = take(store)
    store.end_call(heard.id, now=NOW)
    store.postpone_call(later.id, until=NOW + timedelta(hours=1), problem={"code": "x"})
    store.postpone_call(lost.id, until=None, problem={"code": "y", "detail": "given up"})
    assert take(store, now=NOW + timedelta(minutes=59)) == []
    assert [one.id for one in take(store, now=NOW + timedelta(hours=1))] == [later.id]
    told = {one["id"]: one for one in store.calls(tenant.project_id, limit=9)}
    assert told[heard.id]["delivered_at"] == NOW
    assert told[lost.id]["problem"]["code"] == "y"


def test_a_failure_is_told_in_the_transaction_that_ends_the_job(store: Store) -> None:
    tenant = a_tenant(store)
    ended(store, tenant, state=JobState.FAILED, problem={"code": "out_of_memory", "detail": "d"})
    (call,) = take(store)
    assert call.payload["event"] == "job.failed"
    assert call.payload["problem"]["code"] == "out_of_memory"
    assert call.payload["state"] == "FAILED"


def test_what_two_services_settle_at_once_is_told_once(
    make_store: Callable[..., Store], store: Store
) -> None:
    tenant = a_tenant(store)
    ended(store, tenant, state=JobState.DONE)
    (job,), _ = store.list_jobs(tenant.project_id, limit=9)
    later = {"planned_saving_gco2e": 1.0, "dirtier": True, "provisional": False}
    bill = {"levers": {"later": later}}
    for own in (store, make_store()):
        calls = calls_of(replace(job, receipt=bill), settled=True)
        assert own.settle(job.id, receipt=bill, lines=(), settle_at=None, calls=calls, now=NOW)
    (call,) = take(store)
    assert call.payload["event"] == "job.dirtier_than_planned"
    store.end_call(call.id, now=NOW)
    store.settle(job.id, receipt=bill, lines=(), settle_at=None, calls=calls, now=NOW)
    assert take(store, now=NOW + timedelta(days=9)) == []


def test_a_job_that_took_three_workers_with_it_is_told_of_once(store: Store) -> None:
    tenant = a_tenant(store)
    submit(store, tenant, request=REQUEST)
    for _ in range(3):
        job = claim(store)
        store.release_job(job.id, epoch=job.epoch, now=NOW, died=True)
    (call,) = take(store)
    assert call.payload["event"] == "job.quarantined"


def test_a_wait_that_turned_out_dirtier_is_told_when_the_bill_is_for_good(store: Store) -> None:
    tenant = a_tenant(store)
    later = {"planned_saving_gco2e": 1.0, "saved_gco2e": -0.5, "dirtier": True}
    cases = [
        ({**later, "provisional": False}, ["job.dirtier_than_planned"]),
        ({**later, "provisional": True}, []),
        ({**later, "dirtier": False, "provisional": False}, []),
        ({**later, "planned_saving_gco2e": None, "provisional": False}, []),
    ]
    for one, events in cases:
        ended(store, tenant, state=JobState.DONE, receipt={"levers": {"later": one}})
        assert [call.payload["event"] for call in take(store)] == events, one


def test_a_job_without_a_webhook_calls_nobody(store: Store) -> None:
    tenant = a_tenant(store)
    submit(store, tenant)
    job = claim(store)
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=NOW, problem={"code": "x"})
    assert take(store) == []
