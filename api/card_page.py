"""What the printable card of a model shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.card import ANOMALY_RANKING, COMPARED, PART_HEAD, SCORES, part_cells
from api.card_carbon import NO_USE, carbon_lines
from api.card_curves import card_curves
from api.quantities import digits, energy
from automl.cost import JOULES_PER_KWH
from scheduler.equivalents import readable
from scheduler.records import Model

MAX_SHOWN = 30  # columns by importance


def page(
    model: Model, versions: Mapping[str, Any], *, curves: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Values of ``reports/card.html``; whatever an older card lacks is left out.

    `curves` is the file of curves; None where there is none.
    """
    card = model.card
    objective = (card.get("provenance") or {}).get("objective") or {}
    return {
        "title": f"{model.name}, version {model.version}",
        "model": model,
        "card": card,
        "unlabelled": card.get("kind") == ANOMALY_RANKING,
        "compared": COMPARED.get(str(objective.get("metric"))),
        "scores": [
            (SCORES.get(name, name.replace("_", " ")), _number(value))
            for name, value in (card.get("scores") or {}).items()
        ],
        "curves": [] if curves is None else _curves(curves, card),
        "part_head": PART_HEAD,
        "subgroups": _subgroups(card.get("subgroups")),
        "importance": _importance(card.get("importance")),
        "columns": [_column(one, card.get("types") or {}) for one in card.get("columns") or ()],
        "left_out": [*(card.get("excluded") or ()), *(card.get("dropped_columns") or ())],
        "cost": _cost(card.get("cost") or {}),
        "carbon": [*carbon_lines(card)],
        "life": _life(card.get("lifetime")),
        "versions": versions,
    }


def _curves(drawn: Mapping[str, Any], card: Mapping[str, Any]) -> list[dict[str, Any]]:
    rate = card.get("alert_rate")
    return card_curves(drawn["champion"], alert_rate=rate if isinstance(rate, float) else None)


def _number(value: Any) -> str:
    return digits(value) if isinstance(value, int | float) else "not known"


def _subgroups(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not told:
        return None
    columns = [
        {**one, "rows": [part_cells(part) for part in one["parts"]]} for one in told["columns"]
    ]
    return {"note": told["note"], "columns": columns}


def _importance(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The columns with the width of their bars, in percent of the widest."""
    if not told or not told["columns"]:
        return None
    most = max(one["importance"] for one in told["columns"]) or 1.0
    rows = [
        (one["column"], digits(one["importance"]), round(100 * one["importance"] / most, 1))
        for one in told["columns"][:MAX_SHOWN]
    ]
    return {"method": told["method"], "rows": rows, "n_more": len(told["columns"]) - len(rows)}


def _column(one: Any, types: Mapping[str, str]) -> tuple[str, str]:
    if isinstance(one, Mapping):
        return str(one["name"]), str(types.get(one["name"]) or one.get("type") or "")
    return str(one), str(types.get(one, ""))


def _cost(cost: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    named = {"total": "To make it, the data read in included", "predict": "To predict 1,000 rows"}
    return [
        (label, energy(cost[name]["kwh"]), readable(cost[name]["gco2e"]))
        for name, label in named.items()
        if cost.get(name)
    ]


def _life(life: Mapping[str, Any] | None) -> dict[str, str] | None:
    """What its whole life takes, where its use was declared; else that it was not."""
    if life is None:
        return None
    if not life.get("declared"):
        return {"note": NO_USE}
    return {
        "energy": energy(life["joules"]["total"] / JOULES_PER_KWH),
        "gco2e": readable(life["gco2e"]["total"]),
        "note": f"{life['use']} {life['method']}",
    }
