"""Curves of a model, and the choice of a threshold by alerts a day or by costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flask import Blueprint, render_template, request

from api import charts
from api.pages.asking import Refused, get
from api.pages.models import about

curves = Blueprint("curves", __name__)

Z = 1.645  # of a standard normal: two-sided 90 %, as every interval here
ROWS_PER_DAY = 1000.0
MOST = 1e12
FIELDS = ("rows_per_day", "alerts_per_day", "missed_cost", "alert_cost")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a threshold means for a day of `rows_per_day` rows; `cost` None without both costs."""

    threshold: float | None
    alerted: float
    alerts: float
    right: float
    missed: float
    recall: float
    recall_interval: tuple[float, float]
    precision: float | None
    cost: float | None


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 90 % interval of a share of `n` (Wilson, "Probable inference", 1927).

    >>> low, high = wilson(0.5, 26)
    >>> round(low, 3), round(high, 3)
    (0.346, 0.654)
    """
    if n <= 0:
        return 0.0, 1.0
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    spread = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, centre - spread), min(1.0, centre + spread)


def day_of(
    point: Mapping[str, Any] | None,
    *,
    prevalence: float,
    n_positive: int,
    rows_per_day: float,
    missed_cost: float | None = None,
    alert_cost: float | None = None,
) -> Choice:
    """A point of the gain curve as a day's figures; None is: nobody is alerted.

    >>> point = {"threshold": 0.5, "alerted": 0.2, "recall": 0.5, "lift": 2.5}
    >>> day = day_of(point, prevalence=0.1, n_positive=20, rows_per_day=1000,
    ...              missed_cost=10, alert_cost=1)
    >>> day.alerts, day.right, day.missed, day.precision, day.cost
    (200.0, 50.0, 50.0, 0.25, 650.0)
    """
    alerted = point["alerted"] if point else 0.0
    recall = point["recall"] if point else 0.0
    positives = prevalence * rows_per_day
    alerts, right = alerted * rows_per_day, recall * positives
    cost = None
    if missed_cost is not None and alert_cost is not None:
        cost = missed_cost * (positives - right) + alert_cost * max(0.0, alerts - right)
    return Choice(
        threshold=point["threshold"] if point else None,
        alerted=alerted,
        alerts=alerts,
        right=right,
        missed=positives - right,
        recall=recall,
        recall_interval=wilson(recall, n_positive),
        precision=point["lift"] * prevalence if point else None,
        cost=cost,
    )


def nearest(gain: Sequence[Mapping[str, Any]], share: float) -> int:
    """Position of the most alerts that a share of rows allows; -1 where one is too many.

    >>> gain = [{"alerted": 0.01}, {"alerted": 0.02}, {"alerted": 0.5}]
    >>> nearest(gain, 0.1), nearest(gain, 0.001), nearest(gain, 0.02)
    (1, -1, 1)
    """
    # What was computed from the same figures may be off by a rounding.
    limit = share * (1 + 1e-6)
    return len([point for point in gain if point["alerted"] <= limit]) - 1


def cheapest(days: Sequence[Choice]) -> int:
    """Position of the least cost; the fewest alerts among equals."""
    return min(range(len(days)), key=lambda place: days[place].cost or 0.0)


def _asked(card: Mapping[str, Any]) -> tuple[dict[str, float | None], dict[str, str]]:
    """The numbers of the form, of the job's objective where nothing is said; and what is wrong."""
    objective = (card.get("provenance") or {}).get("objective") or {}
    rows = float(objective.get("predictions_per_day") or ROWS_PER_DAY)
    found: dict[str, float | None] = {
        "rows_per_day": rows,
        "alerts_per_day": None,
        "missed_cost": objective.get("missed_cost"),
        "alert_cost": objective.get("alert_cost"),
    }
    faults: dict[str, str] = {}
    for name in FIELDS:
        text = request.args.get(name, "").strip()
        if not text:
            continue
        try:
            value = float(text)
            if not 0 < value <= MOST:
                raise ValueError
            found[name] = value
        except ValueError:
            faults[name] = "give a number above 0"
    if found["alerts_per_day"] is None:
        rate = card.get("alert_rate") or 0.01
        found["alerts_per_day"] = rate * (found["rows_per_day"] or rows)
    return found, faults


@curves.get("/models/<name>/curves")
def show(name: str) -> Any:
    """Precision and recall, calibration, gain, cost; and what a threshold means for a day."""
    found = about(name)
    version = found["model"]["version"]
    card = get(f"/v1/models/{name}/card", version=version)
    asked, faults = _asked(card)
    by = request.args.get("by")
    costs = {key: asked[key] for key in ("missed_cost", "alert_cost")}
    try:
        drawn = get(f"/v1/models/{name}/curves", version=version, **costs)
    except Refused as refused:
        if refused.status not in (409, 422):
            raise
        return render_template("pages/curves.html", **found, tab="curves", drawn=None, why=refused)
    if by not in ("alerts", "costs"):
        by = "costs" if drawn["cost"] else "alerts"
    if by == "costs" and drawn["cost"] is None:
        for key, value in costs.items():
            if value is None:
                faults.setdefault(key, "both costs are needed to choose by costs")
        by = "alerts"
    options: dict[str, Any] = {
        "prevalence": drawn["prevalence"],
        "n_positive": drawn["n_positive"],
        "rows_per_day": asked["rows_per_day"],
        **costs,
    }
    days = [day_of(None, **options), *(day_of(point, **options) for point in drawn["gain"])]
    if by == "costs":
        place = cheapest(days)
    else:
        share = (asked["alerts_per_day"] or 0.0) / (asked["rows_per_day"] or ROWS_PER_DAY)
        place = nearest(drawn["gain"], share) + 1
    chosen = days[place]
    rows = drawn["gain"]
    return render_template(
        "pages/curves.html",
        **found,
        tab="curves",
        drawn=drawn,
        card=card,
        by=by,
        asked=asked,
        faults=faults,
        chosen=chosen,
        place=place,
        known={
            "gain": [
                [point[key] for key in ("threshold", "alerted", "recall", "lift")] for point in rows
            ],
            **{key: options[key] for key in ("prevalence", "n_positive")},
        },
        days=[asdict(day) for day in thinned(days, keep=place)],
        charts={
            "precision_recall": charts.precision_recall(
                drawn["precision_recall"], prevalence=drawn["prevalence"]
            ),
            "calibration": charts.reliability(drawn["calibration"]),
            "gain": charts.gain(rows, at=chosen.alerted),
            "cost": charts.alert_cost(drawn["cost"], at=chosen.alerted) if drawn["cost"] else None,
        },
    )


def thinned(days: Sequence[Choice], *, keep: int, most: int = 15) -> list[Choice]:
    """About so many of the choices, evenly by recall, with the one to keep.

    >>> day = dict(threshold=None, alerted=0, alerts=0, right=0, missed=0, precision=None,
    ...            cost=None, recall_interval=(0, 1))
    >>> [one.recall for one in thinned([Choice(recall=i / 100, **day) for i in range(101)],
    ...                                keep=33, most=5)]
    [0.0, 0.25, 0.33, 0.5, 0.75, 1.0]
    """
    wanted = [step / (most - 1) for step in range(most)]
    places = {keep}
    for share in wanted:
        places.add(min(range(len(days)), key=lambda place: abs(days[place].recall - share)))
    return [days[place] for place in sorted(places)]
