"""Schedules: models that are trained again when that is worth it, and what became of each day."""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api.pages.asking import Refused, ask, get

schedules = Blueprint("schedules", __name__)

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST_RUNS = 62
GATE = {
    "min_new_labels": "New labels, at least",
    "psi": "Drift of a column (population stability index)",
    "max_days": "In any case after so many days",
}


@schedules.get("/schedules")
def index() -> Any:
    """All schedules, with their next time and the last day."""
    items = get("/v1/schedules", limit=100)["items"]
    for one in items:
        runs = get(f"/v1/schedules/{one['id']}/runs", limit=1)["items"]
        one["last"] = runs[0] if runs else None
    return render_template("pages/schedules.html", schedules=items)


@schedules.get("/schedules/<schedule_id>")
def show(schedule_id: str) -> Any:
    """One schedule: a month of nights, and each run with its reason in numbers."""
    return _page(schedule_id)


def _page(schedule_id: str, *, error: Refused | None = None) -> Any:
    schedule = get(f"/v1/schedules/{schedule_id}")
    runs = get(f"/v1/schedules/{schedule_id}/runs", limit=MOST_RUNS)["items"]
    month = _month(request.args.get("month"), runs)
    bills = {run["job"]: _bill(run["job"]) for run in runs if run["job"]}
    return render_template(
        "pages/schedule.html",
        schedule=schedule,
        runs=runs,
        bills=bills,
        month=month,
        weeks=weeks(month, {run["local_date"]: run for run in runs}),
        day_names=DAYS,
        before=_shift(month, -1),
        after=_shift(month, 1),
        error=error,
    )


def _bill(job_id: str) -> dict[str, Any] | None:
    try:
        total: dict[str, Any] | None = get(f"/v1/jobs/{job_id}/receipt").get("total")
    except Refused:
        return None
    return total


def weeks(month: date, runs: Mapping[str, Mapping[str, Any]]) -> list[list[dict[str, Any] | None]]:
    """The days of a month by week from Monday, each with its run; None outside the month.

    >>> grid = weeks(date(2026, 11, 1), {"2026-11-02": {"state": "DONE"}})
    >>> grid[0][5], grid[1][0]["run"]
    (None, {'state': 'DONE'})
    """
    return [
        [
            None if day.month != month.month else {"day": day, "run": runs.get(day.isoformat())}
            for day in week
        ]
        for week in calendar.Calendar().monthdatescalendar(month.year, month.month)
    ]


def _month(text: str | None, runs: Sequence[Mapping[str, Any]]) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        newest = runs[0]["local_date"] if runs else datetime.now(UTC).date().isoformat()
        return date.fromisoformat(newest).replace(day=1)


def _shift(month: date, by: int) -> str:
    number = month.year * 12 + month.month - 1 + by
    return f"{number // 12:04}-{number % 12 + 1:02}"


@schedules.route("/schedules/new", methods=["GET", "POST"])
def create() -> Any:
    """The form of a schedule for a model that is there."""
    names = list(dict.fromkeys(one["name"] for one in get("/v1/models", limit=100)["items"]))
    error = None
    if request.method == "POST":
        try:
            made = ask("POST", "/v1/schedules", body=_requested())
            return redirect(url_for("schedules.show", schedule_id=made["id"]), 303)
        except Refused as refused:
            error = refused
    typed = request.form if request.method == "POST" else request.args
    page = render_template(
        "pages/schedule_new.html",
        models=names,
        typed=typed,
        gate=GATE,
        error=error,
        faults={} if error is None else error.field_errors(),
    )
    return page, (200 if error is None else error.status)


def _requested() -> dict[str, Any]:
    form = request.form
    gate: dict[str, Any] = {}
    errors = []
    for name in GATE:
        text = form.get(f"gate.{name}", "").strip()
        try:
            if text:
                gate[name] = float(text) if name == "psi" else int(text)
        except ValueError:
            errors.append({"field": f"gate.{name}", "detail": "give a number"})
    hours = form.get("hours", "").strip() or "8"
    try:
        at = {"finish_by": form.get("finish_by", ""), "hours": float(hours)}
    except ValueError:
        at = {}
        errors.append({"field": "at.hours", "detail": "give a number of hours"})
    if errors:
        raise Refused(422, {"detail": "please mend what is marked", "errors": errors})
    return {
        "name": form.get("name") or "daily",
        "model": form.get("model") or None,
        "at": at,
        "time_zone": form.get("time_zone", ""),
        "gate": gate,
        "promote": form.get("promote", "manual"),
        "when": {"policy": form.get("policy", "low_carbon")},
    }


@schedules.post("/schedules/<schedule_id>/<action>")
def act(schedule_id: str, action: str) -> Any:
    """Pause, resume or delete."""
    try:
        if action == "delete":
            ask("DELETE", f"/v1/schedules/{schedule_id}")
            return redirect(url_for("schedules.index"), 303)
        state = {"pause": "PAUSED", "resume": "ACTIVE"}.get(action)
        if state is None:
            raise Refused(404, {"detail": "a schedule can be paused, resumed and deleted"})
        ask("PATCH", f"/v1/schedules/{schedule_id}", body={"state": state})
    except Refused as refused:
        if refused.status == 404:
            raise
        return _page(schedule_id, error=refused), refused.status
    return redirect(url_for("schedules.show", schedule_id=schedule_id), 303)
