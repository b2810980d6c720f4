"""What a page shows when something is refused or goes wrong."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from api.auth import SECURITY_HEADERS
from api.pages.asking import Refused
from scheduler.child import where

log = logging.getLogger(__name__)


def _page(status: int, detail: str) -> tuple[str, int]:
    title = HTTPStatus(status).phrase
    return render_template("pages/failure.html", status=status, title=title, detail=detail), status


def _refused(error: Refused) -> tuple[str, int]:
    return _page(error.status, str(error))


def _http(error: HTTPException) -> Any:
    if error.response is not None:
        return error.response
    status = error.code or 500
    return _page(status, HTTPStatus(status).description or HTTPStatus(status).phrase)


def _unexpected(error: Exception) -> tuple[str, int]:
    # Type and place only: the message of an unforeseen error may hold a value of a cell.
    log.error("a page failed: %s at %s", type(error).__name__, where(error))
    return _page(500, "this is our fault; the log says where")


def _secure(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def install(app: Flask) -> None:
    """Answer every error of `app` with a page."""
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_secure)
