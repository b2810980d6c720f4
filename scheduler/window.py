"""Windows of low carbon intensity: the best one of a length, the best few, the best set of slots.

Pure functions of a series that is constant within each reading. What no reading covers is not
planned into: a window lies wholly within readings that follow one another without a hole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from scheduler.carbon.series import IntensitySeries

# A microsecond, the step of a datetime: two moments nearer than that are one.
TICK = 1e-6
# Options that a person would choose between begin in different hours.
APART_SECONDS = 3600.0
# Means nearer than this differ by arithmetic only; of equal windows the earlier one is better.
DIGITS = 6
SAME_GRAMS = 10.0**-DIGITS


@dataclass(frozen=True, kw_only=True, order=True, slots=True)
class Window:
    """A stretch of time and its mean intensity; the least is the cleanest, then the earliest."""

    grams_per_kwh: float
    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Readings without a hole between them, in seconds from the beginning of a search.

    `areas` has seconds times g/kWh up to each edge, `levels` the g/kWh after each but the last.
    """

    edges: list[float]
    areas: list[float]
    levels: list[float]

    def area(self, at: float) -> float:
        """Seconds times g/kWh up to a moment within the stretch."""
        index = min(max(bisect_right(self.edges, at) - 1, 0), len(self.levels) - 1)
        return self.areas[index] + (at - self.edges[index]) * self.levels[index]

    def holds(self, start: float, end: float) -> bool:
        """Whether the stretch covers [start, end)."""
        return self.edges[0] - TICK <= start and end <= self.edges[-1] + TICK


def stretches(series: IntensitySeries, earliest: datetime, latest_end: datetime) -> list[Stretch]:
    """What a series covers of [earliest, latest_end)."""
    found: list[Stretch] = []
    readings = series.readings
    before: datetime | None = None
    for reading in readings[bisect_right(readings, earliest, key=lambda one: one.end) :]:
        start, end, grams = reading.start, reading.end, reading.grams_per_kwh
        if start >= latest_end:
            break
        if before != start:
            begin = max((start - earliest).total_seconds(), 0.0)
            one = Stretch(edges=[begin], areas=[0.0], levels=[])
            found.append(one)
        before = end
        edge = ((latest_end if end > latest_end else end) - earliest).total_seconds()
        one.areas.append(one.areas[-1] + (edge - one.edges[-1]) * grams)
        one.edges.append(edge)
        one.levels.append(grams)
    return found


def best_window(
    series: IntensitySeries, *, seconds: float, earliest: datetime, latest_end: datetime
) -> Window | None:
    """The cleanest window of so many seconds in [earliest, latest_end); of equal ones the first.

    Exact: the mean is linear in the start between the moments at which the start or the end meets
    an edge, so only those and both limits are looked at. None where nothing long enough is
    covered.

    >>> from datetime import UTC
    >>> from scheduler.carbon.series import Reading
    >>> noon, hour = datetime(2026, 6, 1, 12, tzinfo=UTC), timedelta(hours=1)
    >>> series = IntensitySeries(
    ...     zone="FR", source="example", factor_type="direct", issued_at=noon,
    ...     readings=tuple(
    ...         Reading(start=noon + i * hour, end=noon + (i + 1) * hour, grams_per_kwh=grams)
    ...         for i, grams in enumerate((40, 30, 10, 20))))
    >>> found = best_window(series, seconds=5400, earliest=noon, latest_end=noon + 4 * hour)
    >>> found.start.isoformat(), round(found.grams_per_kwh, 2)
    ('2026-06-01T14:00:00+00:00', 13.33)
    """
    found = _candidates(stretches(series, earliest, latest_end), _positive(seconds))
    return _window(_least(found), earliest, seconds) if found else None


def best_windows(
    series: IntensitySeries,
    *,
    seconds: float,
    earliest: datetime,
    latest_end: datetime,
    count: int,
) -> tuple[Window, ...]:
    """The cleanest windows that a person would choose between, the best first.

    Each is the best of those that do not overlap the ones before it and begin an hour from them;
    where there is no room for so many, of those that begin half their length from them, or a
    quarter, and so on down to an hour. Fewer than `count` where there is no room for these either.
    """
    covered = stretches(series, earliest, latest_end)
    pool = sorted(_candidates(covered, _positive(seconds)))
    chosen: list[tuple[float, float]] = []
    apart = 2 * max(seconds, APART_SECONDS)
    while len(chosen) < count and apart > APART_SECONDS:
        apart = max(apart / 2, APART_SECONDS)
        while len(chosen) < count:
            near = [start for _, start in chosen]
            # The best beside a chosen one may lie exactly so far from it, and at no edge.
            beside = [start + side for start in near for side in (-apart, apart)]
            options = [one for one in _means(covered, beside, seconds) if _free(one, near, apart)]
            enough = inf
            for one in pool:
                if one[0] > enough:
                    break
                if _free(one, near, apart):
                    options.append(one)
                    enough = min(enough, one[0] + SAME_GRAMS)
            if not options:
                break
            chosen.append(_least(options))
    windows = [_window(one, earliest, seconds) for one in chosen]
    return tuple(sorted(windows))


def _positive(seconds: float) -> float:
    if not seconds >= TICK:
        raise ValueError(f"a window of {seconds!r} seconds has no mean")
    return seconds


def _least(options: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The first in time of those with the least mean."""
    least = min(options)[0] + SAME_GRAMS
    return min((one for one in options if one[0] <= least), key=lambda one: one[1])


def _free(option: tuple[float, float], others: Sequence[float], apart: float) -> bool:
    """Whether a window begins so far from the others."""
    start, apart = option[1], apart - TICK
    return not [other for other in others if -apart < start - other < apart]


def _window(found: tuple[float, float], earliest: datetime, seconds: float) -> Window:
    start = earliest + timedelta(seconds=found[1])
    grams = round(found[0], DIGITS)
    return Window(grams_per_kwh=grams, start=start, end=start + timedelta(seconds=seconds))


def _means(
    covered: Sequence[Stretch], starts: Sequence[float], seconds: float
) -> list[tuple[float, float]]:
    """(mean g/kWh, start) of windows that begin at those moments, where they are covered."""
    return [
        ((one.area(at + seconds) - one.area(at)) / seconds, at)
        for at in starts
        for one in covered
        if one.holds(at, at + seconds)
    ]


def _candidates(covered: Sequence[Stretch], seconds: float) -> list[tuple[float, float]]:
    """(mean g/kWh, start) of all windows that begin or end at an edge; both limits are edges.

    One walk over the edges with a second finger `seconds` ahead, then one with it behind.
    """
    found: list[tuple[float, float]] = []
    for one in covered:
        edges, areas, levels = one.edges, one.areas, one.levels
        first, last, n_levels = edges[0], edges[-1], len(levels)
        ahead = 0
        for edge, area in zip(edges, areas, strict=True):
            end = edge + seconds
            if end > last + TICK:
                break
            while ahead + 1 < n_levels and edges[ahead + 1] <= end:
                ahead += 1
            whole = areas[ahead] + (end - edges[ahead]) * levels[ahead] - area
            found.append((whole / seconds, edge))
        behind = 0
        for edge, area in zip(edges, areas, strict=True):
            start = edge - seconds
            if start < first - TICK:
                continue
            while behind + 1 < n_levels and edges[behind + 1] <= start:
                behind += 1
            whole = area - areas[behind] - (start - edges[behind]) * levels[behind]
            found.append((whole / seconds, start))
    return found
