"""The jobs that run in processes of this service: started, watched, given back when they end."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from automl.errors import FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.clock import Clock
from scheduler.config import Settings
from scheduler.errors import ChildDied, LostLease, StoreUnavailable
from scheduler.execution import run_job
from scheduler.executor import JobExecutor
from scheduler.heartbeat import EXIT_DATA_DELETED
from scheduler.records import Job, JobState
from scheduler.store import Store

log = logging.getLogger(__name__)

# A job that is asked to stop gives itself back within one iteration of its model.
STOP_SECONDS = 8.0
# Importing everything takes some 5 CPU-seconds, on a busy machine several times as long.
START_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A job that runs in a process of ours: under which epoch, and since when."""

    epoch: int
    started: datetime


class RunningJobs:
    """The claimed jobs of one service, each in a process of the executor.

    Parameters
    ----------
    stopping : set while the service stops: a process that ends then counts as no death
    on_end : called when a process has ended and its job is given back
    """

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        settings: Settings,
        executor: JobExecutor,
        *,
        stopping: threading.Event,
        on_end: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._store, self._artifacts, self._settings = store, artifacts, settings
        self._executor, self._clock = executor, clock
        self._stopping, self._on_end = stopping, on_end
        self._running: dict[str, _Run] = {}  # by job
        self._n_ending = 0  # processes that ended, whose jobs are being given back
        self._lock = threading.RLock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._running)

    def ids(self) -> list[str]:
        """Return the ids of the jobs whose processes are running here."""
        with self._lock:
            return sorted(self._running)

    def submit(self, job: Job, now: datetime) -> None:
        """Start a claimed job; one that cannot be started is given back."""
        waited = (now - job.submitted_at).total_seconds()
        log.info(
            "job %s: starts now, attempt %d, waited %.1f s, %d of %d processes busy",
            job.id,
            job.epoch,
            waited,
            len(self) + 1,
            self._settings.job_processes,
        )
        with self._lock:
            self._running[job.id] = _Run(epoch=job.epoch, started=now)
        try:
            future = self._executor.submit(
                run_job, job.id, job.epoch, self._settings.model_dump_json()
            )
        except Exception as error:
            with self._lock:
                self._running.pop(job.id, None)
            log.error("job %s: could not be started: %s", job.id, type(error).__name__)
            self.give_back(job.id, job.epoch)
            return
        future.add_done_callback(lambda done: self._ended(job.id, job.epoch, done))

    def _ended(self, job_id: str, epoch: int, future: Future[dict[str, Any]]) -> None:
        """Notice at once how a job's process ended."""
        error = future.exception()
        with self._lock:
            self._running.pop(job_id, None)
            self._n_ending += 1
        try:
            if error is None:
                log.info("job %s: its process ended, %s", job_id, future.result()["state"])
            elif not self._stopping.is_set():
                # It ended itself because its data were deleted: that was asked for.
                meant = isinstance(error, ChildDied) and error.status == EXIT_DATA_DELETED
                log.log(logging.INFO if meant else logging.WARNING, "job %s: %s", job_id, error)
                self.give_back(job_id, epoch)
            else:
                self.give_back(job_id, epoch, died=False)
        finally:
            with self._lock:
                self._n_ending -= 1
            self._on_end()

    def give_back(self, job_id: str, epoch: int, *, died: bool = True) -> None:
        """Let a job be claimed again; a process that `died` counts against it."""
        try:
            job = self._store.release_job(job_id, epoch=epoch, now=self._clock(), died=died)
        except LostLease:  # it ended, or somebody else has it
            self._clear(job_id)
            return
        except StoreUnavailable as problem:
            # Its lease ends by itself, and it is claimed then.
            log.warning("job %s: cannot be given back now: %s", job_id, problem)
            return
        if job.state is JobState.QUARANTINED:
            self._artifacts.delete(f"jobs/{job_id}")
        log.info("job %s: %s after %d deaths", job_id, job.state, job.deaths)

    def _clear(self, job_id: str) -> None:
        """Delete what a process left that ended its job and itself at once: its data were deleted.

        Of deleted data nothing stays, not even predictions, until the sweep of the day.
        """
        with contextlib.suppress(FrugalError):  # the sweep comes anyway
            if self._store.job(job_id).state.is_final:
                self._artifacts.delete(f"jobs/{job_id}")

    def watch(self, now: datetime) -> None:
        """End our own processes that are frozen: alive, but their lease has ended.

        While the server of jobs is still importing, the lease is kept here.
        """
        with self._lock:
            running = dict(self._running)
        for job_id, run in running.items():
            if self._executor.pid(job_id) is None and self._renewed(job_id, run, now):
                continue
            job = self._store.job(job_id)
            lost = job.epoch != run.epoch or job.state is not JobState.RUNNING
            late = job.lease_until is not None and job.lease_until <= now
            if lost and job.finished_at is not None:
                lost = now - job.finished_at > timedelta(seconds=self._settings.lease_seconds)
            if lost or late:
                log.warning("job %s: its process is frozen or no longer owns it; ended", job_id)
                self._executor.kill(job_id)
                self._wait_for_end(job_id)

    def _renewed(self, job_id: str, run: _Run, now: datetime) -> bool:
        if (now - run.started).total_seconds() > START_SECONDS:
            return False
        try:
            self._store.heartbeat(
                job_id, epoch=run.epoch, lease_seconds=self._settings.lease_seconds, now=now
            )
        except LostLease:
            return False
        return True

    def _wait_for_end(self, job_id: str, seconds: float = 5.0) -> None:
        """Let the end of a killed process be noticed before its job is claimed again."""
        end = time.monotonic() + seconds
        while job_id in self.ids() and time.monotonic() < end:
            time.sleep(0.02)

    def _wait_for_ends(self, seconds: float) -> None:
        """Wait until no job runs here, and those that ended are given back."""
        end = time.monotonic() + seconds
        while (self.ids() or self._n_ending) and time.monotonic() < end:
            time.sleep(0.02)

    def stop(self) -> None:
        """Interrupt all, then kill what does not end by itself."""
        for job_id in self.ids():
            self._executor.interrupt(job_id)
        self._wait_for_ends(STOP_SECONDS)
        self._executor.shutdown(cancel_futures=True)
        self._wait_for_ends(STOP_SECONDS)  # of the killed ones, whose jobs are given back here
