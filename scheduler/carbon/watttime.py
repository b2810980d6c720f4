"""WattTime: the marginal plant, the one that answers when somebody uses more; with an account."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from scheduler.carbon.readings import Row, bad_answer, from_starts, instant, member, number
from scheduler.carbon.series import FactorType, Reading, Signal
from scheduler.carbon.transport import MAX_BYTES, TIMEOUT_SECONDS, Call
from scheduler.carbon.web_source import WebSource
from scheduler.errors import ForecastUnavailable

# https://docs.watttime.org: a token lives 30 minutes; at most 32 days of history in one request;
# forecasts of up to 72 hours; five-minute steps; pounds per megawatt-hour.
_TOKEN_LIFE = timedelta(minutes=25)
_MOST_DAYS = timedelta(days=10)
_HORIZONS = (24, 48, 72)
_UNITS = "lbs_co2_per_mwh"
_SIGNAL = "co2_moer"
# The international pound (1959), in kilograms: 1 lb/MWh = 0.45359237 g/kWh.
_GRAMS_PER_KWH = 0.45359237
# Its regions are parts of these zones or the same; of California, the one that needs no plan.
_REGIONS = {"US-CAL-CISO": "CAISO_NORTH", "GB": "UK"}


class WattTime(WebSource):
    """Marginal operating emissions of a region of WattTime.

    Parameters
    ----------
    user, password : str
        Of the user's account.
    region : str
        WattTime's name of the region; empty: what the zone is called there.
    """

    name = "WattTime"
    factor_type: FactorType = "direct"
    signal: Signal = "marginal"
    address = "https://api.watttime.org"

    def __init__(
        self,
        *,
        user: str,
        password: str,
        region: str = "",
        base_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(base_url=base_url, timeout=timeout, max_bytes=max_bytes)
        self._login = (user, password)
        self._region = region
        if region:
            self.name = f"{self.name}, region {region}"
        self._token: tuple[str, datetime] | None = None
        self._lock = threading.Lock()

    def _zone(self, zone: str) -> str:
        region = self._region or _REGIONS.get(zone, zone)
        if zone == "WORLD" or "-" in region:
            raise self._unsupported(zone)
        return region

    def _history(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[Reading, ...]:
        rows: list[Row] = []
        step = None
        while start < end:
            upto = min(start + _MOST_DAYS, end)
            limits = {"start": _text(start), "end": _text(upto)}
            answer = self._asked(call, "/v3/historical", zone, limits, now)
            rows += _rows(answer)
            step = _step(answer)
            start = upto
        return from_starts(rows, step=step)

    def _forecast(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[tuple[Reading, ...], datetime]:
        hours = (end - now) / timedelta(hours=1)
        horizon = next((one for one in _HORIZONS if one >= hours), _HORIZONS[-1])
        answer = self._asked(call, "/v3/forecast", zone, {"horizon_hours": str(horizon)}, now)
        meta = member(answer, "meta", dict)
        issued = instant(meta["generated_at"]) if "generated_at" in meta else now
        return from_starts(_rows(answer), step=_step(answer)), issued

    def _asked(self, call: Call, path: str, zone: str, more: dict[str, str], now: datetime) -> Any:
        region = self._zone(zone)
        params = {"region": region, "signal_type": _SIGNAL, **more}
        token, is_new = self._bearer(call, now)
        try:
            answer = call.json(path, params, headers={"Authorization": f"Bearer {token}"})
        except ForecastUnavailable as error:
            if error.code != "refused" or is_new:
                raise
            token, _ = self._bearer(call, now, renew=True)
            answer = call.json(path, params, headers={"Authorization": f"Bearer {token}"})
        meta = member(answer, "meta", dict)
        wanted = {"region": region, "signal_type": _SIGNAL, "units": _UNITS}
        for name, value in wanted.items():
            if meta.get(name) != value:
                raise bad_answer(f"its {name!r} is not {value!r}")
        return answer

    def _bearer(self, call: Call, now: datetime, *, renew: bool = False) -> tuple[str, bool]:
        """The token, and whether it was asked for just now."""
        with self._lock:
            kept = self._token
        if kept and not renew and timedelta(0) <= now - kept[1] < _TOKEN_LIFE:
            return kept[0], False
        token = member(call.json("/login", login=self._login), "token", str)
        if not token.isascii() or not token.isprintable():
            raise bad_answer("the token is no text for a header")
        with self._lock:
            self._token = (token, now)
        return token, True


def _rows(answer: Any) -> list[Row]:
    """Rows of `{data: [{point_time, value}], meta}`, pounds per megawatt-hour, as g/kWh.

    >>> _rows({"data": [{"point_time": "2026-01-01T00:00:00+00:00", "value": 1000}]})[0]
    ... # doctest: +ELLIPSIS
    Row(start=..., grams_per_kwh=453.59237, is_estimated=False)
    """
    return [
        Row(
            start=instant(member(record, "point_time", str)),
            grams_per_kwh=number(record.get("value")) * _GRAMS_PER_KWH,
        )
        for record in member(answer, "data", list)
    ]


def _step(answer: Any) -> timedelta | None:
    seconds = member(answer, "meta", dict).get("data_point_period_seconds")
    if isinstance(seconds, int) and 0 < seconds <= 3600:
        return timedelta(seconds=seconds)
    return None


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S+00:00}"
