"""Logistic regression on a radial kernel: a smooth surface where trees have steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import Pipeline

from automl.data.encoding import EncoderInfo
from automl.models.base import Floats, Labels, SklearnModel, Valid, X
from automl.models.columns import for_linear

Matrix = npt.NDArray[Any]

# Landmarks: of 100, 300 and 600 the middle; the kernel's eigenvalues below this are its noise.
N_LANDMARKS = 300
LEAST_EIGENVALUE = 1e-3
# How the penalty sees the two kinds of columns: the surface at 3, the plane at a half.
SURFACE, PLANE = 3.0, 0.5


class Landmarks(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Rows to their likeness to some of the training rows, whitened, and themselves.

    Nystroem's features (Williams & Seeger, NeurIPS 2000) of a Gaussian kernel whose width is the
    median distance between landmarks. A third of these are positives, where there are as many:
    drawn from all rows, hardly one would be. Distances stay in float64, so that a row alone gets
    the numbers that it gets among others.
    """

    def __init__(
        self, *, n_landmarks: int = N_LANDMARKS, width: float = 1.0, seed: int = 0
    ) -> None:
        self.n_landmarks = n_landmarks
        self.width = width
        self.seed = seed

    def fit(self, X: Matrix, y: Labels) -> Self:
        """Draw landmarks and whiten their kernel."""
        rng = np.random.default_rng(self.seed)
        positives = rng.permutation(np.flatnonzero(y == 1))[: self.n_landmarks // 3]
        negatives = rng.permutation(np.flatnonzero(y == 0))[: self.n_landmarks - len(positives)]
        self.landmarks_ = np.asarray(X, dtype=np.float64)[np.concatenate([positives, negatives])]
        away = euclidean_distances(self.landmarks_, squared=True)
        apart = away[away > 0]
        self.gamma_ = 1 / (self.width * float(np.median(apart))) if len(apart) else 1.0
        values, vectors = np.linalg.eigh(np.exp(-self.gamma_ * away))
        self.whitening_ = vectors / np.sqrt(np.maximum(values, LEAST_EIGENVALUE))
        return self

    def transform(self, X: Matrix) -> Matrix:
        """Shape (n_rows, n_landmarks + n_columns)."""
        X = np.asarray(X, dtype=np.float64)
        near = np.exp(-self.gamma_ * euclidean_distances(X, self.landmarks_, squared=True))
        return np.hstack([SURFACE * (near @ self.whitening_), PLANE * X])


class KernelLogistic(SklearnModel):
    """The linear model's columns, their likeness to landmarks, an L2 logistic regression.

    A Gaussian process classifier's cheap cousin: linear in the rows.
    """

    trusted = ("numpy.dtype", "automl.models.kernel.Landmarks")

    def __init__(self, *, params: Mapping[str, Any], info: EncoderInfo, seed: int) -> None:
        surface = Landmarks(
            n_landmarks=int(params.get("n_landmarks", N_LANDMARKS)),
            width=float(params.get("width", 1.0)),
            seed=seed,
        )
        regression = LogisticRegression(C=float(params.get("C", 1.0)), max_iter=200)
        super().__init__(
            pipeline=Pipeline(
                [
                    ("columns", for_linear(info, n_quantiles=100, seed=seed)),
                    ("surface", surface),
                    ("model", regression),
                ]
            )
        )

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
