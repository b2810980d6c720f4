"""Counts of requests for the rate limits, in memory, without threads.

The storage in memory that comes with limits starts a thread to forget old counts at nearly every
request, which was a fifth of the time that a short request took.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from limits.storage import Storage

SWEEP_SECONDS = 60.0


class RateCounts(Storage):
    """Fixed windows: a count for each key and when it ends. Threads may share it.

    >>> counts = RateCounts()
    >>> counts.incr("a", 60), counts.incr("a", 60), counts.get("b")
    (1, 2, 0)
    """

    STORAGE_SCHEME = ["frugal-counts"]  # noqa: RUF012 -- as the base has it

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}  # and the time of the end
        self._swept = time.time()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong: nothing that is known of."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count on; a key that is new or has ended lasts so many seconds from now."""
        with self._lock:
            now = time.time()
            self._sweep(now)
            count, end = self._counts.get(key, (0, 0.0))
            if end <= now:
                count, end = 0, now + expiry
            self._counts[key] = count + amount, end
            return count + amount

    def get(self, key: str) -> int:
        """The count; 0 once its window has ended."""
        count, end = self._counts.get(key, (0, 0.0))
        return count if end > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When the window of a key ends; now, where there is none."""
        return self._counts.get(key, (0, time.time()))[1]

    def check(self) -> bool:
        """It is always there."""
        return True

    def reset(self) -> int:
        """Forget all; returns how many keys there were."""
        with self._lock:
            n_keys = len(self._counts)
            self._counts.clear()
            return n_keys

    def clear(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._counts.pop(key, None)

    def _sweep(self, now: float) -> None:
        """Forget the windows that ended, once a minute: keys are tokens and addresses."""
        if now - self._swept >= SWEEP_SECONDS:
            self._swept = now
            self._counts = {key: one for key, one in self._counts.items() if one[1] > now}
