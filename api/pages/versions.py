"""Versions of a model: which answers, since when, champion and challenger, and drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api.pages.asking import Refused, ask, get, get_or_none, newest
from api.pages.models import about, version_asked, with_precision

versions = Blueprint("versions", __name__)

MOST_VERSIONS = 20
MOST_RUNS = 14


@versions.get("/models/<name>/versions")
def index(name: str) -> Any:
    """Each version with what it was worth, and the forms to change which one answers."""
    return _page(name)


def _page(name: str) -> Any:
    found = about(name)
    rows = [_row(name, one) for one in sorted(found["versions"], reverse=True)[:MOST_VERSIONS]]
    schedules = [
        one
        for one in newest("/v1/schedules")
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
        rows=[one for one in rows if one is not None],
        before=get(f"/v1/models/{name}/promotions")["before"],
        schedules=schedules,
        runs=sorted(runs, key=lambda run: run["local_date"], reverse=True)[:MOST_RUNS],
    )


def _row(name: str, version: int) -> dict[str, Any] | None:
    """A version with its card and the scores of its validation; None where it is gone."""
    model = get_or_none(f"/v1/models/{name}", version=version)
    if model is None:
        return None
    card = get_or_none(f"/v1/models/{name}/card", version=version) or {}
    return {**model, "card": card, "scores": with_precision(card.get("scores") or {}, None)}


@versions.get("/models/<name>/promote")
def confirm_promotion(name: str) -> Any:
    """What changes when a version answers, and the form that does it."""
    version = version_asked()
    if version is None:
        return redirect(url_for("versions.index", name=name), 303)
    return _confirm(name, version, verb="promote")


@versions.get("/models/<name>/rollback")
def confirm_rollback(name: str) -> Any:
    """What changes when the version answers again that did before, and the form that does it."""
    return _confirm(name, get(f"/v1/models/{name}/promotions")["before"], verb="rollback")


@versions.post("/models/<name>/promote")
def promote(name: str) -> Any:
    """Let a version answer."""
    text = request.form.get("version", "")
    version = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    because = request.form.get("because", "").strip() or None
    return _changed(name, version, verb="promote", body={"version": version, "because": because})


@versions.post("/models/<name>/rollback")
def rollback(name: str) -> Any:
    """Let the version answer again that did before."""
    before = get(f"/v1/models/{name}/promotions")["before"]
    return _changed(name, before, verb="rollback", body=None)


def _confirm(
    name: str, version: int | None, *, verb: str, error: Refused | None = None
) -> tuple[str, int]:
    """Both versions side by side: the one that answers, and the one that would."""
    found = about(name)
    chosen = None if version is None else _row(name, version)
    if verb == "promote" and chosen is None:
        get(f"/v1/models/{name}", version=version)  # is refused, with the reason
    now = _row(name, found["serving"])
    page = render_template(
        "pages/model_promotion.html",
        **found,
        tab="versions",
        verb=verb,
        now=now,
        chosen=chosen,
        compared=compared(now or {}, chosen or {}),
        because=request.form.get("because", ""),
        error=error,
        faults={} if error is None else error.field_errors(),
    )
    return page, 200 if error is None else error.status


def compared(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scores of two versions beside each other, None where one has no such score.

    >>> compared({"scores": [{"name": "ap", "label": "AP", "value": 0.4}]}, {})
    [{'label': 'AP', 'now': 0.4, 'then': None}]
    """
    sides = [{one["name"]: one for one in side.get("scores", ())} for side in (then, now)]
    labels = {name: one["label"] for side in sides for name, one in side.items()}
    values = [{name: one["value"] for name, one in side.items()} for side in sides]
    return [
        {"label": label, "now": values[1].get(name), "then": values[0].get(name)}
        for name, label in labels.items()
    ]


def _changed(name: str, version: int | None, *, verb: str, body: dict[str, Any] | None) -> Any:
    """Do it, unless another version answers by now than the one that was read about."""
    read = request.form.get("serving")
    told = get(f"/v1/models/{name}/promotions")
    meant = request.form.get("version", str(version)) == str(version)
    try:
        if read is not None and (read != str(told["serving"]) or not meant):
            moved = (
                f"version {told['serving']} answers by now, not version {read}: read again what "
                "changes"
            )
            raise Refused(409, {"detail": moved})
        ask("POST", f"/v1/models/{name}/{verb}", body=body)
    except Refused as refused:
        if refused.status in (404, 410):
            raise
        return _confirm(name, version or None, verb=verb, error=refused)
    return redirect(url_for("versions.index", name=name), 303)
