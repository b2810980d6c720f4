"""What is kept of one source and zone: readings of some weeks, and the forecasts it issued."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scheduler.carbon.filling import by_hour
from scheduler.carbon.series import IntensitySeries, Reading

# A correction looks back nine weeks; a day more, so that it always has them.
HISTORY = timedelta(days=64)
# Bills are made of what was lately, in the steps it was published in; what is older is kept by the
# hour.
FINE = timedelta(days=8)
# Providers revise a day; what is older is asked for once.
SETTLED = timedelta(hours=24)
# Forecasts are kept to see which one chooses better: a week of days that have passed, and what is
# under way; three hours apart.
FORECASTS = timedelta(days=9)
BETWEEN_FORECASTS = timedelta(hours=3)
_VERSION = 1
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Readings and forecasts of one source and zone.

    `history` covers [`asked_from`, …) as far as the source had readings, `asked_at` is when it
    was last asked, and before `settled_until` it is not asked again. `forecasts` are in order of
    issue; the last is the newest, confirmed at `forecast_at`.
    """

    history: IntensitySeries | None = None
    asked_from: datetime | None = None
    asked_at: datetime | None = None
    settled_until: datetime | None = None
    forecasts: tuple[IntensitySeries, ...] = ()
    forecast_at: datetime | None = None


def missing(
    kept: Kept, start: datetime, end: datetime, *, now: datetime, fresh: timedelta
) -> list[tuple[datetime, datetime]]:
    """What has to be asked for to know [start, end) at `now`, on whole hours, newest first.

    What was asked for less than `fresh` ago counts as known.
    """
    start, end = _hour(start), _hour(end + _HOUR - timedelta(microseconds=1))
    if kept.asked_from is None or kept.asked_at is None or kept.settled_until is None:
        return [(start, end)]
    spans: list[tuple[datetime, datetime]] = []
    if end > kept.settled_until and not timedelta(0) <= now - kept.asked_at < fresh:
        spans.append((kept.settled_until, end))
    if start < kept.asked_from:
        spans.append((start, kept.asked_from))
    return spans


def with_history(
    kept: Kept, fetched: IntensitySeries | None, start: datetime, end: datetime, *, now: datetime
) -> Kept:
    """`kept`, with what the source answered for [start, end); None where it had nothing there."""
    new = () if fetched is None else fetched.readings
    old = () if kept.history is None else kept.history.readings
    before = [cut for one in old if (cut := _cut(one, end=start)) is not None]
    after = [cut for one in old if (cut := _cut(one, start=end)) is not None]
    oldest = _hour(now - HISTORY)
    readings = tuple(one for one in (*before, *new, *after) if one.end > oldest)
    base = fetched or kept.history
    if base is not None:
        base = _coarser(replace(base, readings=readings), before=_hour(now - FINE))
    asked_from = start if kept.asked_from is None else min(start, kept.asked_from)
    if kept.settled_until is not None and start > kept.settled_until:
        asked_from = start  # nobody has asked for what lies between yet
    asked_from = max(asked_from, oldest)
    newest = _hour(now - SETTLED)
    settled = [min(one, newest) for one in (end, kept.settled_until) if one is not None]
    is_recent = end > newest
    return replace(
        kept,
        history=base,
        asked_from=asked_from,
        asked_at=now if is_recent else kept.asked_at,
        settled_until=max(*settled, asked_from),
    )


def _coarser(series: IntensitySeries, *, before: datetime) -> IntensitySeries:
    """The series with hours for its readings up to `before`, which is on the hour."""
    if not series.readings or series.start >= before:
        return series
    old = by_hour(series.between(series.start, before))
    return replace(series, readings=(*old.readings, *series.between(before, series.end).readings))


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _cut(
    reading: Reading, *, start: datetime | None = None, end: datetime | None = None
) -> Reading | None:
    """What of a reading lies before `end`, or from `start` on."""
    begin = reading.start if start is None else max(reading.start, start)
    until = reading.end if end is None else min(reading.end, end)
    return replace(reading, start=begin, end=until) if begin < until else None


def with_forecast(kept: Kept, forecast: IntensitySeries, *, now: datetime) -> Kept:
    """`kept`, with a forecast as the newest; of those close together the earlier one stays."""
    earlier = [one for one in kept.forecasts if one.issued_at > now - FORECASTS]
    if len(earlier) > 1 and earlier[-1].issued_at - earlier[-2].issued_at < BETWEEN_FORECASTS:
        earlier = earlier[:-1]
    earlier = [one for one in earlier if one.issued_at < forecast.issued_at]
    return replace(kept, forecasts=(*earlier, forecast), forecast_at=now)


def to_json(kept: Kept) -> dict[str, Any]:
    """As JSON: times in seconds since 1970."""
    return {
        "version": _VERSION,
        "history": None if kept.history is None else _series_to_json(kept.history),
        "asked_from": _seconds(kept.asked_from),
        "asked_at": _seconds(kept.asked_at),
        "settled_until": _seconds(kept.settled_until),
        "forecasts": [_series_to_json(one) for one in kept.forecasts],
        "forecast_at": _seconds(kept.forecast_at),
    }


def from_json(content: Any) -> Kept:
    """The inverse. Raises KeyError, TypeError, ValueError or ForecastUnavailable if it is not."""
    if content["version"] != _VERSION:
        raise ValueError("another version")
    return Kept(
        history=None if content["history"] is None else _series_from_json(content["history"]),
        asked_from=_instant(content["asked_from"]),
        asked_at=_instant(content["asked_at"]),
        settled_until=_instant(content["settled_until"]),
        forecasts=tuple(_series_from_json(one) for one in content["forecasts"]),
        forecast_at=_instant(content["forecast_at"]),
    )


def _series_to_json(series: IntensitySeries) -> dict[str, Any]:
    return {
        "zone": series.zone,
        "source": series.source,
        "factor_type": series.factor_type,
        "signal": series.signal,
        "issued_at": _seconds(series.issued_at),
        "error_grams": series.error_grams,
        "readings": [
            [_seconds(one.start), _seconds(one.end), one.grams_per_kwh, int(one.is_estimated)]
            for one in series.readings
        ],
    }


def _series_from_json(content: Any) -> IntensitySeries:
    if content["factor_type"] not in ("lifecycle", "direct"):
        raise ValueError("another factor type")
    if content["signal"] not in ("average", "marginal"):
        raise ValueError("another signal")
    return IntensitySeries(
        zone=str(content["zone"]),
        source=str(content["source"]),
        factor_type=content["factor_type"],
        signal=content["signal"],
        issued_at=datetime.fromtimestamp(content["issued_at"], UTC),
        error_grams=content["error_grams"],
        readings=tuple(_readings(content["readings"])),
    )


def _readings(rows: Iterable[Any]) -> Iterable[Reading]:
    for start, end, grams, estimated in rows:
        yield Reading(
            start=datetime.fromtimestamp(start, UTC),
            end=datetime.fromtimestamp(end, UTC),
            grams_per_kwh=float(grams),
            is_estimated=bool(estimated),
        )


def _seconds(at: datetime | None) -> float | None:
    if at is None:
        return None
    seconds = at.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
