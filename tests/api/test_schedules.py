"""Schedules over HTTP: what they answer, and what is refused with the field named."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scheduler.records_schedules import ScheduleState
from tests.api.parts import Site, build

AT = {"start": "02:30", "hours": 4}


def asked(site: Site, **changes: Any) -> dict[str, Any]:
    return {"model": "customers-y", "at": AT, "time_zone": "Europe/Paris", **changes}


@pytest.fixture
def ready(site: Site) -> Site:
    site.model()
    return site


def refused(site: Site, body: dict[str, Any], status: int = 422) -> Any:
    answer = site.post("/v1/schedules", json=body)
    assert answer.status_code == status, answer.text
    return answer.json


def test_a_schedule_says_when_it_is_due_and_what_happens_when_clocks_change(ready: Site) -> None:
    answer = ready.post("/v1/schedules", json=asked(ready))
    assert answer.status_code == 201, answer.text
    made = answer.json
    assert answer.headers["Location"] == f"/v1/schedules/{made['id']}"
    assert made["state"] == "ACTIVE"
    times = [datetime.fromisoformat(one) for one in made["next_times"]]
    assert len(times) == 3
    assert made["next_at"] == made["next_times"][0]
    assert times[0] > datetime.now(UTC)
    assert {one.utcoffset().total_seconds() for one in times} == {0}
    assert "there is no 02:30: 03:00 is meant" in made["dst_note"]
    assert "there are two 02:30: the first is meant" in made["dst_note"]
    request = made["request"]
    assert (request["promote"], request["when"]["policy"]) == ("manual", "low_carbon")
    assert request["gate"]["min_new_labels"] == 50
    assert ready.get(f"/v1/schedules/{made['id']}").json == made
    assert ready.get("/v1/schedules").json == {"items": [made], "next_cursor": None}
    assert ready.get(f"/v1/schedules/{made['id']}/runs").json == {"items": [], "next_before": None}


def test_pausing_resuming_and_deleting(ready: Site) -> None:
    path = f"/v1/schedules/{ready.post('/v1/schedules', json=asked(ready)).json['id']}"
    paused = ready.call("PATCH", path, json={"state": "PAUSED"}).json
    assert (paused["state"], paused["next_at"], paused["next_times"]) == ("PAUSED", None, [])
    again = ready.call("PATCH", path, json={"state": "ACTIVE"}).json
    assert (again["state"], len(again["next_times"])) == ("ACTIVE", 3)
    assert ready.call("DELETE", path).status_code == 204
    for method in ("GET", "DELETE"):
        assert ready.call(method, path).status_code == 404
    assert ready.call("PATCH", path, json={"state": "ACTIVE"}).status_code == 404
    actions = [one["action"] for one in ready.get("/v1/audit").json["items"]][-4:]
    assert actions == ["schedule.create", "schedule.pause", "schedule.resume", "schedule.delete"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"at": {"start": "*/0", "hours": 1}}, "at.start"),
        ({"at": {"start": "0 31 2 * *"}}, "at.start"),
        ({"at": {"start": "24:00"}}, "at.start"),
        ({"at": {"start": "2:30"}}, "at.start"),
        ({"at": {"start": "02:30", "finish_by": "06:00"}}, "at.finish_by"),
        ({"at": {"hours": 4}}, "at.finish_by"),
        ({"at": {"start": "02:30", "hours": 0}}, "at.hours"),
        ({"at": {"start": "02:30", "hours": 25}}, "at.hours"),
        ({"at": {"start": "02:30", "interval": 60}}, "at.interval"),
        ({"cron": "0 2 * * *"}, "cron"),
        ({"time_zone": 7}, "time_zone"),
        ({"feed": {"dataset": "0" * 32, "folder": "/in"}}, "feed.folder"),
        ({"feed": {"uri": "file:///etc/passwd"}}, "feed.uri"),
        ({"gate": {"min_new_labels": 0}}, "gate.min_new_labels"),
        ({"gate": {"psi": True}}, "gate.psi"),
        ({"promote": "yes"}, "promote"),
        ({"when": {"policy": "green"}}, "when.policy"),
        ({"model": None}, "job"),
        ({"job": {"dataset": "0" * 32, "target": "y", "model": "x"}}, "job"),
        ({"model": "../x"}, "model"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_be_meant_names_its_field(
    ready: Site, changes: dict[str, Any], field: str
) -> None:
    problem = refused(ready, asked(ready, **changes))
    assert problem["code"] == "invalid_request"
    assert field in [one["field"] for one in problem["errors"]], problem["errors"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"time_zone": "Mars/X"}, 422, "unknown_time_zone"),
        ({"time_zone": "CET-1CEST"}, 422, "unknown_time_zone"),
        ({"when": {"zone": "XX"}}, 422, "unknown_zone"),
        ({"webhook": "https://evil.example/x"}, 422, "webhook_not_allowed"),
        ({"feed": {"folder": "/etc"}}, 422, "feed_not_allowed"),
        ({"feed": {"dataset": uuid.uuid4().hex}}, 404, "not_found"),
        ({"model": "nobody"}, 404, "not_found"),
    ],
)
def test_what_is_not_there_or_not_allowed(
    ready: Site, changes: dict[str, Any], status: int, code: str
) -> None:
    assert refused(ready, asked(ready, **changes), status)["code"] == code


def test_a_feed_of_other_data_is_refused(ready: Site) -> None:
    other = ready.upload(b"age;y\n1;0\n2;1\n")
    problem = refused(ready, asked(ready, feed={"dataset": other}))
    assert (problem["code"], problem["details"]["field"]) == ("other_series", "feed.dataset")


def test_a_template_trains_the_first_model_too(site: Site) -> None:
    job = {"dataset": site.upload(), "target": "y", "model": "new-y"}
    body = {"job": job, "at": {"finish_by": "06:00"}, "time_zone": "Asia/Tokyo"}
    made = site.post("/v1/schedules", json=body)
    assert made.status_code == 201, made.text
    assert made.json["request"]["model"] == "new-y"
    assert made.json["dst_note"] is None
    for changes in ({"model": None}, {"target": None}):
        assert refused(site, {**body, "job": {**job, **changes}})["code"] == "invalid_request"


def test_pages_of_runs(ready: Site) -> None:
    made = ready.post("/v1/schedules", json=asked(ready)).json
    path = f"/v1/schedules/{made['id']}/runs"
    assert ready.get(f"{path}?before=2026-01-01").json["items"] == []
    for query in ("?before=yesterday", "?before=2026-01-01%00", "?limit=0", "?after=x"):
        assert ready.get(path + query).status_code == 422


def test_of_another_project_nothing_is_seen(ready: Site) -> None:
    made = ready.post("/v1/schedules", json=asked(ready)).json
    other = ready.get("/v1/schedules", secret=ready.other_secret).json
    assert other == {"items": [], "next_cursor": None}
    answer = ready.post(
        "/v1/schedules",
        json=asked(ready),
        secret=ready.other_secret,
    )
    assert answer.status_code == 404
    assert ready.store.get_schedule(ready.project, made["id"]).state is ScheduleState.ACTIVE


def test_a_folder_that_is_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "site").mkdir()
    site = build(tmp_path / "site", feed_roots=(folder,))
    site.model()
    made = site.post("/v1/schedules", json=asked(site, feed={"folder": str(folder)}))
    assert made.status_code == 201, made.text
    site.store.close()
