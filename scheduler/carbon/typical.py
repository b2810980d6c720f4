"""What is known of a zone without a network: its typical hours, or its yearly mean."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from statistics import fmean

from automl.errors import DataError
from scheduler.carbon.countries import ALPHA_3, packaged_data
from scheduler.carbon.hourly_profile import Packaged, packaged
from scheduler.carbon.series import FactorType, IntensitySeries, Reading
from scheduler.errors import ForecastUnavailable

WORLD = "WORLD"
# codecarbon ships Our World in Data's table (from Ember and the Energy Institute); those figures
# count the whole life cycle of each plant: https://ourworldindata.org/grapher/carbon-intensity-electricity
_SOURCE = "Our World in Data, as packaged with codecarbon"
# The world's figure is the IEA's, of 2018, and counts what leaves the chimneys only:
# https://www.iea.org/reports/global-energy-co2-status-report-2019/emissions
_WORLD_SOURCE = "IEA Global Energy and CO2 Status Report 2019, as packaged with codecarbon"
_WORLD_YEAR = 2018
_HOUR = timedelta(hours=1)
_LIFECYCLE: FactorType = "lifecycle"
# Nobody plans or bills further from a moment than this; an answer ends there.
LONGEST = timedelta(days=370)


@dataclass(frozen=True, kw_only=True)
class Intensity:
    """A carbon intensity of electricity, and where it comes from.

    `factor_type` is "lifecycle" (with building, fuel and end of the plants) or "direct" (chimneys
    only): only figures of one type compare.
    """

    zone: str  # ISO 3166 alpha-3, or WORLD
    grams_per_kwh: float
    source: str
    factor_type: FactorType
    year: int


def yearly_mean(zone: str) -> Intensity:
    """The mean of a year for a country, by its alpha-2 or alpha-3 code, or for WORLD.

    A part of a country that has a profile, as US-CAL-CISO, has the mean of that.

    Raises DataError `unknown_zone`, with the list of zones in its details, for any other.

    >>> round(yearly_mean("FR").grams_per_kwh), yearly_mean("fra").zone
    (56, 'FRA')
    """
    known = _intensities()
    code = zone.strip().upper()
    found = known.get(ALPHA_3.get(code, code)) or _of_part(code)
    if found is None:
        zones = sorted(known)
        near = difflib.get_close_matches(code, zones, n=3, cutoff=0.6)
        raise DataError(
            "no carbon intensity is known for this zone; give a country's ISO 3166 code of two or"
            " three letters, or WORLD",
            code="unknown_zone",
            details={"zones": zones, "near": near},
        )
    return found


@cache
def _of_part(code: str) -> Intensity | None:
    profile = packaged().profiles.get(code)
    if profile is None:
        return None
    year = int(profile.middle_year)
    hours = (datetime(year, 1, 1, tzinfo=UTC) + hour * _HOUR for hour in range(365 * 24))
    return Intensity(
        zone=code,
        grams_per_kwh=fmean(map(profile.grams, hours)),
        source="mean of the packaged profile",
        factor_type=_LIFECYCLE,
        year=year,
    )


@cache
def _intensities() -> dict[str, Intensity]:
    folder = packaged_data()
    countries = json.loads((folder / "global_energy_mix.json").read_text(encoding="utf-8"))
    world = json.loads((folder / "carbon_intensity_per_source.json").read_text(encoding="utf-8"))
    known = {
        code: Intensity(
            zone=code,
            grams_per_kwh=float(country["carbon_intensity"]),
            source=_SOURCE,
            factor_type="lifecycle",
            year=int(country["year"]),
        )
        for code, country in countries.items()
    }
    known[WORLD] = Intensity(
        zone=WORLD,
        grams_per_kwh=float(world["world_average"]),
        source=_WORLD_SOURCE,
        factor_type="direct",
        year=_WORLD_YEAR,
    )
    return known


class Typical:
    """An IntensitySource without a network: the packaged profile of a zone, hour by hour.

    It counts the whole life cycle of the plants that produce in the zone. A zone without a profile
    has its yearly mean in every hour, so that no hour is better than another; its series names
    that source. All readings are estimates; what was and what will be are told the same way. The
    answer to a long question ends after 370 days.

    >>> from datetime import UTC
    >>> night = datetime(2026, 6, 1, tzinfo=UTC)
    >>> day = Typical().forecast("DE", night, night + timedelta(days=1), now=night)
    >>> min(day.readings, key=lambda one: one.grams_per_kwh).start.hour
    11
    """

    name = "typical"

    def __init__(self, shipped: Packaged | None = None) -> None:
        self._shipped = shipped or packaged()

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What is typical of [start, end), and not after `now`."""
        return self._series(zone, start, min(end, now), now=now)

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        """The last whole hour before `now`."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        return self._series(zone, hour - _HOUR, hour, now=now)

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What is typical of [start, end)."""
        return self._series(zone, start, end, now=now)

    def _series(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """Hours, the first and the last cut to [start, end)."""
        if start >= end:
            raise ForecastUnavailable(
                f"{self.name}: nothing lies between {start.isoformat()} and {end.isoformat()}"
            )
        end = min(end, start + LONGEST)
        profile = self._shipped.profiles.get(zone)
        grams: Callable[[datetime], float]
        year: int | None = None
        if profile is not None:
            source, factor_type, grams = f"{self.name} profile", _LIFECYCLE, profile.grams
            error = profile.error * profile.deviation
        else:
            mean = yearly_mean(zone.partition("-")[0])
            source = f"{self.name}, yearly mean of {mean.year}: {mean.source}"
            factor_type, error, year = mean.factor_type, None, mean.year
            grams = _constant(mean.grams_per_kwh)
        readings = []
        hour = start.replace(minute=0, second=0, microsecond=0)
        while hour < end:
            after = hour + _HOUR
            readings.append(
                Reading(
                    start=max(hour, start),
                    end=min(after, end),
                    grams_per_kwh=grams(hour),
                    is_estimated=True,
                )
            )
            hour = after
        return IntensitySeries(
            zone=zone,
            source=source,
            factor_type=factor_type,
            issued_at=now,
            readings=tuple(readings),
            error_grams=error,
            year=year,
        )


def _constant(value: float) -> Callable[[datetime], float]:
    def everywhere(hour: datetime) -> float:
        return value

    return everywhere
