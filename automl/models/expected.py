"""What a fit is expected to take: CPU-seconds as a function of candidate and shape.

A sum of terms that follow the algorithms, with one coefficient each, fitted offline: deterministic
and free of this run's noise. Good in ratios between candidates, within about 2x; absolute seconds
are those of the machine it was fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2, sqrt
from typing import Any

from automl.models.rounds import most_rounds
from automl.trial import Candidate

# Early stopping ended after this share of the rounds it might have used: share x n_rows ** power.
TYPICAL_SHARE, TYPICAL_POWER = 0.015, 0.34

# Source: python -m benchmarks.cost_model, 2026-11-22, 135 fits on 15 shapes of 400 to 60,000 rows
# and 6 to 60 columns, two shared x86-64 cores. On shapes left out, expected / measured was 0.44,
# 0.98 and 1.64 at 5, 50 and 95 %, and within 2x for 87 %; what is off is where boosting stops.
FITTED_TREES = 60  # of every forest fitted
COEFFICIENTS: Mapping[str, Sequence[float]] = {
    "lightgbm": (0.0, 4.82e-07, 9.37e-05, 1.43e-09, 1.2e-06, 6.7e-08),
    "logistic": (0.01, 0.000607, 3.14e-07),
    "extra_trees": (0.0498, 0.0, 5.95e-07, 1.02e-06),
    "random_forest": (0.0596, 0.0, 3.14e-07, 2.75e-06),
    "balanced_forest": (0.129, 0.0, 0.0, 4.88e-07),
    "smote_lightgbm": (0.0, 1.34e-06, 0.00039, 3.25e-09, 1.74e-06, 1.18e-07),
}


def expected_seconds(
    candidate: Candidate, n_rows: int, n_columns: int, *, n_trees: int = FITTED_TREES
) -> float:
    """CPU-seconds of one fit on so many rows and encoded columns, with validation on a quarter.

    `n_trees` is of forests only: a rung shares its trees over its folds.
    """
    if candidate.model == "logistic":
        terms = linear_terms(candidate, n_rows, n_columns)
    elif candidate.model.endswith("lightgbm"):
        rounds = typical_rounds(candidate.params, n_rows)
        terms = boosting_terms(candidate, n_rows, n_columns, rounds=rounds)
    else:
        terms = forest_terms(candidate, n_rows, n_columns)
        grown = n_trees / FITTED_TREES
        terms = [terms[0] * grown, *terms[1:-1], terms[-1] * grown]
    weights = COEFFICIENTS[candidate.model]
    return float(sum(weight * term for weight, term in zip(weights, terms, strict=True)))


def typical_rounds(params: Mapping[str, Any], n_rows: int) -> float:
    """Trees grown until early stopping ends, or the fixed number."""
    if "rounds" in params:
        return float(params["rounds"])
    share = min(1.0, TYPICAL_SHARE * float(n_rows) ** TYPICAL_POWER)
    return float(share * most_rounds(params))


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
