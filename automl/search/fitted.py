"""A fitted model at the true prevalence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.models.base import FittableModel


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
