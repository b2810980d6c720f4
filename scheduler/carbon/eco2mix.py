"""RTE's eCO2mix: what French production emits at its chimneys, every quarter of an hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from scheduler.carbon.readings import Row, bad_answer, from_starts, instant, number
from scheduler.carbon.series import FactorType, Reading
from scheduler.carbon.transport import Call
from scheduler.carbon.web_source import WebSource

# https://odre.opendatasoft.com/explore/dataset/eco2mix-national-tr/ (Licence Ouverte): real time,
# from some weeks ago on; before that, the consolidated figures.
_REAL_TIME, _CONSOLIDATED = "eco2mix-national-tr", "eco2mix-national-cons-def"
_REAL_TIME_SPAN = timedelta(days=28)
# Consolidated rows are half an hour apart, real-time ones a quarter.
_LONGEST = timedelta(minutes=30)


class Eco2mix(WebSource):
    """France by RTE; no key. It publishes no forecast of the intensity."""

    name = "RTE eCO2mix"
    factor_type: FactorType = "direct"
    address = "https://odre.opendatasoft.com/api/explore/v2.1/catalog/datasets"

    def _zone(self, zone: str) -> str:
        if zone != "FR":
            raise self._unsupported(zone)
        return zone

    def _history(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[Reading, ...]:
        turn = (now - _REAL_TIME_SPAN).replace(minute=0, second=0, microsecond=0)
        turn = min(max(start, turn), end)
        # Each by itself: their steps differ.
        readings: tuple[Reading, ...] = ()
        if start < turn:
            readings += from_starts(_rows(_ask(call, _CONSOLIDATED, start, turn)), longest=_LONGEST)
        if turn < end:
            readings += from_starts(_rows(_ask(call, _REAL_TIME, turn, end)), longest=_LONGEST)
        return readings


def _ask(call: Call, dataset: str, start: datetime, end: datetime) -> Any:
    """The rows of a time as the portal exports them; its `records` end after a hundred."""
    where = (
        f"date_heure >= date'{start:%Y-%m-%dT%H:%M:%SZ}'"
        f" and date_heure < date'{end:%Y-%m-%dT%H:%M:%SZ}' and taux_co2 is not null"
    )
    return call.json(
        f"/{dataset}/exports/json",
        {"select": "date_heure,taux_co2", "where": where, "order_by": "date_heure"},
    )


def _rows(answer: Any) -> list[Row]:
    """Rows of `[{date_heure, taux_co2}]`; those of the future have no value yet.

    >>> _rows([{"date_heure": "2026-11-22T10:00:00+00:00", "taux_co2": 23}])[0].grams_per_kwh
    23.0
    """
    if not isinstance(answer, list):
        raise bad_answer("it is not a list of rows")
    rows: list[Row] = []
    for row in answer:
        if not isinstance(row, dict) or "taux_co2" not in row:
            raise bad_answer("a row has no 'taux_co2'")
        if row["taux_co2"] is not None:
            rows.append(
                Row(start=instant(row.get("date_heure")), grams_per_kwh=number(row["taux_co2"]))
            )
    return rows
