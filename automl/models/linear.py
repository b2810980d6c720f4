"""Logistic regression on normal scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from automl.data.encoding import EncoderInfo
from automl.models.base import Floats, Labels, SklearnModel, Valid, X
from automl.models.columns import for_linear


class Logistic(SklearnModel):
    """Median fill, quantile-normal, one-hot or frequency, then an L2 logistic regression."""

    def __init__(self, *, params: Mapping[str, Any], info: EncoderInfo, seed: int) -> None:
        columns = for_linear(info, n_quantiles=int(params.get("n_quantiles", 100)), seed=seed)
        regression = LogisticRegression(C=float(params.get("C", 0.1)), max_iter=200)
        super().__init__(pipeline=Pipeline([("columns", columns), ("model", regression)]))

    def fit(
        self,
        X: X,
        y: Labels,
        *,
        sample_weight: Floats | None = None,
        valid: Valid | None = None,
    ) -> Self:
        """Fit on all of X; `valid` is not used."""
        super().fit(X, y, sample_weight=sample_weight, valid=valid)
        self.details["n_iterations"] = int(self.pipeline[-1].n_iter_[0])
        return self
