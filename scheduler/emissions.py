"""Energy over time and the intensity that was: what work emitted, and would have earlier."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from automl.cost import JOULES_PER_KWH, ZERO, Cost
from scheduler.carbon.filling import filled
from scheduler.carbon.series import IntensitySeries, IntensitySource, Reading
from scheduler.errors import ForecastUnavailable

DAY, LONGEST = timedelta(days=1), timedelta(days=360)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Work of one phase from `start` to `end`, its energy spread evenly; aware UTC datetimes."""

    phase: str
    start: datetime
    end: datetime  # not before `start`; the same where it took no time worth noting
    cost: Cost

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """The mean intensity of a stretch of time, and where it comes from, in shares of the time."""

    grams_per_kwh: float
    share_estimated: float
    sources: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Emissions:
    """What some work took and emitted; shares and sources are by joules."""

    cost: Cost = ZERO
    gco2e: float = 0.0
    estimated_joules: float = 0.0
    sources: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Emissions) -> Emissions:
        sources = dict(self.sources)
        for name, joules in other.sources.items():
            sources[name] = sources.get(name, 0.0) + joules
        return Emissions(
            cost=self.cost + other.cost,
            gco2e=self.gco2e + other.gco2e,
            estimated_joules=self.estimated_joules + other.estimated_joules,
            sources=sources,
        )

    @property
    def share_estimated(self) -> float:
        """The share of the energy whose intensity was estimated; 0 without energy."""
        return self.estimated_joules / self.cost.joules if self.cost.joules else 0.0

    def grams_per_kwh(self, otherwise: float) -> float:
        """The mean intensity by energy; `otherwise` where there was none."""
        return self.gco2e / self.cost.joules * JOULES_PER_KWH if self.cost.joules else otherwise


class Rates:
    """The intensity at every moment of some spans of time: a history whose holes are filled.

    Parameters
    ----------
    series : of one source, without holes over the spans that are going to be asked for
    """

    def __init__(self, series: IntensitySeries) -> None:
        self.series = series
        self._starts = [one.start for one in series.readings]

    def over(self, start: datetime, end: datetime) -> Rate:
        """The mean over [start, end), or of a moment. Raises ForecastUnavailable outside."""
        readings = self.series.readings
        index = max(bisect_right(self._starts, start) - 1, 0)
        grams = estimated = seconds = 0.0
        sources: dict[str, float] = {}
        for reading in readings[index:]:
            if reading.start > end or (reading.start == end and end > start):
                break
            inside = (min(end, reading.end) - max(start, reading.start)).total_seconds()
            if start == end:
                inside = float(reading.start <= start < reading.end)
            if inside <= 0:
                continue
            seconds += inside
            grams += inside * reading.grams_per_kwh
            estimated += inside * reading.is_estimated
            name = reading.source or self.series.source
            sources[name] = sources.get(name, 0.0) + inside
        if not seconds:
            raise ForecastUnavailable(
                f"{self.series.source} has no reading at {start.isoformat()}", code="not_covered"
            )
        return Rate(
            grams_per_kwh=grams / seconds,
            share_estimated=estimated / seconds,
            sources={name: inside / seconds for name, inside in sources.items()},
        )

    def price(self, stretch: Stretch) -> Emissions:
        """What a stretch emitted: its joules times the mean over its time."""
        rate = self.over(stretch.start, stretch.end)
        joules = stretch.cost.joules
        return Emissions(
            cost=stretch.cost,
            gco2e=stretch.cost.grams(rate.grams_per_kwh),
            estimated_joules=joules * rate.share_estimated,
            sources={name: joules * share for name, share in rate.sources.items()},
        )


def rates_of(
    source: IntensitySource,
    typical: IntensitySource,
    *,
    zone: str,
    spans: Iterable[tuple[datetime, datetime]],
    now: datetime,
) -> Rates:
    """The intensities that were over some spans of time, as far as they are known at `now`.

    What `source` does not know is filled with the `typical` profile at the level of the readings
    around it, and marked as estimated: so that two moments compare although one of them has no
    reading. Where there is no reading within a day the profile stands as it is.
    """
    found: list[Reading] = []
    best: IntensitySeries | None = None
    # A moment at the end of a span is priced too: work may take no time, or a clock be set back.
    wider = ((start, max(start, end) + MINUTE) for start, end in spans)
    for start, end in _merged(wider):
        known = _asked(source, zone, start - DAY, min(end + DAY, max(now, end)), now=now)
        profile = _profile(typical, zone, start - DAY, end + DAY, now=now)
        whole = fill(known, profile, start, end)
        if whole.error_grams is None:  # of what was put in; a reading has none that we know
            whole = replace(whole, error_grams=profile.error_grams)
        found.extend(whole.readings)
        if best is None or (known is not None and known.readings):
            best = whole
    if best is None:
        raise ValueError("no span of time to price")
    return Rates(replace(best, readings=tuple(found)))


def _asked(
    source: IntensitySource, zone: str, start: datetime, end: datetime, *, now: datetime
) -> IntensitySeries | None:
    try:
        return source.history(zone, start, end, now=now)
    except ForecastUnavailable:
        return None


def _profile(
    typical: IntensitySource, zone: str, start: datetime, end: datetime, *, now: datetime
) -> IntensitySeries:
    """The profile over any span, also past `now`: it answers for a year at once."""
    parts = []
    while start < end:
        upto = min(end, start + LONGEST)
        parts.append(typical.history(zone, start, upto, now=upto))
        start = upto
    readings = tuple(one for part in parts for one in part.readings)
    return replace(parts[0], readings=readings, issued_at=now)


def _merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """The spans in order of time, those less than two days apart as one; none is empty.

    Two days, since each is asked for with a day around it.
    """
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        end = max(end, start + timedelta(seconds=1))
        if merged and start <= merged[-1][1] + 2 * DAY:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def fill(
    known: IntensitySeries | None, profile: IntensitySeries, start: datetime, end: datetime
) -> IntensitySeries:
    """`known` over [start, end), its holes filled from the profile and marked as estimated."""
    near = known is not None and known.between(start - DAY, end + DAY).readings
    if known is not None and near and known.source != profile.source:
        return filled(known, profile, start, end)
    whole = profile.between(start, end)
    return replace(whole, readings=tuple(replace(one, is_estimated=True) for one in whole.readings))


def by_day(stretch: Stretch) -> list[tuple[str, Stretch]]:
    """A stretch cut at the midnights of UTC, each part with its day as `YYYY-MM-DD`."""
    if stretch.start == stretch.end:
        return [(stretch.start.astimezone(UTC).date().isoformat(), stretch)]
    midnight = stretch.start.replace(hour=0, minute=0, second=0, microsecond=0)
    edges = [stretch.start]
    while (midnight := midnight + DAY) < stretch.end:
        edges.append(midnight)
    edges.append(stretch.end)
    return [
        (
            start.date().isoformat(),
            replace(
                stretch,
                start=start,
                end=end,
                cost=stretch.cost * ((end - start).total_seconds() / stretch.seconds),
            ),
        )
        for start, end in pairwise(edges)
    ]


def moved(stretches: Sequence[Stretch], to: datetime) -> list[Stretch]:
    """The same work begun at `to` and not interrupted, in the order given.

    The time during which nothing ran is left out; what ran at the same time still does.

    >>> hour, noon = timedelta(hours=1), datetime(2026, 6, 1, 12, tzinfo=UTC)
    >>> work = [Stretch(phase="search", start=noon, end=noon + hour, cost=ZERO),
    ...         Stretch(phase="refit", start=noon + 5 * hour, end=noon + 6 * hour, cost=ZERO)]
    >>> [one.start.hour for one in moved(work, noon - 9 * hour)]
    [3, 4]
    """
    busy: list[tuple[datetime, datetime]] = []
    for start, end in sorted((one.start, one.end) for one in stretches):
        if busy and start <= busy[-1][1]:
            busy[-1] = busy[-1][0], max(busy[-1][1], end)
        else:
            busy.append((start, end))
    begins = [start for start, _ in busy]
    before = [timedelta(0)]
    for start, end in busy:
        before.append(before[-1] + (end - start))

    def at(moment: datetime) -> datetime:
        index = bisect_right(begins, moment) - 1
        return to + before[index] + (moment - begins[index])

    return [
        replace(one, start=(start := at(one.start)), end=start + (one.end - one.start))
        for one in stretches
    ]
