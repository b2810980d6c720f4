"""A column that gives the target away, looked for where scores are too good to be true."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.search.problem import Problem
from automl.trial import Trial

# Rows of each class that are looked at: enough to know an AUC of 0.995 within 0.002.
MOST_ROWS = 2_000


def giveaways(problem: Problem, trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """A warning for each column that alone ranks the rows nearly perfectly.

    What is known only after the event looks like the best of features. A column can only do so
    where models do: elsewhere nothing is looked at, and nothing is paid. Not promised: a leak
    that several columns share, or one weaker than an AUC of 0.995 (`automl.data.leakage`).
    """
    from automl.data.leakage import SUSPECT_AUC, alone

    validation = problem.validation
    best = max((trial.scores.get("roc_auc", 0.0) for trial in trials), default=0.0)
    if best <= SUSPECT_AUC or validation.few_positives:
        return []
    rows = np.concatenate([_spread(validation.rows[validation.y == side]) for side in (0, 1)])
    labels = problem.dataset.y[rows]
    kinds, origins = problem.encoder.info.kinds, problem.encoder.origins
    told: dict[str, float] = {}
    for i, kind in enumerate(kinds):
        own = alone(_cells(problem.matrix[rows, i], kind), labels)
        if own > SUSPECT_AUC:
            told[origins[i]] = max(own, told.get(origins[i], 0.0))
    return [
        {
            "code": "leakage_suspected",
            "detail": f"'{column}' alone ranks the rows with an AUC of {auc:.4f}; leave it out "
            "if it is known only afterwards",
            "column": column,
        }
        for column, auc in sorted(told.items(), key=lambda one: (-one[1], one[0]))
    ]


def _spread(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    if len(rows) <= MOST_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.intp)]


def _cells(column: npt.NDArray[np.float32], kind: str) -> Any:
    """As Arrow has them: codes of levels have no order, so they go as texts."""
    import pyarrow as pa

    array = pa.array(column.astype(np.float64), from_pandas=True)
    return array.cast(pa.string()) if kind in ("category", "rank") else array
