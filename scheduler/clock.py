"""The clock: asked at the edges of a process only, and passed on from there as an argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time as an aware UTC datetime.

    >>> utc_now().utcoffset().total_seconds()
    0.0
    """
    return datetime.now(UTC)
