"""Plans over HTTP: what is asked, what is refused and where, what jobs do with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.errors import ForecastUnavailable
from scheduler.plan import Plan
from tests.api.parts import Site, build

HOUR = timedelta(hours=1)


class Dip:
    """A forecast of 400 g/kWh that is 100 in the fourth hour from now."""

    name = "dip"

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime]] = []
        self.fails = False

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        self.asked.append((zone, start, end))
        if self.fails:
            raise ForecastUnavailable("the forecast is away")
        first = now.replace(minute=0, second=0, microsecond=0)
        n_hours = int((end - first) / HOUR) + 1
        return IntensitySeries(
            zone=zone,
            source=self.name,
            factor_type="lifecycle",
            issued_at=now - HOUR,
            error_grams=50.0,
            readings=tuple(
                Reading(
                    start=first + i * HOUR,
                    end=first + (i + 1) * HOUR,
                    grams_per_kwh=100.0 if i == 4 else 400.0,
                )
                for i in range(n_hours)
            ),
        )

    history = latest = forecast


@pytest.fixture
def dip() -> Dip:
    return Dip()


@pytest.fixture
def site(tmp_path: Path, dip: Dip) -> Iterator[Site]:
    made = build(tmp_path, intensity=dip, zone="FR")
    yield made
    made.store.close()


LOW = {"policy": "low_carbon"}
COUNTS = {"n_rows": 1000, "n_positive": 20, "n_columns": 7}


def from_now(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


def test_a_plan_says_all_without_submitting(site: Site, dip: Dip) -> None:
    dataset = site.upload()
    answer = site.post("/v1/plans", json={"dataset": dataset, "target": "y", "when": LOW})
    assert answer.status_code == 200
    told = answer.json
    hour = datetime.fromisoformat(told["decided_at"]).replace(minute=0, second=0, microsecond=0)
    assert datetime.fromisoformat(told["start_at"]) == hour + 4 * HOUR
    assert told["expected"]["kwh"] == pytest.approx(0.01)
    assert (told["grams_per_kwh_now"], told["grams_per_kwh"]) == (400, 100)
    assert (told["gco2e_now"], told["gco2e"]) == (pytest.approx(4), pytest.approx(1))
    assert told["saving_gco2e"] == pytest.approx(3)
    assert told["worst_saving_gco2e"] == pytest.approx((300 - 1.645 * 50) * 0.01)
    assert len(told["alternatives"]) == 5
    assert told["alternatives"][0]["saving_gco2e"] == pytest.approx(3)
    assert (told["zone"], told["source"], told["age_seconds"]) == ("FR", "dip", 3600)
    assert told["reason"].startswith("waits until")
    assert site.get("/v1/jobs").json["items"] == []
    assert site.service.woken == 0
    assert dip.asked[0][0] == "FR"


def test_without_a_data_set_counts_are_enough(site: Site) -> None:
    answer = site.post("/v1/plans", json={**COUNTS, "mode": "eco", "when": LOW})
    assert answer.status_code == 200
    assert site.ingestor.counts == COUNTS
    assert answer.json["reason"].startswith("waits until")
    unlabelled = site.post("/v1/plans", json={"n_rows": 1000, "n_columns": 7})
    assert (unlabelled.status_code, site.ingestor.counts["n_positive"]) == (200, 0)


def test_now_is_the_default_and_still_shows_the_windows(site: Site) -> None:
    told = site.post("/v1/plans", json=COUNTS).json
    assert (told["policy"], told["start_at"]) == ("now", told["decided_at"])
    assert told["saving_gco2e"] == 0
    assert told["alternatives"][0]["gco2e"] == pytest.approx(1)


def test_the_same_job_gets_the_same_plan(site: Site) -> None:
    answer = site.submit(when={**LOW, "zone": "deu"})
    assert answer.status_code == 202
    told = answer.json
    assert told["state"] == "PLANNED"
    job = site.store.get_job(site.project, told["id"])
    assert job.plan is not None
    kept = Plan.from_json(job.plan)
    assert job.start_at == kept.start_at > job.submitted_at
    assert (kept.when.zone, kept.zone) == ("DE", "DE")
    assert site.store.claim_job(owner="x", lease_seconds=9, now=job.submitted_at) is None
    later = site.store.claim_job(owner="x", lease_seconds=9, now=kept.start_at)
    assert later is not None


def test_a_job_with_a_deadline_keeps_it(site: Site) -> None:
    told = site.submit(when={**LOW, "finish_by": "2999-01-01T00:00:00Z"})
    assert (told.status_code, told.json["code"]) == (422, "deadline_infeasible")
    told = site.submit(when={**LOW, "finish_by": from_now(hours=3)})
    assert told.status_code == 202
    job = site.store.get_job(site.project, told.json["id"])
    assert job.finish_by is not None
    # Two hours are kept in hand, the 95th percentile; the dip is too late.
    assert job.start_at is not None
    assert job.start_at - job.submitted_at < 2 * timedelta(seconds=1)


def test_a_job_that_runs_now_has_no_plan(site: Site, dip: Dip) -> None:
    job = site.store.get_job(site.project, site.job())
    assert job.plan is None
    assert dip.asked == []


def test_a_deadline_that_cannot_be_kept_says_which_could(site: Site) -> None:
    when = {**LOW, "finish_by": from_now(minutes=70)}
    for path, body in (
        ("/v1/plans", {**COUNTS, "when": when}),
        ("/v1/jobs", {"dataset": site.upload(), "target": "y", "when": when}),
    ):
        answer = site.post(path, json=body)
        assert (answer.status_code, answer.json["code"]) == (422, "deadline_infeasible")
        details = answer.json["details"]
        assert details["field"] == "when.finish_by"
        # What it says is possible is possible.
        again = {**LOW, "finish_by": details["earliest_finish"]}
        assert site.post(path, json={**body, "when": again}).status_code in (200, 202)


@pytest.mark.parametrize(
    ("when", "field", "code"),
    [
        ({"finish_by": "2026-12-01T00:00:00Z"}, "finish_by", "needs_low_carbon"),
        ({"start_after": "2026-12-01T00:00:00Z"}, "start_after", "needs_low_carbon"),
        ({"interruptible": True}, "interruptible", "needs_low_carbon"),
        ({**LOW, "finish_by": "2026-12-01T00:00:00"}, "finish_by", "no_offset"),
        ({**LOW, "finish_by": "2026-12-01"}, "finish_by", "date_time"),
        ({**LOW, "finish_by": "2026-13-01T00:00:00Z"}, "finish_by", "date_time"),
        ({**LOW, "finish_by": "2026-12-01T00:00:00+99:00"}, "finish_by", "date_time"),
        ({**LOW, "finish_by": "0001-01-01T00:00:00+12:00"}, "finish_by", "date_time"),
        ({**LOW, "finish_by": "9999-12-31T23:59:59-12:00"}, "finish_by", "date_time"),
        ({**LOW, "finish_by": 1764547200}, "finish_by", "date_time"),
        ({**LOW, "finish_by": ""}, "finish_by", "date_time"),
        (
            {
                **LOW,
                "latest_start": "2026-12-01T02:00:00Z",
                "finish_by": "2026-12-01T02:00:00+01:00",
            },
            "finish_by",
            "too_early",
        ),
        ({**LOW, "floor": 1}, "floor", "less_than"),
        ({**LOW, "floor": "3 %"}, "floor", "float_type"),
        ({**LOW, "zone": ""}, "zone", "string_too_short"),
        ({**LOW, "deadline": "2026-12-01T00:00:00Z"}, "deadline", "extra_forbidden"),
        (
            {
                **LOW,
                "start_after": "2026-12-01T00:00:00Z",
                "latest_start": "2026-11-30T23:00:00-02:00",
                "finish_by": "2026-12-01T00:30:00+01:00",
            },
            "finish_by",
            "too_early",
        ),
        (
            {
                **LOW,
                "start_after": "2026-12-01T00:00:00Z",
                "latest_start": "2026-11-30T23:59:59Z",
            },
            "latest_start",
            "too_early",
        ),
    ],
)
def test_wrong_times_are_refused_with_the_field_named(
    site: Site, when: dict[str, Any], field: str, code: str
) -> None:
    for path, body in (("/v1/plans", COUNTS), ("/v1/jobs", {"dataset": "x", "target": "y"})):
        answer = site.post(path, json={**body, "when": when})
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
        told = [(error["field"], error["code"]) for error in answer.json["errors"]]
        assert told == [(f"when.{field}", code)]


@pytest.mark.parametrize(
    "when",
    [
        {**LOW, "finish_by": "2020-01-01T00:00:00Z"},
        {**LOW, "latest_start": "2020-01-01T00:00:00Z"},
        {**LOW, "finish_by": "2126-01-01T00:00:00Z"},
    ],
)
def test_deadlines_of_another_time_are_refused(site: Site, when: dict[str, Any]) -> None:
    """Row 70."""
    answer = site.post("/v1/plans", json={**COUNTS, "when": when})
    assert (answer.status_code, answer.json["code"]) == (422, "deadline_infeasible")
    assert answer.json["details"]["earliest_finish"] > from_now()


def test_an_unknown_zone_is_refused_with_the_list(site: Site) -> None:
    """Row 79."""
    answer = site.post("/v1/plans", json={**COUNTS, "when": {"zone": "Atlantis"}})
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_zone")
    assert "FR" in answer.json["details"]["zones"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "n_rows"),
        ({"n_rows": 10}, "n_columns"),
        ({"n_rows": 10, "n_columns": 2, "n_positive": 11}, "n_positive"),
        ({"n_rows": 0, "n_columns": 2}, "n_rows"),
        ({"n_rows": True, "n_columns": 2}, "n_rows"),
        ({"dataset": "x", "target": "y", "n_rows": 10}, "n_rows"),
        ({"dataset": "x", "target": None, "mode": "eco"}, "mode"),
        ({"n_rows": 10, "n_columns": 2, "rows": 5}, "rows"),
    ],
)
def test_what_is_to_be_planned_is_said_once(site: Site, body: dict[str, Any], field: str) -> None:
    answer = site.post("/v1/plans", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert answer.json["errors"][0]["field"] == field


def test_what_a_job_would_be_refused_for_refuses_its_plan(site: Site) -> None:
    site.ingestor.refusal = DataError("no", code="target_not_found")
    dataset = site.upload()
    answer = site.post("/v1/plans", json={"dataset": dataset, "target": "z"})
    assert (answer.status_code, answer.json["code"]) == (422, "target_not_found")
    assert site.post("/v1/plans", json={"dataset": "0" * 32, "target": "y"}).status_code == 404
    secret = site.other_secret
    body = {"dataset": dataset, "target": "y"}
    assert site.post("/v1/plans", json=body, secret=secret).status_code == 404


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"warm_start_from": "nobody"}, 404, "warm_start_from"),
        ({"dataset": "0" * 32}, 404, "dataset"),
        ({"webhook": "http://169.254.169.254/latest"}, 422, "webhook"),
    ],
)
def test_a_plan_and_its_job_are_refused_alike(
    site: Site, more: dict[str, Any], status: int, field: str
) -> None:
    body = {"dataset": site.upload(), "target": "y", **more}
    answers = [site.post(path, json=body) for path in ("/v1/plans", "/v1/jobs")]
    for answer in answers:
        assert answer.status_code == status, answer.text
        assert answer.json["errors"][0]["field"] == field
    assert answers[0].json == answers[1].json


def test_without_a_forecast_it_runs_at_once_and_says_so(site: Site, dip: Dip) -> None:
    dip.fails = True
    told = site.post("/v1/plans", json={**COUNTS, "when": LOW}).json
    assert "no forecast" in told["reason"]
    assert (told["start_at"], told["gco2e"], told["source"]) == (told["decided_at"], None, None)
    assert (told["zone"], told["alternatives"]) == ("FR", [])
    job = site.submit(when=LOW).json
    assert job["state"] == "SUBMITTED"


def test_zones_are_listed_with_what_is_known_of_them(site: Site) -> None:
    told = site.get("/v1/zones").json
    assert told["default"] == "FR"
    by_code = {zone["code"]: zone for zone in told["items"]}
    assert len(by_code) == len(told["items"]) > 200
    assert by_code["FR"]["profile"] is True
    assert round(by_code["FR"]["grams_per_kwh"]) == 56
    assert by_code["US-CAL-CISO"]["grams_per_kwh"] == by_code["US"]["grams_per_kwh"]
    assert by_code["WORLD"]["factor_type"] == "direct"
    # Each of them can be named.
    for code in ("FR", "US-CAL-CISO", "WORLD"):
        body = {**COUNTS, "when": {"zone": code}}
        assert site.post("/v1/plans", json=body).json["zone"] == code
