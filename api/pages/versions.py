"""Versions of a model: which answers, since when, champion and challenger, and drift."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api.pages.asking import Refused, ask, get, get_or_none
from api.pages.models import about, version_asked, with_precision

versions = Blueprint("versions", __name__)

MOST_VERSIONS = 20
MOST_RUNS = 14


@versions.get("/models/<name>/versions")
def index(name: str) -> Any:
    """Each version with what it was worth, and the forms to change which one answers."""
    return _page(name)


def _page(name: str, *, error: Refused | None = None) -> Any:
    found = about(name)
    rows = []
    for number in sorted(found["versions"], reverse=True)[:MOST_VERSIONS]:
        model = get_or_none(f"/v1/models/{name}", version=number)
        card = get_or_none(f"/v1/models/{name}/card", version=number) or {}
        if model is not None:
            rows.append(
                {**model, "card": card, "scores": with_precision(card.get("scores", {}), None)}
            )
    schedules = [
        one
        for one in get("/v1/schedules", limit=100)["items"]
        if name in (one["request"].get("model"), (one["request"].get("job") or {}).get("model"))
    ]
    runs = [
        {**run, "schedule": one}
        for one in schedules
        for run in get(f"/v1/schedules/{one['id']}/runs", limit=MOST_RUNS)["items"]
    ]
    return render_template(
        "pages/model_versions.html",
        **found,
        tab="versions",
        rows=rows,
        schedules=schedules,
        runs=sorted(runs, key=lambda run: run["local_date"], reverse=True)[:MOST_RUNS],
        error=error,
    )


@versions.post("/models/<name>/promote")
def promote(name: str) -> Any:
    """Let a version answer."""
    text = request.form.get("version", "")
    body = {
        "version": int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0,
        "because": request.form.get("because") or None,
    }
    return _changed(name, "promote", body)


@versions.post("/models/<name>/rollback")
def rollback(name: str) -> Any:
    """Let the version answer again that did before."""
    return _changed(name, "rollback", None)


def _changed(name: str, verb: str, body: dict[str, Any] | None) -> Any:
    try:
        ask("POST", f"/v1/models/{name}/{verb}", body=body)
    except Refused as refused:
        return _page(name, error=refused), refused.status
    return redirect(url_for("versions.index", name=name, version=version_asked()), 303)
