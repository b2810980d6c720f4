"""Errors as answers: one table from class or code to status, all application/problem+json."""

from __future__ import annotations

import contextlib
import errno
import logging
import traceback
import uuid
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from apiflask import APIFlask, HTTPError
from flask import Response, request
from flask_limiter import RateLimitExceeded
from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    RequestedRangeNotSatisfiable,
)

from api.roles import Forbidden
from api.wording import field_of, said
from automl.errors import BudgetExhausted, DataError, FrugalError, MeterUnavailable
from scheduler import errors as scheduler_errors

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
MAX_DETAIL = 2000  # characters of one sentence


class BadRequest(FrugalError):
    """The request is malformed, whatever it asks for; `field` names where, if that is known."""

    code = "bad_request"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message, code=code)
        self.field = field


class Unauthenticated(FrugalError):
    """No valid bearer token came with the request."""

    code = "token_required"


class UnsupportedMediaType(FrugalError):
    """The body has a content type that this route does not read."""

    code = "unsupported_media_type"


class LengthRequired(FrugalError):
    """An upload must say how long it is."""

    code = "length_required"


class NotAcceptable(FrugalError):
    """None of the types in Accept can be produced."""

    code = "not_acceptable"


class UnknownHost(FrugalError):
    """The Host header names something that this service does not answer to."""

    code = "unknown_host"


class TooManyRequests(FrugalError):
    """Slow down."""

    code = "rate_limited"


class TooManyViewers(FrugalError):
    """As many event streams as allowed are open."""

    code = "too_many_viewers"


STATUS_OF_CLASS: dict[type[BaseException], int] = {
    BadRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    scheduler_errors.UnknownRecord: 404,
    NotAcceptable: 406,
    scheduler_errors.Conflict: 409,
    scheduler_errors.LostLease: 409,
    scheduler_errors.Gone: 410,
    LengthRequired: 411,
    scheduler_errors.TooLarge: 413,
    UnsupportedMediaType: 415,
    UnknownHost: 421,
    DataError: 422,
    BudgetExhausted: 422,
    scheduler_errors.IdempotencyKeyReused: 422,
    scheduler_errors.ChildDied: 422,  # its input killed it: a hostile file is the sender's fault
    TooManyRequests: 429,
    scheduler_errors.QueueFull: 429,
    scheduler_errors.Corrupt: 500,
    TooManyViewers: 503,
    MeterUnavailable: 503,
    scheduler_errors.ForecastUnavailable: 503,
    scheduler_errors.StoreUnavailable: 503,
    scheduler_errors.StorageFull: 507,
}
STATUS_OF_CODE = {
    "unsupported_format": 415,
    "upload_too_large": 413,
    "decoded_too_large": 413,
    "too_many_rows": 413,
    "chunks_missing": 409,
    "bad_request": 400,
    # Of a model that the caller was shown to have; so it may be said what is not there.
    "no_curves": 404,
    "no_labels": 409,  # curves of a model that was trained without any
    "unknown_member": 404,
    "corrupt_model": 500,
    "predictor_busy": 503,
    "inferring_busy": 503,
}
OWN_FAULTS = {"internal_error": 500, "upload_lost": 500}  # of reading in; no file is to blame
CODE_OF_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "body_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "rate_limited",
    431: "headers_too_large",
    503: "unavailable",
}
RETRY_AFTER_SECONDS = {429: 30, 503: 5}
NO_SUCH = "there is no such "
NOT_FOUND = "there is no such record in this project"
NO_PAGE = "there is no such page; /openapi.json lists those there are"


def status_of(error: BaseException) -> int:
    """The status of an error: by its code first, then by its class or the nearest base of it."""
    if isinstance(error, FrugalError) and error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    for base in type(error).__mro__:
        if base in STATUS_OF_CLASS:
            return STATUS_OF_CLASS[base]
    return 500


def document(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """A problem as RFC 9457 writes it; members that are None are left out."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail[:MAX_DETAIL],
        **{name: value for name, value in more.items() if value is not None},
    }


def of_upload(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a problem met while reading on: as if the request had been refused for it.

    >>> of_upload({"code": "ragged_row", "detail": "row 2 has 3 cells", "row": 2})["status"]
    422
    """
    code = str(stored["code"])
    by_class = {cls.code: n for cls, n in STATUS_OF_CLASS.items() if issubclass(cls, FrugalError)}
    status = (OWN_FAULTS | by_class | STATUS_OF_CODE).get(code, 422)
    return document(**{**stored, "status": status, "code": code})


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """An RFC 9457 answer; members that are None are left out."""
    body = document(status, code, detail, **more)
    if request.path.startswith("/v2"):  # the Open Inference Protocol reads its own member
        body["error"] = body["detail"]
    response = Response(to_json(body, inf_nan_mode="null"), status, mimetype=PROBLEM)
    if status in RETRY_AFTER_SECONDS:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS[status])
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="frugal"'
    response.headers.update(headers or {})
    return response


def _frugal_error(error: FrugalError) -> Response:
    status = status_of(error)
    if status == 404 and not isinstance(error, DataError):
        # The same bytes for an id of another project and for one that never was.
        said = str(error)
        detail = f"{said} in this project" if said.startswith(NO_SUCH) else NOT_FOUND
        field = error.field if isinstance(error, scheduler_errors.UnknownRecord) else None
        items = [{"in": "body", "field": field, "code": "not_found", "detail": detail}]
        return problem(404, "not_found", detail, errors=items if field else None)
    if status == 500:
        log.error("answered 500: %s, code %s", type(error).__name__, error.code)
    where: dict[str, Any] = {}
    if isinstance(error, DataError):
        where = {"table": error.table, "column": error.column, "row": error.row}
        where["details"] = error.details or None
    field = _field(error)
    if field is not None:
        item: dict[str, Any] = {
            "in": _place(field),
            "field": field,
            "code": error.code,
            "detail": str(error)[:200],
        }
        if isinstance(error, DataError) and error.row is not None:
            item["row"] = error.row
        where["errors"] = [item]
    return problem(status, error.code, str(error), **where)


def _field(error: FrugalError) -> str | None:
    """The field of the request that an error is about."""
    if isinstance(error, BadRequest):
        return error.field
    found = error.details.get("field") if isinstance(error, DataError) else None
    return found if isinstance(found, str) else None


def _place(field: str) -> str:
    query = field in request.args or request.method in ("GET", "HEAD", "DELETE")
    return "query" if query else "body"


@contextlib.contextmanager
def about(field: str) -> Iterator[None]:
    """Name the field that an error is about, where whoever raises it cannot know."""
    try:
        yield
    except DataError as error:
        error.details.setdefault("field", field)
        raise
    except scheduler_errors.UnknownRecord as error:
        error.field = error.field or field
        raise


def _validation_error(error: HTTPError) -> Response:
    """What APIFlask raises when pydantic refuses; its cause has the precise places."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        code = CODE_OF_STATUS.get(error.status_code, "http_error")
        return problem(error.status_code, code, str(error.message))
    location = next(iter(error.detail), "json")
    return invalid(cause, location=location)


def invalid(error: ValidationError, *, location: str) -> Response:
    """422 with every place that is wrong; values are never repeated."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    code = "not_supported" if _has(errors, "not_supported") else "invalid_request"
    items = [
        {
            "in": "body" if location == "json" else location,
            "field": field_of(item["loc"])[:200],
            "code": item["type"],
            "detail": said(item, location=location)[:200],
        }
        for item in sorted(errors, key=lambda item: item["type"] != "not_supported")[:50]
    ]
    first = items[0]
    detail = f"{first['field'] or 'the request'}: {first['detail']}"
    return problem(422, code, detail, errors=items)


def _has(errors: list[ErrorDetails], kind: str) -> bool:
    return any(item["type"] == kind for item in errors)


def _http_error(error: HTTPException) -> Response:
    if error.response is not None and isinstance(error.response, Response):
        return error.response  # a redirect
    status = error.code or 500
    headers: dict[str, str] = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if isinstance(error, RequestedRangeNotSatisfiable) and error.length is not None:
        headers["Content-Range"] = f"bytes */{error.length}"
    if status == 404:
        return problem(404, "not_found", NO_PAGE)
    code = CODE_OF_STATUS.get(status, "http_error")
    # Werkzeug's descriptions are fixed sentences, except that of 400, which may quote the input.
    detail = HTTPStatus(status).description or HTTPStatus(status).phrase
    return problem(status, code, detail, headers=headers)


def _rate_limit(error: RateLimitExceeded) -> Response:
    return problem(429, "rate_limited", "too many requests from this token or address")


def _unexpected(error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        log.error("the disk is full")
        return problem(507, "disk_full", "there is no room left to store this")
    error_id = uuid.uuid4().hex
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-6:]))
    # Type and place only: the message of an unforeseen error may hold a value of a cell.
    log.error("error %s: %s at %s", error_id, type(error).__name__, places)
    return problem(
        500, "unexpected", f"this is our fault; error {error_id} is in the log", error_id=error_id
    )


def install(app: APIFlask) -> None:
    """Make every error of `app` a problem document."""
    app.register_error_handler(FrugalError, _frugal_error)
    app.register_error_handler(HTTPError, _validation_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(RateLimitExceeded, _rate_limit)
    app.register_error_handler(Exception, _unexpected)
