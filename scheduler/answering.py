"""How many predictions were answered, in how many seconds: counters of one process."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass

# Seconds: one row answered by a warm predictor takes some milliseconds, its start some seconds.
BOUNDS = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ANSWERED, REFUSED, FAILED = "answered", "refused", "failed"
RESULTS = (ANSWERED, REFUSED, FAILED)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Requests by result; of those answered, how many took at most each of `BOUNDS`, or longer."""

    results: dict[str, int]
    buckets: tuple[int, ...]
    seconds: float
    n_rows: int


class Answering:
    """Counts requests for predictions; threads may share it.

    >>> answering = Answering()
    >>> answering.count(ANSWERED, seconds=0.004, n_rows=1)
    >>> answering.tally().buckets[:3], answering.tally().results["answered"]
    ((0, 1, 0), 1)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results = dict.fromkeys(RESULTS, 0)
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds, self._n_rows = 0.0, 0

    def count(self, result: str, *, seconds: float, n_rows: int = 0) -> None:
        """Add a request; seconds and rows count of those that were answered."""
        with self._lock:
            self._results[result] += 1
            if result == ANSWERED:
                self._buckets[bisect_left(BOUNDS, seconds)] += 1
                self._seconds += seconds
                self._n_rows += n_rows

    def tally(self) -> Tally:
        """All so far."""
        with self._lock:
            return Tally(
                results=dict(self._results),
                buckets=tuple(self._buckets),
                seconds=self._seconds,
                n_rows=self._n_rows,
            )
