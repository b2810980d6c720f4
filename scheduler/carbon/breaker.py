"""A circuit breaker: a source that keeps failing is left alone for a while."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_FAILURES = 3
COOL = timedelta(minutes=5)
# Answers that say something about the question, not about the source's health.
_SOUND = frozenset(("unsupported_zone", "no_forecast"))
# Asking again at once would only make these worse.
_FINAL = frozenset(("rate_limited", "refused"))


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    failures: int = 0
    opened_at: datetime | None = None
    is_trying: bool = False


class Breaker:
    """Open after three failures in a row; after five minutes one call may try again.

    Threads may share it. A clock that was set back closes nothing and opens nothing: it lets one
    call try.

    >>> from datetime import UTC
    >>> breaker, noon = Breaker(), datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> [breaker.failed("unreachable", now=noon) for _ in range(3)]
    [False, False, True]
    >>> breaker.allows(now=noon), breaker.allows(now=noon + COOL), breaker.allows(now=noon + COOL)
    (False, True, False)
    """

    def __init__(self) -> None:
        self._state = _State()
        self._lock = threading.Lock()

    def allows(self, *, now: datetime) -> bool:
        """Whether the source may be asked; the one who is told so must report how it went."""
        with self._lock:
            opened = self._state.opened_at
            if opened is None:
                return True
            if opened <= now < opened + COOL or self._state.is_trying:
                return False
            self._state = _State(failures=MOST_FAILURES, opened_at=opened, is_trying=True)
            return True

    def succeeded(self) -> None:
        """The source answered."""
        with self._lock:
            self._state = _State()

    def failed(self, code: str, *, now: datetime) -> bool:
        """The source failed with this code of ForecastUnavailable; whether it is open now."""
        if code in _SOUND:
            self.succeeded()
            return False
        with self._lock:
            failures = MOST_FAILURES if code in _FINAL else self._state.failures + 1
            opened = now if failures >= MOST_FAILURES else None
            self._state = _State(failures=failures, opened_at=opened)
            return opened is not None
