"""What cannot be meant is refused with its field, in queries and in schedules; nothing is a 500."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.records import DatasetState
from tests.api.parts import Site

SCHEDULE = {
    "model": "customers-y",
    "at": {"start": "02:30", "hours": 4},
    "time_zone": "Europe/Paris",
}


def refused(answer: Any, field: str, *, place: str = "query") -> Any:
    assert answer.status_code == 422, answer.text
    assert answer.mimetype == "application/problem+json"
    named = [(one["in"], one["field"]) for one in answer.json["errors"]]
    assert (place, field) in named, answer.text
    return answer.json


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/ledger?from=2026-11-23&to=2026-11-22", "to"),
        ("/v1/ledger?from=1700000000", "from"),
        ("/v1/ledger?to=2026-11-22T00:00:00", "to"),
        ("/v1/ledger?from=2026-99-99", "from"),
        ("/v1/ledger?phase=lunch", "phase"),
        ("/v1/ledger?cursor=nothing", "cursor"),
        (f"/v1/jobs?state=DONE&cursor={'0' * 32}", "cursor"),
        ("/v1/intensity?zone=", "zone"),
        ("/v1/intensity?zone=XX", "zone"),
        ("/v1/emissions/bylocation?location=XX", "location"),
        ("/v1/emissions/bylocation?location=FR&toTime=2026-01-01T00:00:00Z", "toTime"),
        ("/v1/emissions/bylocation?location=FR&time=2026-01-01T00:00:00", "time"),
        ("/v1/emissions/bylocation?location=FR&time=1700000000", "time"),
        ("/v1/emissions/bylocation?location=FR&time=2999-01-01T00:00:00Z", "time"),
        ("/v1/emissions/forecasts/current?location=FR&location=XX", "location"),
        ("/v1/emissions/forecasts/current?location=FR&dataEndAt=2026-13-01T00:00:00Z", "dataEndAt"),
    ],
)
def test_queries(site: Site, path: str, field: str) -> None:
    refused(site.get(path), field)


def test_a_query_is_known_to_every_route_or_refused(site: Site) -> None:
    """Also by routes that declare none; what is public is left to browsers and probes."""
    paths = [
        rule.rule
        for rule in site.app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and rule.rule.startswith("/v1")
    ]
    assert "/v1/zones" in paths
    for path in paths:
        path = path.replace("<name>", "a").replace("<", "").replace(">", "")
        answer = site.get(f"{path}?nonsense=1")
        assert refused(answer, "nonsense")["code"] == "invalid_request", path
    refused(site.get("/metrics?nonsense=1"), "nonsense")
    assert site.client.get("/healthz?nonsense=1").status_code == 200
    assert site.get("/v1/zones").status_code == 200
    assert site.get("/v1/zones?x=1", secret="").status_code == 401


def test_pages_of_runs_begin_at_a_day_that_there_is(site: Site) -> None:
    site.model()
    path = f"/v1/schedules/{site.post('/v1/schedules', json=SCHEDULE).json['id']}/runs"
    for before in ("2026-99-99", "2026-02-30", "0", "2026-01-01T00:00:00"):
        refused(site.get(f"{path}?before={before}"), "before")
    assert site.get(f"{path}?before=2026-02-28").status_code == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"gate": {"min_days": 10, "max_days": 9}}, "gate.max_days"),
        ({"gate": {"min_days": 31}}, "gate.max_days"),
        ({"at": {"start": "02:30", "hours": 1e-9}}, "at.hours"),
        ({"at": {"start": "02:30", "hours": 0.2}}, "at.hours"),
        ({"when": {"zone": "XX"}}, "when.zone"),
        ({"time_zone": "Mars/X"}, "time_zone"),
        ({"name": "a\0b"}, "name"),
        ({"gate": {"psi": float("nan")}}, "gate.psi"),
        ({"gate": {"min_days": 2**70}}, "gate.min_days"),
    ],
)
def test_schedules(site: Site, changes: dict[str, Any], field: str) -> None:
    site.model()
    refused(site.post("/v1/schedules", json={**SCHEDULE, **changes}), field, place="body")
    assert site.get("/v1/schedules").json["items"] == []


def test_what_may_be_asked_of_a_gate(site: Site) -> None:
    site.model()
    for gate in ({"min_days": 9, "max_days": 9}, {"min_days": 31, "max_days": None}):
        assert site.post("/v1/schedules", json={**SCHEDULE, "gate": gate}).status_code == 201


@pytest.mark.parametrize("policy", ["now", "low_carbon"])
def test_a_jobs_zone_is_checked_whenever_it_runs(site: Site, policy: str) -> None:
    answer = site.submit(when={"policy": policy, "zone": "XX"})
    assert refused(answer, "when.zone", place="body")["code"] == "unknown_zone"
    job = {"dataset": site.upload(), "target": "y", "model": "new", "when": {"zone": "XX"}}
    body = {**SCHEDULE, "model": None, "job": job}
    refused(site.post("/v1/schedules", json=body), "job.when.zone", place="body")


def test_the_words_are_for_people(site: Site) -> None:
    problem = refused(site.submit(when="now"), "when", place="body")
    assert problem["detail"] == "when: it must be a JSON object"
    bodies: tuple[Any, ...] = (
        [],
        "x",
        {"dataset": 1, "seed": "x", "exclude": {}, "accept_leakage": "no"},
    )
    for body in bodies:
        text = site.post("/v1/jobs", json=body).text
        for jargon in ("instance", "dictionary", "Extra inputs", "When", "JobRequest"):
            assert jargon not in text, text


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ('{"objective": {"name": "a\\u0000"}}', "nul_byte", "objective.name"),
        ('{"exclude": ["a", "b\\u0000"]}', "nul_byte", "exclude.1"),
        ('{"limits": {"joules": NaN}}', "non_finite", "limits.joules"),
        ('{"limits": {"joules": 1e999}}', "non_finite", "limits.joules"),
        ('{"seed": 99999999999999999999999}', "integer_range", "seed"),
        ('{"limits": {"joules": 1, "joules": 2}}', "duplicate_key", "limits.joules"),
    ],
)
def test_what_no_column_holds_names_its_field(site: Site, text: str, code: str, field: str) -> None:
    answer = site.post("/v1/jobs", data=text, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert answer.json["code"] == code
    assert [one["field"] for one in answer.json["errors"]] == [field]


def test_a_model_whose_data_were_deleted_has_no_schedule_and_is_not_promoted(site: Site) -> None:
    first, second = site.model(), site.model()
    assert (first.version, second.version) == (1, 2)
    assert site.call("DELETE", f"/v1/datasets/{first.dataset_id}").status_code == 204
    assert site.store.get_dataset(site.project, first.dataset_id).state is DatasetState.DELETED
    answer = site.post("/v1/schedules", json=SCHEDULE)
    assert (answer.status_code, answer.json["code"]) == (410, "dataset_deleted"), answer.text
    assert "were deleted" in answer.json["detail"]
    job = {"dataset": first.dataset_id, "target": "y", "model": "new"}
    answer = site.post("/v1/schedules", json={**SCHEDULE, "model": None, "job": job})
    assert answer.status_code == 410
    answer = site.post("/v1/models/customers-y/promote", json={"version": 1})
    assert (answer.status_code, answer.json["code"]) == (410, "dataset_deleted"), answer.text
    assert site.get("/v1/models/customers-y/promotions").json["items"] == []
