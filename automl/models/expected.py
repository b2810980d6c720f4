"""What a fit is expected to take: CPU-seconds as a function of candidate and shape.

A sum of terms that follow the algorithms, with one coefficient each, fitted offline: deterministic
and free of this run's noise. Good in ratios between candidates, within about 2x; absolute seconds
are those of the machine it was fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2, sqrt
from typing import Any

from automl.models.boosting import most_rounds
from automl.trial import Candidate

# Early stopping ended after this share of the rounds it might have used.
TYPICAL_SHARE = 1 / 3

COEFFICIENTS: Mapping[str, Sequence[float]] = {
    "lightgbm": (0.01, 2e-7, 1e-4, 3e-8, 2e-8, 3e-6),
    "logistic": (0.02, 1e-3, 6e-7),
    "extra_trees": (0.05, 1e-3, 1e-6, 1e-7),
    "random_forest": (0.05, 1e-3, 1e-6, 3e-7),
    "balanced_forest": (0.05, 1e-3, 1e-6, 1e-7),
    "smote_lightgbm": (0.01, 2e-7, 1e-4, 3e-8, 2e-8, 3e-6),
}


def expected_seconds(candidate: Candidate, n_rows: int, n_columns: int) -> float:
    """CPU-seconds of one fit on so many rows and encoded columns, with validation on a quarter."""
    if candidate.model == "logistic":
        terms = linear_terms(candidate, n_rows, n_columns)
    elif candidate.model.endswith("lightgbm"):
        rounds = typical_rounds(candidate.params)
        terms = boosting_terms(candidate, n_rows, n_columns, rounds=rounds)
    else:
        terms = forest_terms(candidate, n_rows, n_columns)
    weights = COEFFICIENTS[candidate.model]
    return sum(weight * term for weight, term in zip(weights, terms, strict=True))


def typical_rounds(params: Mapping[str, Any]) -> float:
    """Trees grown until early stopping ends, or the fixed number."""
    if "rounds" in params:
        return float(params["rounds"])
    return TYPICAL_SHARE * most_rounds(params)


def boosting_terms(
    candidate: Candidate, n_rows: int, n_columns: int, *, rounds: float
) -> list[float]:
    """A start, binning, and per round: a start, histograms of rows, of leaves, and the scores."""
    used = n_columns * float(candidate.params.get("feature_fraction", 1.0))
    leaves = min(float(candidate.params.get("num_leaves", 31)), 1 + n_rows / 20)
    cells = n_rows * used * sqrt(log2(1 + leaves))
    return [1, n_rows * n_columns, rounds, rounds * cells, rounds * leaves * used, rounds * n_rows]


def linear_terms(candidate: Candidate, n_rows: int, n_columns: int) -> list[float]:
    """A start, a start per column, and cells for the quantiles and the iterations."""
    return [1, n_columns, n_rows * n_columns]


def forest_terms(candidate: Candidate, n_rows: int, n_columns: int) -> list[float]:
    """A start, a start per column, filled cells, and cells looked at for splits."""
    wanted = candidate.params.get("max_features", "sqrt")
    tried = sqrt(n_columns) if wanted == "sqrt" else float(wanted) * n_columns
    leaf = float(candidate.params.get("min_samples_leaf", 2))
    depth = log2(2 + n_rows / leaf)
    return [1, n_columns, n_rows * n_columns, n_rows * depth * tried]
