"""The counts of the rate limits against the storage that comes with limits."""

from __future__ import annotations

import random
import threading

import pytest
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api import rate_counts
from api.rate_counts import RateCounts


class Clock:
    """A time that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rate_counts, "time", made)
    return made


def test_it_counts_as_the_one_that_comes_with_limits() -> None:
    ours, theirs = RateCounts(), MemoryStorage()
    chance = random.Random(0)
    for _ in range(300):
        key, amount = chance.choice("abc"), chance.randint(1, 3)
        assert ours.incr(key, 600, amount) == theirs.incr(key, 600, amount)
        if chance.random() < 0.05:
            ours.clear(key)
            theirs.clear(key)
        assert ours.get(key) == theirs.get(key)


def test_a_window_ends(clock: Clock) -> None:
    limiter = FixedWindowRateLimiter(RateCounts())
    item = RateLimitItemPerMinute(2)
    assert [limiter.hit(item, "a") for _ in range(3)] == [True, True, False]
    assert limiter.hit(item, "b")
    clock.now += 59
    assert not limiter.hit(item, "a")
    clock.now += 2
    assert limiter.hit(item, "a")


def test_what_ended_is_forgotten(clock: Clock) -> None:
    counts = RateCounts()
    counts._swept = clock.now
    for i in range(100):
        counts.incr(f"address {i}", 30)
    clock.now += rate_counts.SWEEP_SECONDS
    counts.incr("another", 30)
    assert counts.reset() == 1


def test_threads_lose_no_count_and_none_is_started() -> None:
    counts, before = RateCounts(), threading.active_count()
    threads = [
        threading.Thread(target=lambda: [counts.incr("a", 600) for _ in range(2000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.get("a") == 8000
    assert threading.active_count() <= before
