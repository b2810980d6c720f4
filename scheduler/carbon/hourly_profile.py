"""The packaged typical profile of a zone: how its intensity moves with season, weekday and hour."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from math import cos, floor, pi, radians, sin
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

SHIPPED_FILE = Path(__file__).with_name("profiles-1.json")
DAYS_OF_YEAR = 365.25
# A fall of the intensity at noon from year to year is continued for this long after the middle of
# the series and no longer: it was checked up to 3.5 years ahead.
MOST_YEARS_AHEAD = 4.0
LEAST_SHARE = 0.05  # of the level; a profile says when it is low, never that it is nothing
_MILLI = 1000.0
_HOUR = timedelta(hours=1)
_KEPT_DAYS = 4096  # a year of days for all zones


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """How one zone's intensity moves around its mean of seven days, and where that mean lies.

    A shape is in standard deviations of the hourly values (`deviation`, in g/kWh). Tables have a
    value for each kind of day (Monday to Friday, Saturday, Sunday), twelfth of the year (its
    middle; in between by line) and hour of the local clock.
    """

    zone: str
    time_zone: str
    latitude: float  # degrees north, of the middle of the zone
    longitude: float  # degrees east
    middle_year: float  # of the series it was built from; 2021.0 is the first moment of 2021
    noon_trend: float  # deviations by which the intensity falls each year where the sun is overhead
    level: tuple[float, ...]  # g/kWh, of each twelfth of the year
    deviation: float
    error: float  # standard deviation of the error of a difference within a day, in deviations
    shapes: tuple[tuple[tuple[float, ...], ...], ...]  # kind of day, twelfth, hour

    @classmethod
    def from_json(cls, zone: str, value: Mapping[str, Any]) -> Profile:
        """From what `to_json` gave."""
        return cls(
            zone=zone,
            **{name: one for name, one in value.items() if name not in ("level", "shapes")},
            level=tuple(value["level"]),
            shapes=tuple(
                tuple(tuple(one / _MILLI for one in row) for row in kind)
                for kind in value["shapes"]
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; shapes in thousandths."""
        names = ("time_zone", "latitude", "longitude", "middle_year", "noon_trend")
        return {
            **{name: getattr(self, name) for name in names},
            "level": [round(one, 1) for one in self.level],
            "deviation": round(self.deviation, 2),
            "error": round(self.error, 3),
            "shapes": [
                [[round(one * _MILLI) for one in row] for row in kind] for kind in self.shapes
            ],
        }

    @cached_property
    def _clock(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def shape(self, hour: datetime) -> float:
        """Deviations above the mean of seven days, in the UTC hour that `hour` lies in."""
        return self._day(hour.date())[hour.hour][0]

    def grams(self, hour: datetime) -> float:
        """g/kWh in the UTC hour that `hour` lies in."""
        return self._day(hour.date())[hour.hour][1]

    @lru_cache(maxsize=_KEPT_DAYS)  # noqa: B019  profiles live as long as the process
    def _day(self, day: date) -> tuple[tuple[float, float], ...]:
        """Shape and g/kWh of the 24 hours of a day in UTC."""
        first = datetime(day.year, day.month, day.day, tzinfo=UTC)
        sun = sun_heights(day, self.latitude, self.longitude)
        years = min(_year(day) - self.middle_year, MOST_YEARS_AHEAD)
        values = []
        for hour in range(24):
            local = (first + hour * _HOUR).astimezone(self._clock)
            kind = self.shapes[max(local.weekday() - 4, 0)]
            low, high, share = _twelfths(local.date())
            shape = (1 - share) * kind[low][local.hour] + share * kind[high][local.hour]
            shape -= self.noon_trend * years * sun[hour]
            level = (1 - share) * self.level[low] + share * self.level[high]
            values.append((shape, max(level + self.deviation * shape, LEAST_SHARE * level)))
        return tuple(values)


def _year(day: date) -> float:
    return day.year + (day.timetuple().tm_yday - 1) / DAYS_OF_YEAR


def _twelfths(day: date) -> tuple[int, int, float]:
    """The twelfths of the year around a day, and how far it is from the first to the second."""
    place = (day.timetuple().tm_yday - 0.5) / DAYS_OF_YEAR * 12 - 0.5
    low = floor(place)
    return low % 12, (low + 1) % 12, place - low


def sun_heights(day: date, latitude: float, longitude: float) -> list[float]:
    """The sine of the sun's height in the middle of each UTC hour of a day, 0 at night.

    By the declination's cosine formula (Cooper 1969), without the equation of time: within 20
    minutes of the truth, which is less than the hour it is used for.

    >>> noon = sun_heights(date(2026, 6, 21), 48.9, 2.3)
    >>> max(range(24), key=noon.__getitem__), round(max(noon), 2), min(noon)
    (11, 0.9, 0.0)
    """
    turn = 2 * pi * (day.timetuple().tm_yday + 10) / DAYS_OF_YEAR
    declination = radians(-23.44 * cos(turn))
    at = radians(latitude)
    lift, swing = sin(at) * sin(declination), cos(at) * cos(declination)
    angles = ((hour + 0.5 + longitude / 15 - 12) * pi / 12 for hour in range(24))
    return [max(lift + swing * cos(angle), 0.0) for angle in angles]


@dataclass(frozen=True, kw_only=True, eq=False)
class Packaged:
    """What `benchmarks/build_profiles.py` builds: profiles, and how a recent history mends them.

    Weights are for each horizon of `horizons` (hours from the first one not known; in between by
    line) one for each feature of `scheduler.carbon.correction`.
    """

    profiles: Mapping[str, Profile]
    longitudes: Mapping[str, float]  # degrees east, of every other country
    horizons: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...]
    error: float  # as in `Profile`, of what is corrected

    @classmethod
    def read(cls, path: Path = SHIPPED_FILE) -> Packaged:
        """From a file."""
        value = json.loads(path.read_text(encoding="utf-8"))
        correction = value["correction"]
        return cls(
            profiles={zone: Profile.from_json(zone, one) for zone, one in value["zones"].items()},
            longitudes=value["longitudes"],
            horizons=tuple(correction["horizons"]),
            weights=tuple(tuple(row) for row in correction["weights"]),
            error=correction["error"],
        )

    def longitude(self, zone: str) -> float:
        """Degrees east of the middle of a zone; 0 where it has none, as the world."""
        profile = self.profiles.get(zone)
        return profile.longitude if profile else self.longitudes.get(zone[:2], 0.0)


@cache
def packaged() -> Packaged:
    """What is shipped."""
    return Packaged.read()
