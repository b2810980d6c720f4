"""A fitted model at the true prevalence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.models.base import FittableModel

BLOCK_ROWS = 65_536


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model with what brings its logit to the true prevalence, and to one scale with others."""

    model: FittableModel
    slope: float = 1.0
    shift: float = 0.0
    # Rows that it was fitted on; None where it was saved before that was kept.
    n_rows: int | None = None

    def decision(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Logits of encoded rows, shape (n_rows,)."""
        return self.slope * self.model.decision(matrix) + self.shift

    def decisions(
        self, matrix: npt.NDArray[np.float32], rows: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float64]:
        """Logits of some rows of a matrix, copied block by block."""
        return np.concatenate([self.decision(matrix[block]) for block in in_blocks(rows)])


def columns_used(models: Iterable[Fitted], origins: list[str]) -> set[str]:
    """Columns of the table that any of these models uses; all, where one of them does not tell.

    Trees tell it by their splits. `origins` are the table's columns by those of the matrix.
    """
    from automl.models.boosting import Boosting

    used: set[str] = set()
    for fitted in models:
        if type(fitted.model) is not Boosting:
            return set(origins)
        splits = fitted.model.booster.feature_importance("split")
        used |= {origins[at] for at in np.flatnonzero(splits[: len(origins)])}
    return used


def in_blocks(rows: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    """Rows in blocks that are predicted at a time; one block where they are few."""
    return [rows[i : i + BLOCK_ROWS] for i in range(0, max(len(rows), 1), BLOCK_ROWS)]
