"""How a page asks the API: the same request that a program would send, without the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, g, request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

API = "frugal_api"
# What a form offers to choose from, asked for in pages as large as the API gives.
MOST_LISTED, PAGE = 500, 100
Json = dict[str, Any]


class Refused(Exception):
    """The API answered with a problem document (RFC 9457).

    Attributes
    ----------
    status : int
        HTTP status.
    problem : dict
        The document: ``detail`` is a sentence for people, ``errors`` name fields.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"HTTP {status}"))
        self.status = status
        self.problem = dict(problem)

    def field_errors(self) -> dict[str, str]:
        """What is wrong with which field of the request, by the field's name."""
        found = self.problem.get("errors") or []
        return {str(item.get("field")): str(item.get("detail")) for item in found}


def install(app: Flask, *, api: WSGIApplication) -> None:
    """Let the pages of `app` ask `api`."""
    app.extensions[API] = api


def send(
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Headers, bytes]:
    """Status, headers and body of the API's answer, as the one who is signed in.

    Parameters
    ----------
    query : parameters; those that are None or empty are left out
    body : sent as JSON
    data : sent as it is; `headers` then name its type
    """
    sent = {"Authorization": f"Bearer {g.secret}", **(headers or {})}
    kept = {name: value for name, value in (query or {}).items() if value not in (None, "")}
    builder = EnvironBuilder(
        path=path,
        base_url=request.host_url,
        method=method,
        query_string=kept,
        headers=Headers(sent),
        json=body,
        data=data,
        environ_overrides={"REMOTE_ADDR": request.remote_addr or ""},
    )
    try:
        chunks, status, answered = run_wsgi_app(
            current_app.extensions[API], builder.get_environ(), buffered=True
        )
    finally:
        builder.close()
    return int(status.split()[0]), answered, b"".join(chunks)


def ask(method: str, path: str, *, body: Any = None, **query: Any) -> Any:
    """The API's answer as JSON; None where it has no content.

    Raises
    ------
    Refused
        It answered with a problem.
    """
    status, _, text = send(method, path, query=query, body=body)
    answer = json.loads(text) if text else None
    if status >= 400:
        raise Refused(status, answer or {})
    return answer


def get(path: str, **query: Any) -> Any:
    """The answer to a GET; see `ask`."""
    return ask("GET", path, **query)


def newest(path: str) -> list[Json]:
    """The newest items of a list of the API, asked for page by page; MOST_LISTED at most."""
    items: list[Json] = []
    cursor = None
    while len(items) < MOST_LISTED:
        page = get(path, limit=PAGE, cursor=cursor)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return items[:MOST_LISTED]


def get_or_none(path: str, **query: Any) -> Any:
    """The answer to a GET, None where there is no such thing (404, 409, 410)."""
    try:
        return get(path, **query)
    except Refused as refused:
        if refused.status in (404, 409, 410):
            return None
        raise
