"""Jobs: the list, and one that is watched while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
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
PAGE = 25
MOST_DRAWN = 100  # trials of a rung on the chart: the best
NEWEST_EVENTS = 50
ACTIONS = ("cancel", "pause", "resume")
# Of `result.stop`: what each number is.
STOP = {
    "expected_gain": "expected gain of the next step, % of the best score",
    "expected_cost": "expected cost of the next step",
    "used": "used so far",
    "limit": "limit",
    "rate": "gain for each % of brute force's cost, %",
    "least_rate": "least such gain that was asked for, %",
    "rate_per_gram": "gain for each gram of CO₂e, %",
    "least_rate_per_gram": "least such gain that was asked for, %/g",
}
LIMITS = {
    "gco2e": "gCO2e",
    "joules": "joules",
    "cpu_seconds": "CPU-seconds",
    "wall_seconds": "seconds",
    "trials": "trials",
}
# What is made of the trials at the end: it is told apart, and no limit ends a search by it.
ENSEMBLE = "ensemble"
MADE = {ENSEMBLE: "an ensemble", "distilled": "a distilled model"}


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
        totals={one["id"]: total_of(one) for one in page["items"]},
    )


def total_of(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a job took, or took so far; None of one that has not begun."""
    if job["started_at"] is None:
        return None
    receipt = get_or_none(f"/v1/jobs/{job['id']}/receipt") or {}
    return receipt.get("total")


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
    boards = {
        name: get(f"/v1/jobs/{job_id}/leaderboard", rung=name, limit=MOST_DRAWN) for name in RUNGS
    }
    trials = [trial for board in boards.values() for trial in board["items"]]
    made = made_of(trials)
    n_trials = sum(board["total"] for board in boards.values()) - len(made)
    events = get(f"/v1/jobs/{job_id}/events", newest=NEWEST_EVENTS)
    waiting = None
    if job["state"] not in (*ENDED, "RUNNING"):
        queue = get("/v1/queue")["items"]
        waiting = next((one for one in queue if one["job"] == job_id), None)
    receipt = get_or_none(f"/v1/jobs/{job_id}/receipt")
    if receipt is not None and not (receipt.get("phases") and receipt.get("total")):
        receipt = None  # it has not begun
    used = {**spent(trials, receipt), "wall_seconds": elapsed(job, now=datetime.now(UTC))}
    metric = trials[0]["metric"] if trials else None
    title = METRICS.get(metric or "", (metric or "score", metric or "score"))[1]
    return {
        "job": job,
        "ended": job["state"] in ENDED,
        "trials": trials,
        "n_trials": n_trials,
        "made_of_them": made,
        "rungs": rungs(boards),
        "most_drawn": MOST_DRAWN,
        "metric": title,
        "chart": charts.front(trials, score=title) if any(one["score"] for one in trials) else None,
        "waiting": waiting,
        "receipt": receipt,
        "used": used,
        "limits": against(job["request"].get("limits") or {}, used, n_trials=n_trials),
        "expected": (job["request"].get("admission") or {}).get("expected") or {},
        "events": events["items"],
        "last": events["last"],
        "eta_seconds": eta(events["items"]) if job["state"] == "RUNNING" else None,
        "stop": stopped(job),
        "dataset": get_or_none(f"/v1/datasets/{job['dataset']}"),
        "tables": boards["final"].get("tables"),
        "made": (job["result"] or {}).get("champion") is not None,
    }


def stopped(job: Mapping[str, Any]) -> dict[str, float]:
    """Why a search stopped, in numbers by what they are; whose limit it is that is told of.

    >>> stop = {"reason": "budget", "used": 8, "limit": 8, "unit": "trials", "rate": None}
    >>> stopped({"request": {"mode": "eco"}, "result": {"stop": stop}})
    {'used so far, trials': 8, 'your limit, trials': 8}
    >>> stop = {"reason": "rate", "limit": 1.2, "unit": "expected_cpu_seconds"}
    >>> stopped({"request": {"mode": "eco"}, "result": {"stop": stop}})
    {"limit of the mode 'eco', expected CPU-seconds": 1.2}
    """
    stop = (job["result"] or {}).get("stop") or {}
    unit = str(stop.get("unit") or "").replace("_", " ").replace("cpu seconds", "CPU-seconds")
    found = {}
    for name, title in STOP.items():
        if stop.get(name) is None:
            continue
        if name == "limit":
            mode = f"limit of the mode '{job['request'].get('mode')}'"
            title = "your limit" if stop.get("reason") == "budget" else mode
        counted = name in ("expected_cost", "used", "limit") and unit
        found[f"{title}, {unit}" if counted else title] = stop[name]
    return found


def made_of(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was made of the other trials, in words.

    >>> made_of([{"model": "lightgbm"}, {"model": "distilled"}])
    ['a distilled model']
    """
    return [MADE[one["model"]] for one in trials if one["model"] in MADE]


def rungs(boards: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each rung that was reached: how many trials, on how many rows, and the best score.

    Parameters
    ----------
    boards : by rung a page of its leaderboard, the best first, and how many there are in all

    Returns
    -------
    list of dict
        `n_failed` is None where the page does not hold them all.

    >>> trial = {"n_rows": 9, "score": 0.4, "model": "a", "error": None}
    >>> found = rungs({"screening": {"items": [], "total": 0},
    ...                "final": {"items": [trial], "total": 7}})
    >>> [(one["name"], one["n_trials"], one["best"], one["n_failed"]) for one in found]
    [('final', 7, 0.4, None)]
    """
    found = []
    for name, board in boards.items():
        on = board["items"]
        if not on:
            continue
        best = max((one for one in on if one["score"] is not None), key=_score, default=None)
        failed = sum(one["error"] is not None for one in on)
        found.append(
            {
                "name": name,
                "n_trials": board["total"] - len(made_of(on)),
                "n_failed": failed if len(on) == board["total"] else None,
                "n_rows": max(one["n_rows"] for one in on),
                "best": None if best is None else best["score"],
                "model": None if best is None else best["model"],
            }
        )
    return found


def _score(trial: Mapping[str, Any]) -> float:
    return float(trial["score"])


def elapsed(job: Mapping[str, Any], *, now: datetime) -> float | None:
    """Seconds since a job first began, until its end; its pauses are in it. None before that.

    >>> job = {"started_at": "2026-11-22T12:00:00Z", "finished_at": "2026-11-22T12:01:30Z"}
    >>> elapsed(job, now=datetime(2026, 11, 22, 13, tzinfo=UTC))
    90.0
    """
    if job["started_at"] is None:
        return None
    end = now if job["finished_at"] is None else datetime.fromisoformat(job["finished_at"])
    return max(0.0, (end - datetime.fromisoformat(job["started_at"])).total_seconds())


def eta(events: Sequence[Mapping[str, Any]]) -> float | None:
    """Seconds that the newest trial leaves at most, by the API's own bound.

    >>> eta([{"kind": "trial", "data": {"eta_seconds": 8.0}}, {"kind": "phase", "data": {}}])
    8.0
    """
    told = [one["data"].get("eta_seconds") for one in events if one["kind"] == "trial"]
    return told[-1] if told else None


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
    own = [one for one in trials if one["model"] != ENSEMBLE]
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
