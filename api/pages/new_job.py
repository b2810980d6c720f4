"""A new job: the form, and what it would take and save before anything runs."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from api import charts
from api.pages.asking import Refused, ask, get, get_or_none, send
from api.pages.labels import is_zero_one, named, offered, rarest
from api.pages.rights import need

new_job = Blueprint("new_job", __name__)

OBJECTIVES = {
    "average_precision": "average precision",
    "roc_auc": "area under the ROC curve",
    "recall_at_alert_rate": "positives found at the alert rate",
    "precision_at_recall": "precision at the recall asked for",
    "expected_cost": "cost of alerts and misses",
}
MODES = {"eco": "eco: the least", "balanced": "balanced", "best": "best: up to the limits"}
NUMBERS = {
    "objective.alert_rate": "Share of rows that can be alerted",
    "objective.recall": "Recall to reach",
    "objective.missed_cost": "Cost of a missed positive",
    "objective.alert_cost": "Cost of a false alert",
    "objective.predictions_per_day": "Predictions a day, expected",
    "objective.horizon_days": "For so many days",
    "limits.gco2e": "Grams of CO₂e, at most",
    "limits.joules": "Joules, at most",
    "limits.cpu_seconds": "CPU-seconds, at most",
    "limits.wall_seconds": "Seconds, at most",
    "limits.trials": "Trials, at most",
    "gap": "Labels are known so much later",
}
WHOLE = ("limits.trials",)
TIMES = ("when.finish_by", "when.start_after")
COLUMNS = ("time_column", "group_column")
MOST_FORECAST_HOURS = 96


@new_job.get("/jobs/new")
def form() -> Any:
    """The form; with a data set, its columns, and the plan of what is filled in."""
    return _page(request.args)


@new_job.post("/jobs/new")
def create() -> Any:
    """Submit the job, or show again what is to be mended."""
    if request.form.get("do") == "submit":
        need("jobs.submit")
    else:
        return _page(request.form)
    try:
        asked = requested(request.form, _columns(request.form.get("dataset", "")))
        headers = {"Idempotency-Key": request.form.get("key") or uuid.uuid4().hex}
        job = _submitted(asked, headers)
    except Refused as refused:
        return _page(request.form, error=refused), refused.status
    return redirect(url_for("jobs.show", job_id=job["id"]), 303)


@new_job.post("/jobs/preview")
def preview() -> Any:
    """The plan of what is filled in so far, as a piece of the page."""
    return render_template("pages/new_job_plan.html", **_plan(request.form))


def _submitted(asked: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    status, _, text = send("POST", "/v1/jobs", body=asked, headers=headers)
    answer: dict[str, Any] = json.loads(text)
    if status >= 400:
        raise Refused(status, answer)
    return answer


def _columns(dataset: str) -> list[dict[str, Any]]:
    profile = get_or_none(f"/v1/datasets/{dataset}/profile") if dataset else None
    return list((profile or {}).get("columns", ()))


def requested(form: MultiDict[str, str], columns: list[dict[str, Any]]) -> dict[str, Any]:
    """What the form asks for, as POST /v1/jobs takes it; fields that are empty are left out.

    Raises
    ------
    Refused
        A field has no number, or no time, where one is needed; `field_errors` names it.
    """
    found: dict[str, Any] = {"dataset": form.get("dataset", "")}
    errors: list[dict[str, str]] = []
    for name in ("target", "model", "mode", *COLUMNS):
        if form.get(name):
            found[name] = form[name]
    target = next((one for one in columns if one["name"] == form.get("target")), None)
    positive = [text for text in form.getlist("positive") if text.strip()]
    if positive:
        values = named(target or {"type": "string"}, positive)
        found["positive"] = values[0] if len(values) == 1 else values
    if form.getlist("exclude"):
        found["exclude"] = form.getlist("exclude")
    for name in NUMBERS:
        text = form.get(name, "").strip()
        if not text:
            continue
        try:
            _put(found, name, _number(text, whole=name in WHOLE))
        except ValueError as wrong:
            errors.append({"field": name, "detail": str(wrong)})
    if form.get("objective.metric"):
        _put(found, "objective.metric", form["objective.metric"])
    if form.get("seed", "").strip():
        try:
            found["seed"] = _number(form["seed"], whole=True)
        except ValueError as wrong:
            errors.append({"field": "seed", "detail": str(wrong)})
    if form.get("when.policy"):
        _put(found, "when.policy", form["when.policy"])
    for name in TIMES:
        text = form.get(name, "").strip()
        if text:
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                errors.append({"field": name, "detail": "a time is written like 2026-11-30T08:00"})
                continue
            _put(found, name, at.replace(tzinfo=at.tzinfo or UTC).isoformat())
    if errors:
        detail = "please mend what is marked"
        raise Refused(422, {"detail": detail, "errors": errors})
    return found


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    head, _, tail = name.partition(".")
    if tail:
        found.setdefault(head, {})[tail] = value
    else:
        found[head] = value


def _number(text: str, *, whole: bool) -> float | int:
    """A number of a form.

    >>> _number(" 1 000 ", whole=True), _number("0.02", whole=False)
    (1000, 0.02)
    """
    try:
        value = float(text.replace(" ", ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (whole and not value.is_integer()):
        raise ValueError(
            "give a whole number" if whole else "give a number, with a point before decimals"
        )
    return int(value) if whole else value


def _plan(form: MultiDict[str, str]) -> dict[str, Any]:
    """The plan of the request, the forecast around it, and why there is none."""
    if not form.get("dataset") or not (form.get("target") or form.get("several")):
        return {"plan": None, "why": None, "chart": None, "faults": {}}
    try:
        asked = requested(form, _columns(form["dataset"]))
        plan = ask("POST", "/v1/plans", body=asked)
    except Refused as refused:
        return {"plan": None, "why": str(refused), "chart": None, "faults": refused.field_errors()}
    forecast = get_or_none("/v1/emissions/forecasts/current", location=plan["zone"]) or []
    points = forecast[0]["forecastData"] if forecast else []
    rows = [
        {"start": one["timestamp"], "grams_per_kwh": one["value"]}
        for one in points[:MOST_FORECAST_HOURS]
    ]
    slots = plan["slots"]
    window = None
    if slots and rows:
        end = max(slots[-1]["end"], _later(slots[0]["start"]))
        window = (slots[0]["start"], end)
    return {
        "plan": plan,
        "why": None,
        "faults": {},
        "hours": rows,
        "chart": charts.intensity(rows, best=window) if rows else None,
    }


def _later(start: str) -> str:
    """Half an hour after: a job of seconds would be a window that nobody sees."""
    return (datetime.fromisoformat(start) + timedelta(minutes=30)).isoformat()


def _page(form: MultiDict[str, str], *, error: Refused | None = None) -> Any:
    datasets = [one for one in get("/v1/datasets", limit=100)["items"] if one["state"] == "READY"]
    chosen = form.get("dataset") or ""
    dataset = get_or_none(f"/v1/datasets/{chosen}") if chosen else None
    profile = get_or_none(f"/v1/datasets/{chosen}/profile") if dataset else None
    columns = list((profile or {}).get("columns", ()))
    told = (profile or {}).get("target_candidates", ())
    candidates = [one["name"] if isinstance(one, Mapping) else str(one) for one in told]
    several = bool(dataset and dataset.get("spec"))
    target = form.get("target") or (candidates[0] if candidates else "")
    if several and dataset is not None:
        target = form.get("target") or str((dataset["spec"] or {}).get("target") or "")
    column = next((one for one in columns if one["name"] == target), None)
    typed = form.to_dict()
    filled = MultiDict(form)
    if target and not form.get("target"):
        filled["target"] = target
    picked = form.getlist("positive")
    if column is not None and not picked and not is_zero_one(column):
        picked = [str(value) for value in rarest(column)]
        filled.setlist("positive", picked)
    excluded = form.getlist("exclude")
    if not form.get("do") and not excluded:
        excluded = [one["name"] for one in columns if "id_like" in (one.get("roles") or ())]
        filled.setlist("exclude", excluded)
    planned = _plan(filled)
    faults = {**planned["faults"], **({} if error is None else error.field_errors())}
    known = {*NUMBERS, *TIMES, "target", "positive", "exclude", "model", "seed"}
    return render_template(
        "pages/new_job.html",
        **{**planned, "faults": faults},
        datasets=datasets,
        dataset=dataset,
        several=several,
        columns=columns,
        candidates=candidates,
        target=target,
        column=column,
        offered=[] if column is None else offered(column, n_rows=(profile or {})["n_rows"]),
        needs_positive=column is not None and not is_zero_one(column),
        picked=picked,
        excluded=excluded,
        typed=typed,
        numbers=NUMBERS,
        objectives=OBJECTIVES,
        modes=MODES,
        key=form.get("key") or uuid.uuid4().hex,
        error=error,
        others={name: text for name, text in faults.items() if name not in known},
        role=g.me["role"],
    )
