"""Which intensity what is expected of a job is told at: of its bill, its plan, its zone's year."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.carbon.typical import yearly_mean
from scheduler.job_intensity import job_intensity, zone_of
from scheduler.records import Job, JobState

JOB = Job(
    id="1" * 32,
    project_id="2" * 32,
    dataset_id="3" * 32,
    request={},
    state=JobState.RUNNING,
    submitted_at=datetime(2026, 6, 1, tzinfo=UTC),
)
PLAN = {"zone": "DE", "grams_per_kwh": 250.0, "source": "forecast", "factor_type": "lifecycle"}
BILL = {"zone": "ES", "grams_per_kwh": 120.0, "source": "meter", "factor_type": "direct"}


@pytest.mark.parametrize(
    ("changes", "zone", "grams", "basis"),
    [
        ({}, "FR", yearly_mean("FR").grams_per_kwh, "year"),
        ({"request": {"when": {"zone": "pol"}}}, "PL", yearly_mean("PL").grams_per_kwh, "year"),
        ({"request": {"when": {"zone": "PL"}}, "plan": PLAN}, "DE", 250.0, "plan"),
        ({"plan": {"zone": "DE"}}, "DE", yearly_mean("DE").grams_per_kwh, "year"),
        ({"plan": PLAN, "receipt": {"intensity": BILL}}, "ES", 120.0, "bill"),
        ({"plan": PLAN, "receipt": {}}, "DE", 250.0, "plan"),
    ],
)
def test_the_bill_goes_before_the_plan_and_the_plan_before_the_year(
    changes: dict[str, Any], zone: str, grams: float, basis: str
) -> None:
    found = job_intensity(replace(JOB, **changes), "FR")
    assert (found.zone, found.grams_per_kwh, found.basis) == (zone, grams, basis)
    assert found.text.startswith(f"{zone}: {found.source} ({found.factor_type}); the mean ")


def test_the_year_of_a_yearly_mean_is_told() -> None:
    assert job_intensity(JOB, "WORLD").text.endswith("(direct); the mean of 2018")


def test_a_zone_that_nobody_knows_has_no_default() -> None:
    with pytest.raises(DataError):
        zone_of(replace(JOB, plan={"zone": "nowhere"}), "FR")
