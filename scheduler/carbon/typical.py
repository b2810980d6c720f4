"""The yearly mean carbon intensity of a zone: what is known of it without a network."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from automl.errors import DataError
from scheduler.carbon.countries import ALPHA_3

WORLD = "WORLD"
# codecarbon ships Our World in Data's table (from Ember and the Energy Institute); those figures
# count the whole life cycle of each plant: https://ourworldindata.org/grapher/carbon-intensity-electricity
_SOURCE = "Our World in Data, as packaged with codecarbon"
# The world's figure is the IEA's, of 2018, and counts what leaves the chimneys only:
# https://www.iea.org/reports/global-energy-co2-status-report-2019/emissions
_WORLD_SOURCE = "IEA Global Energy and CO2 Status Report 2019, as packaged with codecarbon"
_WORLD_YEAR = 2018


@dataclass(frozen=True, kw_only=True)
class Intensity:
    """A carbon intensity of electricity, and where it comes from.

    `factor_type` is "lifecycle" (with building, fuel and end of the plants) or "direct" (chimneys
    only): only figures of one type compare.
    """

    zone: str  # ISO 3166 alpha-3, or WORLD
    grams_per_kwh: float
    source: str
    factor_type: str
    year: int


def yearly_mean(zone: str) -> Intensity:
    """The mean of a year for a country, by its alpha-2 or alpha-3 code, or for WORLD.

    Raises DataError `unknown_zone`, with the list of zones in its details, for any other.

    >>> round(yearly_mean("FR").grams_per_kwh), yearly_mean("fra").zone
    (56, 'FRA')
    """
    known = _intensities()
    code = zone.strip().upper()
    found = known.get(ALPHA_3.get(code, code))
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
def _intensities() -> dict[str, Intensity]:
    folder = _data_folder()
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


def _data_folder() -> Path:
    """Where codecarbon keeps its tables; it is found, not imported, since that takes 0.1 s."""
    spec = find_spec("codecarbon")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("codecarbon, which packages the intensities, is not installed")
    return Path(spec.submodule_search_locations[0]) / "data" / "private_infra"
