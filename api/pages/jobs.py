"""Jobs: the list, and one that is watched while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api import charts
from api.pages.asking import Refused, ask, get, get_or_none
from api.report import METRICS
from automl.trial import RUNGS

jobs = Blueprint("jobs", __name__)

STATES = (
    "SUBMITTED",
    "PLANNED",
    "RUNNING",
    "PAUSED",
    "DONE",
    "FAILED",
    "CANCELLED",
    "QUARANTINED",
)
ENDED = ("DONE", "FAILED", "CANCELLED", "QUARANTINED")
PAGE = 50
MOST_DRAWN = 300  # trials on the chart: the newest
NEWEST_EVENTS = 50
ACTIONS = ("cancel", "pause", "resume")
LIMITS = {
    "gco2e": "gCO2e",
    "joules": "joules",
    "cpu_seconds": "CPU-seconds",
    "wall_seconds": "seconds",
    "trials": "trials",
}


@jobs.get("/jobs")
def index() -> Any:
    """Jobs, newest first, and why those that wait do."""
    state = request.args.get("state", "")
    state = state if state in STATES else ""
    page = get("/v1/jobs", limit=PAGE, state=state, cursor=request.args.get("cursor"))
    queue = get("/v1/queue")
    return render_template(
        "pages/jobs.html",
        jobs=page["items"],
        following=page["next_cursor"],
        state=state,
        states=STATES,
        queue=queue,
        waiting={one["job"]: one for one in queue["items"]},
    )


@jobs.get("/jobs/<job_id>")
def show(job_id: str) -> Any:
    """One job, whole."""
    return render_template("pages/job.html", **about(job_id), error=None)


@jobs.get("/jobs/<job_id>/live")
def live(job_id: str) -> Any:
    """The part of the page that changes while the job runs."""
    return render_template("pages/job_live.html", **about(job_id), fragment=True)


@jobs.post("/jobs/<job_id>/<action>")
def act(job_id: str, action: str) -> Any:
    """Pause, resume or cancel."""
    if action not in ACTIONS:
        raise Refused(404, {"detail": "a job can be paused, resumed and cancelled"})
    try:
        ask("POST", f"/v1/jobs/{job_id}/{action}")
    except Refused as refused:
        page = render_template("pages/job.html", **about(job_id), error=refused)
        return page, refused.status
    return redirect(url_for("jobs.show", job_id=job_id), 303)


def about(job_id: str) -> dict[str, Any]:
    """What the page of a job shows."""
    job = get(f"/v1/jobs/{job_id}")
    board = get(
        f"/v1/jobs/{job_id}/leaderboard", sort="number", order="descending", limit=MOST_DRAWN
    )
    trials = board["items"]
    waiting = None
    if job["state"] not in (*ENDED, "RUNNING"):
        queue = get("/v1/queue")["items"]
        waiting = next((one for one in queue if one["job"] == job_id), None)
    receipt = get_or_none(f"/v1/jobs/{job_id}/receipt")
    if receipt is not None and not (receipt.get("phases") and receipt.get("total")):
        receipt = None  # it has not begun
    used = spent(trials, receipt)
    metric = trials[0]["metric"] if trials else None
    title = METRICS.get(metric or "", (metric or "score", metric or "score"))[1]
    return {
        "job": job,
        "ended": job["state"] in ENDED,
        "trials": trials,
        "n_trials": board["total"],
        "rungs": rungs(trials),
        "metric": title,
        "chart": charts.front(trials, score=title) if any(one["score"] for one in trials) else None,
        "waiting": waiting,
        "receipt": receipt,
        "used": used,
        "limits": against(job["request"].get("limits") or {}, used, n_trials=board["total"]),
        "expected": (job["request"].get("admission") or {}).get("expected") or {},
        "events": get(f"/v1/jobs/{job_id}/events", newest=NEWEST_EVENTS)["items"],
        "dataset": get_or_none(f"/v1/datasets/{job['dataset']}"),
        "tables": board.get("tables"),
        "made": job["state"] in ("DONE", "CANCELLED")
        and (job["result"] or {}).get("champion") is not None,
    }


def rungs(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each rung that was reached: how many trials, on how many rows, and the best score.

    >>> trial = {"rung": "final", "n_rows": 9, "score": 0.4, "model": "a", "error": None}
    >>> rungs([trial])[0]["best"]
    0.4
    """
    found = []
    for name in RUNGS:
        on = [one for one in trials if one["rung"] == name]
        if not on:
            continue
        scored = [one for one in on if one["score"] is not None]
        best = max(scored, key=lambda one: one["score"], default=None)
        found.append(
            {
                "name": name,
                "n_trials": len(on),
                "n_failed": sum(one["error"] is not None for one in on),
                "n_rows": max(one["n_rows"] for one in on),
                "best": None if best is None else best["score"],
                "model": None if best is None else best["model"],
            }
        )
    return found


def spent(
    trials: Sequence[Mapping[str, Any]], receipt: Mapping[str, Any] | None
) -> dict[str, float | None]:
    """What the job took so far: its bill when there is one, else its trials.

    An ensemble's cost is that of its members, which are trials themselves.
    """
    if receipt is not None and receipt.get("total"):
        total = receipt["total"]
        return {
            "cpu_seconds": total["cpu_seconds"],
            "joules": total["joules"],
            "gco2e": total["gco2e"],
        }
    own = [one for one in trials if one["model"] != "ensemble"]
    grams = [one["gco2e"] for one in own if one["gco2e"] is not None]
    return {
        "cpu_seconds": sum(one["cpu_seconds"] for one in own),
        "joules": sum(one["joules"] for one in own),
        "gco2e": sum(grams) if grams else None,
    }


def against(
    limits: Mapping[str, Any], used: Mapping[str, float | None], *, n_trials: int
) -> list[dict[str, Any]]:
    """Each limit that was given, with what was used of it."""
    known = {**used, "trials": float(n_trials)}
    return [
        {"name": title, "limit": limits[name], "used": known.get(name)}
        for name, title in LIMITS.items()
        if limits.get(name) is not None
    ]
