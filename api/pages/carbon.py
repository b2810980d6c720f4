"""Carbon: what the project's work took and emitted, what was saved, and the grid."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, render_template, request

from api import charts
from api.pages.asking import Json, Refused, get, get_or_none, send

carbon = Blueprint("carbon", __name__)

MOST_LINES = 1000  # of a page of the ledger: as many as it gives
MOST_PAGES = 20
MOST_DAYS = 100  # that are drawn and listed
MOST_JOBS = 25
MOST_BILLS = 50  # that are read for what brute force would have taken
MOST_ZONES = 6  # whose newest reading is asked for


@carbon.get("/carbon")
def index() -> Any:
    """The ledger by day, phase and job; the levers apart; the grid of a zone."""
    chosen = {name: request.args.get(name, "") for name in ("from", "to")}
    fault = None
    try:
        days, total = _sums("day", chosen)
    except Refused as refused:
        if refused.status != 422:
            raise
        fault, chosen = str(refused), {"from": "", "to": ""}
        days, total = _sums("day", chosen)
    phases, _ = _sums("phase", chosen)
    jobs, _ = _sums("job", chosen)
    zones = get("/v1/zones")
    zone = request.args.get("zone") or zones["default"]
    reading, forecast = _grid(zone)
    shown = sorted(days, key=lambda one: one["key"])[-MOST_DAYS:]
    largest = sorted(jobs, key=lambda one: -one["gco2e"])[:MOST_JOBS]
    return render_template(
        "pages/carbon.html",
        days=shown,
        n_days=len(days),
        total=total,
        phases=sorted(phases, key=lambda one: -one["joules"]),
        jobs=[{**one, **_named(one["key"])} for one in largest],
        n_jobs=len(jobs),
        less=_less(chosen),
        own_zones=_zones(chosen, zones["items"], more=(zones["default"], zone)),
        chart=charts.by_day(
            [{"day": one["key"], "mg": 1000 * one["gco2e"]} for one in shown],
            value="mg",
            title="mgCO2e",
        )
        if shown
        else None,
        chosen=chosen,
        known_days={name: value for name, value in chosen.items() if value},
        fault=fault,
        zones=zones["items"],
        zone=zone,
        known=next((one for one in zones["items"] if one["code"] == zone), None),
        reading=reading,
        forecast=forecast,
    )


@carbon.get("/carbon.csv")
def as_csv() -> Any:
    """Every line of the ledger of the days asked for, as the API writes it."""
    chosen = {name: request.args.get(name, "") for name in ("from", "to")}
    status, headers, text = send("GET", "/v1/ledger", query=chosen, headers={"Accept": "text/csv"})
    if status >= 400:
        raise Refused(status, json.loads(text))
    kept = {"Content-Type": headers["Content-Type"]}
    kept["Content-Disposition"] = 'attachment; filename="ledger.csv"'
    return Response(text, headers=kept)


def _sums(group_by: str, chosen: Json, **more: str) -> tuple[list[Json], Json]:
    """Every sum of the ledger by something, on all its pages, and the total."""
    found: list[Json] = []
    cursor = None
    for _ in range(MOST_PAGES):
        query = {**chosen, **more, "group_by": group_by, "limit": MOST_LINES, "cursor": cursor}
        page = get("/v1/ledger", **query)
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return found, page["total"]


def _named(key: str | None) -> Json:
    """What a line of the ledger belongs to, in words, and where there is more of it.

    A data set's reading stands under its own id, a schedule's look at the day under that of the
    run; what was deleted since has its id alone.
    """
    if key and (job := get_or_none(f"/v1/jobs/{key}")):
        return {"name": job["model"], "link": f"/ui/jobs/{key}", "what": "search"}
    if key and (dataset := get_or_none(f"/v1/datasets/{key}")):
        gone = dataset["state"] == "DELETED"
        link = None if gone else f"/ui/datasets/{key}"
        return {"name": dataset["name"], "link": link, "what": "reading of the data"}
    return {"name": (key or "none")[:8], "link": None, "what": "look whether a training pays"}


def _less(chosen: Json) -> Json | None:
    """What the searches of these days took less than brute force is expected to have taken.

    A bill is taken whole, also where a job worked on a day before or after as well.
    """
    searches, _ = _sums("job", chosen, phase="search")
    largest = sorted(searches, key=lambda one: -one["joules"])[:MOST_BILLS]
    expected = saved = 0.0
    count = 0
    for one in largest:
        receipt = get_or_none(f"/v1/jobs/{one['key']}/receipt") or {}
        brute = ((receipt.get("levers") or {}).get("less") or {}).get("brute_force")
        if brute:
            count += 1
            expected += brute["expected_gco2e"]
            saved += brute["expected_saved_gco2e"]
    if not count:
        return None
    return {"n_jobs": count, "n_searches": len(searches), "expected": expected, "saved": saved}


def _zones(chosen: Json, known: list[Json], *, more: tuple[str, ...]) -> Json:
    """The zones that work was done in, and those looked at: what they were, are and mostly are."""
    page = get("/v1/ledger", limit=MOST_LINES, **chosen)
    worked: dict[str, dict[str, float]] = {}
    for line in page["items"]:
        code = line["intensity"].get("zone")
        if code:
            own = worked.setdefault(code, {"kwh": 0.0, "gco2e": 0.0})
            own["kwh"] += line["kwh"]
            own["gco2e"] += line["gco2e"]
    codes = sorted(worked, key=lambda code: -worked[code]["kwh"])
    means = {one["code"]: one for one in known}
    rows = []
    for code in list(dict.fromkeys([*codes, *more]))[:MOST_ZONES]:
        own = worked.get(code, {"kwh": 0.0, "gco2e": 0.0})
        rows.append(
            {
                "code": code,
                "known": means.get(code),
                "kwh": own["kwh"] or None,
                "was": own["gco2e"] / own["kwh"] if own["kwh"] else None,
                "reading": get_or_none("/v1/intensity", zone=code) if code in means else None,
            }
        )
    return {"rows": rows, "n_lines": len(page["items"]) if page["next_cursor"] else None}


def _grid(zone: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The newest reading of a zone, and its forecast with the best hour."""
    try:
        reading = get("/v1/intensity", zone=zone)
    except Refused:
        reading = None
    try:
        found = get("/v1/emissions/forecasts/current", location=zone)
    except Refused:
        return reading, None
    rows = [
        {"start": one["timestamp"], "grams_per_kwh": one["value"], "minutes": one["duration"]}
        for one in found[0]["forecastData"][:96]
    ]
    best = (found[0].get("optimalDataPoints") or [None])[0]
    window = None
    if best is not None:
        later = [one["start"] for one in rows if one["start"] > best["timestamp"]]
        window = (best["timestamp"], later[0]) if later else None
    return reading, {"rows": rows, "best": best, "chart": charts.intensity(rows, best=window)}
