"""The service's heart: what is due is started, what died is noticed, what is idle is let go."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import time
import uuid
from datetime import datetime
from typing import IO

from automl.errors import FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.batches import Batches
from scheduler.carbon.series import IntensitySource
from scheduler.child import start_from
from scheduler.clerk import Clerk
from scheduler.clock import Clock, utc_now
from scheduler.config import Settings
from scheduler.errors import Conflict
from scheduler.executor import JobExecutor, make_executor
from scheduler.ingestion import Ingestor
from scheduler.nursery import Nursery
from scheduler.retraining import Retraining
from scheduler.running import RunningJobs
from scheduler.settlement import Prices
from scheduler.store import Store
from scheduler.timer import Timer
from scheduler.uploads import Uploads
from scheduler.waiting import hasten_urgent, replan_waiting

log = logging.getLogger(__name__)

SWEEP_SECONDS = 24 * 3600.0
# Forecasts are issued once an hour at most; asking is a request to a server of others.
REPLAN_SECONDS = 600.0


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
        self._ticking = threading.Lock()
        self._stopping = threading.Event()
        self._running = RunningJobs(
            store,
            artifacts,
            settings,
            self._executor,
            stopping=self._stopping,
            on_end=self.wake,
            clock=clock,
        )
        self._swept = time.monotonic() - SWEEP_SECONDS
        self._lock_file: IO[str] | None = None
        self._timer: Timer | None = None
        self._nursery = Nursery()

    def start(self) -> None:
        """Start ticking.

        Raises
        ------
        Conflict
            ``already_running``: another service has this data folder.
        """
        if self._store.is_sqlite:
            self._lock_folder()
        self._stopping.clear()
        self._retraining.start()
        self._nursery = Nursery()  # one that was closed starts nothing
        start_from(self._nursery.start)
        settings = self._settings
        timer = Timer(self._timed_tick, clock=self._clock)
        # A job whose process is not there yet has its lease renewed by the tick.
        timer.tick_every(min(settings.tick_seconds, settings.lease_seconds / 2))
        timer.every(settings.tick_seconds, self.retrain, what="schedules")
        if self._intensity is not None:
            timer.every(REPLAN_SECONDS, self.replan, what="planning")
        timer.start()
        self._timer = timer
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
        if timer is not None and not self._stopping.is_set():
            timer.wake()

    def _timed_tick(self, now: datetime) -> None:
        self.tick(now)
        self._clerk.poke(self._clock())

    def tick(self, now: datetime) -> None:
        """Do what is due at `now`; idempotent, and harmless at any time."""
        with self._ticking:
            if self._stopping.is_set():
                return
            self._ingestor.recover(now)
            self._batches.recover(now)
            self._running.watch(now)
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
        while len(self._running) < self._settings.job_processes:
            job = self._store.claim_job(
                owner=self._owner, lease_seconds=self._settings.lease_seconds, now=now
            )
            if job is None:
                return
            if job.id in self.running():
                # Our own process of it lives, frozen since `watch` looked. The claim has counted
                # its death and fenced it; it is ended, and the job waits for a free place.
                log.warning("job %s: its process did not renew the lease; it is ended", job.id)
                self._executor.kill(job.id)
                self._running.give_back(job.id, job.epoch, died=False)
                return
            self._running.submit(job, now)

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

    def running(self) -> list[str]:
        """Return the ids of the jobs whose processes are running here."""
        return self._running.ids()

    def stop(self) -> None:
        """End everything: jobs give themselves back and go on at the next start."""
        self._stopping.set()
        self._retraining.stop()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
        with self._ticking:  # a tick under way may still be starting a job
            pass
        self._running.stop()
        self._ingestor.stop()
        self._batches.stop()
        self._clerk.stop()
        start_from(None)
        self._nursery.close()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None
        log.info("service %s: stopped", self._owner)
