"""Carbon: what the project's work took and emitted, what was saved, and the grid."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request

from api import charts
from api.pages.asking import Refused, get, get_or_none, send

carbon = Blueprint("carbon", __name__)

MOST_LINES = 100
MOST_JOBS = 50


@carbon.get("/carbon")
def index() -> Any:
    """The ledger by day, phase and job; the levers apart; the grid of a zone."""
    chosen = {name: request.args.get(name, "") for name in ("from", "to")}
    fault = None
    try:
        days = get("/v1/ledger", group_by="day", limit=MOST_LINES, **chosen)
    except Refused as refused:
        if refused.status != 422:
            raise
        fault, chosen = str(refused), {"from": "", "to": ""}
        days = get("/v1/ledger", group_by="day", limit=MOST_LINES)
    phases = get("/v1/ledger", group_by="phase", limit=MOST_LINES, **chosen)["items"]
    jobs = get("/v1/ledger", group_by="job", limit=MOST_LINES, **chosen)["items"]
    zones = get("/v1/zones")
    zone = request.args.get("zone") or zones["default"]
    reading, forecast = _grid(zone)
    items = sorted(days["items"], key=lambda one: one["key"])
    return render_template(
        "pages/carbon.html",
        days=items,
        total=days["total"],
        phases=sorted(phases, key=lambda one: -one["joules"]),
        jobs=sorted(jobs, key=lambda one: -one["gco2e"])[:MOST_JOBS],
        less=_less(),
        chart=charts.by_day(
            [{"day": one["key"], "mg": 1000 * one["gco2e"]} for one in items],
            value="mg",
            title="mgCO2e",
        )
        if items
        else None,
        chosen=chosen,
        fault=fault,
        zones=zones["items"],
        zone=zone,
        known=next((one for one in zones["items"] if one["code"] == zone), None),
        reading=reading,
        forecast=forecast,
    )


@carbon.get("/carbon.csv")
def as_csv() -> Any:
    """Every line of the ledger, as the API writes it."""
    status, headers, text = send("GET", "/v1/ledger", headers={"Accept": "text/csv"})
    if status >= 400:
        raise Refused(status, {"detail": "the ledger cannot be read now"})
    kept = {"Content-Type": headers["Content-Type"]}
    kept["Content-Disposition"] = 'attachment; filename="ledger.csv"'
    return Response(text, headers=kept)


def _less() -> dict[str, float] | None:
    """What the finished jobs read less, and what brute force is expected to have emitted."""
    done = get("/v1/jobs", limit=MOST_JOBS, state="DONE")["items"]
    expected = emitted = 0.0
    count = 0
    for job in done:
        receipt = get_or_none(f"/v1/jobs/{job['id']}/receipt")
        brute = ((receipt or {}).get("levers") or {}).get("less", {}).get("brute_force")
        if receipt is not None and brute:
            count += 1
            expected += brute["expected_gco2e"]
            emitted += brute["expected_gco2e"] - brute["expected_saved_gco2e"]
    if not count:
        return None
    return {"n_jobs": count, "expected": expected, "emitted": emitted, "saved": expected - emitted}


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
