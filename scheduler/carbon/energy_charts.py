"""Energy-Charts of Fraunhofer ISE: European countries, with a forecast of the next day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from scheduler.carbon.readings import Row, bad_answer, from_starts, instant, member, number
from scheduler.carbon.series import FactorType, Reading
from scheduler.carbon.transport import Call
from scheduler.carbon.web_source import WebSource

# https://api.energy-charts.info: countries that /co2eq is asked for; it answers with an error for
# those it has no figures of.
_LISTED = """
AL AM AT AZ BA BE BG BY CH CY CZ DE DK EE ES FI FR GE GR HR HU IE IT LT LU LV MD ME MK MT NL NO PL
PT RO RS RU SE SI SK TR UA
"""
_COUNTRIES = frozenset(_LISTED.split())


class EnergyCharts(WebSource):
    """Production of European countries; no key. The next day is out at about 19:00 CET."""

    name = "Energy-Charts"
    # Its unit is CO2eq with the building and fuel of plants, not their chimneys alone.
    factor_type: FactorType = "lifecycle"
    address = "https://api.energy-charts.info"

    def _zone(self, zone: str) -> str:
        if zone not in _COUNTRIES:
            raise self._unsupported(zone)
        return zone.lower()

    def _history(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[Reading, ...]:
        return from_starts(_rows(self._asked(call, zone, start, end), "co2eq"))

    def _forecast(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[tuple[Reading, ...], datetime]:
        return from_starts(_rows(self._asked(call, zone, start, end), "co2eq_forecast")), now

    def _asked(self, call: Call, zone: str, start: datetime, end: datetime) -> Any:
        return call.json(
            "/co2eq",
            {
                "country": self._zone(zone),
                "start": f"{start:%Y-%m-%dT%H:%MZ}",
                "end": f"{end:%Y-%m-%dT%H:%MZ}",
            },
        )


def _rows(answer: Any, column: str) -> list[Row]:
    """Rows of `{unix_seconds: [], co2eq: [], co2eq_forecast: []}`, where a null has no value.

    >>> _rows({"unix_seconds": [0, 900], "co2eq": [50.5, None]}, "co2eq")[0].grams_per_kwh
    50.5
    """
    starts, values = member(answer, "unix_seconds", list), member(answer, column, list)
    if len(starts) != len(values):
        raise bad_answer(f"{column!r} and 'unix_seconds' differ in length")
    return [
        Row(start=instant(start), grams_per_kwh=number(value))
        for start, value in zip(starts, values, strict=True)
        if value is not None
    ]
