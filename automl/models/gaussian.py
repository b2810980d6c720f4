"""How far a row is from the middle of the others, once each column is normal."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from automl.data.encoding import EncoderInfo
from automl.errors import DataError
from automl.models.base import Floats, SklearnModel, X, check_columns, one_thread
from automl.models.columns import for_linear

N_QUANTILES = 100
# Halfway between the covariances and none at all (docs/method.md, Without labels).
SHRINKAGE = 0.5
# Wider than this, covariances are left out: their number is the width's square.
MOST_WIDE = 500
BLOCK_CELLS = 4_000_000


class Gaussian(SklearnModel):
    """Mahalanobis distance on normal scores, with half of the covariances: a Gaussian copula.

    Columns are those of the linear model, so a row is far if its cells are rare in their columns,
    and farther if they are rare together. Ledoit & Wolf, Journal of Multivariate Analysis 2004,
    for the shrinkage to equal variances.
    """

    location: Floats  # shape (width,)
    precision: Floats | None  # shape (width, width); None: distances without covariances

    def __init__(self, *, info: EncoderInfo, seed: int) -> None:
        columns = for_linear(info, n_quantiles=N_QUANTILES, seed=seed)
        super().__init__(pipeline=Pipeline([("columns", columns)]))

    def fit_rows(self, X: X) -> Self:
        """Fit on encoded rows, shape (n_rows, n_columns)."""
        self.details |= {"n_columns": X.shape[1], "n_rows": len(X)}
        # No more quantiles than rows; an empty column is no news.
        for _, part, _ in self.pipeline[0].transformers:
            if isinstance(part, Pipeline):
                part[-1].set_params(n_quantiles=min(N_QUANTILES, len(X)))
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.pipeline.fit(X)
            scores = self._scores(X)
            self.location = scores.mean(axis=0)
            self.precision = None
            if scores.shape[1] <= MOST_WIDE:
                self.precision = _precision(scores)
        self.details["width"] = len(self.location)
        return self

    def oddness(self, X: X) -> Floats:
        """Squared distance, shape (n_rows,); higher is odder."""
        check_columns(X, self.details["n_columns"])
        out = np.empty(len(X))
        step = max(1, BLOCK_CELLS // max(1, self.details["width"]))
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for start in range(0, len(X), step):
                away = self._scores(X[start : start + step]) - self.location
                weighed = away if self.precision is None else away @ self.precision
                out[start : start + step] = np.einsum("ij,ij->i", weighed, away)
        return out

    def save(self, folder: Path, stem: str) -> list[str]:
        """Write ``stem.skops``, ``stem.json`` and ``stem.npz``."""
        arrays = {"location": self.location}
        if self.precision is not None:
            arrays["precision"] = self.precision
        with (folder / f"{stem}.npz").open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        return [*super().save(folder, stem), f"{stem}.npz"]

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            The arrays' shapes are not those of one model (``corrupt_model``).
        """
        model = super().load(folder, stem)
        with np.load(folder / f"{stem}.npz", allow_pickle=False) as arrays:
            model.location = arrays["location"]
            model.precision = arrays["precision"] if "precision" in arrays.files else None
        width = (model.details["width"],)
        wrong = model.precision is not None and model.precision.shape != 2 * width
        if model.location.shape != width or wrong:
            raise DataError("the arrays of this model do not fit each other", code="corrupt_model")
        return model

    def _scores(self, X: X) -> Floats:
        return np.asarray(self.pipeline.transform(X), dtype=np.float64)


def _precision(scores: npt.NDArray[np.float64]) -> Floats:
    covariance = np.atleast_2d(np.cov(scores.T))
    mean = np.trace(covariance) / len(covariance)
    if mean <= 0:  # every row is the same
        return np.eye(len(covariance))
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * mean * np.eye(len(covariance))
    return np.asarray(np.linalg.inv(shrunk))
