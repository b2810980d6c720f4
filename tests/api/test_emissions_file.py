"""codecarbon's own reader and columns, and the sums of the receipt."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest
from codecarbon.output_methods.emissions_data import EmissionsData

from api.emissions_file import COLUMNS
from tests.api.parts import Site

RECEIPT = {
    "meter": {"meter": "cpu_time", "watts_per_core": 4.0},
    "pue": 1.0,
    "phases": [
        {
            "name": "search",
            "cpu_seconds": 9.0,
            "wall_seconds": 20.0,
            "kwh": 1.1e-5,
            "gco2e": 0.00055,
            "intensity": {"zone": "FR"},
        },
        {
            "name": "refit",
            "cpu_seconds": 0.0,
            "wall_seconds": 0.0,
            "kwh": 0.0,
            "gco2e": 0.0,
            "intensity": {"zone": "FR"},
        },
    ],
}


def test_the_columns_are_codecarbons() -> None:
    assert list(COLUMNS) == [one.name for one in dataclasses.fields(EmissionsData)]


def test_a_row_for_each_phase_in_codecarbons_units(site: Site) -> None:
    made = site.job()
    site.finish(site.claim(), receipt=RECEIPT)
    answer = site.get(f"/v1/jobs/{made}/emissions")
    assert answer.mimetype == "text/csv"
    search, refit = csv.DictReader(io.StringIO(answer.text))
    assert (search["run_id"], search["experiment_id"]) == (made, "search")
    assert float(search["emissions"]) == pytest.approx(0.00055 / 1000)  # kilograms
    assert float(search["emissions_rate"]) == pytest.approx(0.00055 / 1000 / 20)
    assert float(search["cpu_energy"]) == pytest.approx(4 * 9 / 3.6e6)
    whole = float(search["cpu_energy"]) + float(search["ram_energy"])
    assert whole == pytest.approx(float(search["energy_consumed"]))
    assert float(search["cpu_power"]) == pytest.approx(4 * 9 / 20)
    assert refit["emissions_rate"] == ""
    assert search["gpu_energy"] == ""  # not measured is not 0


def test_before_it_begins_there_are_no_rows(site: Site) -> None:
    assert len(site.get(f"/v1/jobs/{site.job()}/emissions").text.splitlines()) == 1
