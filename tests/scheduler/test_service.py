from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest

from scheduler.artifacts import ArtifactStore
from scheduler.child import environment
from scheduler.config import Settings
from scheduler.errors import ChildDied, Conflict
from scheduler.heartbeat import EXIT_DATA_DELETED
from scheduler.records import Job, JobState
from scheduler.service import Service
from scheduler.store import Store
from tests.scheduler.conftest import NOW, add_ready_dataset
from tests.scheduler.test_child import wait_until


class ManualExecutor:
    """Jobs end when the test says so; a kill ends them as a kill does."""

    def __init__(self) -> None:
        self.futures: dict[str, Future[Any]] = {}
        self.started: list[tuple[str, int]] = []
        self.killed: list[str] = []
        self.interrupted: list[str] = []
        self.idle: list[float] = []
        self.process: int | None = 1
        self.on_interrupt: Callable[[str], None] = self.die

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.futures[args[0]] = future
        self.started.append((args[0], args[1]))
        return future

    def kill(self, job_id: str) -> None:
        self.killed.append(job_id)
        self.die(job_id)

    def interrupt(self, job_id: str) -> None:
        self.interrupted.append(job_id)
        self.on_interrupt(job_id)

    def die(self, job_id: str) -> None:
        if not self.futures[job_id].done():
            self.futures[job_id].set_exception(ChildDied("ended by SIGKILL"))

    def pid(self, job_id: str) -> int | None:
        return self.process

    def release_idle(self, *, idle_seconds: float) -> bool:
        self.idle.append(idle_seconds)
        return False

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for job_id in self.futures:
            self.die(job_id)


@pytest.fixture
def executor() -> ManualExecutor:
    return ManualExecutor()


@pytest.fixture
def service(
    store: Store, artifacts: ArtifactStore, settings: Settings, executor: ManualExecutor
) -> Iterator[Service]:
    made = Service(store, artifacts, settings, executor=executor, clock=lambda: NOW)
    yield made
    made.stop()


@pytest.fixture
def submit(store: Store, project: str) -> Callable[[], Job]:
    dataset = add_ready_dataset(store, project)

    def add() -> Job:
        job = Job(
            id=uuid.uuid4().hex,
            project_id=project,
            dataset_id=dataset.id,
            request={"target": "y"},
            state=JobState.SUBMITTED,
            submitted_at=NOW,
        )
        return store.add_job(job, max_queued=100)

    return add


def test_a_tick_starts_as_many_jobs_as_processes(
    service: Service, store: Store, executor: ManualExecutor, submit: Callable[[], Job]
) -> None:
    first, second = sorted([submit(), submit()], key=lambda job: job.id)
    service.tick(NOW)
    service.tick(NOW)
    assert executor.started == [(first.id, 1)]
    assert store.job(first.id).state is JobState.RUNNING
    assert store.job(second.id).state is JobState.SUBMITTED
    executor.futures[first.id].set_result({"state": "DONE"})
    service.tick(NOW)
    assert executor.started == [(first.id, 1), (second.id, 1)]


def test_a_dead_process_gives_its_job_back_at_once(
    service: Service, store: Store, executor: ManualExecutor, submit: Callable[[], Job]
) -> None:
    job = submit()
    service.tick(NOW)
    executor.die(job.id)
    found = store.job(job.id)
    assert (found.state, found.deaths) == (JobState.SUBMITTED, 1)
    service.tick(NOW)
    assert executor.started == [(job.id, 1), (job.id, 2)]


def test_three_deaths_are_quarantine(
    service: Service, store: Store, executor: ManualExecutor, submit: Callable[[], Job]
) -> None:
    job = submit()
    for _ in range(5):
        service.tick(NOW)
        executor.die(job.id)
    found = store.job(job.id)
    assert (found.state, found.deaths) == (JobState.QUARANTINED, 3)
    assert len(executor.started) == 3
    assert found.problem is not None
    assert found.problem["code"] == "quarantined"


def test_nothing_of_deleted_data_stays_when_their_job_ends(
    service: Service,
    store: Store,
    artifacts: ArtifactStore,
    executor: ManualExecutor,
    submit: Callable[[], Job],
) -> None:
    job = submit()
    service.tick(NOW)
    artifacts.put_stream(f"jobs/{job.id}/0.npz", [b"logits"], max_bytes=10)
    assert artifacts.exists(f"jobs/{job.id}")
    store.delete_dataset(job.project_id, job.dataset_id, force=True, now=NOW)
    # The job's process hears of it, ends the job and leaves.
    state = JobState.CANCELLED
    store.finish_job(job.id, epoch=1, state=state, stop_reason="deleted", now=NOW)
    executor.die(job.id)
    assert store.job(job.id).deaths == 0
    assert not artifacts.exists(f"jobs/{job.id}")


@pytest.mark.parametrize(("status", "level"), [(EXIT_DATA_DELETED, "INFO"), (75, "WARNING")])
def test_an_end_that_was_asked_for_is_no_warning(
    service: Service,
    executor: ManualExecutor,
    submit: Callable[[], Job],
    caplog: pytest.LogCaptureFixture,
    status: int,
    level: str,
) -> None:
    job = submit()
    service.tick(NOW)
    with caplog.at_level("INFO", logger="scheduler.running"):
        executor.futures[job.id].set_exception(ChildDied(f"exited with {status}", status=status))
    (said,) = [one for one in caplog.records if "exited with" in one.getMessage()]
    assert said.levelname == level


def test_a_frozen_process_is_ended_and_its_job_starts_anew(
    service: Service,
    store: Store,
    executor: ManualExecutor,
    submit: Callable[[], Job],
    settings: Settings,
) -> None:
    job = submit()
    service.tick(NOW)
    service.tick(NOW + timedelta(seconds=settings.lease_seconds - 1))
    assert executor.killed == []
    service.tick(NOW + timedelta(seconds=settings.lease_seconds + 1))
    assert executor.killed == [job.id]
    assert executor.started == [(job.id, 1), (job.id, 2)]
    assert store.job(job.id).deaths == 1


def test_a_process_that_is_still_being_made_keeps_its_job(
    service: Service,
    store: Store,
    executor: ManualExecutor,
    submit: Callable[[], Job],
    settings: Settings,
) -> None:
    job = submit()
    executor.process = None
    moment = NOW
    for _ in range(4):
        service.tick(moment)
        moment += timedelta(seconds=settings.lease_seconds - 1)
    assert executor.killed == []
    executor.process = 1
    service.tick(moment + timedelta(seconds=settings.lease_seconds))
    assert executor.killed == [job.id]


def test_a_job_of_a_service_that_died_is_taken_over_after_its_lease(
    service: Service,
    store: Store,
    executor: ManualExecutor,
    submit: Callable[[], Job],
    settings: Settings,
) -> None:
    job = submit()
    store.claim_job(owner="dead", lease_seconds=settings.lease_seconds, now=NOW)
    service.tick(NOW + timedelta(seconds=settings.lease_seconds - 1))
    assert executor.started == []
    service.tick(NOW + timedelta(seconds=settings.lease_seconds + 1))
    assert executor.started == [(job.id, 2)]


def test_the_warm_server_is_offered_for_release(
    service: Service, executor: ManualExecutor, settings: Settings
) -> None:
    service.tick(NOW)
    assert executor.idle == [settings.idle_seconds]


def test_stopping_counts_no_death_and_keeps_no_half_trial(
    service: Service, store: Store, executor: ManualExecutor, submit: Callable[[], Job]
) -> None:
    job = submit()
    service.tick(NOW)

    def give_back(job_id: str) -> None:
        store.release_job(job_id, epoch=1, now=NOW, died=False)
        executor.futures[job_id].set_result({"state": "SUBMITTED"})

    executor.on_interrupt = give_back
    service.stop()
    assert executor.interrupted == [job.id]
    found = store.job(job.id)
    assert (found.state, found.deaths) == (JobState.SUBMITTED, 0)
    service.tick(NOW)
    assert len(executor.started) == 1


def test_waking_starts_a_job_without_waiting_for_the_tick(
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    executor: ManualExecutor,
    submit: Callable[[], Job],
) -> None:
    slow = settings.model_copy(update={"tick_seconds": 3600.0})
    service = Service(store, artifacts, slow, executor=executor)
    service.start()
    try:
        job = submit()
        service.wake()
        wait_until(lambda: executor.started)
        assert executor.started == [(job.id, 1)]
    finally:
        service.stop()


def test_a_second_service_on_one_folder_does_not_start(
    store: Store, artifacts: ArtifactStore, settings: Settings
) -> None:
    first = Service(store, artifacts, settings, executor=ManualExecutor())
    second = Service(store, artifacts, settings, executor=ManualExecutor())
    first.start()
    with pytest.raises(Conflict) as caught:
        second.start()
    assert caught.value.code == "already_running"
    first.stop()
    second.start()
    second.stop()


def test_the_service_imports_nothing_heavy() -> None:
    names = "scheduler.service, scheduler.predictor, scheduler.ingestion, scheduler.__main__"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; import {names}; "
            "print(sorted({'numpy', 'pandas', 'pyarrow', 'sklearn', 'lightgbm', 'optuna',"
            " 'codecarbon', 'scipy'} & sys.modules.keys()))",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
