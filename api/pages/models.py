"""Models: the list, and the card of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api import charts
from api.card import ANOMALY_RANKING, COMPARED, LIFE, NUMBERS, SCORES
from api.pages.asking import Refused, ask, get, get_or_none
from api.pages.leaderboard import trial_of

models = Blueprint("models", __name__)

MOST_BARS = 20
SHARES = ("precision_at_recall", "cost_saving", "prevalence")


def version_asked() -> int | None:
    """The version that the address names; None where it names none or nonsense."""
    text = request.args.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def about(name: str) -> dict[str, Any]:
    """What every page of a model shows: the version that is looked at and the one that answers."""
    version = version_asked()
    model = get(f"/v1/models/{name}", version=version)
    promotions = get(f"/v1/models/{name}/promotions")
    return {
        "model": model,
        "serving": promotions["serving"],
        "versions": promotions["versions"],
        "promotions": promotions["items"],
        "version": version,
    }


def with_precision(scores: dict[str, Any], alert_rate: float | None) -> list[dict[str, Any]]:
    """The scores of a card in words; beside the recall the precision that it implies.

    >>> rows = with_precision({"recall_at_alert_rate": 0.5, "prevalence": 0.01}, 0.02)
    >>> [(row["name"], row["value"]) for row in rows][1]
    ('precision_at_alert_rate', 0.25)
    """
    found: list[dict[str, Any]] = []
    for name, value in scores.items():
        found.append({"name": name, "value": value})
        if name == "recall_at_alert_rate" and alert_rate and scores.get("prevalence") is not None:
            implied = value * scores["prevalence"] / alert_rate
            found.append({"name": "precision_at_alert_rate", "value": implied})
    for row in found:
        row["label"] = SCORES.get(row["name"], row["name"].replace("_", " "))
    return found


@models.get("/models")
def index() -> Any:
    """Every model, with the version that answers and what it was worth in validation."""
    page = get("/v1/models", limit=25, cursor=request.args.get("cursor"))
    rows = []
    for model in page["items"]:
        card = get_or_none(f"/v1/models/{model['name']}/card") or {}
        rows.append({**model, "card": card})
    return render_template("pages/models.html", models=rows, following=page["next_cursor"])


@models.get("/models/<name>")
def show(name: str) -> Any:
    """The card: what it is, how good, on whom, from what, and what it took."""
    return _page(name)


def _page(name: str, *, error: Refused | None = None) -> Any:
    found = about(name)
    version = found["version"]
    card = get(f"/v1/models/{name}/card", version=version)
    provenance = card.get("provenance") or {}
    objective = provenance.get("objective") or {"alert_rate": card.get("alert_rate")}
    importance = importances(card)
    return render_template(
        "pages/model.html",
        **found,
        tab="card",
        card=card,
        unlabelled=card.get("kind") == ANOMALY_RANKING,
        scores=with_precision(card.get("scores") or {}, objective.get("alert_rate")),
        objective=objective,
        numbers={key: objective[key] for key in NUMBERS if objective.get(key) is not None},
        compared=COMPARED,
        life=LIFE,
        importance=importance,
        importance_chart=charts.bars(
            importance[:MOST_BARS], name="column", value="share", title="share of all"
        )
        if importance
        else None,
        trial=_trial(found["model"], provenance.get("trial")),
        error=error,
    )


def _trial(model: Mapping[str, Any], number: Any) -> dict[str, Any] | None:
    """The line of the leaderboard that a model was made from, where it is known."""
    if not isinstance(number, int):
        return None
    try:
        return trial_of(model["job"], number)
    except Refused:
        return None


def importances(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns by how much the model leans on them, the most first, as shares of all.

    >>> importances({"importance": {"columns": [{"column": "age", "importance": 2.0}]}})
    [{'column': 'age', 'importance': 2.0, 'share': 1.0}]
    """
    told = card.get("importance") or {}
    rows = told.get("columns") or [] if isinstance(told, dict) else told
    total = sum(row["importance"] for row in rows)
    found = [{**row, "share": row["importance"] / total if total else 0.0} for row in rows]
    return sorted(found, key=lambda row: -row["share"])


@models.post("/models/<name>/delete")
def delete(name: str) -> Any:
    """Delete every version, after the name was typed in."""
    if request.form.get("confirm", "").strip() != name:
        told = "type the model's name to delete it; nothing was deleted"
        refused = Refused(422, {"detail": told, "errors": [{"field": "confirm", "detail": told}]})
        return _page(name, error=refused), 422
    try:
        ask("DELETE", f"/v1/models/{name}")
    except Refused as refused:
        return _page(name, error=refused), refused.status
    return redirect(url_for("models.index"), 303)
