"""The fit of typical profiles: smooth in season and hour, helped by neighbours, with a trend.

A zone's hourly values, less their mean of seven days and in standard deviations, are regressed on
harmonics of the local hour times harmonics of the season, and on those of Saturdays and Sundays.
Quick harmonics are held back by ridge. A part of the neighbours' shapes is mixed in, the more the
fewer years there are. What twelfths of the year still differ is added for a tenth. The fall of
the intensity under the sun from year to year, as panels are built, is one figure for all zones.

All constants were chosen inside the redistributable series, by the mean over zones of the share
of the oracle's saving (1 h jobs, 8 and 24 h slack) on 2021 from 2020 and on 2020 from 2021; see
`python -m benchmarks.build_profiles --choices`.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from benchmarks.carbon_traces import Trace
from scheduler.carbon.hourly_profile import DAYS_OF_YEAR, Profile, sun_heights

Floats = npt.NDArray[np.float64]
WEEK = 168
KINDS = ("Monday to Friday", "Saturday", "Sunday")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a zone's middle lies and what its clocks say."""

    time_zone: str
    latitude: float
    longitude: float
    neighbours: tuple[str, ...]


_EUROPE = ("DE", "ES", "NL")
_AMERICA = ("US-CAL-CISO", "US-MIDA-PJM", "US-TEX-ERCO")
PLACES = {
    zone: Place(time_zone=clock, latitude=north, longitude=east, neighbours=near)
    for zone, clock, north, east, near in (
        ("DE", "Europe/Berlin", 51, 10, _EUROPE),
        ("ES", "Europe/Madrid", 40, -4, _EUROPE),
        ("FR", "Europe/Paris", 46.5, 2.5, _EUROPE),
        ("GB", "Europe/London", 53, -1.5, _EUROPE),
        ("NL", "Europe/Amsterdam", 52, 5, _EUROPE),
        ("PL", "Europe/Warsaw", 52, 19, _EUROPE),
        ("SE", "Europe/Stockholm", 59, 15, _EUROPE),
        ("US-CAL-CISO", "America/Los_Angeles", 36, -119, _AMERICA),
        ("US-MIDA-PJM", "America/New_York", 40, -79, _AMERICA),
        ("US-TEX-ERCO", "America/Chicago", 31.5, -98, _AMERICA),
    )
}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the fit was chosen to be."""

    hour_harmonics: int = 8
    season_harmonics: int = 2
    weekend_harmonics: int = 2
    ridge: float = 0.02
    quickness: float = 1.0  # how much more the ridge weighs on the square of a harmonic
    noon_trend: float = 0.2
    # Shares of the neighbours in the shape of a zone with one year of data.
    europe: float = 0.15
    america: float = 0.1
    residual: float = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class _Calendar:
    """The local hour, the day of the year and the kind of day of each hour of a trace."""

    hour: Floats
    day: Floats
    kind: Floats
    twelfth: npt.NDArray[np.int64]

    @classmethod
    def of(cls, trace: Trace, clock: str) -> _Calendar:
        zone = ZoneInfo(clock)
        local = [trace.hour(i).astimezone(zone) for i in range(len(trace.grams))]
        day = np.array([one.timetuple().tm_yday for one in local], dtype=float)
        return cls(
            hour=np.array([one.hour for one in local], dtype=float),
            day=day,
            kind=np.array([max(one.weekday() - 4, 0) for one in local], dtype=float),
            twelfth=np.array([one.month - 1 for one in local]),
        )


def _columns(moments: _Calendar, choices: Choices) -> tuple[Floats, Floats]:
    """The regressors of a shape, and how much the ridge weighs on each."""
    turn = 2 * np.pi * (moments.hour + 0.5) / 24
    season = 2 * np.pi * (moments.day - 1) / DAYS_OF_YEAR
    seasons = [(np.ones_like(season), 0)]
    for m in range(1, choices.season_harmonics + 1):
        seasons += [(np.cos(m * season), m), (np.sin(m * season), m)]
    columns, weights = [], []
    for k in range(1, choices.hour_harmonics + 1):
        for wave in (np.cos(k * turn), np.sin(k * turn)):
            for slow, m in seasons:
                columns.append(wave * slow)
                weights.append(1 + choices.quickness * ((k - 1) ** 2 + m**2))
    for kind in (1, 2):
        here = (moments.kind == kind).astype(float)
        waves = [np.ones_like(turn)]
        for k in range(1, choices.weekend_harmonics + 1):
            waves += [np.cos(k * turn), np.sin(k * turn)]
        columns += [here * wave for wave in waves]
        weights += [1.0] * len(waves)
    return np.stack(columns, 1), np.array(weights)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    weights: Floats
    residual: Floats  # twelfth, Monday to Friday or weekend, hour
    deviation: float
    level: tuple[float, ...]
    middle_year: float
    n_years: float


def around_week(grams: Floats) -> Floats:
    """Values less the mean of the seven days around them; at the ends, of those that are there."""
    total = np.concatenate([[0.0], np.cumsum(grams)])
    here = np.arange(len(grams))
    low, high = np.maximum(here - WEEK // 2, 0), np.minimum(here + WEEK // 2, len(grams))
    return grams - (total[high] - total[low]) / (high - low)


def suns(trace: Trace, place: Place) -> Floats:
    """The sine of the sun's height over each hour of a trace that begins at midnight."""
    first = trace.start.date()
    days = -(-len(trace.grams) // 24)
    heights = [
        sun_heights(first + timedelta(days=i), place.latitude, place.longitude) for i in range(days)
    ]
    return np.concatenate(heights)[: len(trace.grams)]


def _fit(trace: Trace, choices: Choices) -> _Fit:
    place = PLACES[trace.zone]
    n = len(trace.grams)
    moments = _Calendar.of(trace, place.time_zone)
    deviation = float(trace.grams.std())
    # All years brought to the middle one, so that an older year counts as the newer would have.
    years = (np.arange(n) - n / 2) / 24 / DAYS_OF_YEAR
    sun = suns(trace, place)
    target = around_week(trace.grams) / deviation + choices.noon_trend * years * sun
    columns, ridge = _columns(moments, choices)
    gram = columns.T @ columns / n + choices.ridge * np.diag(ridge)
    weights = np.linalg.solve(gram, columns.T @ target / n)
    rest = target - columns @ weights
    residual = np.zeros((12, 2, 24))
    weekend = (moments.kind > 0).astype(int)
    for twelfth, kind, hour in np.ndindex(residual.shape):
        here = (moments.twelfth == twelfth) & (weekend == kind) & (moments.hour == hour)
        if here.any():
            residual[twelfth, kind, hour] = rest[here].mean()
    season = 2 * np.pi * (moments.day - 1) / DAYS_OF_YEAR
    slow = np.stack([np.ones(n), np.cos(season), np.sin(season)], 1)
    wave = np.linalg.lstsq(slow, trace.grams, rcond=None)[0]
    at = 2 * np.pi * (np.arange(12) + 0.5) / 12
    level = wave[0] + wave[1] * np.cos(at) + wave[2] * np.sin(at)
    middle = trace.hour(n // 2)
    start = datetime(middle.year, 1, 1, tzinfo=UTC)
    length = 366 if calendar.isleap(middle.year) else 365
    return _Fit(
        weights=weights,
        residual=residual,
        deviation=deviation,
        level=tuple(float(one) for one in level),
        middle_year=middle.year + (middle - start) / timedelta(days=length),
        n_years=round(n / 24 / DAYS_OF_YEAR),
    )


def fit_profiles(traces: Mapping[str, Trace], choices: Choices | None = None) -> dict[str, Profile]:
    """Profiles of all zones of `traces`; their `error` is that of the years they were fitted to."""
    choices = choices or Choices()
    fits = {zone: _fit(trace, choices) for zone, trace in traces.items()}
    profiles = {}
    for zone, mine in fits.items():
        place = PLACES[zone]
        near = [fits[one].weights for one in place.neighbours if one != zone and one in fits]
        share = choices.europe if place.neighbours == _EUROPE else choices.america
        share = share / mine.n_years if near else 0.0
        mixed = (1 - share) * mine.weights + share * np.mean(near or [mine.weights], axis=0)
        profile = Profile(
            zone=zone,
            time_zone=place.time_zone,
            latitude=place.latitude,
            longitude=place.longitude,
            middle_year=round(mine.middle_year, 2),
            noon_trend=choices.noon_trend,
            level=mine.level,
            deviation=mine.deviation,
            error=0.0,
            shapes=_tables(mixed, choices.residual * mine.residual, choices),
        )
        # Rounded as it is shipped, so that what is fitted on it is fitted on what is shipped.
        profile = Profile.from_json(zone, profile.to_json())
        profiles[zone] = replace(profile, error=error_of(profile, traces[zone]))
    return profiles


def _tables(
    weights: Floats, residual: Floats, choices: Choices
) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """The shape for each kind of day, twelfth of the year and local hour."""
    kind, twelfth, hour = (one.ravel() for one in np.indices((3, 12, 24)))
    moments = _Calendar(
        hour=hour.astype(float),
        day=1 + (twelfth + 0.5) / 12 * DAYS_OF_YEAR,
        kind=kind.astype(float),
        twelfth=twelfth,
    )
    columns, _ = _columns(moments, choices)
    values = columns @ weights + residual[twelfth, np.minimum(kind, 1), hour]
    cube = values.reshape(3, 12, 24)
    return tuple(tuple(tuple(map(float, row)) for row in one) for one in cube)


def shape_of(profile: Profile, trace: Trace) -> Floats:
    """The packaged shape over the hours of a trace, by the code that ships."""
    return np.array([profile.shape(trace.hour(i)) for i in range(len(trace.grams))])


def error_of(profile: Profile, trace: Trace, hours: int = 25) -> float:
    """Standard deviation of the error of a difference of two hours of a day, in deviations."""
    wrong = trace.grams / profile.deviation - shape_of(profile, trace)
    return spread(np.lib.stride_tricks.sliding_window_view(wrong, hours))


def spread(wrong: Floats) -> float:
    """Standard deviation of the difference of two values of a row of errors, over all rows."""
    return float(np.sqrt(2 * wrong.var(axis=1, ddof=1).mean()))
