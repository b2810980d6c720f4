"""A new job: the form, and what it would take and save before anything runs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from api import charts
from api.pages import fields, job_fields
from api.pages.asking import Refused, ask, get, get_or_none, newest, send
from api.pages.job_fields import faults_of, monotone, names, requested
from api.pages.labels import is_zero_one, offered, rarest
from api.pages.rights import may, need
from api.pages.schedules import page_of

new_job = Blueprint("new_job", __name__)

MOST_FORECAST_HOURS = 96
WEIGHTS = ("integer", "number")
# With more columns than this they are written into fields, not ticked in lists.
MOST_TICKED = 250
# What belongs to the columns of a data set, and goes with it when another one is chosen.
OF_COLUMNS = (
    "target",
    "positive",
    "exclude",
    "subgroups",
    "accept_leakage",
    "accept_missing_target",
    "time_column",
    "group_column",
    "weight_column",
    "warm_start_from",
)
OF_TARGET = ("positive", "accept_leakage", "accept_missing_target")
SECTIONS = ("goal", "use", "rows", "limits", "when", "waiting", "more")
FOLDED = ("use", "rows", "limits", "waiting", "more")


@new_job.get("/jobs/new")
def form() -> Any:
    """The form; with a data set, its columns, and the plan of what is filled in."""
    return _page(request.args)


@new_job.post("/jobs/new")
def create() -> Any:
    """Submit the job, go on to a schedule of it, or show the form again with all that was typed."""
    form, do = request.form, request.form.get("do")
    if do not in ("submit", "schedule"):
        return _page(form, plans=do != "swap")
    need("jobs.submit" if do == "submit" else "schedules.create")
    try:
        asked = requested(form, _columns(form.get("dataset", "")))
        if do == "schedule":
            if not asked.get("model"):
                told = "name the model that the schedule is to train"
                errors = [{"field": "model", "detail": told}]
                raise Refused(422, {"detail": told, "errors": errors})
            return page_of(MultiDict({"job": json.dumps(asked, indent=1, ensure_ascii=False)}))
        headers = {"Idempotency-Key": form.get("key") or uuid.uuid4().hex}
        job = _submitted(asked, headers)
    except Refused as refused:
        return _page(form, error=refused), refused.status
    return redirect(url_for("jobs.show", job_id=job["id"]), 303)


@new_job.post("/jobs/preview")
def preview() -> Any:
    """The plan of what is filled in so far, as a piece of the page."""
    return render_template("pages/new_job_plan.html", form=request.form, **_plan(request.form))


def _submitted(asked: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    status, _, text = send("POST", "/v1/jobs", body=asked, headers=headers)
    answer: dict[str, Any] = json.loads(text)
    if status >= 400:
        raise Refused(status, answer)
    return answer


def _columns(dataset: str) -> list[dict[str, Any]]:
    profile = get_or_none(f"/v1/datasets/{dataset}/profile") if dataset else None
    return list((profile or {}).get("columns", ()))


def _plan(form: MultiDict[str, str]) -> dict[str, Any]:
    """The plan of the request, the forecast around it, and why there is none."""
    nothing = _no_plan(form)
    said = form.get("target") or form.get("several") or form.get("no_target")
    if not form.get("dataset") or not said:
        return nothing
    try:
        asked = requested(form, _columns(form["dataset"]))
        plan = ask("POST", "/v1/plans", body=asked)
    except Refused as refused:
        accepted = accepting(form, refused.problem)
        return {
            **nothing,
            "why": str(refused),
            "faults": faults_of(refused),
            "accepting": accepted,
        }
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
        **nothing,
        "plan": plan,
        "hours": rows,
        "chart": charts.intensity(rows, best=window) if rows else None,
    }


def _no_plan(form: MultiDict[str, str]) -> dict[str, Any]:
    """What the page shows where no plan was asked for: what was accepted stays so."""
    return {
        "plan": None,
        "why": None,
        "chart": None,
        "faults": {},
        "accepting": accepting(form, {}),
    }


def accepting(form: MultiDict[str, str], problem: Mapping[str, Any]) -> dict[str, Any]:
    """What may be accepted after a job was refused for it, and what was accepted already.

    >>> told = {"code": "leakage_suspected", "details": {"columns": ["fate"]}}
    >>> accepting(MultiDict({"accept_leakage": "code"}), told)
    {'columns': ['code', 'fate'], 'accepted': ['code'], 'missing': False}
    """
    code, details = problem.get("code"), problem.get("details") or {}
    accepted = names(form, "accept_leakage")
    refused = details.get("columns", ()) if code == "leakage_suspected" else ()
    missing = code == "target_missing" or bool(form.get("accept_missing_target"))
    return {
        "columns": list(dict.fromkeys([*accepted, *refused])),
        "accepted": accepted,
        "missing": missing,
    }


def _later(start: str) -> str:
    """Half an hour after: a job of seconds would be a window that nobody sees."""
    return (datetime.fromisoformat(start) + timedelta(minutes=30)).isoformat()


def _kept(form: MultiDict[str, str]) -> MultiDict[str, str]:
    """What was typed, without what means nothing for the data set and target chosen now."""
    kept = MultiDict(form)
    if "of" in kept and kept["of"] != kept.get("dataset"):
        for name in [*kept]:
            if name.partition(".")[0] in OF_COLUMNS or name.startswith("monotone"):
                kept.poplist(name)
        kept.poplist("of_target")
    if "of_target" in kept and kept["of_target"] != kept.get("target"):
        for name in OF_TARGET:
            kept.poplist(name)
    return kept


def _set(form: MultiDict[str, str], name: str, values: list[str]) -> None:
    # An empty list would stay as a name without a value, which `get` takes for a fault.
    form.poplist(name)
    if values:
        form.setlist(name, values)


def _page(given: MultiDict[str, str], *, error: Refused | None = None, plans: bool = True) -> Any:
    fresh = "of" not in given or given["of"] != given.get("dataset")
    form = _kept(given)
    datasets = [one for one in newest("/v1/datasets") if one["state"] == "READY"]
    chosen = form.get("dataset") or ""
    dataset = get_or_none(f"/v1/datasets/{chosen}") if chosen else None
    profile = (get_or_none(f"/v1/datasets/{chosen}/profile") if dataset else None) or {}
    columns = list(profile.get("columns", ()))
    told = profile.get("target_candidates", ())
    candidates = [one["name"] if isinstance(one, Mapping) else str(one) for one in told]
    several = bool(dataset and dataset.get("spec"))
    first = candidates[0] if candidates else ""
    if several and dataset is not None:
        first = str((dataset["spec"] or {}).get("target") or "")
        form["several"] = "1"
    target = form.get("target") or first
    if target:
        form["target"] = target
    column = next((one for one in columns if one["name"] == target), None)
    if column is not None and not form.getlist("positive") and not is_zero_one(column):
        _set(form, "positive", [str(value) for value in rarest(column)])
    if fresh and "exclude" not in form:
        unlike = [one["name"] for one in columns if "id_like" in (one.get("roles") or ())]
        _set(form, "exclude", unlike)
    _set(form, "exclude", [name for name in names(form, "exclude") if name != target])
    form.poplist("exclude.lines")
    planned = _plan(form) if plans else _no_plan(form)
    faults = {**planned["faults"], **({} if error is None else faults_of(error))}
    known = {"target", "positive", "exclude", "monotone", "subgroups"}
    known |= {one.name for one in job_fields.SEARCHED}
    sections = {name: getattr(job_fields, name.upper()) for name in SECTIONS}
    return render_template(
        "pages/new_job.html",
        **{**planned, "faults": faults},
        datasets=datasets,
        dataset=dataset,
        several=several,
        columns=columns,
        ticked=len(columns) <= MOST_TICKED,
        candidates=candidates,
        target=target,
        offered=[] if column is None else offered(column, n_rows=profile["n_rows"]),
        needs_positive=column is not None and not is_zero_one(column),
        picked=form.getlist("positive"),
        excluded=form.getlist("exclude"),
        subgroups=names(form, "subgroups"),
        monotone=monotone(form),
        directions=job_fields.DIRECTIONS,
        form=form,
        choices=_choices(columns, target),
        **sections,
        shown={
            name: fields.filled(sections[name], form)
            or any(one.name in faults for one in sections[name])
            for name in FOLDED
        },
        key=_key(form, error),
        error=error,
        others={name: text for name, text in faults.items() if name not in known},
        role=g.me["role"],
        may_start=may("jobs.submit"),
    )


def _key(form: MultiDict[str, str], error: Refused | None) -> str:
    """The form's own key, so that it is sent once; another one where that had another form."""
    used = error is not None and error.problem.get("code") == "idempotency_key_reused"
    return uuid.uuid4().hex if used else form.get("key") or uuid.uuid4().hex


def _choices(columns: list[dict[str, Any]], target: str) -> dict[str, dict[str, str]]:
    """What can be chosen in fields whose choices depend on the data and the service."""
    models = newest("/v1/models")
    others = [one for one in columns if one["name"] != target]
    roles = {
        "time_column": [one["name"] for one in others],
        "group_column": [one["name"] for one in others],
        "weight_column": [one["name"] for one in others if one.get("type") in WEIGHTS],
    }
    several = len(columns) > MOST_TICKED  # then a name is written in
    return {
        **{role: {name: name for name in found} for role, found in roles.items() if not several},
        "when.zone": {
            one["code"]: f"{one['code']}: {one['name']}" for one in get("/v1/zones")["items"]
        },
        "warm_start_from": {
            f"{one['name']}/{one['version']}": f"{one['name']}, version {one['version']}"
            for one in models
        },
    }
