"""A typical profile put in where readings are missing, at the level of those around."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from scheduler.carbon.series import LEAST_GRAMS, MOST_GRAMS, IntensitySeries, Reading

# Readings further away say little about the level of a hole.
NEAR = timedelta(days=1)
_HOUR = timedelta(hours=1)


def levelled(profile: IntensitySeries, known: IntensitySeries) -> IntensitySeries:
    """The profile, scaled to the level of what is known where both are, all of it estimated.

    Sources differ in level for good, by counting chimneys or whole lives, production or
    consumption; unscaled, a profile of another kind would look like a change of weather. Where
    nothing is common the profile stays as it is.

    >>> from datetime import UTC
    >>> noon, hour = datetime(2026, 1, 1, 12, tzinfo=UTC), timedelta(hours=1)
    >>> def series(*grams):
    ...     return IntensitySeries(
    ...         zone="FR", source="example", factor_type="direct", issued_at=noon,
    ...         readings=tuple(
    ...             Reading(start=noon + i * hour, end=noon + (i + 1) * hour, grams_per_kwh=one)
    ...             for i, one in enumerate(grams)))
    >>> [one.grams_per_kwh for one in levelled(series(40, 80, 60), series(20, 40)).readings]
    [20.0, 40.0, 30.0]
    """
    mine = theirs = 0.0
    for one in known.readings:
        seconds = (one.end - one.start).total_seconds()
        if profile.covered(one.start, one.end) > 0.99:
            mine += seconds * profile.mean(one.start, one.end)
            theirs += seconds * one.grams_per_kwh
    ratio = theirs / mine if mine > 0 and theirs > 0 else 1.0
    return replace(
        profile,
        factor_type=known.factor_type,
        signal=known.signal,
        readings=tuple(
            replace(
                one,
                grams_per_kwh=min(max(one.grams_per_kwh * ratio, LEAST_GRAMS), MOST_GRAMS),
                is_estimated=True,
                source=one.source or profile.source,
            )
            for one in profile.readings
        ),
    )


def holes(
    known: IntensitySeries, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """The parts of [start, end) that no reading covers, in order of time."""
    found: list[tuple[datetime, datetime]] = []
    since = start
    for one in known.between(start, end).readings:
        if one.start > since:
            found.append((since, one.start))
        since = one.end
    if since < end:
        found.append((since, end))
    return found


def filled(
    known: IntensitySeries, profile: IntensitySeries, start: datetime, end: datetime
) -> IntensitySeries:
    """`known` over [start, end), each hole filled from the profile at the level of a day around.

    What is put in is marked as estimated and names its own source. `profile` should cover a day
    more at both ends.
    """
    pieces: list[Reading] = list(known.between(start, end).readings)
    for first, last in holes(known, start, end):
        around = known.between(first - NEAR, last + NEAR)
        pieces += levelled(profile, around).between(first, last).readings
    return replace(known, readings=tuple(sorted(pieces, key=lambda one: one.start)))


def by_hour(series: IntensitySeries) -> IntensitySeries:
    """The means of clock hours, over what is known of each; what looks back weeks needs no more."""
    parts: dict[datetime, list[Reading]] = {}
    for one in series.readings:
        begin = one.start
        while begin < one.end:
            hour = begin.replace(minute=0, second=0, microsecond=0)
            until = min(one.end, hour + _HOUR)
            is_whole = begin == one.start and until == one.end
            part = one if is_whole else replace(one, start=begin, end=until)
            parts.setdefault(hour, []).append(part)
            begin = until
    return replace(series, readings=tuple(_mean(part) for part in parts.values()))


def _mean(parts: list[Reading]) -> Reading:
    if len(parts) == 1:
        return parts[0]
    seconds = [(one.end - one.start).total_seconds() for one in parts]
    area = sum(one.grams_per_kwh * lasts for one, lasts in zip(parts, seconds, strict=True))
    return Reading(
        start=parts[0].start,
        end=parts[-1].end,
        grams_per_kwh=area / sum(seconds),
        is_estimated=any(one.is_estimated for one in parts),
        source=parts[0].source,
    )
