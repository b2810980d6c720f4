"""Fitted models without the machinery around them: the same logits, for one row 20 times sooner.

A scikit-learn pipeline checks, copies and names its input at every step, which for one row is
nearly all it does. Here the numbers that fitting left (medians, quantiles, levels, coefficients,
trees) are applied with plain NumPy, in the types and the order in which scikit-learn applies them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from automl.models.base import FittableModel, Floats, X, check_columns
from automl.models.gaussian import Gaussian
from automl.models.kernel import KernelLogistic
from automl.models.linear import Logistic
from automl.models.trees import Forest

Decide = Callable[[X], Floats]

# scikit-learn's QuantileTransformer: values so near an end are at it, and an end is no infinity.
NEAR = 1e-7
MOST = float(ndtri(1 - (NEAR - np.spacing(1))))
LEAST = float(ndtri(NEAR - np.spacing(1)))


def decide(model: FittableModel) -> Decide:
    """What a fitted model's `decision` computes, as a function of encoded rows.

    Boosting is quick as it is, and is taken as it is; so is a model that is not known here.

    Raises
    ------
    ValueError
        The model is not fitted, or its pipeline is none that these models make.
    """
    if isinstance(model, Gaussian) or not isinstance(model, Forest | Logistic | KernelLogistic):
        return model.decision
    columns = Columns(model.pipeline[0])
    n_columns = int(model.details["n_columns"])
    if isinstance(model, Forest):
        share = Shares(model.pipeline[-1])
        to_logit = model.logit

        def logits(encoded: X) -> Floats:
            return to_logit(share(columns(encoded)))

    else:
        surface = model.pipeline[1] if isinstance(model, KernelLogistic) else None
        regression = model.pipeline[-1]
        coefficients, intercept = regression.coef_.T, regression.intercept_

        def logits(encoded: X) -> Floats:
            made = columns(encoded)
            if surface is not None:
                made = surface.transform(made)
            return np.asarray((made @ coefficients + intercept)[:, 0], dtype=np.float64)

    def checked(encoded: X) -> Floats:
        check_columns(encoded, n_columns)
        return logits(encoded) if len(encoded) else np.empty(0)

    return checked


class Columns:
    """What `automl.models.columns` makes of encoded columns, once fitted.

    Numbers first: the median where a cell is missing, then normal scores for linear models. Then
    a column for each level of the categories, of which an unseen one is none.
    """

    def __init__(self, fitted: Any) -> None:
        parts = {name: (part, list(where)) for name, part, where in fitted.transformers_}
        self._numbers: npt.NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._levels: npt.NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._quantiles: list[npt.NDArray[np.float64]] = []
        self._shares: npt.NDArray[np.float64] = np.empty(0)
        self._filling: npt.NDArray[np.float32] = np.empty(0, dtype=np.float32)
        if "numbers" in parts:
            part, where = parts["numbers"]
            self._numbers = np.asarray(where, dtype=np.intp)
            imputer, scores = (part[0], part[1]) if hasattr(part, "steps") else (part, None)
            self._filling = np.asarray(imputer.statistics_, dtype=np.float32)
            if scores is not None:
                self._quantiles = [np.ascontiguousarray(own) for own in scores.quantiles_.T]
                self._shares = np.asarray(scores.references_, dtype=np.float64)
        if "levels" in parts:
            part, where = parts["levels"]
            self._levels = np.asarray(where, dtype=np.intp)
            self._places, self._n_made = _places(part.categories_)
        else:
            self._places, self._n_made = np.empty((0, 0), dtype=np.intp), 0
        self._which = np.arange(len(self._levels))
        self.width = len(self._numbers) + self._n_made

    def __call__(self, encoded: X) -> X:
        """Columns of float32, shape (n_rows, width)."""
        n_numbers = len(self._numbers)
        made = np.zeros((len(encoded), self.width), dtype=np.float32)
        if n_numbers:
            numbers = encoded[:, self._numbers]
            numbers = np.where(np.isnan(numbers), self._filling, numbers)
            made[:, :n_numbers] = self._scores(numbers) if self._quantiles else numbers
        if len(self._levels):
            n_codes = self._places.shape[1] - 2
            codes = encoded[:, self._levels]
            missing = np.isnan(codes)
            known = (codes >= 0) & (codes < n_codes)
            at = np.where(known, codes, n_codes + 1).astype(np.intp)
            at[missing] = n_codes
            places = self._places[self._which, at]
            rows, columns = np.nonzero(places >= 0)
            made[rows, n_numbers + places[rows, columns]] = 1
        return made

    def _scores(self, numbers: X) -> X:
        """Normal scores by quantiles, as scikit-learn has them: the mean of both directions."""
        shares = np.empty_like(numbers)
        falling = -self._shares[::-1]
        for i, quantiles in enumerate(self._quantiles):
            own = numbers[:, i]
            up = np.interp(own, quantiles, self._shares)
            down = np.interp(-own, -quantiles[::-1], falling)
            shares[:, i] = 0.5 * (up - down)
            shares[own + NEAR > quantiles[-1], i] = 1
            shares[own - NEAR < quantiles[0], i] = 0
        scores: X = np.clip(ndtri(shares).astype(np.float64), LEAST, MOST).astype(np.float32)
        return scores


def _places(categories: list[npt.NDArray[Any]]) -> tuple[npt.NDArray[np.intp], int]:
    """Where the one of each code goes, by column; -1 for none. Missing cells are next to last."""
    codes = [own[~np.isnan(own)].astype(np.intp) for own in categories]
    n_codes = max((int(own.max(initial=-1)) for own in codes), default=-1) + 1
    places = np.full((len(categories), n_codes + 2), -1, dtype=np.intp)
    before = 0
    for i, own in enumerate(categories):
        for j, level in enumerate(own):
            places[i, n_codes if np.isnan(level) else int(level)] = before + j
        before += len(own)
    return places, before


class Shares:
    """The mean leaf share of a forest's trees."""

    def __init__(self, forest: Any) -> None:
        self._trees = [one.tree_ for one in forest.estimators_]

    def __call__(self, made: X) -> Floats:
        """Share of positives, shape (n_rows,)."""
        total = np.zeros(len(made))
        for tree in self._trees:
            total += tree.predict(made)[:, 1]
        return total / len(self._trees)
