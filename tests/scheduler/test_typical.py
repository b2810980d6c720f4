"""Yearly means: from the packaged data, by either code, never by default."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from automl.errors import DataError
from scheduler.carbon.countries import ALPHA_3
from scheduler.carbon.typical import Typical, yearly_mean


@pytest.mark.parametrize(
    ("zone", "alpha_3", "grams"),
    [
        ("FR", "FRA", 56),
        ("deu", "DEU", 381),
        (" gb ", "GBR", 238),
        ("PL", "POL", 662),
        ("USA", "USA", 369),
        ("ES", "ESP", 174),
        ("SWE", "SWE", 41),
        ("world", "WORLD", 475),
    ],
)
def test_a_country_by_either_code(zone: str, alpha_3: str, grams: float) -> None:
    found = yearly_mean(zone)
    assert (found.zone, round(found.grams_per_kwh)) == (alpha_3, grams)
    assert found.factor_type == ("direct" if alpha_3 == "WORLD" else "lifecycle")
    assert 2000 < found.year < 2100
    assert "codecarbon" in found.source


@pytest.mark.parametrize("zone", ["", "XX", "ATLANTIS", "FRANCE", "../x", "\0", "WLD", "F" * 10**5])
def test_an_unknown_zone_is_refused_with_the_list(zone: str) -> None:
    with pytest.raises(DataError) as error:
        yearly_mean(zone)
    assert error.value.code == "unknown_zone"
    zones = error.value.details["zones"]
    assert isinstance(zones, list)
    assert {"FRA", "WORLD"} <= set(zones)
    assert len(zones) > 200


def test_every_zone_of_the_packaged_data_is_sound() -> None:
    with pytest.raises(DataError) as error:
        yearly_mean("?")
    zones = error.value.details["zones"]
    assert isinstance(zones, list)
    for zone in zones:
        assert 0 <= yearly_mean(zone).grams_per_kwh <= 2000


def test_a_part_of_a_country_has_the_mean_of_its_profile() -> None:
    found = yearly_mean("us-cal-ciso")
    start = datetime(found.year, 1, 1, tzinfo=UTC)
    hours = Typical().forecast("US-CAL-CISO", start, start + timedelta(days=365), now=start)
    assert found.zone == "US-CAL-CISO"
    assert found.grams_per_kwh == pytest.approx(hours.mean(hours.start, hours.end))


def test_the_country_codes_are_those_of_iso_3166() -> None:
    spec = find_spec("pycountry")
    if spec is None or spec.origin is None:
        pytest.skip("pycountry, the other list to compare with, is not installed")
    path = Path(spec.origin).parent / "databases" / "iso3166-1.json"
    listed = json.loads(path.read_text(encoding="utf-8"))["3166-1"]
    assert {country["alpha_2"]: country["alpha_3"] for country in listed} == ALPHA_3


def test_no_heavy_import_is_needed() -> None:
    code = (
        "import sys; from scheduler.carbon.typical import yearly_mean; yearly_mean('FR')\n"
        "assert not {'codecarbon', 'pandas', 'numpy', 'pycountry'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
