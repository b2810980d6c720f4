"""Drift of a model as a table, and the labels that come after their rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api.pages.asking import Json, Refused, get, get_or_none, send
from api.pages.formats import share
from api.pages.labels import offered
from api.pages.models import about, importances, version_asked
from api.report import number

drift = Blueprint("drift", __name__)

SOME, MUCH = 0.1, 0.2  # Siddiqi, "Credit Risk Scorecards", 2006
MOST_SHOWN = 30
MOST_SCHEDULES = 100
TAKEN = ("labels", "positive", "unknown", "conflicting", "replaced")
HEADER = "key,label,at\n"


@drift.get("/models/<name>/drift")
def show(name: str) -> Any:
    """What moved, by how much, since when and what that means; and a form for true labels."""
    return _page(name)


def _page(name: str, *, error: Refused | None = None) -> Any:
    found = about(name)
    version = found["model"]["version"]
    told = get(f"/v1/models/{name}/drift", version=version)
    card = get_or_none(f"/v1/models/{name}/card", version=version) or {}
    leans = {one["column"]: one["share"] for one in importances(card)}
    rows = [shown(one, leans=leans.get(one["column"])) for one in told["columns"]]
    schedules = schedules_of(name)
    return render_template(
        "pages/model_drift.html",
        **found,
        tab="drift",
        told=told,
        rows=rows[:MOST_SHOWN],
        n_more=max(0, len(rows) - MOST_SHOWN),
        score=shown(told["scores"], leans=None) if told["scores"] else None,
        decay=_decay(schedules),
        schedules=schedules,
        labelled=bool(card.get("target")),
        target=card.get("target"),
        labels=_labels(found["model"]["dataset"], card.get("target")),
        taken={key: request.args.get(key, 0, type=int) for key in TAKEN}
        if "labels" in request.args
        else None,
        typed=request.form.get("typed", ""),
        error=error,
    )


def shown(one: Mapping[str, Any], *, leans: float | None) -> Json:
    """A line of the table: what moved in words, and what it means.

    >>> shift = {"above": 50.0, "up_to": None, "level": None, "others": False, "missing": False,
    ...          "before": 0.3, "now": 0.8}
    >>> line = shown({"column": "age", "psi": 0.9, "chance": 0.1, "moved": True, "since": None,
    ...               "shift": shift}, leans=0.25)
    >>> print(line["meaning"])
    much: rows are unlike those it learnt from; the model leans on it for 25 %
    >>> line["what"]
    'above 50.0: 30.0 % of the rows, now 80.0 %'
    """
    said = meaning(one)
    if leans is not None:
        said += f"; the model leans on it for {share(leans, 0)}"
    return {**one, "what": what(one.get("shift")), "meaning": said}


def what(shift: Mapping[str, Any] | None) -> str:
    """The cells that moved most, in words.

    >>> what({"above": None, "up_to": 3.0, "level": None, "others": False, "missing": False,
    ...       "before": 0.1, "now": 0.05})
    'up to 3.00: 10.0 % of the rows, now 5.0 %'
    """
    if shift is None:
        return "–"
    if shift["missing"]:
        cells = "missing cells"
    elif shift["others"]:
        cells = "rare and new values"
    elif shift["level"] is not None:
        cells = f"“{shift['level']}”"
    elif shift["above"] is None and shift["up_to"] is None:
        cells = "all values"
    elif shift["above"] is None:
        cells = f"up to {number(shift['up_to'])}"
    elif shift["up_to"] is None:
        cells = f"above {number(shift['above'])}"
    else:
        cells = f"{number(shift['above'])} to {number(shift['up_to'])}"
    return f"{cells}: {share(shift['before'])} of the rows, now {share(shift['now'])}"


def meaning(one: Mapping[str, Any]) -> str:
    """What an index says, in words.

    >>> meaning({"psi": 0.05, "chance": 0.01}), meaning({"psi": 0.5, "chance": None})
    ('none to speak of', 'cannot be told from chance: too few rows')
    """
    if one["psi"] <= SOME:
        return "none to speak of"
    if one["chance"] is None or one["psi"] <= one["chance"]:
        return "cannot be told from chance: too few rows"
    if one["psi"] <= MUCH:
        return "some: worth watching"
    return "much: rows are unlike those it learnt from"


def schedules_of(name: str) -> list[Json]:
    """The schedules that train a model again, with their newest run that found numbers."""
    found = []
    for one in get("/v1/schedules", limit=MOST_SCHEDULES)["items"]:
        asked = one["request"]
        if name in (asked.get("model"), (asked.get("job") or {}).get("model")):
            runs = get(f"/v1/schedules/{one['id']}/runs", limit=14)["items"]
            found.append({**one, "runs": runs})
    return found


def _decay(schedules: list[Json]) -> Json | None:
    """How the model did on new labels, by the newest run that could tell."""
    runs = sorted(
        (run for one in schedules for run in one["runs"]),
        key=lambda run: str(run["local_date"]),
        reverse=True,
    )
    for run in runs:
        decay = ((run["decision"] or {}).get("numbers") or {}).get("decay")
        if decay:
            return {**decay, "day": run["local_date"]}
    return None


def _labels(dataset: str, target: str | None) -> list[str]:
    """The labels that the data know, where they are few."""
    profile = get_or_none(f"/v1/datasets/{dataset}/profile") or {}
    column = next((one for one in profile.get("columns") or () if one["name"] == target), None)
    if column is None:
        return []
    return [str(one["text"]) for one in offered(column, n_rows=profile.get("n_rows") or 0)]


@drift.post("/models/<name>/outcomes")
def outcomes(name: str) -> Any:
    """Hand over true labels: a file, or lines that were typed."""
    file = request.files.get("file")
    typed = request.form.get("typed", "").strip()
    try:
        if file is not None and file.filename:
            lines = file.filename.lower().endswith((".jsonl", ".ndjson"))
            content, kind = file.read(), "application/x-ndjson" if lines else "text/csv"
        elif typed:
            content, kind = with_header(typed).encode(), "text/csv"
        else:
            raise Refused(422, {"detail": "choose a file, or write one line for each label"})
        status, _, body = send(
            "POST", f"/v1/models/{name}/outcomes", data=content, headers={"Content-Type": kind}
        )
        answer = json.loads(body)
        if status >= 400:
            raise Refused(status, answer)
    except Refused as refused:
        return _page(name, error=refused), refused.status
    taken = {key: answer[f"n_{key}"] for key in TAKEN if f"n_{key}" in answer}
    taken["unknown"] = answer["n_unknown_keys"]
    address = url_for("drift.show", name=name, version=version_asked(), **taken)
    return redirect(f"{address}#outcomes", 303)


def with_header(typed: str) -> str:
    """Lines of key, label and perhaps a time as CSV; a first line that names columns is kept.

    >>> with_header("c0001,yes\\nc0002,no,2026-11-22T10:00:00Z").splitlines()
    ['key,label,at', 'c0001,yes,', 'c0002,no,2026-11-22T10:00:00Z']
    >>> with_header("key;label\\nc1;yes")
    'key;label\\nc1;yes'
    """
    lines = [line.strip() for line in typed.splitlines() if line.strip()]
    if {"key", "label"} <= set(lines[0].replace(";", ",").replace(" ", "").split(",")):
        return "\n".join(lines)
    mark = ";" if all(";" in line for line in lines) else ","
    filled = [line if line.count(mark) != 1 else line + mark for line in lines]
    return HEADER.replace(",", mark) + "\n".join(filled)
