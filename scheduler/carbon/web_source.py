"""What every provider on the web has in common: patience, zones, and one way to fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from scheduler.carbon.series import FactorType, IntensitySeries, Reading, Signal
from scheduler.carbon.transport import MAX_BYTES, TIMEOUT_SECONDS, Call, within
from scheduler.errors import ForecastUnavailable

# Older measurements say nothing about now: a live feed is 3.5 h late in 1 hour of 100.
STALE = timedelta(hours=6)
_HOUR = timedelta(hours=1)


class WebSource:
    """An IntensitySource over HTTP; a provider says where to ask and how to read the answer.

    Parameters
    ----------
    base_url : str, optional
        Scheme, host and what precedes the documented paths; of tests and mirrors.
    timeout : float
        Seconds for a whole question, names looked up and all its requests included.

    All that goes wrong, whatever it is, comes out as ForecastUnavailable.
    """

    name: str
    factor_type: FactorType
    signal: Signal = "average"
    address: str

    def __init__(
        self,
        *,
        base_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._base_url = base_url or self.address
        self._timeout = timeout
        self._max_bytes = max_bytes

    # What a provider fills in. Each may raise anything and return too much.

    def _zone(self, zone: str) -> str:
        """The provider's own name of a zone; `_unsupported` where it has none."""
        raise NotImplementedError

    def _history(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[Reading, ...]:
        """Readings that cover [start, end), whole hours in UTC; what they have of it."""
        raise NotImplementedError

    def _forecast(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[tuple[Reading, ...], datetime]:
        """Expected readings of [start, end), and when they were issued."""
        raise ForecastUnavailable(f"{self.name} publishes no forecast", code="no_forecast")

    def knows(self, zone: str) -> bool:
        """Whether the provider is asked for this zone at all."""
        try:
            self._zone(zone)
        except ForecastUnavailable:
            return False
        return True

    # The protocol.

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What was, in [start, end) and not after `now`."""
        end = min(end, now)

        def ask(call: Call) -> IntensitySeries:
            readings = self._history(call, zone, _floor(start), _ceil(end), now)
            series = self._series(zone, readings, issued_at=now).between(start, end)
            if not series.readings:
                raise ForecastUnavailable(
                    f"no reading from {start.isoformat()} to {end.isoformat()}", code="no_readings"
                )
            return replace(series, issued_at=series.end)

        return self._ask(zone, ask)

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        """The newest reading, as a series of one; ForecastUnavailable `stale` after 6 h."""

        def ask(call: Call) -> IntensitySeries:
            readings = self._history(call, zone, _floor(now - 2 * STALE), _ceil(now), now)
            series = self._series(zone, readings, issued_at=now)
            known = [reading for reading in series.readings if reading.start <= now]
            return newest(replace(series, readings=tuple(known)), now=now)

        return self._ask(zone, ask)

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What the provider expects in [start, end); it may end before `end`."""

        def ask(call: Call) -> IntensitySeries:
            readings, issued_at = self._forecast(call, zone, _floor(start), _ceil(end), now)
            # A clock ahead of ours must not make a forecast newer than all that follow.
            series = self._series(zone, readings, issued_at=min(issued_at, now))
            found = series.between(start, end)
            if not found.readings:
                raise ForecastUnavailable(
                    f"none of the forecast lies between {start.isoformat()} and {end.isoformat()}"
                )
            return found

        return self._ask(zone, ask)

    def _ask(self, zone: str, ask: Callable[[Call], IntensitySeries]) -> IntensitySeries:
        self._zone(zone)  # before anything is sent
        call = Call(
            base_url=self._base_url,
            until=time.monotonic() + self._timeout,
            max_bytes=self._max_bytes,
        )
        try:
            return within(self._timeout, lambda: ask(call))
        except ForecastUnavailable as error:
            message = str(error)
            if not message.startswith(self.name):
                message = f"{self.name}, zone {zone}: {message}"
            raise ForecastUnavailable(message, code=error.code) from None
        except Exception as error:
            # Its text may quote the address, and that may hold a key.
            raise ForecastUnavailable(
                f"{self.name}, zone {zone}: an answer that cannot be read ({type(error).__name__})",
                code="bad_answer",
            ) from None

    def _series(
        self, zone: str, readings: tuple[Reading, ...], *, issued_at: datetime
    ) -> IntensitySeries:
        return IntensitySeries(
            zone=zone,
            source=self.name,
            factor_type=self.factor_type,
            signal=self.signal,
            issued_at=issued_at,
            readings=readings,
        )

    def _unsupported(self, zone: str) -> ForecastUnavailable:
        return ForecastUnavailable(f"{self.name} has no zone {zone}", code="unsupported_zone")


def newest(series: IntensitySeries, *, now: datetime) -> IntensitySeries:
    """The last reading of a series, as a series of one; ForecastUnavailable `stale` after 6 h."""
    if now - series.end > STALE:
        raise ForecastUnavailable(
            f"{series.source}, zone {series.zone}: the newest reading ended at"
            f" {series.end.isoformat()}, more than 6 h ago",
            code="stale",
        )
    return replace(series, readings=series.readings[-1:], issued_at=series.end)


def _floor(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _ceil(at: datetime) -> datetime:
    floor = _floor(at)
    return floor if floor == at else floor + _HOUR
