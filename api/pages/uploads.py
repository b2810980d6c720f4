"""Handing data over: files in pieces by a script, one small file by a plain form, or an address."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from api.context import parts
from api.pages.asking import Json, Refused, ask, newest, send
from api.pages.rights import may
from api.pages.spec_texts import items
from api.schemas import LogFormat, UploadQuery

uploads = Blueprint("uploads", __name__)

# Reading options in the order of the form: name, title, what it is, what may be chosen.
_CHOICES: dict[str, tuple[str, ...]] = {
    "format": ("csv", "parquet", "jsonl"),
    "decimal": (".", ","),
    "header": ("true", "false"),
    "non_finite": ("error", "null"),
    "log_format": get_args(LogFormat),
}
_TITLES = {
    "log_format": "Raw log: format of its lines",
    "log_columns": "Where each part of a log's line stands",
    "format": "Format",
    "delimiter": "Delimiter",
    "decimal": "Decimal sign",
    "header": "First line has the column names",
    "encoding": "Encoding",
    "quote": "Quotation mark",
    "null_values": "Texts that mean missing",
    "date_format": "Format of dates",
    "timezone": "Time zone of times without one",
    "types": "Types of columns",
    "key": "Key column",
    "non_finite": "Infinite numbers",
    "entity_prefix": "How the word that names a log's entity begins",
    "log_year": "Year of the first line of a syslog",
}
# Parts of a log's line as `automl.logs.formats` has them; and what replaces the API's own hints.
_PARTS = ("time", "key", "level", "component", "message")
_HINTS = {
    "log_columns": "for the format columns the word that it is, from 0, or words next to each "
    "other (0, 1); the message is all from its first word on. For jsonl what it is called there",
    "null_values": "by commas, e.g. NA, unknown; in quotes where one has a comma or is empty",
}


def reading_fields() -> list[Json]:
    """The reading options of an upload as fields of a form; empty means: guess."""
    described = UploadQuery.model_fields
    return [
        {
            "name": name,
            "title": title,
            "hint": _HINTS.get(name, described[name].description),
            "choices": _CHOICES.get(name),
            "parts": _PARTS if name == "log_columns" else (),
        }
        for name, title in _TITLES.items()
    ]


def options_of(form: Mapping[str, str]) -> dict[str, str]:
    """The reading options that a form says, as the API takes them; upload.js does the same.

    >>> places = {"log_columns.time": "0, 1", "log_columns.message": "2"}
    >>> options_of({"log_format": "columns", **places})
    {'log_format': 'columns', 'log_columns': '{"time": [0, 1], "message": 2}'}
    >>> options_of({"null_values": 'NA, "", "a, b"'})
    {'null_values': '["NA", "", "a, b"]'}
    """
    found = {name: form[name] for name in _TITLES if form.get(name)}
    nothing = found.get("null_values", "")
    if nothing and not nothing.lstrip().startswith("["):
        found["null_values"] = json.dumps([one for one, _ in items(nothing)])
    places = {one: form.get(f"log_columns.{one}", "").strip() for one in _PARTS}
    if any(places.values()) and form.get("log_format") in ("columns", "jsonl"):
        by_name = form["log_format"] == "jsonl"
        at = {one: text if by_name else _place(text) for one, text in places.items() if text}
        found["log_columns"] = json.dumps(at)
    return found


def _place(text: str) -> int | list[int] | str:
    """Positions of words; what is none stays a text, and the API says what is wrong with it."""
    words = [one.strip() for one in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,9}", one) for one in words):
        return text
    return int(words[0]) if len(words) == 1 else [int(one) for one in words]


@uploads.get("/datasets/new")
def form() -> Any:
    """Choose files, say how they are read where guessing is not enough, go on with a broken one."""
    return _form()


def _form(error: Refused | None = None, *, at: str | None = None) -> Any:
    allowed = may("uploads.index")
    unfinished = newest("/v1/uploads") if allowed else []
    page = render_template(
        "pages/dataset_new.html",
        unfinished=[_progress(one) for one in unfinished if one["state"] == "OPEN"],
        fields=reading_fields(),
        error=error,
        errors={} if error is None else faults_of(error),
        at=at,
        typed=request.form,
        most_bytes=parts().settings.max_body_bytes,
        by_address=bool(parts().settings.feed_roots or parts().settings.s3_roots),
    )
    return page, 200 if error is None else error.status


def faults_of(error: Refused) -> dict[str, str]:
    """What is wrong with which option; how a file is read is found out while reading it."""
    option = (error.problem.get("details") or {}).get("option")
    return error.field_errors() or ({} if option is None else {str(option): str(error)})


def _progress(upload: Json) -> Json:
    there = min(len(upload["received"]) * upload["chunk_bytes"], upload["size"])
    return {**upload, "there": there, "share": there / upload["size"]}


@uploads.post("/datasets/new")
def accept() -> Any:
    """A file that comes with the form itself."""
    try:
        file = request.files.get("file")
        if file is None or not file.filename:
            raise Refused(422, {"detail": "choose a file", "errors": _at("file", "choose a file")})
        options = options_of(request.form)
        status, _, body = send(
            "POST",
            "/v1/datasets",
            query={"name": file.filename, **options},
            data=file.read(),
            headers={"Content-Type": "application/octet-stream"},
        )
        return _there(status, body)
    except RequestEntityTooLarge:
        most = parts().settings.max_body_bytes // 10**6
        detail = f"without JavaScript a file may have {most} MB; larger ones go in pieces"
        return _form(Refused(413, {"detail": detail}), at="file")
    except Refused as error:
        return _form(error, at="file")


def _there(status: int, body: bytes) -> Any:
    answer = json.loads(body)
    if status >= 400:
        raise Refused(status, answer)
    return redirect(url_for("datasets.show", dataset_id=answer["id"]), 303)


def _at(field: str, detail: str) -> list[Json]:
    return [{"field": field, "detail": detail}]


@uploads.post("/datasets/register")
def register() -> Any:
    """A file that lies under a folder of the operator."""
    uri = request.form.get("uri", "").strip()
    name = request.form.get("name", "").strip() or uri.rsplit("/", 1)[-1] or "data"
    options = options_of(request.form)
    try:
        body = {"name": name, "uri": uri, "options": options}
        answer = ask("POST", "/v1/datasets", body=body)
    except Refused as error:
        return _form(error, at="uri")
    return redirect(url_for("datasets.show", dataset_id=answer["id"]), 303)


@uploads.post("/uploads/<upload_id>/forget")
def forget(upload_id: str) -> Any:
    """Give an unfinished upload up."""
    ask("DELETE", f"/v1/uploads/{upload_id}")
    return redirect(url_for("uploads.form"), 303)
