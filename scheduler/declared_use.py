"""The predictions that a model's life counts: as its job declared them, or an assumption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HORIZON_DAYS = 365.0  # as the search takes it where a use is told and no horizon


def predictions(request: Mapping[str, Any], told: Mapping[str, Any] | None = None) -> float:
    """Rows predicted in all, at least one: one scoring of the data where no use is told.

    Parameters
    ----------
    told : another use than the request's objective says

    >>> predictions({"objective": {"predictions_per_day": 10}})
    3650.0
    >>> predictions({"admission": {"n_rows": 500}})
    500.0
    """
    objective = _objective(request) if told is None else told
    per_day = objective.get("predictions_per_day")
    if not per_day:
        return float((request.get("admission") or {}).get("n_rows") or 1.0)
    return float(per_day) * float(objective.get("horizon_days") or HORIZON_DAYS)


def is_declared(request: Mapping[str, Any]) -> bool:
    """Whether a request says how many predictions a day there will be."""
    return bool(_objective(request).get("predictions_per_day"))


def use_text(request: Mapping[str, Any], told: Mapping[str, Any] | None = None) -> str:
    """Which use a life counts, in a sentence.

    >>> use_text({"objective": {"predictions_per_day": 10, "horizon_days": 30, "retrains": 2}})
    '10 predictions a day for 30 days, 300 in all, fitted again 2 times, as declared.'
    """
    objective = _objective(request) if told is None else told
    per_day, n_rows = objective.get("predictions_per_day"), predictions(request, told)
    if not per_day:
        return (
            f"Nobody declared a use: one scoring of {n_rows:,.10g} rows, as many as the data has,"
            " stands for it."
        )
    days = float(objective.get("horizon_days") or HORIZON_DAYS)
    retrains = float(objective.get("retrains") or 0.0)
    again = f", fitted again {retrains:,.10g} times" if retrains else ""
    return (
        f"{float(per_day):,.10g} predictions a day for {days:,.10g} days, {n_rows:,.10g} in all"
        f"{again}, as declared."
    )


def _objective(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(request.get("objective") or {})
