"""Electricity Maps: what is consumed in a zone, traced along the flows; with the user's key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from scheduler.carbon.readings import Row, bad_answer, from_starts, instant, member, number
from scheduler.carbon.series import FactorType, Reading
from scheduler.carbon.transport import MAX_BYTES, TIMEOUT_SECONDS, Call
from scheduler.carbon.web_source import WebSource
from scheduler.errors import ForecastUnavailable

# https://portal.electricitymaps.com/developer-hub/api/reference: `history` is the last 24 hours
# and free, `past-range` at most 10 days of hours and paid, as is `forecast`.
_FREE = timedelta(hours=24)
_MOST_DAYS = timedelta(days=10)
_HORIZONS = (6, 24, 48, 72)
_HOUR = timedelta(hours=1)


class ElectricityMaps(WebSource):
    """Any zone of Electricity Maps, by the hour. What it answers must not be redistributed.

    Parameters
    ----------
    key : str
        The token of the user's account.
    factor_type : "lifecycle" or "direct"
        Which emission factors it is asked to use.
    """

    name = "Electricity Maps"
    address = "https://api.electricitymaps.com"

    def __init__(
        self,
        *,
        key: str,
        factor_type: FactorType = "lifecycle",
        base_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(base_url=base_url, timeout=timeout, max_bytes=max_bytes)
        self._key = key
        self.factor_type = factor_type
        if factor_type != "lifecycle":
            self.name = f"{self.name}, {factor_type} factors"

    def _zone(self, zone: str) -> str:
        if zone == "WORLD":
            raise self._unsupported(zone)
        return zone

    def _history(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[Reading, ...]:
        rows: list[Row] = []
        if start < now - _FREE:
            try:
                rows = self._past(call, zone, start, end)
            except ForecastUnavailable as error:
                # A free account; its last day is better than nothing.
                if error.code != "refused" or end <= now - _FREE:
                    raise
        if not rows:
            answer = self._asked(call, "history", zone, {})
            rows = self._rows(answer, "history", zone)
        return from_starts(rows, step=_HOUR)

    def _past(self, call: Call, zone: str, start: datetime, end: datetime) -> list[Row]:
        rows: list[Row] = []
        while start < end:
            upto = min(start + _MOST_DAYS, end)
            limits = {"start": _text(start), "end": _text(upto)}
            rows += self._rows(self._asked(call, "past-range", zone, limits), "data", zone)
            start = upto
        return rows

    def _forecast(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[tuple[Reading, ...], datetime]:
        hours = (end - now) / _HOUR
        horizon = next((one for one in _HORIZONS if one >= hours), _HORIZONS[-1])
        answer = self._asked(call, "forecast", zone, {"horizonHours": str(horizon)})
        issued = instant(answer["updatedAt"]) if "updatedAt" in answer else now
        return from_starts(self._rows(answer, "forecast", zone), step=_HOUR), issued

    def _asked(self, call: Call, what: str, zone: str, more: dict[str, str]) -> dict[str, Any]:
        answer = call.json(
            f"/v3/carbon-intensity/{what}",
            {
                "zone": zone,
                "emissionFactorType": self.factor_type,
                "temporalGranularity": "hourly",
                # Or an unknown zone would mean the one that the caller's address lies in.
                "shouldUseFallbackCallerLookup": "false",
                **more,
            },
            headers={"auth-token": self._key},
        )
        if not isinstance(answer, dict):
            raise bad_answer("it is not an object")
        return answer

    def _rows(self, answer: dict[str, Any], column: str, zone: str) -> list[Row]:
        """Rows of `{zone, history | data | forecast: [{datetime, carbonIntensity, …}]}`."""
        records = member(answer, column, list)
        # Of past-range, each row names its zone; of the others, the whole does.
        self._matches(answer, zone, required=not any(_names_zone(one) for one in records))
        rows: list[Row] = []
        for record in records:
            start = instant(member(record, "datetime", str))
            self._matches(record, zone)
            if record.get("carbonIntensity") is not None:
                rows.append(
                    Row(
                        start=start,
                        grams_per_kwh=number(record["carbonIntensity"]),
                        is_estimated=record.get("isEstimated") is True,
                    )
                )
        return rows

    def _matches(self, record: dict[str, Any], zone: str, *, required: bool = False) -> None:
        """Refuse what is of another zone or of other factors than was asked for."""
        if record.get("zone", None if required else zone) != zone:
            raise bad_answer("it is of another zone than was asked for, or of none")
        if record.get("emissionFactorType", self.factor_type) != self.factor_type:
            raise bad_answer("it is of other emission factors than were asked for")


def _names_zone(record: Any) -> bool:
    return isinstance(record, dict) and "zone" in record


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
