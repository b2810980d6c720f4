"""The least that a search takes: below it a limit lets nothing run. Imports no model."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from automl.cost import Cost, Speed
from automl.errors import DataError
from automl.meta.portfolio import portfolio
from automl.models.expected import CostModel, FitShape
from automl.models.rounds import N_TREES, PATIENCE
from automl.sampling.stratified import ALL_ROWS_SHARE, N_POSITIVE
from automl.sampling.stratified import NEGATIVES_PER_POSITIVE as SCREENED
from automl.search.effort import EFFORTS
from automl.search.validation import (
    FEW_POSITIVES,
    MOST_POSITIVES,
    N_FOLDS,
    NEGATIVES_PER_POSITIVE,
    parts_wanted,
)


def least_seconds(
    *, n_rows: int, n_positive: int, n_columns: int, mode: str, costs: CostModel
) -> float:
    """Expected CPU-seconds of encoding, the cheapest of the first trials, and the closing.

    From the counts alone: categories and dates may make more columns, so it is rather too low.
    """
    n_negative = n_rows - n_positive
    n_parts = parts_wanted(n_positive, n_rows=n_rows, thorough=EFFORTS[mode].thorough)
    in_fold = max(1, n_positive // N_FOLDS)
    n_parts = min(N_FOLDS, max(n_parts, ceil(FEW_POSITIVES / in_fold)))
    judges = min(in_fold, MOST_POSITIVES)
    n_valid = judges + min(n_negative // N_FOLDS, NEGATIVES_PER_POSITIVE * judges)
    kept = min(n_positive, N_POSITIVE)
    screened = kept + min(n_negative, SCREENED * kept)
    if screened >= ALL_ROWS_SHARE * n_rows:
        screened = n_rows
    n_fitted = max(2, screened * (N_FOLDS - 1) // N_FOLDS)
    shape = FitShape(
        n_rows=n_fitted,
        n_columns=n_columns,
        n_positive=max(1, round(n_fitted * kept / screened)),
        n_stopping=min(n_fitted, n_valid),
        n_valid=n_valid,
        n_trees=ceil(N_TREES["screening"] / n_parts),
        patience=PATIENCE["screening"],
    )
    first = portfolio(mode, n_rows=n_rows).first
    fits = [n_parts * costs.seconds(candidate, shape) for candidate in first]
    validated = n_parts * n_valid
    return (
        costs.features_seconds(n_rows, n_columns)
        + min(fits)
        + costs.score_seconds(validated)
        + costs.closing_seconds(validated, n_columns)
    )


def check_limits(
    limits: Mapping[str, Any],
    least: float,
    *,
    speed: Speed,
    grams_per_kwh: float,
    costs: CostModel,
) -> None:
    """Refuse a limit that the cheapest trial is not expected to fit.

    `least` is in expected CPU-seconds, `speed` says what they are on this machine.

    Raises
    ------
    DataError
        ``limit_too_small``, with the least and a safe limit in the details.
    """
    takes: Cost = speed.cost(least)
    found = {
        "cpu_seconds": takes.cpu_seconds,
        # However busy the machine is now, it need not be when the job runs.
        "wall_seconds": takes.cpu_seconds,
        "joules": takes.joules,
        "gco2e": takes.grams(grams_per_kwh),
    }
    for name, floor in found.items():
        limit = limits.get(name)
        if limit is None or limit >= floor:
            continue
        late = costs.error["*"][-1]
        waiting = speed.wall if name == "wall_seconds" else 1.0
        safe = float(f"{late * waiting * floor:.2g}")
        raise DataError(
            f"a limit of {limit:.3g} {name} lets no trial run: the cheapest first one and the end "
            f"of the search are expected to take {floor:.3g} on this data, and up to "
            f"{late:.1f} times that in 19 of 20 cases; {safe:.2g} is safe",
            code="limit_too_small",
            details={
                "field": f"limits.{name}",
                "limit": float(limit),
                "least": float(f"{floor:.3g}"),
                "safe": safe,
            },
        )
