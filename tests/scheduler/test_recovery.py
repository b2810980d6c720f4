"""Kill -9 of the job's process, of the whole service, and pauses longer than the lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from sqlalchemy import select

from scheduler.artifacts import ArtifactStore
from scheduler.child import environment
from scheduler.clock import utc_now
from scheduler.config import Settings
from scheduler.errors import StoreUnavailable
from scheduler.ingestion import Ingestor
from scheduler.records import DatasetState, Job, JobState, StoredTrial
from scheduler.store import Store
from scheduler.tables import jobs
from tests.scheduler.test_child import is_running, wait_until

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]

# A heartbeat that a busy machine holds up for longer is a death that no test here means.
LEASE_SECONDS = 8.0


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return Settings.load(
        data_dir=tmp_path / "data",
        database_url=url,
        zone="FR",
        job_nice=0,
        lease_seconds=LEASE_SECONDS,
        tick_seconds=0.5,
        watts_per_core=4.0,
    )


@pytest.fixture
def submit(
    store: Store, artifacts: ArtifactStore, settings: Settings, project: str
) -> Callable[[], Job]:
    """A job whose search takes some ten seconds, on a table of 2 % positives."""
    rng = np.random.default_rng(0)
    n = 20_000
    X = rng.normal(size=(n, 12))
    odds = X[:, 0] + X[:, 1] * X[:, 2] + 0.5 * X[:, 3] ** 2
    y = odds + rng.gumbel(size=n) > np.quantile(odds + rng.gumbel(size=n), 0.98)
    lines = [",".join([*(f"x{i}" for i in range(12)), "y"])]
    lines += [
        ",".join([*(f"{v:.5f}" for v in row), str(int(label))])
        for row, label in zip(X, y, strict=True)
    ]
    ingestor = Ingestor(store, artifacts, settings)
    dataset, _ = ingestor.accept(
        project,
        stream_chunks=["\n".join(lines).encode() + b"\n"],
        name="made",
        options={},
        now=utc_now(),
    )
    wait_until(lambda: store.get_dataset(project, dataset.id).state is not DatasetState.INGESTING)
    assert store.get_dataset(project, dataset.id).state is DatasetState.READY

    def add() -> Job:
        job = Job(
            id=uuid.uuid4().hex,
            project_id=project,
            dataset_id=dataset.id,
            request={"target": "y", "positive": None, "mode": "best", "seed": 0},
            state=JobState.SUBMITTED,
            submitted_at=utc_now(),
            model_name="made-y",
        )
        return store.add_job(job, max_queued=10)

    return add


@contextmanager
def scheduler(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m scheduler` with these settings."""
    names = ("data_dir", "database_url", "zone", "job_nice", "lease_seconds", "tick_seconds")
    given = {f"FRUGAL_{name.upper()}": str(getattr(settings, name)) for name in names}
    process = subprocess.Popen(
        [sys.executable, "-m", "scheduler"],
        env=environment() | given,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def job_process(service: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The job's process: the grandchild that was forked by the server of jobs."""
    with_server = psutil.Process(service.pid).children()
    for server in with_server:
        for job in server.children():
            return job
    return None


def n_finished(store: Store, job: Job) -> int:
    return sum(one.trial is not None for one in store.trials(job.id))


def freeze(processes: list[int], settings: Settings) -> None:
    """Stop processes between two of their transactions.

    A lock of SQLite that is held by a stopped process is held for as long as that is stopped.
    """
    probe = Store(settings.resolved_database_url, busy_seconds=0.2)
    try:
        while True:
            for pid in processes:
                os.kill(pid, signal.SIGSTOP)
            try:
                with probe.write() as connection:
                    connection.execute(select(jobs.c.id).with_for_update(nowait=True)).all()
            except StoreUnavailable:
                for pid in processes:
                    os.kill(pid, signal.SIGCONT)
                time.sleep(0.05)
            else:
                return
    finally:
        probe.close()


def mid_trial(store: Store, job: Job, *, after: int) -> Callable[[], bool]:
    """Whether so many trials have ended and another one is running."""

    def check() -> bool:
        assert not store.job(job.id).state.is_final, "the job was over too soon"
        return n_finished(store, job) >= after and store.running_trial(job.id) is not None

    return check


def kept(trials: list[StoredTrial]) -> dict[int, Any]:
    return {one.number: (one.started_at, one.finished_at, one.trial) for one in trials if one.trial}


def check_each_once(store: Store, job: Job, before: list[dict[int, Any]], *, died: int) -> None:
    trials = store.trials(job.id)
    now = kept(trials)
    for earlier in before:
        assert {number: now[number] for number in earlier} == earlier
    runs = [
        (one.proposal.candidate.id, one.proposal.rung, one.proposal.n_rows)
        for one in trials
        if one.trial is not None and one.trial.candidate.model != "ensemble"
    ]
    assert len(set(runs)) == len(runs), "a trial ran twice"
    assert [one.number for one in trials] == list(range(len(trials)))
    failed = [one for one in trials if one.trial is None or one.trial.error is not None]
    assert len(failed) <= died
    ends = [event for event in store.events(job.id, limit=10_000) if event.kind == "end"]
    assert len(ends) == 1
    told = [e.data["number"] for e in store.events(job.id, limit=10_000) if e.kind == "trial"]
    assert sorted(told) == [one.number for one in trials]


def test_a_job_survives_kill_9_of_its_process_and_of_the_service(
    store: Store, artifacts: ArtifactStore, settings: Settings, submit: Callable[[], Job]
) -> None:
    job = submit()
    snapshots = []
    with scheduler(settings) as service:
        wait_until(mid_trial(store, job, after=2))
        process = job_process(service)
        assert process is not None
        process.kill()
        snapshots.append(kept(store.trials(job.id)))
        wait_until(mid_trial(store, job, after=len(snapshots[0]) + 2))
        assert store.job(job.id).epoch == 2
        process = job_process(service)
        assert process is not None
        service.kill()
        service.wait()
        wait_until(lambda: not is_running(process.pid))
        snapshots.append(kept(store.trials(job.id)))
    assert store.job(job.id).state is JobState.RUNNING
    with scheduler(settings):
        wait_until(lambda: store.job(job.id).state.is_final, 300)
        # What it kept is deleted after its end is written, by a process that is killed below.
        wait_until(lambda: not artifacts.exists(f"jobs/{job.id}"))
    found = store.job(job.id)
    assert found.state is JobState.DONE
    assert (found.epoch, found.deaths) == (3, 2)
    check_each_once(store, job, snapshots, died=2)
    model = store.get_model(job.project_id, "made-y")
    assert model.version == 1
    assert artifacts.exists(model.artifact)
    assert found.receipt is not None
    assert found.receipt["attempts"] == 3


def test_a_worker_frozen_beyond_its_lease_writes_nothing(
    store: Store, settings: Settings, submit: Callable[[], Job]
) -> None:
    job = submit()
    with scheduler(settings) as service:
        wait_until(mid_trial(store, job, after=1))
        process = job_process(service)
        assert process is not None
        # The whole of the first host stops for longer than the lease, then comes back to life.
        everything = [service.pid, *[p.pid for p in psutil.Process(service.pid).children()]]
        freeze([*everything, process.pid], settings)
        snapshot = kept(store.trials(job.id))
        time.sleep(LEASE_SECONDS + 1.5)
        claimed = store.claim_job(owner="other host", lease_seconds=600, now=utc_now())
        assert claimed is not None
        assert (claimed.id, claimed.epoch, claimed.deaths) == (job.id, 2, 1)
        trials, events = store.trials(job.id), store.events(job.id, limit=10_000)
        for pid in (process.pid, *reversed(everything)):
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: not is_running(process.pid))
        time.sleep(1.0)
        assert store.trials(job.id) == trials
        assert store.events(job.id, limit=10_000) == events
        assert kept(store.trials(job.id)) == snapshot
        held = store.job(job.id)
        assert (held.state, held.epoch, held.owner) == (JobState.RUNNING, 2, "other host")


def test_a_clean_stop_costs_no_death_and_no_trial(
    store: Store, settings: Settings, submit: Callable[[], Job]
) -> None:
    job = submit()
    with scheduler(settings) as service:
        wait_until(mid_trial(store, job, after=2))
        process = job_process(service)
        assert process is not None
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=120) == 0
        assert not is_running(process.pid)
    stopped = store.job(job.id)
    assert (stopped.state, stopped.deaths) == (JobState.SUBMITTED, 0)
    snapshot = kept(store.trials(job.id))
    with scheduler(settings):
        wait_until(lambda: store.job(job.id).state.is_final, 300)
    found = store.job(job.id)
    assert (found.state, found.deaths) == (JobState.DONE, 0)
    check_each_once(store, job, [snapshot], died=0)
