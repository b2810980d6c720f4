"""Logistic regression on normal scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Self

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from automl.data.encoding import EncoderInfo
from automl.errors import DataError
from automl.models.base import Floats, Labels, SklearnModel, Valid, X
from automl.models.columns import for_linear, linear_numbers


class Logistic(SklearnModel):
    """Median fill, quantile-normal, one-hot or frequency, then an L2 logistic regression."""

    def __init__(self, *, params: Mapping[str, Any], info: EncoderInfo, seed: int) -> None:
        self._params, self._info, self._seed = dict(params), info, seed
        super().__init__(pipeline=self._pipeline(without=()))

    def _pipeline(self, *, without: Collection[int]) -> Pipeline:
        n_quantiles = int(self._params.get("n_quantiles", 100))
        columns = for_linear(self._info, n_quantiles=n_quantiles, seed=self._seed, without=without)
        regression = LogisticRegression(C=float(self._params.get("C", 0.1)), max_iter=200)
        return Pipeline([("columns", columns), ("model", regression)])

    def fit(
        self,
        X: X,
        y: Labels,
        *,
        sample_weight: Floats | None = None,
        valid: Valid | None = None,
    ) -> Self:
        """Fit on all of X; `valid` is not used.

        A monotone column whose coefficient has the wrong sign is left out, and the rest fitted
        again: at the constrained optimum of a convex loss some coefficient is at its bound, 0.
        """
        super().fit(X, y, sample_weight=sample_weight, valid=valid)
        numbers = linear_numbers(self._info)
        left_out: set[int] = set()
        while self._info.monotone:
            kept = [i for i in numbers if i not in left_out]
            signs = self.pipeline[-1].coef_[0][: len(kept)]
            wrong = [i for i, s in zip(kept, signs, strict=True) if s * self._info.monotone[i] < 0]
            if not wrong:
                break
            left_out |= set(wrong)
            if len(left_out) == len(numbers) and not self._info.where("category"):
                raise DataError(
                    "every column speaks against its monotone direction", code="no_features"
                )
            self.pipeline = self._pipeline(without=left_out)
            super().fit(X, y, sample_weight=sample_weight, valid=valid)
        self.details["n_iterations"] = int(self.pipeline[-1].n_iter_[0])
        return self
