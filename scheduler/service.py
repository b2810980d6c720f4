"""The service's heart: what is due is started, what died is noticed, what is idle is let go."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from automl.errors import FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.batches import Batches
from scheduler.carbon.series import IntensitySource
from scheduler.clerk import Clerk
from scheduler.clock import Clock, utc_now
from scheduler.config import Settings
from scheduler.errors import ChildDied, Conflict, LostLease, StoreUnavailable
from scheduler.execution import run_job
from scheduler.executor import JobExecutor, make_executor
from scheduler.heartbeat import EXIT_DATA_DELETED
from scheduler.ingestion import Ingestor
from scheduler.records import Job, JobState
from scheduler.retraining import Retraining
from scheduler.settlement import Prices
from scheduler.store import Store
from scheduler.uploads import Uploads
from scheduler.waiting import hasten_urgent, replan_waiting

log = logging.getLogger(__name__)

# A job that is asked to stop gives itself back within one iteration of its model.
STOP_SECONDS = 8.0
# Importing everything takes some 5 CPU-seconds, on a busy machine several times as long.
START_SECONDS = 300.0
SWEEP_SECONDS = 24 * 3600.0
# Forecasts are issued once an hour at most; asking is a request to a server of others.
REPLAN_SECONDS = 600.0
NEVER_WEEKS = 1000


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A job that runs in a process of ours: under which epoch, and since when."""

    epoch: int
    started: datetime


class Service:
    """Claims due jobs and runs each in a process of its own.

    APScheduler is only the timer that calls `tick`; the store is the truth. Every claim has a
    lease and a fencing number, so several services on one database never do a job twice; on one
    SQLite data folder a second one does not even start.

    Parameters
    ----------
    executor : where jobs run; forked processes by default
    ingestor, batches : whose interrupted work is resumed; of its own by default
    intensity : by which waiting jobs are planned anew; without one their plans stay
    """

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        settings: Settings,
        *,
        executor: JobExecutor | None = None,
        ingestor: Ingestor | None = None,
        batches: Batches | None = None,
        intensity: IntensitySource | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._store, self._artifacts, self._settings = store, artifacts, settings
        self._executor = executor or make_executor(
            "processes", nice=settings.job_nice, passed=settings.storage_variables
        )
        self._ingestor = ingestor or Ingestor(store, artifacts, settings, clock=clock)
        self._batches = batches or Batches(store, artifacts, settings, clock=clock)
        self._uploads = Uploads(store=store, artifacts=artifacts, settings=settings)
        self._intensity = intensity
        self._retraining = Retraining(
            store, artifacts, settings, self._ingestor, intensity=intensity, clock=clock
        )
        prices = None if intensity is None else Prices.of(settings, intensity)
        self._clerk = Clerk(store, settings, prices=prices)
        self._clock = clock
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._running: dict[str, _Run] = {}  # by job
        self._n_ending = 0  # processes that ended, whose jobs are being given back
        self._lock = threading.RLock()
        self._ticking = threading.Lock()
        self._waking = threading.Event()
        self._stopping = threading.Event()
        self._swept = time.monotonic() - SWEEP_SECONDS
        self._lock_file: IO[str] | None = None
        self._timer: BackgroundScheduler | None = None

    def start(self) -> None:
        """Start ticking.

        Raises
        ------
        Conflict
            ``already_running``: another service has this data folder.
        """
        if self._store.is_sqlite:
            self._lock_folder()
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a tick that runs long is no news
        self._stopping.clear()
        self._retraining.start()
        self._timer = BackgroundScheduler(
            # Planning may wait for a server of others: it has a thread of its own.
            executors={
                "default": ThreadPoolExecutor(max_workers=1),
                "planning": ThreadPoolExecutor(max_workers=1),
                "schedules": ThreadPoolExecutor(max_workers=1),  # a decision reads whole tables
            },
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )
        self._timer.add_job(
            self._timed_tick,
            "interval",
            # A job whose process is not there yet has its lease renewed by the tick.
            seconds=min(self._settings.tick_seconds, self._settings.lease_seconds / 2),
            id="tick",
        )
        # Waking moves this job's next run. A one-shot job for each waking would be removed by the
        # timer's thread, which raises there when the timer is shut down in the same moment.
        self._timer.add_job(
            self._woken_tick, "interval", weeks=NEVER_WEEKS, id="wake", max_instances=2
        )
        self._timer.add_job(
            self._guarded,
            "interval",
            args=[self.retrain],
            kwargs={"what": "schedules"},
            seconds=self._settings.tick_seconds,
            id="retrain",
            executor="schedules",
        )
        if self._intensity is not None:
            self._timer.add_job(
                self._guarded,
                "interval",
                args=[self.replan],
                kwargs={"what": "planning"},
                seconds=REPLAN_SECONDS,
                id="plan",
                executor="planning",
            )
        self._timer.start()
        log.info("service %s: looks for work every %g s", self._owner, self._settings.tick_seconds)
        self.wake()

    def _lock_folder(self) -> None:
        self._settings.data_dir.mkdir(parents=True, exist_ok=True)
        file = (self._settings.data_dir / "service.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise Conflict(
                "another service is running on this data folder", code="already_running"
            ) from None
        self._lock_file = file

    def wake(self) -> None:
        """Look for work now rather than at the next tick; returns at once."""
        timer = self._timer
        if timer is None or self._stopping.is_set() or self._waking.is_set():
            return
        self._waking.set()
        with contextlib.suppress(JobLookupError):  # stopped since
            timer.modify_job("wake", next_run_time=utc_now())

    def _woken_tick(self) -> None:
        self._waking.clear()  # before the look: whatever comes after it wakes again
        self._timed_tick()

    def _timed_tick(self) -> None:
        def work(now: datetime) -> None:
            self.tick(now)
            self._clerk.poke(self._clock())

        self._guarded(work, what="tick")

    def _guarded(self, work: Callable[[datetime], None], *, what: str) -> None:
        """Do what the timer is there for; whatever goes wrong, it is tried again next time."""
        try:
            work(self._clock())
        except StoreUnavailable as error:
            log.warning("the store is out of reach, %s later: %s", what, error)
        except Exception as error:
            log.error("%s failed: %s", what, type(error).__name__, exc_info=error)

    def tick(self, now: datetime) -> None:
        """Do what is due at `now`; idempotent, and harmless at any time."""
        with self._ticking:
            if self._stopping.is_set():
                return
            self._ingestor.recover(now)
            self._batches.recover(now)
            self._watch(now)
            hasten_urgent(
                self._store,
                running=self.running(),
                now=now,
                n_processes=self._settings.job_processes,
                notice_seconds=2 * self._settings.tick_seconds,
            )
            self._claim(now)
            idle = self._settings.idle_seconds
            if self._executor.release_idle(idle_seconds=idle):
                log.info("job server released after %g s without work", idle)
            self._sweep(now)

    def retrain(self, now: datetime) -> None:
        """Carry out what is due of the schedules, and start the jobs that come of it."""
        if not self._stopping.is_set() and self._retraining.due(now):
            self.wake()

    def replan(self, now: datetime) -> None:
        """Plan waiting jobs again where there is a newer forecast, and start what is due by it."""
        if self._intensity is not None and not self._stopping.is_set():
            zone = self._settings.zone
            if replan_waiting(self._store, self._intensity, zone=zone, now=now):
                self.wake()

    def _claim(self, now: datetime) -> None:
        while self._n_running() < self._settings.job_processes:
            job = self._store.claim_job(
                owner=self._owner, lease_seconds=self._settings.lease_seconds, now=now
            )
            if job is None:
                return
            if job.id in self.running():
                # Our own process of it lives, frozen since `_watch` looked. The claim has counted
                # its death and fenced it; it is ended, and the job waits for a free place.
                log.warning("job %s: its process did not renew the lease; it is ended", job.id)
                self._executor.kill(job.id)
                self._give_back(job.id, job.epoch, died=False)
                return
            self._submit(job, now)

    def _submit(self, job: Job, now: datetime) -> None:
        waited = (now - job.submitted_at).total_seconds()
        log.info(
            "job %s: starts now, attempt %d, waited %.1f s, %d of %d processes busy",
            job.id,
            job.epoch,
            waited,
            self._n_running() + 1,
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
            self._give_back(job.id, job.epoch)
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
                self._give_back(job_id, epoch)
            else:
                self._give_back(job_id, epoch, died=False)
        finally:
            with self._lock:
                self._n_ending -= 1
            self.wake()

    def _give_back(self, job_id: str, epoch: int, *, died: bool = True) -> None:
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

    def _watch(self, now: datetime) -> None:
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
        while job_id in self.running() and time.monotonic() < end:
            time.sleep(0.02)

    def _wait_for_ends(self, seconds: float) -> None:
        """Wait until no job runs here, and those that ended are given back."""
        end = time.monotonic() + seconds
        while (self.running() or self._n_ending) and time.monotonic() < end:
            time.sleep(0.02)

    def _sweep(self, now: datetime) -> None:
        self._uploads.expire(now)
        if time.monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._swept = time.monotonic()
        try:
            removed = self._artifacts.sweep(self._store.artifact_keys(), now=now)
        except FrugalError as error:
            log.warning("orphans could not be removed: %s", error)
            return
        if removed:
            log.info("%d orphaned files removed", len(removed))

    def _n_running(self) -> int:
        with self._lock:
            return len(self._running)

    def running(self) -> list[str]:
        """Return the ids of the jobs whose processes are running here."""
        with self._lock:
            return sorted(self._running)

    def stop(self) -> None:
        """End everything: jobs give themselves back and go on at the next start."""
        self._stopping.set()
        self._retraining.stop()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.shutdown(wait=False)
        with self._ticking:  # a tick under way may still be starting a job
            pass
        for job_id in self.running():
            self._executor.interrupt(job_id)
        self._wait_for_ends(STOP_SECONDS)
        self._executor.shutdown(cancel_futures=True)
        self._wait_for_ends(STOP_SECONDS)  # of the killed ones, whose jobs are given back here
        self._ingestor.stop()
        self._batches.stop()
        self._clerk.stop()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None
        log.info("service %s: stopped", self._owner)
