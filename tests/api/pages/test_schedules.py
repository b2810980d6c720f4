"""The form of a schedule offers all that the API takes; its page says what became of each day."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, update
from werkzeug.datastructures import MultiDict

from api.cookie import COOKIE
from api.pages.schedule_fields import requested
from api.schemas_schedules import ScheduleRequest
from scheduler.tables import runs, schedules
from tests.api.pages.test_new_job import leaves
from tests.api.parts import Site

OWN = {"Sec-Fetch-Site": "same-origin"}
TYPED = {
    "name": "nightly",
    "model": "customers-y",
    "at.edge": "start",
    "at.time": "22:30",
    "at.hours": "6",
    "time_zone": "Asia/Tokyo",
    "when.policy": "now",
    "when.zone": "DE",
    "when.floor": "0.1",
    "when.interruptible": "true",
    "feed.dataset": "d",
    "feed.folder": "/some/folder",
    "gate.min_new_labels": "10",
    "gate.psi": "0.3",
    "gate.score_psi": "0.4",
    "gate.min_days": "2",
    "gate.max_days": "9",
    "promote": "auto",
    "webhook": "https://hooks.example/x",
    "job": "{}",
}


def ask(site: Site, path: str, *, secret: str = "", method: str = "GET", **kwargs: Any) -> Any:
    headers = {"Cookie": f"{COOKIE}={secret or site.secret}", **OWN}
    client = site.app.test_client(use_cookies=False)
    return client.open(f"/ui/schedules{path}", method=method, headers=headers, **kwargs)


def test_the_form_offers_all_that_the_api_takes(site: Site) -> None:
    schema = ScheduleRequest.model_json_schema()
    definitions = {name: one for name, one in schema["$defs"].items() if name != "JobRequest"}
    expected = leaves(schema, definitions)
    said = set()
    for edge in ("start", "finish_by"):
        for name, value in requested(MultiDict({**TYPED, "at.edge": edge})).items():
            nested = name in ("at", "when", "feed", "gate")
            said |= {f"{name}.{leaf}" for leaf in value} if nested else {name}
    assert said == expected
    site.model("customers-y")
    there = set(re.findall(r'name="([^"]+)"', ask(site, "/new").text))
    assert set(TYPED) <= there


def test_no_days_at_all_is_said_as_none() -> None:
    assert requested(MultiDict({"gate.max_days": " "}))["gate"] == {"max_days": None}
    assert "gate" not in requested(MultiDict())


@pytest.mark.parametrize(
    ("field", "text", "folded"),
    [
        ("at.time", "25:00", None),
        ("at.hours", "x", None),
        ("time_zone", "Mars", None),
        ("gate.psi", "-1", None),
        ("gate.max_days", "1.5", None),
        ("when.floor", "3", "in-waiting"),
        ("feed.folder", "relative", "in-feed"),
        ("webhook", "ftp://hooks.example", "in-more"),
        ("job", "{", "in-job"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    site: Site, field: str, text: str, folded: str | None
) -> None:
    site.model("customers-y")
    form = {
        "model": "customers-y",
        "at.time": "07:00",
        "time_zone": "Europe/Paris",
        "gate.min_new_labels": "77",
        field: text,
    }
    answer = ask(site, "/new", method="POST", data=form)
    assert answer.status_code == 422
    assert f'id="fault-{field}"' in answer.text
    assert f'value="{text}"' in answer.text or f">{text}</textarea>" in answer.text
    assert 'value="77"' in answer.text
    if folded is not None:
        assert f'<details id="{folded}" open>' in answer.text


def test_a_model_or_a_job_and_not_both(site: Site) -> None:
    site.model("customers-y")
    form = {"model": "customers-y", "job": '{"dataset": "d", "target": "y", "model": "m"}'}
    data = {**form, "at.time": "07:00", "time_zone": "UTC"}
    answer = ask(site, "/new", method="POST", data=data)
    assert answer.status_code == 422
    assert 'id="fault-job"' in answer.text


def test_only_who_may_promote_is_offered_that_it_happens_by_itself(site: Site) -> None:
    site.model("customers-y")
    now = datetime.now(UTC)
    secret, _ = site.store.add_token(site.project, name="a", now=now, role="analyst")
    assert 'value="auto"' in ask(site, "/new").text
    assert 'value="auto"' not in ask(site, "/new", secret=secret).text
    form = {"model": "customers-y", "at.time": "07:00", "time_zone": "UTC", "promote": "auto"}
    made = ask(site, "/new", method="POST", data=form)
    path = made.location.removeprefix("/ui/schedules")
    assert f"{path}/pause" in ask(site, path).text
    assert f"{path}/pause" not in ask(site, path, secret=secret).text


def test_each_day_leads_to_its_reason_job_and_version(site: Site) -> None:
    site.model("customers-y")
    form = {"model": "customers-y", "at.time": "07:00", "time_zone": "UTC"}
    path = ask(site, "/new", method="POST", data=form).location.removeprefix("/ui/schedules")
    told = {"worth": False, "because": "not worth it today, because <b> moved by 0.01"}
    won = {"promoted": False, "proposed": True, "version": 1, "because": "proposed: it wins"}
    put_run(site, path[1:], "2026-10-30", "DONE", {"worth": True}, won)
    put_run(site, path[1:], "2026-11-02", "SKIPPED", told)
    page = ask(site, path).text  # the month of the newest run
    assert "November 2026" in page
    assert 'href="#day-2026-11-02"' in page
    assert "because &lt;b&gt; moved by 0.01" in page
    assert "1 skipped" in page
    assert "proposed: it wins" not in page
    assert "/ui/models/customers-y/versions" in page
    older = ask(site, f"{path}?month=2026-10").text
    assert "proposed: it wins" in older
    assert "/ui/models/customers-y/promote?version=1" in older
    assert "No day of this month had a run" in ask(site, f"{path}?month=2026-09").text


def put_run(
    site: Site, schedule: str, day: str, state: str, decision: Any, outcome: Any = None
) -> None:
    row = {"schedule_id": schedule, "local_date": day, "state": state, "missed": 0, "epoch": 1}
    told = {"decision": decision, "outcome": outcome, "due_at": datetime(2026, 11, 2, tzinfo=UTC)}
    with site.store.write() as connection:
        connection.execute(insert(runs).values(**row, **told))


def test_what_was_deleted_is_said_and_no_link_leads_to_it(site: Site) -> None:
    site.model("customers-y")
    form = {"model": "customers-y", "at.time": "07:00", "time_zone": "UTC"}
    path = ask(site, "/new", method="POST", data=form).location.removeprefix("/ui/schedules")
    won = {"promoted": True, "version": 1, "because": "it wins"}
    put_run(site, path[1:], "2026-11-02", "DONE", {"worth": True}, won)
    lost = {"promoted": False, "proposed": True, "version": 7, "because": "it wins"}
    put_run(site, path[1:], "2026-11-03", "DONE", {"worth": True}, lost)
    page = ask(site, path).text
    assert 'href="/ui/models/customers-y?version=1"' in page
    assert 'href="/ui/models/customers-y?version=7"' not in page  # of that name, but not there
    assert site.call("DELETE", "/v1/models/customers-y").status_code == 204
    page = ask(site, path).text
    assert 'href="/ui/models/customers-y' not in page
    assert page.count('<span class="hint">deleted</span>') == 3


def test_files_that_could_not_be_read_are_named_by_the_schedule_and_the_run(
    site: Site,
) -> None:
    site.model("customers-y")
    made = {"model": "customers-y", "at": {"start": "02:30"}, "time_zone": "UTC"}
    schedule = site.post("/v1/schedules", json=made).json
    assert schedule["unread"] == []
    file = {
        "file": "in/<b>.csv",
        "bytes": 9,
        "written_at": "2026-11-02T01:00:00.000000+00:00",
        "sha256": None,
        "since": "2026-11-01",
        "called": True,
        "code": "missing_columns",
        "detail": "the column 'age' is missing",
        "column": "age",
    }
    told = {"worth": False, "because": "not worth it today", "unread": [file]}
    put_run(site, schedule["id"], "2026-11-02", "SKIPPED", told)
    put_run(site, schedule["id"], "2026-11-03", "SKIPPED", {"because": "too soon"})
    with site.store.write() as connection:
        request = {**schedule["request"], "feed": {"dataset": None, "folder": "/somewhere"}}
        connection.execute(update(schedules).values(request=request))
    (one,) = site.get(f"/v1/schedules/{schedule['id']}").json["unread"]
    assert (one["file"], one["code"], one["column"]) == ("in/<b>.csv", "missing_columns", "age")
    assert set(one) & {"sha256", "called"} == set()
    last, first = site.get(f"/v1/schedules/{schedule['id']}/runs").json["items"]
    assert (len(first["unread"]), last["unread"]) == (1, [])
    page = ask(site, f"/{schedule['id']}").text
    assert "1 file of the folder cannot be read" in page
    assert page.count("in/&lt;b&gt;.csv") >= 2
    assert "the column &#39;age&#39; is missing" in page
    assert "since 2026-11-01" in page
