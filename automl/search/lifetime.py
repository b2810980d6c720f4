"""What a model costs over its whole life: finding it, fitting it, using it, fitting it again.

Pure functions of expected costs: choices made by them repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from automl.models.catalog import family
from automl.search.objective import Objective
from automl.trial import Candidate

# CPU-seconds to predict 1,000 rows of 10 columns within a batch of 20,000, measured 2026-11-22 on
# one of two shared x86-64 cores: boosting 0.0012 at 50 trees and 0.0089 at 300, extra trees 0.0026
# at 20 and 0.0086 at 60, random and balanced forests 0.006 at 60, linear 0.0017. A batch of 1,000
# rows costs a forest 2.5 and a linear model 5 times as much. A kernel with 300 landmarks takes
# 0.0067 beside the encoding of a linear model, in batches of 1,000 and of 20,000 (2026-11-23).
FIXED_SECONDS: Mapping[str, float] = {
    "boosting": 0.0,
    "resampled": 0.0,
    "linear": 0.0017,
    "kernel": 0.0084,
}
SECONDS_PER_TREE: Mapping[str, float] = {
    "boosting": 3e-5,
    "resampled": 3e-5,
    "linear": 0.0,
    "kernel": 0.0,
}
FOREST_SECONDS_PER_TREE = 1.3e-4

# How long a model is used where its use is told and its horizon is not.
HORIZON_DAYS = 365.0


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """Expected joules of a model's life; a rate of carbon makes grams of them.

    `search` is the trial's own (an ensemble's is its members'), `refit` the fit on all rows that
    makes it a champion, `use` its predictions, and `retrains` as many refits as are expected.
    """

    search: float
    refit: float
    use: float
    retrains: float = 0.0

    @property
    def total(self) -> float:
        """All of it: the cost axis of the front."""
        return self.search + self.refit + self.use + self.retrains

    def to_json(self) -> dict[str, float]:
        """Plain JSON values, the total among them."""
        return {**asdict(self), "total": self.total}


def lifetime(
    *, search: float, refit: float, predict: float, n_rows: int, objective: Objective
) -> Lifetime:
    """The life of a model as the objective describes its use.

    Parameters
    ----------
    search, refit : expected joules of the trial, and of fitting it on all rows
    predict : expected joules per 1,000 rows
    n_rows : of the data; where no use is described, one scoring of so many rows stands for it

    >>> daily = Objective(predictions_per_day=10_000, horizon_days=100, retrains=3)
    >>> lifetime(search=5.0, refit=2.0, predict=0.03, n_rows=500, objective=daily).to_json()
    {'search': 5.0, 'refit': 2.0, 'use': 30.0, 'retrains': 6.0, 'total': 43.0}
    """
    return Lifetime(
        search=search,
        refit=refit,
        use=predict * predictions(objective, n_rows=n_rows) / 1000,
        retrains=refit * (objective.retrains or 0.0),
    )


def predictions(objective: Objective, *, n_rows: int) -> float:
    """Rows that are expected to be predicted in all.

    >>> predictions(Objective(predictions_per_day=2), n_rows=500)
    730.0
    >>> predictions(Objective(), n_rows=500)
    500.0
    """
    if objective.predictions_per_day is None:
        return float(n_rows)
    return objective.predictions_per_day * (objective.horizon_days or HORIZON_DAYS)


def n_trees(details: Mapping[str, Any]) -> int:
    """Trees of a fitted model by its details; 0 for what has none."""
    return int(details.get("best_iteration", details.get("n_trees", 0)))


def predict_seconds(candidate: Candidate, *, trees: Iterable[int]) -> float:
    """Expected CPU-seconds for 1,000 rows by models of a candidate with so many trees each."""
    kind = family(candidate)
    per_tree = SECONDS_PER_TREE.get(kind, FOREST_SECONDS_PER_TREE)
    return FIXED_SECONDS.get(kind, 0.0) + per_tree * sum(trees)
