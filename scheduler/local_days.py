"""When a daily schedule is due: once for each local date, in any time zone, whatever clocks do."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from automl.errors import DataError

# A note tells of the nights that come within so many days: both changes of the clock.
NOTED_DAYS = 366
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class DailyWindow:
    """A window of every local day, that begins (or, `ends`, must be over) at a local time.

    A local time that a spring night leaves out means the first moment after the gap; of one that
    an autumn night has twice the first is meant. The window's length is elapsed time.
    """

    zone: ZoneInfo
    at: time  # naive, whole seconds
    hours: float
    ends: bool = False  # whether `at` is its end, not its start

    def opens(self, day: date) -> datetime:
        """When the window of a local date begins, in UTC."""
        instant = moment(day, self.at, zone=self.zone)
        return instant - timedelta(hours=self.hours) if self.ends else instant

    def closes(self, day: date) -> datetime:
        """When the window of a local date is over, in UTC."""
        return self.opens(day) + timedelta(hours=self.hours)

    def after(self, instant: datetime) -> tuple[date, datetime]:
        """The first local date whose window begins after an instant, and that beginning.

        >>> paris = DailyWindow(zone=ZoneInfo("Europe/Paris"), at=time(2, 30), hours=4)
        >>> day, begins = paris.after(datetime(2026, 10, 24, 12, tzinfo=UTC))
        >>> day.isoformat(), begins.isoformat()
        ('2026-10-25', '2026-10-25T00:30:00+00:00')
        """
        return next(self._from(instant))

    def between(self, first: date, now: datetime) -> list[date]:
        """Every local date from `first` on whose window has begun by `now`, oldest first."""
        found = []
        day = first
        while self.opens(day) <= now:
            if exists(day, zone=self.zone):
                found.append(day)
            day += _DAY
        return found

    def next_times(self, now: datetime, n: int = 3) -> list[datetime]:
        """The next `n` beginnings after now, in UTC."""
        days = self._from(now)
        return [next(days)[1] for _ in range(n)]

    def note(self, now: datetime) -> str | None:
        """What happens in nights of the coming year that leave out the local time or have it twice.

        >>> zone = ZoneInfo("Europe/Paris")
        >>> DailyWindow(zone=zone, at=time(2, 30), hours=1).note(datetime(2026, 1, 1, tzinfo=UTC))
        'on 2026-03-29 there is no 02:30: 03:00 is meant; on 2026-10-25 there are two 02:30: the
        first is meant'
        """
        said = []
        first = now.astimezone(self.zone).date()
        for day in (first + _DAY * i for i in range(NOTED_DAYS)):
            if not exists(day, zone=self.zone):
                said.append(f"there is no {day}: it has no run")
            elif _in_gap(day, self.at, self.zone):
                meant = moment(day, self.at, zone=self.zone).astimezone(self.zone)
                said.append(f"on {day} there is no {self.at:%H:%M}: {meant:%H:%M} is meant")
            elif _in_fold(day, self.at, self.zone):
                said.append(f"on {day} there are two {self.at:%H:%M}: the first is meant")
        return "; ".join(said) or None

    def _from(self, instant: datetime) -> Iterator[tuple[date, datetime]]:
        day = instant.astimezone(self.zone).date() - 2 * _DAY
        while True:
            if exists(day, zone=self.zone):
                begins = self.opens(day)
                if begins > instant:
                    yield day, begins
            day += _DAY


def moment(day: date, at: time, *, zone: ZoneInfo) -> datetime:
    """The instant of a local time, in UTC: the first of two, or the first after a gap."""
    instant = _utc(day, at, zone, fold=0)
    if not _in_gap(day, at, zone):
        return instant
    # By the offset before the change it lies after it, by the one after the change before it.
    low, high = _utc(day, at, zone, fold=1), instant
    offset = high.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=4096)
def exists(day: date, *, zone: ZoneInfo) -> bool:
    """Whether a zone has this date; Samoa had no 30 December 2011."""
    return any(not _in_gap(day, time(hour), zone) for hour in (12, *range(24)))


def time_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises
    ------
    DataError
        ``unknown_time_zone``.
    """
    try:
        if name not in _names() or name == "localtime":
            raise KeyError
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise DataError(
            "the time zone is not one of the IANA data base, such as Europe/Paris",
            code="unknown_time_zone",
            details={"field": "time_zone"},
        ) from None


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def local_time(text: str) -> time:
    """A time of day as HH:MM.

    >>> local_time("02:30")
    datetime.time(2, 30)
    """
    return time(int(text[:2]), int(text[3:5]))


def _utc(day: date, at: time, zone: ZoneInfo, *, fold: int) -> datetime:
    return datetime.combine(day, at, tzinfo=zone).replace(fold=fold).astimezone(UTC)


def _in_gap(day: date, at: time, zone: ZoneInfo) -> bool:
    wall = datetime.combine(day, at)
    return _utc(day, at, zone, fold=0).astimezone(zone).replace(tzinfo=None) != wall


def _in_fold(day: date, at: time, zone: ZoneInfo) -> bool:
    if _in_gap(day, at, zone):
        return False
    return _utc(day, at, zone, fold=0) != _utc(day, at, zone, fold=1)
