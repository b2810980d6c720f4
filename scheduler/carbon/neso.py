"""The Carbon Intensity API of Great Britain's system operator, with a forecast of 48 hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from scheduler.carbon.readings import bad_answer, from_intervals, instant, member, number
from scheduler.carbon.series import FactorType, Reading
from scheduler.carbon.transport import Call
from scheduler.carbon.web_source import WebSource

# https://carbon-intensity.github.io/api-definitions/ (CC BY 4.0): 14 days at most in one request;
# half hours; no seconds in times.
_MOST_DAYS = timedelta(days=14)
# Until the actual value comes, NESO's own estimate stands for it; no longer than so, or a feed
# that stopped would look alive.
_LATE = timedelta(hours=2)
_TIME = "%Y-%m-%dT%H:%MZ"


class Neso(WebSource):
    """Great Britain by NESO; no key. Operation of plants and imports, not their building."""

    name = "NESO Carbon Intensity"
    factor_type: FactorType = "direct"
    address = "https://api.carbonintensity.org.uk"

    def _zone(self, zone: str) -> str:
        if zone != "GB":
            raise self._unsupported(zone)
        return zone

    def _history(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[Reading, ...]:
        readings: list[Reading] = []
        while start < end:
            upto = min(start + _MOST_DAYS, end)
            answer = call.json(f"/intensity/{start:{_TIME}}/{upto:{_TIME}}")
            readings += [one for one in _readings(answer, "actual") if one.start < now]
            start = upto
        measured = max((one.end for one in readings if not one.is_estimated), default=None)
        if measured is None:
            raise bad_answer("it has no actual value")
        return from_intervals(one for one in readings if one.start < measured + _LATE)

    def _forecast(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[tuple[Reading, ...], datetime]:
        answer = call.json(f"/intensity/{start:{_TIME}}/fw48h")
        return from_intervals(_readings(answer, "forecast")), now


def _readings(answer: Any, wanted: str) -> list[Reading]:
    """Readings of `{data: [{from, to, intensity: {forecast, actual, index}}]}`.

    Where an actual value is wanted and not there yet, the forecast is taken, as an estimate.

    >>> row = {"from": "2018-01-20T12:00Z", "to": "2018-01-20T12:30Z",
    ...        "intensity": {"forecast": 266, "actual": None, "index": "moderate"}}
    >>> _readings({"data": [row]}, "actual")[0].is_estimated
    True
    """
    readings: list[Reading] = []
    for row in member(answer, "data", list):
        intensity = member(row, "intensity", dict)
        value = intensity.get(wanted)
        estimated = value is None and wanted == "actual"
        if estimated:
            value = intensity.get("forecast")
        if value is None:
            continue
        start, end = instant(row.get("from")), instant(row.get("to"))
        if not timedelta(0) < end - start <= timedelta(hours=1):
            raise bad_answer("a reading is not of half an hour")
        readings.append(
            Reading(start=start, end=end, grams_per_kwh=number(value), is_estimated=estimated)
        )
    return readings
