"""The client against a server that misbehaves on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api import client_calls
from api.client import FrugalClient, ServiceError, ServiceUnreachable
from tests.api.script import Script, event_stream, reply

BUSY = reply(503, {"code": "unavailable", "detail": "later"}, **{"Retry-After": "0"})


def test_a_problem_is_an_error_with_its_code_and_sentence(
    client: FrugalClient, script: Script
) -> None:
    problem = {"status": 422, "code": "ragged_row", "detail": "row 7 is longer", "row": 7}
    script.add("POST /v1/jobs", reply(422, problem))
    with pytest.raises(ServiceError) as caught:
        client.submit({})
    assert (caught.value.status, caught.value.code) == (422, "ragged_row")
    assert str(caught.value) == "row 7 is longer"
    assert caught.value.problem["row"] == 7
    assert len(script.requests) == 1


def test_an_error_that_is_no_problem_document_is_still_an_error(
    client: FrugalClient, script: Script
) -> None:
    script.add("GET /v1/jobs/a", (418, {}, b"<html>"))
    with pytest.raises(ServiceError) as caught:
        client.job("a")
    assert caught.value.status == 418


def test_the_token_goes_along_even_with_a_netrc(
    client: FrugalClient, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    script.add("GET /v1/jobs/a", reply(200, {"id": "a"}))
    client.job("a")
    assert script.requests[0][1]["Authorization"] == "Bearer secret"


def test_reading_is_retried_while_the_service_is_busy(client: FrugalClient, script: Script) -> None:
    script.add("GET /v1/jobs/a", BUSY, BUSY, reply(200, {"id": "a"}))
    assert client.job("a") == {"id": "a"}


def test_a_job_is_submitted_again_with_the_same_key(client: FrugalClient, script: Script) -> None:
    running = reply(409, {"code": "request_in_progress", "detail": "wait"})
    script.add("POST /v1/jobs", None, BUSY, running, reply(202, {"id": "a"}))
    assert client.submit({"target": "y"})["id"] == "a"
    keys = {headers["Idempotency-Key"] for _, headers, _ in script.requests}
    assert len(script.requests) == 4
    assert len(keys) == 1


def test_a_plan_is_asked_for_with_the_jobs_own_body(client: FrugalClient, script: Script) -> None:
    script.add("POST /v1/plans", reply(200, {"reason": "runs now, as asked"}))
    script.add("GET /v1/zones", reply(200, {"default": "FR", "items": []}))
    request = {"dataset": "x", "target": "y", "when": {"policy": "low_carbon"}}
    assert client.plan(request)["reason"] == "runs now, as asked"
    assert json.loads(script.requests[0][2]) == request
    assert client.zones()["default"] == "FR"


def test_a_job_is_not_submitted_for_ever(client: FrugalClient, script: Script) -> None:
    script.add("POST /v1/jobs", *[BUSY] * 10)
    with pytest.raises(ServiceError):
        client.submit({})
    assert len(script.requests) == client_calls.ATTEMPTS


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_calls, "BACKOFF_SECONDS", 0.001)
    with FrugalClient("http://127.0.0.1:1", "secret") as nobody, pytest.raises(ServiceUnreachable):
        nobody.cancel("a")


def test_an_upload_streams_the_file_with_its_length_and_waits(
    client: FrugalClient, script: Script, tmp_path: Path
) -> None:
    path = tmp_path / "customers.csv"
    path.write_bytes(b"a;b\n" * 100_000)
    script.add("POST /v1/datasets", reply(201, {"id": "d", "state": "INGESTING"}))
    script.add("GET /v1/datasets/d", reply(200, {"id": "d", "state": "INGESTING"}))
    script.add("GET /v1/datasets/d", reply(200, {"id": "d", "state": "READY"}))
    assert client.upload(path, options={"delimiter": ";"})["state"] == "READY"
    path_and_query, headers, body = script.requests[0]
    assert "name=customers.csv" in path_and_query
    assert "delimiter=%3B" in path_and_query
    assert headers["Content-Length"] == "400000"
    assert body == path.read_bytes()


def test_events_are_resumed_where_they_broke_off(client: FrugalClient, script: Script) -> None:
    first = {"seq": 1, "kind": "state", "data": {"state": "RUNNING"}}
    second = {"seq": 2, "kind": "end", "data": {"stop_reason": "two\nlines"}}
    cut = event_stream(first, second)
    half = cut[2][: cut[2].index(b"id: 2") + 20]
    script.add("GET /v1/jobs/a/events", (200, cut[1], half), None, event_stream(second))
    script.add("GET /v1/jobs/a/events", (204, {}, b""))
    events = list(client.events("a"))
    assert [(event.seq, event.kind) for event in events] == [(1, "state"), (2, "end")]
    assert events[1].data["stop_reason"] == "two\nlines"
    asked = [headers["Last-Event-ID"] for _, headers, _ in script.requests]
    assert asked == ["0", "1", "1", "2"]


def test_events_are_polled_when_all_places_are_taken(client: FrugalClient, script: Script) -> None:
    full = reply(503, {"code": "too_many_viewers", "detail": "full"}, **{"Retry-After": "0"})
    script.add("GET /v1/jobs/a/events", *[full] * (client_calls.ATTEMPTS + 1))
    page = {"items": [{"seq": 1, "kind": "state", "data": {}}], "last": 1, "finished": False}
    end = {"items": [{"seq": 2, "kind": "end", "data": {}}], "last": 2, "finished": True}
    script.add("GET /v1/jobs/a/events", reply(200, page), reply(200, end))
    assert [event.seq for event in client.events("a")] == [1, 2]


def test_a_leaderboard_is_read_page_by_page(client: FrugalClient, script: Script) -> None:
    line = "GET /v1/jobs/a/leaderboard"
    script.add(line, reply(200, {"items": [{"number": 1}], "total": 2}))
    script.add(line, reply(200, {"items": [{"number": 0}], "total": 2}))
    assert [row["number"] for row in client.leaderboard("a")] == [1, 0]
    assert "offset=1" in script.requests[1][0]


@pytest.mark.parametrize("given", ["rows", "path", "bytes"])
def test_rows_are_sent_as_what_they_are(
    client: FrugalClient, script: Script, tmp_path: Path, given: str
) -> None:
    script.add("POST /v1/models/m/predict", reply(200, {"predictions": []}))
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1")
    send: dict[str, Callable[[], Any]] = {
        "rows": lambda: client.predict("m", [{"a": 1}]),
        "path": lambda: client.predict("m", path),
        "bytes": lambda: client.predict("m", b"a\n1\n", version=3),
    }
    send[given]()
    path_and_query, headers, body = script.requests[0]
    expected = {
        "rows": ("application/json", b'{"rows": [{"a": 1}]}'),
        "path": ("application/vnd.apache.parquet", b"PAR1"),
        "bytes": ("text/csv", b"a\n1\n"),
    }
    assert (headers["Content-Type"], body) == expected[given]
    assert ("version=3" in path_and_query) == (given == "bytes")
