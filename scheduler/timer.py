"""APScheduler as nothing but a timer: calls what is due, and tries again what went wrong."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from scheduler.clock import Clock, utc_now
from scheduler.errors import StoreUnavailable

log = logging.getLogger(__name__)

NEVER_WEEKS = 1000

Work = Callable[[datetime], None]


class Timer:
    """Calls `tick` at its interval and whenever it is woken, and other work in threads of its own.

    Whatever goes wrong in a call is logged, and the next one comes at its time.
    """

    def __init__(self, tick: Work, *, clock: Clock) -> None:
        self._tick, self._clock = tick, clock
        self._waking = threading.Event()
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a tick that runs long is no news
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(max_workers=1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )

    def tick_every(self, seconds: float) -> None:
        """Tick every so many seconds, and when woken."""
        self._scheduler.add_job(
            self._guarded, "interval", args=[self._tick, "tick"], seconds=seconds, id="tick"
        )
        # Waking moves this job's next run. A one-shot job for each waking would be removed by the
        # timer's thread, which raises there when the timer is shut down in the same moment.
        self._scheduler.add_job(
            self._woken, "interval", weeks=NEVER_WEEKS, id="wake", max_instances=2
        )

    def every(self, seconds: float, work: Work, *, what: str) -> None:
        """Do other work every so many seconds.

        It has a thread of its own: planning may wait for a server of others, and a decision of a
        schedule reads whole tables.
        """
        self._scheduler.add_executor(ThreadPoolExecutor(max_workers=1), alias=what)
        self._scheduler.add_job(
            self._guarded, "interval", args=[work, what], seconds=seconds, id=what, executor=what
        )

    def start(self) -> None:
        """Let time run."""
        self._scheduler.start()

    def wake(self) -> None:
        """Tick now rather than at the next interval; returns at once."""
        if self._waking.is_set():
            return
        self._waking.set()
        with contextlib.suppress(JobLookupError):  # stopped since
            self._scheduler.modify_job("wake", next_run_time=utc_now())

    def stop(self) -> None:
        """Call nothing any more; what is under way goes on."""
        self._scheduler.shutdown(wait=False)

    def _woken(self) -> None:
        self._waking.clear()  # before the look: whatever comes after it wakes again
        self._guarded(self._tick, "tick")

    def _guarded(self, work: Work, what: str) -> None:
        """Do what the timer is there for; whatever goes wrong, it is tried again next time."""
        try:
            work(self._clock())
        except StoreUnavailable as error:
            log.warning("the store is out of reach, %s later: %s", what, error)
        except Exception as error:
            log.error("%s failed: %s", what, type(error).__name__, exc_info=error)
