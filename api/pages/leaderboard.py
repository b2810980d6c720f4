"""The leaderboard of a job: sorted, filtered, its front, and the picks for another use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, render_template, request

from api import charts
from api.pages.asking import Refused, get, get_or_none, send
from api.pages.jobs import made_of
from api.report import METRICS
from automl.trial import RUNGS

leaderboard = Blueprint("leaderboard", __name__)

PAGE = 50
SORTS = {
    "score": "best first",
    "joules": "least energy first",
    "predict_joules": "lightest in use first",
    "number": "in the order of the search",
}
MOST_COMPARED = 5
# Of the slider, which goes by decades: nothing to 100 million predictions a day.
SLIDER_STEPS = 160
SLIDER_DECADES = 8


@leaderboard.get("/jobs/<job_id>/leaderboard")
def show(job_id: str) -> Any:
    """Trials by quality and energy, and what the picks are for so much use."""
    job = get(f"/v1/jobs/{job_id}")
    asked = {
        "sort": _one_of(request.args.get("sort"), SORTS, "score"),
        "rung": _one_of(request.args.get("rung"), RUNGS, ""),
        "model": request.args.get("model", ""),
        "front": "true" if request.args.get("front") == "true" else "",
    }
    number = max(1, _whole(request.args.get("page"), 1))
    page = get(f"/v1/jobs/{job_id}/leaderboard", **asked, limit=PAGE, offset=(number - 1) * PAGE)
    drawn = get(f"/v1/jobs/{job_id}/leaderboard", rung="final", limit=200)
    if not any(one["score"] is not None for one in drawn["items"]):
        drawn = get(f"/v1/jobs/{job_id}/leaderboard", limit=200)
    picks, fault = picks_of(job_id)
    rows = page["items"]
    metric = (drawn["items"] or rows or [{"metric": None}])[0]["metric"]
    title = METRICS.get(metric or "", (metric or "score", metric or "score"))
    scored = [one for one in drawn["items"] if one["score"] is not None]
    return render_template(
        "pages/leaderboard.html",
        job=job,
        rows=rows,
        total=page["total"],
        made_of_them=made_of(drawn["items"]),
        honest=honest(job, drawn["items"], metric=metric),
        page=number,
        n_pages=max(1, math.ceil(page["total"] / PAGE)),
        asked=asked,
        link=lambda **change: {**{k: v for k, v in asked.items() if v}, **change},
        sorts=SORTS,
        rungs=RUNGS,
        short=title[0],
        metric=title[1],
        chart=charts.front(scored, score=title[1]) if scored else None,
        picks=picks,
        fault=fault,
        source=page["intensity_source"],
        steps=SLIDER_STEPS,
        decades=SLIDER_DECADES,
    )


def honest(
    job: Mapping[str, Any], trials: Sequence[Mapping[str, Any]], *, metric: str | None
) -> dict[str, Any] | None:
    """What the finished model scores on rows that chose neither its weights nor its calibration.

    The number of its trial, the score and its version; None where there is no such model (any
    more), or where the leaderboard has the same score of it.
    """
    champion, version = (job["result"] or {}).get("champion"), job["model_version"]
    row = next((one for one in trials if one["number"] == champion), None)
    if version is None or row is None:
        return None
    card = get_or_none(f"/v1/models/{job['model']}/card", version=version) or {}
    score = (card.get("scores") or {}).get(metric)
    if score is None or (row["score"] is not None and math.isclose(score, row["score"])):
        return None
    return {"trial": champion, "score": score, "version": version}


@leaderboard.get("/jobs/<job_id>/leaderboard.csv")
def as_csv(job_id: str) -> Any:
    """Every trial, as the API writes it."""
    status, headers, text = send(
        "GET", f"/v1/jobs/{job_id}/leaderboard", headers={"Accept": "text/csv"}
    )
    if status >= 400:
        raise Refused(status, {"detail": "there is no such job"})
    kept = {name: headers[name] for name in ("Content-Type", "Content-Disposition")}
    return Response(text, headers=kept)


def picks_of(job_id: str) -> tuple[dict[str, Any] | None, str | None]:
    """The picks for the use in the query; None where there are none yet, and what was wrong."""
    use = {name: request.args.get(name) for name in ("predictions_per_day", "horizon_days")}
    try:
        return get(f"/v1/jobs/{job_id}/picks", **use), None
    except Refused as refused:
        if refused.status == 422:
            return get_or_none(f"/v1/jobs/{job_id}/picks"), str(refused)
        if refused.status == 409:
            return None, None
        raise


@leaderboard.get("/jobs/<job_id>/compare")
def compare(job_id: str) -> Any:
    """Two to five trials side by side, with the curves of those that were finalists."""
    numbers = sorted({_whole(text, -1) for text in request.args.getlist("trial")} - {-1})
    job = get(f"/v1/jobs/{job_id}")
    rows = [one for one in (trial_of(job_id, number) for number in numbers) if one is not None]
    costs = {name: request.args.get(name) for name in ("missed_cost", "alert_cost")}
    curves, fault = {}, None
    # A deleted model has no curves, and those of another version are of other trials.
    for row in rows[:MOST_COMPARED] if job["model_version"] else ():
        whole = row["number"] == (job["result"] or {}).get("champion")
        try:
            curves[row["number"]] = get(
                f"/v1/models/{job['model']}/curves",
                member=None if whole else row["number"],
                version=job["model_version"],
                **costs,
            )
        except Refused as refused:
            if refused.status == 422 and refused.problem.get("code") == "invalid_request":
                fault = str(refused)
    return render_template(
        "pages/compare.html",
        job=job,
        made=(job["result"] or {}).get("champion") is not None,
        rows=rows[:MOST_COMPARED],
        left_out=max(0, len(rows) - MOST_COMPARED),
        curves=curves,
        drawn=_drawn(rows, curves),
        costs=costs,
        fault=fault,
        rate=((job["request"].get("objective") or {}).get("alert_rate") or 0.01),
        at_budget={number: _at(one, job) for number, one in curves.items()},
    )


def _at(curves: dict[str, Any], job: dict[str, Any]) -> dict[str, Any] | None:
    """The point of a gain curve at the job's alert rate."""
    rate = (job["request"].get("objective") or {}).get("alert_rate") or 0.01
    within = [point for point in curves["gain"] if point["alerted"] <= rate]
    return within[-1] if within else None


def trial_of(job_id: str, number: int) -> dict[str, Any] | None:
    """One row of the leaderboard: by number they are in the order of their trials."""
    for offset in (number, max(0, number - 1)):
        page = get(f"/v1/jobs/{job_id}/leaderboard", sort="number", limit=1, offset=offset)
        for row in page["items"]:
            if row["number"] == number:
                return dict(row)
    return None


def _drawn(rows: list[dict[str, Any]], curves: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The charts of what has curves."""
    names = {row["number"]: f"{row['model']} {row['number']}" for row in rows}

    def lines(kind: str, x: str, y: str) -> list[dict[str, Any]]:
        return [
            {"name": names[number], x: point[x], y: point[y]}
            for number, one in curves.items()
            for point in one[kind] or ()
        ]

    if not curves:
        return {}
    found = {
        "precision": charts.compared(
            lines("precision_recall", "recall", "precision"),
            x="recall",
            y="precision",
            titles=("recall", "precision"),
        ),
        "calibration": charts.compared(
            lines("calibration", "predicted", "observed"),
            x="predicted",
            y="observed",
            titles=("mean predicted probability", "observed share"),
            diagonal=True,
        ),
        "gain": charts.compared(
            lines("gain", "alerted", "recall"),
            x="alerted",
            y="recall",
            titles=("share of all rows alerted", "recall"),
        ),
    }
    if all(one["cost"] for one in curves.values()):
        found["cost"] = charts.compared(
            lines("cost", "alerted", "cost"),
            x="alerted",
            y="cost",
            titles=("share of all rows alerted", "cost per row"),
        )
    return found


def _one_of(text: str | None, known: Any, default: str) -> str:
    return text if text is not None and text in known else default


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 9 else default
