"""What a model costs over its whole life: finding it, fitting it, using it, fitting it again.

Pure functions of expected costs: choices made by them repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from automl.models.catalog import family
from automl.trial import Candidate

# CPU-seconds to predict 1,000 rows of 10 columns within a batch of 20,000, measured 2026-11-22 on
# one of two shared x86-64 cores: boosting 0.0012 at 50 trees and 0.0089 at 300, extra trees 0.0026
# at 20 and 0.0086 at 60, random and balanced forests 0.006 at 60, linear 0.0017. A batch of 1,000
# rows costs a forest 2.5 and a linear model 5 times as much.
FIXED_SECONDS: Mapping[str, float] = {
    "boosting": 0.0,
    "rated": 0.0,
    "resampled": 0.0,
    "linear": 0.0017,
}
SECONDS_PER_TREE: Mapping[str, float] = {
    "boosting": 3e-5,
    "rated": 3e-5,
    "resampled": 3e-5,
    "linear": 0.0,
}
FOREST_SECONDS_PER_TREE = 1.3e-4


def n_trees(details: Mapping[str, Any]) -> int:
    """Trees of a fitted model by its details; 0 for what has none."""
    return int(details.get("best_iteration", details.get("n_trees", 0)))


def predict_seconds(candidate: Candidate, *, trees: Iterable[int]) -> float:
    """Expected CPU-seconds for 1,000 rows by models of a candidate with so many trees each."""
    kind = family(candidate)
    per_tree = SECONDS_PER_TREE.get(kind, FOREST_SECONDS_PER_TREE)
    return FIXED_SECONDS.get(kind, 0.0) + per_tree * sum(trees)
