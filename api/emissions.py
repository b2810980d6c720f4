"""Carbon intensities over HTTP, two of the routes with the shapes of the Carbon Aware SDK.

https://github.com/Green-Software-Foundation/carbon-aware-sdk: its clients find /emissions here
under /v1, with zones for locations.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from apiflask import APIBlueprint
from flask import request

from api.auth import repeatable
from api.context import now, parts
from api.errors import about
from api.schemas_answers import JsonObject
from api.schemas_emissions import (
    ByLocationQuery,
    EmissionsAnswer,
    ForecastQuery,
    ForecastsAnswer,
    IntensityAnswer,
    IntensityQuery,
)
from automl.errors import DataError
from scheduler.carbon.series import IntensitySeries, IntensitySource
from scheduler.carbon.zones import known_zone
from scheduler.errors import ForecastUnavailable

emissions = APIBlueprint("emissions", __name__, url_prefix="/v1", tag="Carbon")

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
MOST_HISTORY = 31 * DAY
FURTHEST = 7 * DAY
MOST_LOCATIONS = 20
# Means nearer than this, in digits of g/kWh, differ by arithmetic only: no source is that exact.
DIGITS = 3


@emissions.get("/intensity")
@emissions.input(IntensityQuery, location="query")
@emissions.output(IntensityAnswer)
@emissions.doc(operation_id="getIntensity")
def latest(query_data: IntensityQuery) -> Any:
    """The newest carbon intensity that is known of a zone, and where it comes from."""
    with about("zone"):
        zone = known_zone(query_data.zone or parts().settings.zone)
    series = _source().latest(zone, now=now())
    reading = series.readings[-1]
    return IntensityAnswer(
        zone=zone,
        start=reading.start,
        end=reading.end,
        grams_per_kwh=reading.grams_per_kwh,
        source=reading.source or series.source,
        factor_type=series.factor_type,
        signal=series.signal,
        issued_at=series.issued_at,
        is_estimated=reading.is_estimated,
    )


@emissions.get("/emissions/bylocation")
@emissions.input(ByLocationQuery, location="query")
@emissions.output(EmissionsAnswer)
@emissions.doc(operation_id="getEmissionsByLocation")
def by_location(query_data: ByLocationQuery) -> Any:
    """What was, reading by reading, from `time` to `toTime`; without `time` the newest reading."""
    with about("location"):
        zone = known_zone(query_data.location)
    start, end = query_data.time, min(query_data.toTime or now(), now())
    if start is None:
        series = _source().latest(zone, now=now())
    else:
        if start >= now():
            raise DataError(
                "time is not in the past: what will be is at /v1/emissions/forecasts/current",
                code="invalid_range",
                details={"field": "time"},
            )
        _check(start, end, "toTime", most=MOST_HISTORY)
        series = _source().history(zone, start, end, now=now())
    readings = [
        {
            "location": query_data.location,
            "time": one.start,
            "rating": one.grams_per_kwh,
            "duration": _clock(one.end - one.start),
            "source": one.source or series.source,
            "factorType": series.factor_type,
            "signal": series.signal,
            "isEstimated": one.is_estimated,
        }
        for one in series.readings
    ]
    return EmissionsAnswer.model_validate(readings)


@emissions.get("/emissions/forecasts/current")
@emissions.input(ForecastQuery, location="query")
@emissions.output(ForecastsAnswer)
@emissions.doc(operation_id="getCurrentForecast")
@repeatable("location")
def current(query_data: ForecastQuery) -> Any:
    """The forecast as rolling means of `windowSize` minutes, and the lowest of them.

    One for each location.
    """
    locations = request.args.getlist("location")
    if len(locations) > MOST_LOCATIONS:
        raise DataError(
            f"{len(locations)} locations; at most {MOST_LOCATIONS}",
            code="too_many_locations",
            details={"field": "location"},
        )
    with about("location"):
        zones = [known_zone(location) for location in locations]  # all, before any is asked for
    start = max(query_data.dataStartAt or now(), now())
    end = query_data.dataEndAt or start + DAY
    _check(start, end, "dataEndAt", most=FURTHEST)
    found = []
    for location, zone in zip(locations, zones, strict=True):
        series = _source().forecast(zone, start, end, now=now()).between(start, end)
        found.append(_forecast(series, location, query_data.windowSize))
    return ForecastsAnswer.model_validate(found)


def _source() -> IntensitySource:
    source = parts().intensity
    if source is not None:
        return source
    from scheduler.carbon.typical import Typical

    return Typical()


def _check(start: datetime, end: datetime, field: str, *, most: timedelta) -> None:
    if start >= end:
        raise DataError(
            f"{field} is not after the start", code="invalid_range", details={"field": field}
        )
    if end - start > most:
        raise DataError(
            f"more than {most.days} days at once; ask for them in turn",
            code="invalid_range",
            details={"field": field},
        )


def _forecast(series: IntensitySeries, location: str, minutes: int | None) -> JsonObject:
    """One location's forecast, in the SDK's shape."""
    if not series.readings:
        raise ForecastUnavailable(f"{series.source} has no forecast for zone {series.zone}")
    longest = max((one.end - one.start for one in series.readings), default=MINUTE)
    window = timedelta(minutes=minutes) if minutes is not None else longest
    starts = [one.start for one in series.readings if one.start + window <= series.end]
    values = [round(series.mean(start, start + window), DIGITS) for start in starts]
    size = round(window / MINUTE)
    points = [
        {"location": location, "timestamp": start, "duration": size, "value": value}
        for start, value in zip(starts, values, strict=True)
    ]
    least = min(values, default=None)
    return {
        "generatedAt": series.issued_at,
        "requestedAt": now(),
        "location": location,
        "dataStartAt": series.start,
        "dataEndAt": series.end,
        "windowSize": size,
        "optimalDataPoints": [one for one in points if one["value"] == least],
        "forecastData": points,
        "source": series.source,
        "factorType": series.factor_type,
        "signal": series.signal,
    }


def _clock(duration: timedelta) -> str:
    """hh:mm:ss, as .NET writes a TimeSpan of less than a day.

    >>> _clock(timedelta(minutes=90))
    '01:30:00'
    """
    seconds = round(duration.total_seconds())
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
