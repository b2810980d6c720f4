"""Rows 71-73 of the bad inputs: JSON that two parsers could read differently is refused."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from api import schemas_jobs
from automl.search import objective as search
from tests.api.parts import Site

OK = {"dataset": "0" * 32, "target": "y"}


def send(site: Site, body: str | bytes, content_type: str = "application/json") -> Any:
    return site.post("/v1/jobs", data=body, content_type=content_type)


def field(name: str, text: str) -> str:
    """A valid request with one more field, as text."""
    return f'{json.dumps(OK)[:-1]}, "{name}": {text}}}'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "malformed_json"),
        ("{", 400, "malformed_json"),
        ("{'a': 1}", 400, "malformed_json"),
        ('{"a": 1} x', 400, "malformed_json"),
        (b"\xff\xfe{\x00}\x00", 400, "malformed_json"),
        (b'\xef\xbb\xbf{"a": 1}', 400, "malformed_json"),
        ("null", 422, "invalid_request"),
        ("[]", 422, "invalid_request"),
        ("3", 422, "invalid_request"),
        ('"text"', 422, "invalid_request"),
        (field("target", '"z"'), 400, "duplicate_key"),
        (field("limits", '{"joules": 1, "joules": 2}'), 400, "duplicate_key"),
        (field("tenant_id", '"x"'), 422, "invalid_request"),
        (field("state", '"DONE"'), 422, "invalid_request"),
        (field("owner", '"me"'), 422, "invalid_request"),
        (field("epoch", "7"), 422, "invalid_request"),
        ("[" * 100_000, 400, "too_deep"),
        ('{"a":' * 100_000, 400, "too_deep"),
        ("[" * 40 + "]" * 40, 400, "too_deep"),
        (field("seed", str(2**63)), 422, "integer_range"),
        (field("seed", "9" * 5000), 422, "integer_range"),
        (field("seed", str(2**32)), 422, "invalid_request"),
        (field("model", '"\\ud800"'), 422, "encoding"),
        (field("\\udfff", "1"), 422, "encoding"),
        (field("model", '"a\\u0000b"'), 422, "nul_byte"),
    ],
)
def test_malformed_bodies(site: Site, body: str | bytes, status: int, code: str) -> None:
    answer = send(site, body)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("name", ["gco2e", "joules", "cpu_seconds", "wall_seconds", "trials"])
@pytest.mark.parametrize(
    "value", ["0", "-1", "1e308", "1e400", "NaN", "Infinity", "-Infinity", '"12"', "true", "[]"]
)
def test_budgets_that_are_none(site: Site, name: str, value: str) -> None:
    answer = send(site, field("limits", f'{{"{name}": {value}}}'))
    assert answer.status_code == 422
    assert answer.json["code"] in ("invalid_request", "non_finite")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target", "1"),
        ("target", '""'),
        ("target", "[]"),
        ("positive", "{}"),
        ("positive", "[]"),
        ("positive", "[[1]]"),
        ("exclude", '"duration"'),
        ("exclude", "[1]"),
        ("accept_missing_target", '"true"'),
        ("accept_missing_target", "1"),
        ("objective", '{"alert_rate": 0}'),
        ("objective", '{"alert_rate": 1.5}'),
        ("objective", '{"alert_rate": "0.1"}'),
        ("objective", '{"pick": "best"}'),
        ("mode", '"fast"'),
        ("seed", "-1"),
        ("seed", "1.5"),
        ("model", '"../../etc"'),
        ("model", '"A b"'),
        ("when", '"now"'),
        ("limits", "null"),
    ],
)
def test_wrong_fields(site: Site, name: str, value: str) -> None:
    body = json.dumps({key: item for key, item in OK.items() if key != name})
    answer = send(site, f'{body[:-1]}, "{name}": {value}}}')
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid_request"
    assert answer.json["errors"][0]["field"].startswith(name)


@pytest.mark.parametrize(
    "when",
    [
        {"policy": "greenest"},
        {"policy": "by", "deadline": "2020-01-01T00:00:00Z"},
        {"policy": "cron", "cron": "*/0 * * * *"},  # row 74
    ],
)
def test_other_policies_are_not_supported(site: Site, when: dict[str, Any]) -> None:
    answer = site.post("/v1/jobs", json={**OK, "when": when})
    assert (answer.status_code, answer.json["code"]) == (422, "not_supported")


@pytest.mark.parametrize(
    ("objective", "fields"),
    [
        ({"metric": "f1"}, ["metric"]),
        ({"metric": "precision_at_recall"}, ["recall"]),
        ({"metric": "precision_at_recall", "recall": None}, ["recall"]),
        ({"recall": 1.01}, ["recall"]),
        ({"metric": "expected_cost"}, ["missed_cost", "alert_cost"]),
        ({"metric": "expected_cost", "missed_cost": 50}, ["alert_cost"]),
        ({"missed_cost": 50}, ["alert_cost"]),
        ({"missed_cost": 0, "alert_cost": 1}, ["missed_cost"]),
        ({"missed_cost": 1e300, "alert_cost": 1}, ["missed_cost"]),
    ],
)
def test_objectives_say_which_field_is_wrong(
    site: Site, objective: dict[str, Any], fields: list[str]
) -> None:
    answer = site.post("/v1/jobs", json={**OK, "objective": objective})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    wrong = [error["field"] for error in answer.json["errors"]]
    assert wrong == [f"objective.{name}" for name in fields]


@pytest.mark.parametrize(
    "objective",
    [
        {"metric": "roc_auc"},
        {"metric": "recall_at_alert_rate", "alert_rate": 0.05},
        {"metric": "precision_at_recall", "recall": 1},
        {"metric": "expected_cost", "missed_cost": 50, "alert_cost": 1.5},
        {"recall": 0.5, "missed_cost": 5, "alert_cost": 1},  # reported beside the score
    ],
)
def test_objectives_are_taken_as_they_are_meant(site: Site, objective: dict[str, Any]) -> None:
    asked = site.submit(objective=objective).json["request"]["objective"]
    assert {name: asked[name] for name in objective} == objective


def test_the_body_knows_the_objectives_of_the_search() -> None:
    assert get_args(schemas_jobs.MetricName) == search.METRICS
    assert dict(schemas_jobs.NEEDS) == dict(search.NEEDS)
    assert dict(schemas_jobs.SCORE_NAMES) == dict(search.SCORE_NAMES)


def test_whole_numbers_may_be_written_with_a_point(site: Site) -> None:
    assert site.submit(seed=3.0, limits={"trials": 5.0, "joules": 10}).status_code == 202


def test_values_of_the_request_are_not_repeated(site: Site) -> None:
    answer = site.post("/v1/jobs", json={**OK, "seed": "FR7630006000011234567890189"})
    assert answer.status_code == 422
    assert "FR76" not in answer.text


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
def test_other_content_types_are_415(site: Site, content_type: str) -> None:
    answer = send(site, json.dumps(OK), content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_body_above_the_limit_is_413(site: Site) -> None:
    answer = send(site, field("model", '"' + "x" * (5 * 2**20) + '"'))
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/" + "1" + "0" * 30,
        "/v1/jobs/-1",
        "/v1/jobs/%00",
        "/v1/jobs/..%2f..%2fetc",
        "/v1/datasets/%ed%a0%80",
        "/v1/models/%00",
        "/v1/models/..",
        "/v1/models/A%20b",
    ],
)
def test_ids_that_are_none_are_404(site: Site, path: str) -> None:
    answer = site.get(path)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
