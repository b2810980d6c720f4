"""Schedules: models that are trained again when that is worth it, and what became of each day."""

from __future__ import annotations

import calendar
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from api.pages import fields, schedule_fields
from api.pages.asking import Refused, ask, get, get_or_none, newest
from api.pages.rights import may
from api.pages.schedule_fields import requested, time_zones

schedules = Blueprint("schedules", __name__)

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST_RUNS = 31  # of one month
SECTIONS = ("what", "times", "waiting", "feed", "gate", "promotion", "more")


@schedules.get("/schedules")
def index() -> Any:
    """All schedules, with their next time and the last day."""
    items = newest("/v1/schedules")
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
    newest = get(f"/v1/schedules/{schedule_id}/runs", limit=1)["items"]
    month = _month(request.args.get("month"), newest)
    told = get(
        f"/v1/schedules/{schedule_id}/runs", limit=MOST_RUNS, before=f"{_shift(month, 1)}-01"
    )
    runs = [run for run in told["items"] if run["local_date"].startswith(f"{month:%Y-%m}")]
    bills = {run["job"]: _bill(run["job"]) for run in runs if run["job"]}
    asked = schedule["request"]
    model = asked["model"] or asked["job"]["model"]
    versions, gone = _versions(model)
    feed = (asked.get("feed") or {}).get("dataset")
    auto = asked["promote"] == "auto"
    return render_template(
        "pages/schedule.html",
        schedule=schedule,
        model=model,
        versions=versions,
        gone=gone,
        deleted=_deleted({run["dataset"] for run in runs if run["dataset"]}),
        gate=[(one, asked["gate"].get(one.name.partition(".")[2])) for one in schedule_fields.GATE],
        feed=get_or_none(f"/v1/datasets/{feed}") if feed else None,
        # What promotes by itself is an approver's, also to stop.
        own=not auto or may("promotions.promote"),
        runs=runs,
        newest=newest[0] if newest else None,
        counts=counts(runs),
        bills=bills,
        month=month,
        weeks=weeks(month, {run["local_date"]: run for run in runs}),
        day_names=DAYS,
        before=_shift(month, -1),
        after=_shift(month, 1),
        error=error,
    )


def _versions(model: str) -> tuple[list[int], str | None]:
    """The versions that there are of a model, and in a word why there are none."""
    try:
        found = get(f"/v1/models/{model}/promotions")["versions"]
    except Refused as refused:
        if refused.status not in (404, 410):
            raise
        return [], "deleted" if refused.status == 410 else "not trained yet"
    return found, None if found else "deleted"


def _deleted(datasets: Collection[str]) -> set[str]:
    """Which of these data sets are not there any more."""
    told = {one: get_or_none(f"/v1/datasets/{one}") for one in datasets}
    return {one for one, found in told.items() if found is None or found["state"] == "DELETED"}


def counts(runs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many days there were of each kind.

    >>> counts([{"state": "DONE", "promoted": True}, {"state": "SKIPPED", "promoted": None}])
    {'promoted': 1, 'skipped': 1}
    """
    kinds = ["promoted" if run["promoted"] else str(run["state"]).lower() for run in runs]
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


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
    """The form of a schedule, for a model that is there or for the request of a job."""
    if request.method != "POST":
        return page_of(request.args)
    try:
        made = ask("POST", "/v1/schedules", body=requested(request.form))
    except Refused as refused:
        return page_of(request.form, error=refused), refused.status
    return redirect(url_for("schedules.show", schedule_id=made["id"]), 303)


def page_of(form: MultiDict[str, str], *, error: Refused | None = None) -> str:
    """The form with what was typed; `job` is a request as POST /v1/jobs takes it, as JSON."""
    names = list(dict.fromkeys(one["name"] for one in newest("/v1/models")))
    datasets = [one for one in newest("/v1/datasets") if one["state"] == "READY"]
    faults = {} if error is None else schedule_fields.faults_of(error)
    sections = {name: getattr(schedule_fields, name.upper()) for name in SECTIONS}
    form = MultiDict(form)
    if "model" not in form and not form.get("job") and names:
        form["model"] = names[0]
    known = {"job", *(one.name for several in sections.values() for one in several)}
    return render_template(
        "pages/schedule_new.html",
        models=names,
        form=form,
        choices={
            "model": {name: name for name in names},
            "promote": {
                key: text
                for key, text in schedule_fields.PROMOTE.items()
                if key != "auto" or may("promotions.promote")
            },
            "feed.dataset": {
                one["id"]: f"{one['name']}, version {one['version']}" for one in datasets
            },
            "when.zone": {
                one["code"]: f"{one['code']}: {one['name']}" for one in get("/v1/zones")["items"]
            },
        },
        **sections,
        shown={
            name: fields.filled(sections[name], form)
            or any(one.name in faults for one in sections[name])
            for name in SECTIONS
        },
        time_zones=time_zones(),
        error=error,
        faults=faults,
        others={name: text for name, text in faults.items() if name not in known},
    )


@schedules.route("/schedules/<schedule_id>/delete", methods=["GET", "POST"])
def delete(schedule_id: str) -> Any:
    """Ask whether it is meant, then delete the schedule."""
    schedule = get(f"/v1/schedules/{schedule_id}")
    refused = None
    if request.method == "POST":
        try:
            ask("DELETE", f"/v1/schedules/{schedule_id}")
            return redirect(url_for("schedules.index"), 303)
        except Refused as error:
            refused = error
    page = render_template("pages/schedule_delete.html", schedule=schedule, error=refused)
    return page, 200 if refused is None else refused.status


@schedules.post("/schedules/<schedule_id>/<action>")
def act(schedule_id: str, action: str) -> Any:
    """Pause or resume."""
    try:
        state = {"pause": "PAUSED", "resume": "ACTIVE"}.get(action)
        if state is None:
            raise Refused(404, {"detail": "a schedule can be paused and resumed"})
        ask("PATCH", f"/v1/schedules/{schedule_id}", body={"state": state})
    except Refused as refused:
        if refused.status == 404:
            raise
        return _page(schedule_id, error=refused), refused.status
    return redirect(url_for("schedules.show", schedule_id=schedule_id), 303)
