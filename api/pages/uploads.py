"""Handing data over: files in pieces by a script, one small file by a plain form, or an address."""

from __future__ import annotations

from typing import Any, get_args

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from api.context import parts
from api.pages.asking import Json, Refused, ask, get, send
from api.pages.rights import may
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
    "log_columns": "Positions in a log's lines",
    "log_year": "Year of the first line of a syslog",
}


def reading_fields() -> list[Json]:
    """The reading options of an upload as fields of a form; empty means: guess."""
    described = UploadQuery.model_fields
    return [
        {
            "name": name,
            "title": title,
            "hint": described[name].description,
            "choices": _CHOICES.get(name),
        }
        for name, title in _TITLES.items()
    ]


@uploads.get("/datasets/new")
def form() -> Any:
    """Choose files, say how they are read where guessing is not enough, go on with a broken one."""
    return _form()


def _form(error: Refused | None = None, *, at: str | None = None) -> Any:
    allowed = may("uploads.index")
    unfinished = get("/v1/uploads", limit=100)["items"] if allowed else []
    page = render_template(
        "pages/dataset_new.html",
        unfinished=[_progress(one) for one in unfinished if one["state"] == "OPEN"],
        fields=reading_fields(),
        error=error,
        errors={} if error is None else error.field_errors(),
        at=at,
        typed=request.form,
        most_bytes=parts().settings.max_body_bytes,
        by_address=bool(parts().settings.feed_roots),
    )
    return page, 200 if error is None else error.status


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
        options = {name: request.form.get(name, "") for name in _TITLES}
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
    import json

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
    options = {one: request.form[one] for one in _TITLES if request.form.get(one)}
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
