"""One source as the service asks it: cached, guarded by a breaker, with what it forecast before."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, Protocol

from scheduler.carbon.breaker import Breaker
from scheduler.carbon.cache import Cache
from scheduler.carbon.kept import (
    FORECASTS,
    HISTORY,
    SETTLED,
    Kept,
    missing,
    with_forecast,
    with_history,
)
from scheduler.carbon.replay import Replay
from scheduler.carbon.series import IntensitySeries, IntensitySource
from scheduler.carbon.transport import TIMEOUT_SECONDS
from scheduler.carbon.web_source import STALE
from scheduler.errors import ForecastUnavailable

log = logging.getLogger(__name__)

# Providers publish every quarter of an hour at best.
FRESH = timedelta(minutes=10)
# Of a long history the newest part is asked for first, and the rest as far as patience lasts.
_PART = timedelta(days=7)
# A provider forecasts that far at most; what is kept is all of it, whatever was asked for.
_FURTHEST = timedelta(hours=96)


class Feed(Protocol):
    """What `Fallback` asks: a source now, or what is remembered of it, and how it forecast so far.

    All of it raises ForecastUnavailable, and nothing else, where there is nothing.
    """

    @property
    def name(self) -> str:
        """The name of the source."""
        ...

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What was, not after `now`."""
        ...

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What the source itself expects."""
        ...

    def issued(self, zone: str, *, now: datetime) -> tuple[IntensitySeries, ...]:
        """Forecasts of the last days, in order of issue."""
        ...


class WebFeed:
    """A provider on the web behind a cache on disk and a circuit breaker.

    Threads may share it; those that ask for the same zone wait for each other.
    """

    def __init__(self, source: IntensitySource, cache: Cache) -> None:
        self._source, self._cache = source, cache
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._locks: dict[str, threading.Lock] = {}
        self.remembered = RememberedFeed(source, cache)

    @property
    def name(self) -> str:
        """The name of the source."""
        return self._source.name

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What was: from the cache where that is settled or fresh, else asked for."""
        end = min(end, now)
        if end <= now - HISTORY:
            return self._ask("history", zone, start, end, now=now)
        with self._lock(zone):
            kept = self._cache.load(self.name, zone)
            # Up to now, whatever was asked for: what is kept has no gap that nobody asked about.
            spans = missing(kept, start, now, now=now, fresh=FRESH)
            parts = [part for span in spans for part in _parts(*span)]
            began = time.monotonic()
            for index, (first, last) in enumerate(parts):
                if index and time.monotonic() - began > TIMEOUT_SECONDS:
                    break
                try:
                    kept = self._asked(kept, zone, first, last, now=now)
                except ForecastUnavailable:
                    if not index:
                        raise
                    break
            if parts:
                self._cache.save(self.name, zone, kept)
        return _remembered(kept, self.name, zone, start, end)

    def _asked(
        self, kept: Kept, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> Kept:
        fetched: IntensitySeries | None
        try:
            fetched = self._ask("history", zone, start, end, now=now)
        except ForecastUnavailable as error:
            # Longer ago than the source reaches; that will not change.
            if error.code != "no_readings" or end > now - SETTLED:
                raise
            fetched = None
        return with_history(kept, fetched, start, end, now=now)

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What the source expects: what it said some minutes ago, or now."""
        with self._lock(zone):
            kept = self._cache.load(self.name, zone)
            at = kept.forecast_at
            if at is None or not timedelta(0) <= now - at < FRESH:
                whole = self._ask("forecast", zone, now, now + _FURTHEST, now=now)
                kept = with_forecast(kept, whole, now=now)
                self._cache.save(self.name, zone, kept)
        return _within(kept.forecasts[-1], start, end)

    def issued(self, zone: str, *, now: datetime) -> tuple[IntensitySeries, ...]:
        """The forecasts in the cache."""
        return self.remembered.issued(zone, now=now)

    def _lock(self, zone: str) -> threading.Lock:
        return self._locks.setdefault(zone, threading.Lock())

    def _ask(
        self,
        question: Literal["history", "forecast"],
        zone: str,
        start: datetime,
        end: datetime,
        *,
        now: datetime,
    ) -> IntensitySeries:
        """The source's answer, unless the breaker is open; one line in the log when it opens."""
        breaker = self._breakers.setdefault((question, zone), Breaker())
        if not breaker.allows(now=now):
            raise ForecastUnavailable(
                f"{self.name}, zone {zone}: left alone after it failed repeatedly", code="open"
            )
        ask = self._source.history if question == "history" else self._source.forecast
        try:
            answer = ask(zone, start, end, now=now)
        except ForecastUnavailable as error:
            is_old = error.code == "no_readings" and end <= now - SETTLED
            if is_old:
                breaker.succeeded()
            elif breaker.failed(error.code, now=now):
                log.warning("%s fails, and is left alone for a while: %s", question, error)
            raise
        except BaseException:
            breaker.failed("error", now=now)
            raise
        breaker.succeeded()
        return answer


class RememberedFeed:
    """What the cache has of a provider, named as cached; nobody is asked."""

    def __init__(self, source: IntensitySource, cache: Cache) -> None:
        self._source, self._cache = source, cache

    @property
    def name(self) -> str:
        """The name of the source, as the cache knows it."""
        return self._source.name

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What is remembered of what was."""
        kept = self._cache.load(self.name, zone)
        return _cached(_remembered(kept, self.name, zone, start, min(end, now)))

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """The last forecast, unless it was confirmed more than 6 hours ago."""
        kept = self._cache.load(self.name, zone)
        if not kept.forecasts or kept.forecast_at is None or now - kept.forecast_at > STALE:
            raise ForecastUnavailable(f"{self.name}: no forecast of zone {zone} is cached")
        return _cached(_within(kept.forecasts[-1], start, end))

    def issued(self, zone: str, *, now: datetime) -> tuple[IntensitySeries, ...]:
        """The forecasts in the cache."""
        return tuple(
            one for one in self._cache.load(self.name, zone).forecasts if one.issued_at <= now
        )


class ReplayFeed:
    """Recorded files, which remember everything themselves and are asked every time."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.name = replay.name

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What was recorded."""
        return self._replay.history(zone, start, end, now=now)

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """The newest recorded forecast."""
        return self._replay.forecast(zone, start, end, now=now)

    def issued(self, zone: str, *, now: datetime) -> tuple[IntensitySeries, ...]:
        """The recorded forecasts of the last days."""
        return self._replay.issued(zone, since=now - FORECASTS, now=now)


def _parts(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """[start, end) in parts of a week, the newest first."""
    parts: list[tuple[datetime, datetime]] = []
    while start < end:
        begin = max(start, end - _PART)
        parts.append((begin, end))
        end = begin
    return parts


def _remembered(
    kept: Kept, name: str, zone: str, start: datetime, end: datetime
) -> IntensitySeries:
    found = None if kept.history is None else kept.history.between(start, end)
    if found is None or not found.readings:
        raise ForecastUnavailable(
            f"{name} has no reading of zone {zone} from {start.isoformat()} to {end.isoformat()}",
            code="no_readings",
        )
    return replace(found, issued_at=found.end)


def _cached(series: IntensitySeries) -> IntensitySeries:
    return replace(series, source=f"{series.source}, cached")


def _within(forecast: IntensitySeries, start: datetime, end: datetime) -> IntensitySeries:
    found = forecast.between(start, end)
    if not found.readings:
        raise ForecastUnavailable(
            f"{forecast.source}, zone {forecast.zone}: the forecast ends before that time"
        )
    return found
