"""The pulse of a job: keeps its lease, hears cancellations, and ends a process that is stuck."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from scheduler.clock import Clock
from scheduler.errors import LostLease, StoreUnavailable
from scheduler.records import JobState
from scheduler.store import Store

log = logging.getLogger(__name__)

# A trial may take five times what the catalog expects, and 60 s at least: its costs are fitted on
# other machines and smaller data.
OVERRUN = 5.0
FLOOR_SECONDS = 60.0
# Waiting for a busy machine is no fault: in wall time a trial has ten times as long.
WALL_FACTOR = 10.0
# Features, refit and the like, which have no expected cost.
UNTIMED_SECONDS = 3600.0
MOST_SECONDS_BETWEEN_BEATS = 3.0
EXIT_LOST, EXIT_STUCK, EXIT_DATA_DELETED = 75, 76, 77


class Progress:
    """What the main loop is at, and since when: written by it, read by the heartbeat."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.enter(None, 0.0)

    def enter(self, trial: int | None, expected_seconds: float) -> None:
        """Begin a trial of so many expected CPU-seconds, or work between trials (None)."""
        with self._lock:
            self._trial = trial
            if trial is None:
                self._limit = UNTIMED_SECONDS
            else:
                self._limit = max(FLOOR_SECONDS, OVERRUN * expected_seconds)
            self._cpu, self._wall = time.process_time(), time.monotonic()

    def overrun(self) -> str | None:
        """Return in numbers why this process is stuck, None while it is not."""
        with self._lock:
            cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._wall
            what = "work between trials" if self._trial is None else f"trial {self._trial}"
            if cpu > self._limit:
                return f"{what} took {cpu:.0f} CPU-seconds, more than {self._limit:.0f}"
            if wall > WALL_FACTOR * self._limit:
                return f"{what} took {wall:.0f} s, more than {WALL_FACTOR * self._limit:.0f}"
        return None


class Heartbeat(threading.Thread):
    """Renews the lease of a running job from a thread of its own.

    It ends the process (`leave`) as soon as the job is somebody else's, when the lease must be
    taken for lost because the store has been out of reach for so long, when the main loop is
    stuck, and when the data were deleted.
    """

    def __init__(
        self,
        store: Store,
        *,
        job_id: str,
        epoch: int,
        lease_seconds: float,
        progress: Progress,
        clock: Clock,
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._store, self._job_id, self._epoch = store, job_id, epoch
        self._lease_seconds, self._progress, self._clock = lease_seconds, progress, clock
        self._leave = leave
        self._stopped = threading.Event()
        self.cancel_requested = threading.Event()

    def run(self) -> None:
        """Beat until stopped."""
        last = time.monotonic()
        pause = min(self._lease_seconds / 3, MOST_SECONDS_BETWEEN_BEATS)
        while not self._stopped.wait(pause):
            stuck = self._progress.overrun()
            if stuck is not None:
                log.error("job %s: %s; its process is ended", self._job_id, stuck)
                return self._leave(EXIT_STUCK)
            try:
                self.beat()
                last = time.monotonic()
            except LostLease:
                if not self._stopped.is_set():
                    log.warning("job %s: lost to another worker; stopping", self._job_id)
                    return self._leave(EXIT_LOST)
            except StoreUnavailable:
                if time.monotonic() - last > self._lease_seconds:
                    log.error("job %s: the store is out of reach; stopping", self._job_id)
                    return self._leave(EXIT_LOST)
        return None

    def beat(self) -> None:
        """Renew the lease once, and hear what is asked of the job. Raises LostLease."""
        job = self._store.heartbeat(
            self._job_id, epoch=self._epoch, lease_seconds=self._lease_seconds, now=self._clock()
        )
        if job.problem is not None and job.problem.get("code") == "data_deleted":
            log.info("job %s: its data were deleted; stopping", self._job_id)
            self._store.finish_job(
                self._job_id,
                epoch=self._epoch,
                state=JobState.CANCELLED,
                stop_reason="the data set was deleted",
                now=self._clock(),
            )
            self._leave(EXIT_DATA_DELETED)
        if job.cancel_requested:
            self.cancel_requested.set()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()
        self.join(timeout=10)
