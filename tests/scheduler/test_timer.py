"""A timer that ticks, is woken, and goes on after what went wrong."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from scheduler.errors import StoreUnavailable
from scheduler.timer import Timer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = 60.0  # until a test gives up


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreUnavailable("locked"), "the store is out of reach, tick later: locked"),
        (KeyError("a cell"), "tick failed: KeyError"),
    ],
)
def test_a_tick_that_fails_is_told_and_comes_again(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    again = threading.Event()
    seen: list[datetime] = []

    def tick(now: datetime) -> None:
        seen.append(now)
        if len(seen) == 1:
            raise error
        again.set()

    timer = Timer(tick, clock=lambda: NOW)
    timer.tick_every(0.02)
    timer.start()
    try:
        assert again.wait(SECONDS)
    finally:
        timer.stop()
    assert set(seen) == {NOW}
    assert told in [record.getMessage() for record in caplog.records]


def test_waking_ticks_at_once_and_again_after_it() -> None:
    ticked = threading.Semaphore(0)
    timer = Timer(lambda now: ticked.release(), clock=lambda: NOW)
    timer.tick_every(3600)
    timer.start()
    try:
        for _ in range(2):
            timer.wake()
            assert ticked.acquire(timeout=SECONDS)
    finally:
        timer.stop()
    timer.wake()  # of one that is stopped: nothing


def test_other_work_does_not_wait_for_a_long_tick() -> None:
    release, done = threading.Event(), threading.Event()
    timer = Timer(lambda now: release.wait(SECONDS), clock=lambda: NOW)
    timer.tick_every(3600)
    timer.every(0.02, lambda now: done.set(), what="planning")
    timer.start()
    try:
        timer.wake()
        assert done.wait(SECONDS)
    finally:
        release.set()
        timer.stop()
