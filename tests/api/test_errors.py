"""Row 87, and what nobody foresaw: every failure is a problem document."""

from __future__ import annotations

import errno
import logging
from typing import Any

import pytest

from api.errors import STATUS_OF_CLASS, of_upload, status_of
from api.server import start_logging
from automl.errors import BudgetExhausted, DataError, FrugalError, MeterUnavailable
from scheduler import errors
from tests.api.parts import Site


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("PUT", "/v1/jobs", {}, 405, "method_not_allowed"),
        ("DELETE", "/v1/jobs", {}, 405, "method_not_allowed"),
        ("PATCH", "/healthz", {}, 405, "method_not_allowed"),
        ("TRACE", "/v1/jobs", {}, 405, "method_not_allowed"),
        ("GET", "/v1/jobs", {"Accept": "application/xml"}, 406, "not_acceptable"),
        ("GET", "/docs", {"Accept": "application/json"}, 406, "not_acceptable"),
        ("GET", "/v3/jobs", {}, 404, "not_found"),
        ("GET", "/v1/jobs/", {}, 404, "not_found"),
        ("GET", "/v1//jobs", {}, 404, "not_found"),
        ("GET", "////v1/jobs", {}, 404, "not_found"),  # a client would take //v1 for a host
        ("POST", "////v1/datasets", {}, 404, "not_found"),
        ("GET", "/static/../auth.py", {}, 404, "not_found"),
        ("GET", "/static/%2e%2e/auth.py", {}, 404, "not_found"),
        ("GET", "/v1/jobs?limit=0", {}, 422, "invalid_request"),
        ("GET", "/v1/jobs?limit=1e3", {}, 422, "invalid_request"),
        ("GET", "/v1/jobs?colour=red", {}, 422, "invalid_request"),
        ("GET", "/v1/jobs?limit=1&limit=2", {}, 400, "bad_request"),
        ("GET", "/v1/jobs?cursor=%00", {}, 422, "invalid_cursor"),
        ("GET", "/v1/jobs?cursor=nothing", {}, 422, "invalid_cursor"),
        ("GET", "/v1/jobs?state=DONE&cursor=" + "0" * 32, {}, 422, "invalid_cursor"),
        ("GET", "/v1/jobs?" + "a=b&" * 5000, {}, 400, "query_too_long"),
    ],
)
def test_problems(
    site: Site, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = site.call(method, path, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["title"]
    assert answer.json["detail"]


def test_a_path_that_is_none_is_not_called_a_record(site: Site) -> None:
    assert "no such page" in site.get("/v3/jobs").json["detail"]
    detail = site.get("/v1/jobs/" + "0" * 32).json["detail"]
    assert detail == "there is no such job in this project"


@pytest.mark.parametrize(
    ("more", "field", "words"),
    [
        ({"gap": 10}, "gap", "a gap needs time_column"),
        ({"positive": {"a": 1}}, "positive", "text"),
        ({"model": "My Model"}, "model", "small letters"),
        ({"warm_start_from": "My Model"}, "warm_start_from", "name/version"),
    ],
)
def test_a_field_is_named_as_it_was_sent_and_what_it_lacks_in_words(
    site: Site, more: dict[str, Any], field: str, words: str
) -> None:
    answer = site.submit(**more)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field
    assert words in answer.json["errors"][0]["detail"]


def test_no_positive_value_is_said_in_words(site: Site) -> None:
    answer = site.submit(positive=[])
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json["errors"]] == ["positive"]
    assert answer.json["detail"].startswith("positive: name at least one value")


def test_bursts_that_the_queue_is_for_are_no_warning() -> None:
    queue = logging.getLogger("waitress.queue")
    root, before = logging.getLogger(), queue.level
    handlers, level = root.handlers[:], root.level
    try:
        start_logging("INFO")
        assert not queue.isEnabledFor(logging.WARNING)
        assert queue.isEnabledFor(logging.ERROR)
    finally:
        queue.setLevel(before)
        root.handlers[:] = handlers
        root.setLevel(level)


def test_405_names_what_is_allowed(site: Site) -> None:
    assert set(site.call("PUT", "/v1/jobs").headers["Allow"].split(", ")) == {
        "GET",
        "HEAD",
        "OPTIONS",
        "POST",
    }


def test_where_in_the_data_is_said(site: Site) -> None:
    site.ingestor.refusal = DataError(
        "row 7 has 3 fields", code="ragged_row", table="t", column="age", row=7, details={"n": 3}
    )
    answer = site.submit()
    assert answer.status_code == 422
    assert answer.json["code"] == "ragged_row"
    assert (answer.json["table"], answer.json["column"], answer.json["row"]) == ("t", "age", 7)
    assert answer.json["details"] == {"n": 3}


def test_the_unforeseen_is_500_with_an_id_and_no_message(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.ingestor.refusal = KeyError("FR7630006000011234567890189")
    answer = site.submit()
    assert answer.status_code == 500
    assert answer.json["code"] == "unexpected"
    assert answer.json["error_id"] in caplog.text
    assert "KeyError" in caplog.text
    assert "parts.py" in caplog.text  # where it was raised
    assert "FR76" not in caplog.text
    assert "FR76" not in answer.text


def test_a_full_disk_is_507(site: Site) -> None:
    site.ingestor.refusal = OSError(errno.ENOSPC, "No space left on device")
    assert site.submit().status_code == 507


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("x"), 422),
        (DataError("x", code="unsupported_format"), 415),
        (DataError("x", code="decoded_too_large"), 413),
        (BudgetExhausted("x"), 422),
        (MeterUnavailable("x"), 503),
        (errors.UnknownRecord("x"), 404),
        (errors.Conflict("x"), 409),
        (errors.Gone("x"), 410),
        (errors.TooLarge("x"), 413),
        (errors.IdempotencyKeyReused("x"), 422),
        (errors.ChildDied("x"), 422),
        (errors.QueueFull("x"), 429),
        (errors.StoreUnavailable("x"), 503),
        (errors.StorageFull("x"), 507),
        (errors.Corrupt("x"), 500),
    ],
)
def test_status_of_each_class(site: Site, error: FrugalError, status: int) -> None:
    assert status_of(error) == status
    site.ingestor.refusal = error
    answer = site.submit()
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status in (429, 503))


def test_every_class_that_can_reach_a_client_is_in_the_table() -> None:
    # What a process dies of before it answers anybody.
    at_start = {errors.IncompatibleStore, errors.InvalidSetting}

    def below(cls: type[Any]) -> set[type[Any]]:
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    known = [
        cls for cls in below(FrugalError) if cls.__module__ in (errors.__name__, "automl.errors")
    ]
    missing = [
        cls
        for cls in known
        if cls is not FrugalError
        and cls not in at_start
        and not any(base in STATUS_OF_CLASS for base in cls.__mro__)
    ]
    assert not missing


ODD_VALUES = [
    "",
    ";;;",
    "a/b;q=abc",
    "*/*;q=0",
    "bytes=5-1",
    "bytes=0-0,2-3",
    "bytes=-99999999999999999999",
    'W/"x"',
    '"',
    "\xff",
    "1" * 5000,
    "Thu, 99 Foo 9999",
    "filename*=utf-16''%ff; filename*0=a; filename*=punycode''\xe9",
    ",,,,,",
]


@pytest.mark.parametrize(
    "header",
    [
        "Accept",
        "Authorization",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Type",
        "Cookie",
        "Expect",
        "Host",
        "Idempotency-Key",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "If-Range",
        "Last-Event-ID",
        "Range",
        "X-Forwarded-For",
    ],
)
def test_odd_headers_break_nothing(site: Site, header: str) -> None:
    model = site.model()
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/v1/models/{model.name}/export", {}),
        ("GET", f"/v1/jobs/{model.job_id}/events?after=0", {}),
        ("GET", "/docs", {}),
        ("POST", "/v1/jobs", {"data": "{}", "content_type": "application/json"}),
        ("POST", "/v1/datasets", {"data": b"a;b", "content_type": "text/csv"}),
    ]
    for value in ODD_VALUES:
        for method, path, kwargs in requests:
            sent = {k: v for k, v in kwargs.items() if header != "Content-Type" or k == "data"}
            answer = site.call(method, path, headers={header: value}, **sent)
            assert answer.status_code < 500, (value, path, answer.text)
            if answer.status_code >= 400:
                assert answer.mimetype == "application/problem+json", (value, path)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ragged_row", 422),
        ("decoded_too_large", 413),
        ("storage_full", 507),
        ("internal_error", 500),
        ("upload_lost", 500),
    ],
)
def test_an_invalid_data_set_has_the_document_of_a_refusal(code: str, status: int) -> None:
    told = of_upload({"code": code, "detail": "so it is", "row": 3})
    assert (told["code"], told["status"], told["row"]) == (code, status, 3)
    assert {"type", "title", "detail"} <= told.keys()
