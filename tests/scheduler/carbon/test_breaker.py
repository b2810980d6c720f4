"""A source that keeps failing is left alone, and one call at a time tries it again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.carbon.breaker import COOL, MOST_FAILURES, Breaker

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def opened(at: datetime = NOON) -> Breaker:
    breaker = Breaker()
    for _ in range(MOST_FAILURES):
        assert breaker.allows(now=at)
        breaker.failed("unreachable", now=at)
    return breaker


def test_three_failures_in_a_row_open_it() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed("slow", now=NOON)
        breaker.failed("slow", now=NOON)
        breaker.succeeded()
    assert breaker.allows(now=NOON)
    assert not opened().allows(now=NOON)
    assert not opened().allows(now=NOON + COOL - timedelta(seconds=1))


def test_one_call_tries_after_a_while() -> None:
    later = NOON + COOL
    breaker = opened()
    assert breaker.allows(now=later)
    assert not breaker.allows(now=later)  # while the first one tries
    breaker.succeeded()
    assert breaker.allows(now=later)
    breaker = opened()
    assert breaker.allows(now=later)
    breaker.failed("slow", now=later)  # once is enough now
    assert not breaker.allows(now=later + COOL / 2)
    assert breaker.allows(now=later + COOL)


@pytest.mark.parametrize("code", ["rate_limited", "refused"])
def test_what_only_gets_worse_opens_it_at_once(code: str) -> None:
    breaker = Breaker()
    assert breaker.failed(code, now=NOON)
    assert not breaker.allows(now=NOON)


@pytest.mark.parametrize("code", ["unsupported_zone", "no_forecast"])
def test_an_answer_about_the_question_is_no_failure(code: str) -> None:
    breaker = Breaker()
    for _ in range(9):
        assert not breaker.failed(code, now=NOON)
    assert breaker.allows(now=NOON)


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(hours=1), timedelta(days=3650)])
def test_a_clock_set_back_lets_one_try(back: timedelta) -> None:
    breaker = opened()
    assert breaker.allows(now=NOON - back)
    assert not breaker.allows(now=NOON - back)


def test_of_many_threads_one_tries() -> None:
    breaker = opened()
    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(lambda _: breaker.allows(now=NOON + COOL), range(64)))
    assert sum(allowed) == 1
