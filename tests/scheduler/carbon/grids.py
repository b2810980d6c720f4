"""A grid made up for tests: its truth, a typical profile of it, and sources that can be broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import cos, pi

from scheduler.carbon.series import FactorType, IntensitySeries, Reading
from scheduler.errors import ForecastUnavailable

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 6, 10, 9, 30, tzinfo=UTC)


def wave(at: datetime) -> float:
    """A day's wave around 200 g/kWh, lowest at 13:00 UTC."""
    return 200 + 100 * cos((at.hour - 1) / 12 * pi)


def hourly(
    value: Callable[[datetime], float],
    start: datetime,
    end: datetime,
    *,
    zone: str = "FR",
    source: str = "made up",
    factor_type: FactorType = "lifecycle",
    issued_at: datetime = NOW,
) -> IntensitySeries:
    """A series of whole hours that covers [start, end), cut to it."""
    first = start.replace(minute=0, second=0, microsecond=0)
    count = -(-(end - first) // HOUR)
    starts = [first + index * HOUR for index in range(count)]
    return IntensitySeries(
        zone=zone,
        source=source,
        factor_type=factor_type,
        issued_at=issued_at,
        readings=tuple(Reading(start=at, end=at + HOUR, grams_per_kwh=value(at)) for at in starts),
    ).between(start, end)


class Profile:
    """A typical profile: the wave, whenever; twice what the sources below count."""

    name = "typical wave"

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        return self.forecast(zone, start, min(end, now), now=now)

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        start = now.replace(minute=0, second=0, microsecond=0)
        return self.forecast(zone, start, start + HOUR, now=now)

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        return hourly(
            lambda at: 2 * wave(at), start, end, zone=zone, source=self.name, issued_at=now
        )


def repeated(
    profile: IntensitySeries, history: IntensitySeries, *, now: datetime
) -> IntensitySeries:
    """A correction that is easy to see through: the last value known at that hour of the day."""
    last = {one.start.hour: one.grams_per_kwh for one in history.readings}
    return replace(
        profile,
        factor_type=history.factor_type,
        readings=tuple(
            replace(one, grams_per_kwh=last.get(one.start.hour, one.grams_per_kwh))
            for one in profile.readings
        ),
    )


class Grid:
    """A source of one zone that counts what it is asked, and fails as it is told."""

    factor_type: FactorType = "direct"

    def __init__(
        self,
        name: str = "grid",
        *,
        zone: str = "FR",
        truth: Callable[[datetime], float] = wave,
        expected: Callable[[datetime], float] | None = None,
        hours_ahead: int = 24,
    ) -> None:
        self.name, self.zone, self.truth, self.expected = name, zone, truth, expected
        self.hours_ahead = hours_ahead
        self.fails = ""  # with this code
        self.ended = datetime.max.replace(tzinfo=UTC)  # nothing is published later
        self.hidden: list[tuple[datetime, datetime]] = []  # holes
        self.asked: list[tuple[str, datetime, datetime]] = []

    def _answer(self, question: str, zone: str, series: IntensitySeries) -> IntensitySeries:
        if zone != self.zone:
            raise ForecastUnavailable(f"{self.name} has no {zone}", code="unsupported_zone")
        if self.fails:
            raise ForecastUnavailable(f"{self.name} is {self.fails}", code=self.fails)
        readings = tuple(
            one
            for one in series.readings
            if not any(one.start < last and one.end > first for first, last in self.hidden)
        )
        if not readings:
            raise ForecastUnavailable(f"{self.name}: nothing there", code="no_readings")
        return replace(series, readings=readings, source=self.name, factor_type=self.factor_type)

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        self.asked.append(("history", start, end))
        end = min(end, now.replace(minute=0, second=0, microsecond=0), self.ended)
        if start >= end:
            raise ForecastUnavailable(f"{self.name}: nothing there", code="no_readings")
        return self._answer("history", zone, hourly(self.truth, start, end, zone=zone))

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        raise NotImplementedError

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        self.asked.append(("forecast", start, end))
        if self.expected is None:
            raise ForecastUnavailable(f"{self.name} forecasts nothing", code="no_forecast")
        end = min(end, now + self.hours_ahead * HOUR)
        return self._answer(
            "forecast", zone, hourly(self.expected, start, end, zone=zone, issued_at=now)
        )
