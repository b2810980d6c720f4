"""What the models have in common that were tried as further families.

They keep to the fitting half of the models' contract: `decision` is a logit near the prevalence
of the rows, ranks are what is judged. None is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from automl.data.encoding import EncoderInfo
from automl.models.base import Floats, Labels, Valid, X, one_thread, positive_rate
from automl.models.columns import for_linear

Matrix = npt.NDArray[Any]


class Tried:
    """What they share: normal scores and levels as columns, one thread, the seed."""

    def __init__(
        self,
        *,
        params: Mapping[str, Any],
        info: EncoderInfo,
        seed: int,
        rung: str,
        rounds: int | None,
        n_trees: int | None,
    ) -> None:
        self.params, self.info, self.seed = dict(params), info, seed
        self.rung, self.rounds, self.n_trees = rung, rounds, n_trees
        self.details: dict[str, Any] = {}
        self.rng = np.random.default_rng(seed)

    def fit(
        self,
        X: X,
        y: Labels,
        *,
        sample_weight: Floats | None = None,
        valid: Valid | None = None,
    ) -> Self:
        """Fit on the rows; weights are not used by any of these."""
        self.rate = positive_rate(y, None)
        self.details |= {"positive_rate": self.rate, "n_columns": X.shape[1]}
        with one_thread():
            self._fit(X, y, valid)
        return self

    def decision(self, X: X) -> Floats:
        """Logits, shape (n_rows,)."""
        with one_thread():
            return np.asarray(self._decision(X), dtype=np.float64)

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        raise NotImplementedError

    def _decision(self, X: X) -> Floats:
        raise NotImplementedError

    def _scores(self, X: X) -> Matrix:
        """Fit the columns and transform the rows."""
        self.columns = for_linear(self.info, n_quantiles=100, seed=self.seed)
        scores: Matrix = self.columns.fit_transform(X)
        return scores

    def _log_odds(self, share: Floats, n: float) -> Floats:
        """Of a share of `n` votes, with one more that says the prevalence."""
        shrunk = (n * share + self.rate) / (n + 1)
        return np.asarray(np.log(shrunk) - np.log1p(-shrunk))

    def _classes(self, y: Labels) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Positives and negatives in random order."""
        return (
            self.rng.permutation(np.flatnonzero(y == 1)),
            self.rng.permutation(np.flatnonzero(y == 0)),
        )
