"""Carbon intensity over time: what every source answers with, and what plans and bills read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import isfinite
from typing import Literal, Protocol

from scheduler.errors import ForecastUnavailable

FactorType = Literal["lifecycle", "direct"]
Signal = Literal["average", "marginal"]

# No grid is outside; what is comes in another unit (kg/MWh x 1000, lbs/MWh x 1000) or is a fault.
LEAST_GRAMS, MOST_GRAMS = 0.0, 2000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The mean intensity of one half-open interval of time, [start, end), in UTC."""

    start: datetime
    end: datetime
    grams_per_kwh: float
    is_estimated: bool = False  # by the source itself, or by us where the source had a hole
    source: str = ""  # where this one value comes from, if not from the source of its series


@dataclass(frozen=True, kw_only=True)
class IntensitySeries:
    """Readings of one zone, one source and one way of counting, in order of time.

    Readings do not overlap; there may be holes between them. `factor_type` is "lifecycle" (with
    building, fuel and end of the plants) or "direct" (chimneys only), `signal` the "average" of
    the grid or its "marginal" plant: only series alike in source and both compare.

    Raises
    ------
    ForecastUnavailable
        ``invalid_intensity``: readings out of order, overlapping, empty, not in UTC, not finite,
        or outside 0 to 2000 g/kWh; the text says which and what, since no reading is personal.
    """

    zone: str  # as `scheduler.carbon.zones.known_zone` spells it
    source: str
    factor_type: FactorType
    signal: Signal = "average"
    issued_at: datetime
    readings: tuple[Reading, ...]
    # Standard deviation, in g/kWh, of the error in the difference of two readings some hours
    # apart, as measured for this source; None where nobody measured it.
    error_grams: float | None = None
    year: int | None = None  # of a yearly mean: `issued_at` says only when it was asked for

    def __post_init__(self) -> None:
        before: datetime | None = None
        for reading in self.readings:
            if reading.start.utcoffset() is None or reading.start.tzinfo is not UTC:
                raise self._invalid(reading, "is not in UTC")
            if reading.end <= reading.start:
                raise self._invalid(reading, "has no duration")
            if before is not None and reading.start < before:
                raise self._invalid(reading, "begins before the one ahead of it has ended")
            grams = reading.grams_per_kwh
            if not isfinite(grams) or not LEAST_GRAMS <= grams <= MOST_GRAMS:
                raise self._invalid(reading, f"is {grams!r} g/kWh, outside 0 to 2000")
            before = reading.end

    def _invalid(self, reading: Reading, what: str) -> ForecastUnavailable:
        return ForecastUnavailable(
            f"{self.source}, zone {self.zone}: the reading of {reading.start.isoformat()} {what}",
            code="invalid_intensity",
        )

    @property
    def start(self) -> datetime:
        """Where the first reading begins. Raises ForecastUnavailable when there is none."""
        return self._any().start

    @property
    def end(self) -> datetime:
        """Where the last reading ends. Raises ForecastUnavailable when there is none."""
        self._any()
        return self.readings[-1].end

    def _any(self) -> Reading:
        if not self.readings:
            raise ForecastUnavailable(f"{self.source} has no reading for zone {self.zone}")
        return self.readings[0]

    @cached_property
    def _starts(self) -> list[float]:
        return [reading.start.timestamp() for reading in self.readings]

    @cached_property
    def _sums(self) -> tuple[list[float], list[float]]:
        """Seconds covered, and seconds times g/kWh, before each reading."""
        covered, area = [0.0], [0.0]
        for reading in self.readings:
            seconds = (reading.end - reading.start).total_seconds()
            covered.append(covered[-1] + seconds)
            area.append(area[-1] + seconds * reading.grams_per_kwh)
        return covered, area

    def _upto(self, at: datetime) -> tuple[float, float]:
        """Seconds covered, and seconds times g/kWh, from the beginning up to `at`."""
        covered, area = self._sums
        index = bisect_right(self._starts, at.timestamp()) - 1
        if index < 0:
            return 0.0, 0.0
        reading = self.readings[index]
        inside = (min(at, reading.end) - reading.start).total_seconds()
        return covered[index] + inside, area[index] + inside * reading.grams_per_kwh

    def covered(self, start: datetime, end: datetime) -> float:
        """The share of [start, end) that readings cover, 0 to 1; a moment is covered or not."""
        seconds = (end - start).total_seconds()
        if seconds <= 0:
            index = bisect_right(self._starts, start.timestamp()) - 1
            return float(index >= 0 and start < self.readings[index].end)
        return (self._upto(end)[0] - self._upto(start)[0]) / seconds

    def mean(self, start: datetime, end: datetime) -> float:
        """The mean g/kWh over [start, end), by time; over what readings cover of it.

        A moment (`end` = `start`) has the reading it lies in. Raises ForecastUnavailable
        ``not_covered`` when no reading covers any of it.

        >>> from datetime import timedelta
        >>> noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
        >>> hour = timedelta(hours=1)
        >>> series = IntensitySeries(
        ...     zone="FR", source="example", factor_type="direct", issued_at=noon,
        ...     readings=(Reading(start=noon, end=noon + hour, grams_per_kwh=20),
        ...               Reading(start=noon + hour, end=noon + 2 * hour, grams_per_kwh=40)))
        >>> series.mean(noon + hour / 2, noon + 2 * hour)
        33.333333333333336
        """
        covered, area = self._upto(end)
        before, area_before = self._upto(start)
        if covered > before:
            return (area - area_before) / (covered - before)
        index = bisect_right(self._starts, start.timestamp()) - 1
        if start == end and index >= 0 and start < self.readings[index].end:
            return self.readings[index].grams_per_kwh
        raise ForecastUnavailable(
            f"{self.source} has no reading for zone {self.zone} from {start.isoformat()} to"
            f" {end.isoformat()}",
            code="not_covered",
        )

    def between(self, start: datetime, end: datetime) -> IntensitySeries:
        """The same series cut to [start, end)."""
        first = max(bisect_right(self._starts, start.timestamp()) - 1, 0)
        last = bisect_left(self._starts, end.timestamp())
        # Only those at the edges are cut: copying all of a month's takes longer than the rest.
        cut = [
            one
            if start <= one.start and one.end <= end
            else replace(one, start=max(one.start, start), end=min(one.end, end))
            for one in self.readings[first:last]
            if one.end > start and one.start < end
        ]
        return replace(self, readings=tuple(cut))


class IntensitySource(Protocol):
    """Where intensities come from; each implementation passes `tests/contracts/test_intensity`.

    `zone` is a known zone, `start` < `end` and `now` are aware UTC datetimes. All three raise
    ForecastUnavailable where this source has nothing for that zone and time, whatever the reason
    (no network, no key, a fault in the answer); nothing else comes out of them.
    """

    @property
    def name(self) -> str:
        """The name of the source, as bills and plans quote it."""
        ...

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What was, in [start, end) and not after `now`; holes are allowed."""
        ...

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        """The newest reading that is known at `now`, as a series of one."""
        ...

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What is expected in [start, end), as known at `now`; may end before `end`."""
        ...


def regular(
    values: Iterable[tuple[datetime, datetime, float]], *, is_estimated: bool = False
) -> tuple[Reading, ...]:
    """Readings from (start, end, g/kWh)."""
    return tuple(
        Reading(start=start, end=end, grams_per_kwh=grams, is_estimated=is_estimated)
        for start, end, grams in values
    )
