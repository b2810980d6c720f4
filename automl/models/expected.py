"""What a fit is expected to take: CPU-seconds as a function of candidate and shape."""

from __future__ import annotations

from automl.models.boosting import most_rounds
from automl.trial import Candidate

# Source: benchmarks/cost_model.py
SECONDS = {
    "fixed": 0.01,
}


def boosting_seconds(candidate: Candidate, n_rows: int, n_columns: int) -> float:
    """Binning once, then rounds of histograms."""
    rounds = candidate.params.get("rounds", most_rounds(candidate.params) / 3)
    leaves = candidate.params.get("num_leaves", 31)
    return (
        0.01 + 2e-7 * n_rows * n_columns + rounds * (3e-8 * n_rows * n_columns + 1e-5 * leaves * 3)
    )


def linear_seconds(candidate: Candidate, n_rows: int, n_columns: int) -> float:
    """Quantiles and iterations."""
    return 0.02 + 6e-7 * n_rows * n_columns


def forest_seconds(candidate: Candidate, n_rows: int, n_columns: int) -> float:
    """Sixty trees."""
    per_tree = 1e-7 if candidate.model == "extra_trees" else 3e-7
    return 0.05 + 60 * per_tree * n_rows * float(n_columns) ** 0.5 * 4


def smote_seconds(candidate: Candidate, n_rows: int, n_columns: int) -> float:
    """Boosting on a quarter more rows, and the neighbours."""
    return 1.5 * boosting_seconds(candidate, int(1.25 * n_rows), n_columns)
