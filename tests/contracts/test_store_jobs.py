"""The life of a job, on every database."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from automl.errors import DataError
from scheduler.errors import Conflict, Gone, LostLease, QueueFull, UnknownRecord
from scheduler.records import Event, Job, JobState
from scheduler.store import Store
from tests.contracts.conftest import NOW, at
from tests.contracts.records import (
    EXPECTED,
    a_dataset,
    a_job,
    a_model,
    a_proposal,
    a_tenant,
    a_trial,
    claim,
    new_id,
    submit,
)


def kinds(events: list[Event]) -> list[tuple[int, str, str | None]]:
    return [(event.seq, event.kind, event.data.get("state")) for event in events]


def test_a_job_comes_back_as_it_went_in(store: Store) -> None:
    tenant = a_tenant(store)
    job = a_job(tenant.project_id, tenant.dataset_id, start_at=NOW)
    assert store.add_job(job, max_queued=10) == job
    assert store.get_job(tenant.project_id, job.id) == job == store.job(job.id)
    assert kinds(store.events(job.id)) == [(1, "state", "SUBMITTED")]


def test_the_whole_life_of_a_job(store: Store) -> None:
    tenant = a_tenant(store)
    job = submit(store, tenant)
    held = claim(store, now=at(1), owner="worker 1")
    assert (held.id, held.state, held.epoch) == (job.id, JobState.RUNNING, 1)
    assert (held.owner, held.started_at, held.lease_until) == ("worker 1", at(1), at(31))
    assert store.claim_job(owner="worker 2", lease_seconds=30, now=at(2)) is None
    assert store.heartbeat(job.id, epoch=1, lease_seconds=30, now=at(20)).lease_until == at(50)
    store.begin_trial(
        job.id, epoch=1, number=0, proposal=a_proposal(0), expected=EXPECTED, now=at(21)
    )
    store.end_trial(job.id, epoch=1, trial=a_trial(0), now=at(22))
    model = a_model(job)
    done = store.finish_job(
        job.id,
        epoch=1,
        state=JobState.DONE,
        stop_reason="no further trial is worth its energy",
        result={"front": [0]},
        receipt={"joules": 6.25},
        model=model,
        now=at(30),
    )
    assert done == store.get_job(tenant.project_id, job.id)
    assert (done.state, done.finished_at, done.owner) == (JobState.DONE, at(30), None)
    assert (done.result, done.receipt) == ({"front": [0]}, {"joules": 6.25})
    events = store.events(job.id)
    assert kinds(events) == [
        (1, "state", "SUBMITTED"),
        (2, "state", "RUNNING"),
        (3, "trial", None),
        (4, "end", "DONE"),
    ]
    assert events[-1].data["stop_reason"] == done.stop_reason
    assert events[-1].data["model"] == {"name": model.name, "version": 1}
    assert [event.seq for event in store.events(job.id, after=2, limit=1)] == [3]
    assert store.events(job.id, after=10**30) == []


def test_the_oldest_job_is_claimed_first(store: Store) -> None:
    tenant = a_tenant(store)
    late, early = submit(store, tenant, submitted_at=at(5)), submit(store, tenant)
    assert claim(store, now=at(9)).id == early.id
    assert claim(store, now=at(9)).id == late.id


def test_a_lease_that_ended_counts_a_death_and_the_third_quarantines(store: Store) -> None:
    job = submit(store, a_tenant(store))
    for death in range(3):
        held = claim(store, now=at(100 * death))
        assert (held.epoch, held.deaths) == (death + 1, death)
        assert held.started_at == NOW  # of the first attempt
        assert store.claim_job(owner="w", lease_seconds=30, now=at(100 * death + 29.9)) is None
    assert store.claim_job(owner="w", lease_seconds=30, now=at(300)) is None
    ended = store.job(job.id)
    assert (ended.state, ended.deaths, ended.finished_at) == (JobState.QUARANTINED, 3, at(300))
    assert ended.problem is not None
    assert ended.problem["code"] == "quarantined"
    assert kinds(store.events(job.id))[-1][1:] == ("end", "QUARANTINED")


def test_a_quarantined_job_does_not_keep_the_next_one_waiting(store: Store) -> None:
    tenant = a_tenant(store)
    doomed, healthy = submit(store, tenant), submit(store, tenant, submitted_at=at(1))
    for death in range(3):
        assert claim(store, now=at(100 * death)).id == doomed.id
    assert claim(store, now=at(300)).id == healthy.id
    assert store.job(doomed.id).state is JobState.QUARANTINED


def test_a_released_job_is_claimed_again_and_only_deaths_count(store: Store) -> None:
    job = submit(store, a_tenant(store))
    for epoch in range(1, 6):
        assert claim(store, now=at(epoch)).epoch == epoch
        released = store.release_job(job.id, epoch=epoch, now=at(epoch), died=False)
        assert (released.state, released.deaths, released.owner) == (JobState.SUBMITTED, 0, None)
    for epoch, state in ((6, JobState.SUBMITTED), (7, JobState.SUBMITTED), (8, "QUARANTINED")):
        assert claim(store, now=at(epoch)).epoch == epoch
        assert store.release_job(job.id, epoch=epoch, now=at(epoch)).state == state
    assert store.claim_job(owner="w", lease_seconds=30, now=at(99)) is None


def test_a_stale_epoch_writes_nothing(store: Store) -> None:
    tenant = a_tenant(store)
    job = submit(store, tenant)
    claim(store)
    begin = {"proposal": a_proposal(0), "expected": EXPECTED}
    store.begin_trial(job.id, epoch=1, number=0, now=at(1), **begin)  # type: ignore[arg-type]
    assert claim(store, now=at(60)).epoch == 2
    before = (store.job(job.id), store.events(job.id), store.trials(job.id))
    stale: list[Callable[[], object]] = [
        lambda: store.heartbeat(job.id, epoch=1, lease_seconds=30, now=at(61)),
        lambda: store.begin_trial(job.id, epoch=1, number=1, now=at(61), **begin),  # type: ignore[arg-type]
        lambda: store.end_trial(job.id, epoch=1, trial=a_trial(0), now=at(61)),
        lambda: store.release_job(job.id, epoch=1, now=at(61)),
        lambda: store.finish_job(
            job.id, epoch=1, state=JobState.DONE, model=a_model(job), now=at(61)
        ),
    ]
    for write in stale:
        with pytest.raises(LostLease):
            write()
    assert (store.job(job.id), store.events(job.id), store.trials(job.id)) == before
    assert store.list_models(tenant.project_id, limit=9) == ([], None)


def test_a_finished_job_takes_no_more_writes(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, problem={"code": "x"}, now=at(1))
    with pytest.raises(LostLease):
        store.heartbeat(job.id, epoch=1, lease_seconds=30, now=at(2))
    with pytest.raises(LostLease):
        store.finish_job(job.id, epoch=1, state=JobState.DONE, now=at(2))
    with pytest.raises(ValueError, match="final"):
        store.finish_job(job.id, epoch=1, state=JobState.RUNNING, now=at(2))
    with pytest.raises(UnknownRecord):
        store.finish_job(new_id(), epoch=1, state=JobState.DONE, now=at(2))


def test_cancel_in_every_state(store: Store) -> None:
    tenant = a_tenant(store)
    waiting = submit(store, tenant)
    cancelled = store.request_cancel(tenant.project_id, waiting.id, now=at(1))
    assert (cancelled.state, cancelled.finished_at) == (JobState.CANCELLED, at(1))
    assert store.request_cancel(tenant.project_id, waiting.id, now=at(2)) == cancelled
    running = submit(store, tenant)
    claim(store, now=at(3))
    asked = store.request_cancel(tenant.project_id, running.id, now=at(4))
    assert asked.state is JobState.RUNNING
    assert asked.cancel_requested
    assert store.request_cancel(tenant.project_id, running.id, now=at(5)) == asked
    assert store.heartbeat(running.id, epoch=1, lease_seconds=30, now=at(6)).cancel_requested
    store.finish_job(running.id, epoch=1, state=JobState.CANCELLED, now=at(7))
    assert store.request_cancel(tenant.project_id, running.id, now=at(8)).finished_at == at(7)
    done = submit(store, tenant)
    claim(store, now=at(9))
    store.finish_job(done.id, epoch=1, state=JobState.DONE, now=at(9))
    with pytest.raises(Conflict) as error:
        store.request_cancel(tenant.project_id, done.id, now=at(10))
    assert error.value.code == "job_finished"


def test_the_queue_has_an_end_for_each_project(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    for _ in range(3):
        store.add_job(a_job(tenant.project_id, tenant.dataset_id), max_queued=3)
    with pytest.raises(QueueFull):
        store.add_job(a_job(tenant.project_id, tenant.dataset_id), max_queued=3)
    elsewhere = a_job(other.project_id, other.dataset_id, submitted_at=at(1))
    store.add_job(elsewhere, max_queued=3)
    claim(store)
    store.add_job(a_job(tenant.project_id, tenant.dataset_id), max_queued=3)


def test_a_job_needs_data_that_are_ready(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    with pytest.raises(UnknownRecord):
        submit(store, tenant, dataset_id=other.dataset_id)
    with pytest.raises(UnknownRecord):
        submit(store, tenant, dataset_id="no id")
    with pytest.raises(UnknownRecord):
        submit(store, tenant, project_id=new_id())
    reading, _ = store.add_dataset(a_dataset(tenant.project_id))
    with pytest.raises(Conflict) as error:
        submit(store, tenant, dataset_id=reading.id)
    assert error.value.code == "dataset_not_ready"
    store.delete_dataset(tenant.project_id, tenant.dataset_id, force=False, now=NOW)
    with pytest.raises(Gone):
        submit(store, tenant)


def test_pages_of_jobs_are_newest_first_and_whole(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    made = [submit(store, tenant, submitted_at=at(n // 3)) for n in range(10)]
    submit(store, other, submitted_at=at(100))  # so that the claim below is not of this one
    expected = sorted(made, key=lambda job: (job.submitted_at, job.id), reverse=True)
    found: list[Job] = []
    after = None
    while True:
        items, after = store.list_jobs(tenant.project_id, limit=4, after=after)
        found += items
        if after is None:
            break
    assert found == expected
    claim(store, now=at(9))
    assert len(store.list_jobs(tenant.project_id, state=JobState.RUNNING, limit=9)[0]) == 1
    for cursor in ("x", new_id(), store.list_jobs(other.project_id, limit=1)[0][0].id):
        with pytest.raises(DataError) as error:
            store.list_jobs(tenant.project_id, limit=4, after=cursor)
        assert error.value.code == "invalid_cursor"


def test_a_number_that_json_lacks_becomes_null(store: Store) -> None:
    job = submit(store, a_tenant(store))
    claim(store)
    receipt = {"ratio": float("nan"), "list": [float("inf"), 1.5], "text": "\ud800 \0"}
    done = store.finish_job(job.id, epoch=1, state=JobState.DONE, receipt=receipt, now=at(1))
    assert done.receipt == {"ratio": None, "list": [None, 1.5], "text": "\ud800 \0"}


def test_one_of_two_workers_gets_each_job(make_store: Callable[[], Store], store: Store) -> None:
    tenant, rounds = a_tenant(store), 200
    stores = [make_store() for _ in range(2)]
    barrier = threading.Barrier(2, action=lambda: [submit(store, tenant)].clear())
    end = threading.Barrier(2)
    claims: list[tuple[str, str]] = []
    failures: list[BaseException] = []

    def worker(number: int) -> None:
        try:
            for _ in range(rounds):
                barrier.wait(timeout=60)
                job = stores[number].claim_job(owner=str(number), lease_seconds=1e6, now=NOW)
                if job is not None:
                    claims.append((job.id, str(number)))
                    assert job.owner == str(number)
                end.wait(timeout=60)
        except BaseException as error:
            failures.append(error)
            barrier.abort()
            end.abort()

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(claims) == rounds
    assert len({job_id for job_id, _ in claims}) == rounds
    for job_id, owner in claims:
        assert (store.job(job_id).owner, store.job(job_id).epoch) == (owner, 1)


def test_events_of_two_writers_have_no_gap(make_store: Callable[[], Store], store: Store) -> None:
    job = submit(store, a_tenant(store))
    stores = [make_store() for _ in range(3)]

    def write(mine: Store) -> None:
        for number in range(20):
            mine.add_event(job.id, kind="phase", data={"number": number}, now=NOW)

    threads = [threading.Thread(target=write, args=(mine,)) for mine in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.seq for event in store.events(job.id)] == list(range(1, 62))


def test_another_project_and_nonsense_are_unknown(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    job = submit(store, tenant)
    claim(store)
    store.finish_job(job.id, epoch=1, state=JobState.DONE, model=a_model(job), now=at(1))
    ids = (job.id, new_id(), "", "../../etc/passwd", "\0", "\ud800", job.id.upper(), "1" * 10**6)
    said = set()
    for job_id in ids:
        for call in (
            lambda i: store.get_job(other.project_id, i),
            lambda i: store.request_cancel(other.project_id, i, now=NOW),
        ):
            with pytest.raises(UnknownRecord) as error:
                call(job_id)
            said.add(str(error.value))
    assert said == {"there is no such job"}
    for job_id in ids[1:]:
        for read in (store.job, store.trials, store.phases, store.events, store.running_trial):
            if job_id == ids[1] and read != store.job:  # of the right shape, and of no job
                assert not read(job_id)
                continue
            with pytest.raises(UnknownRecord, match="there is no such job"):
                read(job_id)
    assert store.model_of_job(other.project_id, job.id) is None
