"""Models with more columns made from the training rows, tried as further families."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer, StandardScaler, TargetEncoder

from automl.meta.portfolio import NAMED
from automl.models import catalog
from automl.models.base import Floats, Labels, Valid, X
from automl.models.columns import for_trees
from benchmarks.family_base import Matrix, Tried


class Linear(Tried):
    """Logistic regression with more columns: ``bins``, ``splines``, ``pairs`` or ``targets``."""

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        scores = self._scores(X)
        more = self.params["more"]
        n_numbers = len(self.info.where("numeric", "frequency"))
        self.numbers: slice | Matrix = slice(0, n_numbers)
        penalty = 0.1
        if more == "pairs":
            first = LogisticRegression(C=0.1, max_iter=100).fit(scores, y).coef_[0]
            self.numbers = np.argsort(-np.abs(first * scores.std(0)), kind="stable")[:12]
            penalty = 0.01
        elif more == "bins" and n_numbers:
            self.maker = KBinsDiscretizer(
                10,
                encode="onehot-dense",
                strategy="quantile",
                quantile_method="averaged_inverted_cdf",
            ).fit(scores[:, self.numbers])
        elif more == "splines" and n_numbers:
            self.maker = SplineTransformer(5, extrapolation="linear", include_bias=False).fit(
                scores[:, self.numbers]
            )
        self.scale = StandardScaler() if more == "pairs" else None
        wide = self._wide(scores)
        if self.scale is not None:
            wide = self.scale.fit_transform(wide)
        self.model = LogisticRegression(C=penalty, max_iter=200).fit(wide, y)

    def _wide(self, scores: Matrix) -> Matrix:
        chosen = scores[:, self.numbers]
        if self.params["more"] == "pairs":
            i, j = np.triu_indices(chosen.shape[1])
            return np.hstack([scores, np.clip(chosen[:, i] * chosen[:, j], -9, 9)])
        if not chosen.shape[1]:
            return scores
        return np.hstack([scores, self.maker.transform(chosen)])

    def _decision(self, X: X) -> Floats:
        wide = self._wide(self.columns.transform(X))
        logits: Floats = self.model.decision_function(
            wide if self.scale is None else self.scale.transform(wide)
        )
        return logits


class Widened(Tried):
    """A named model with more columns made from the training rows.

    ``columns``: ``outliers`` (isolation forest, distance to the sixth of 2,000 rows, and the sum
    of tail probabilities as in ECOD, Li et al. 2022), ``isolation`` alone, or ``targets``
    (cross-fitted target encoding of every category).
    """

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        kind = self.params["columns"]
        first = self._fit_targets(X, y) if kind == "targets" else self._fit_outliers(X)
        n = first.shape[1]
        info = replace(
            self.info,
            kinds=self.info.kinds + ("numeric",) * n,
            cardinality=self.info.cardinality + (0,) * n,
        )
        self.inner = catalog.build(
            NAMED[self.params["model"]],
            encoder_info=info,
            seed=self.seed,
            rung=self.rung,
            rounds=self.rounds,
            n_trees=self.n_trees,
        )
        stopping = None if valid is None else (self._wide(valid[0]), *valid[1:])
        self.inner.fit(np.hstack([X, first]).astype(np.float32), y, valid=stopping)
        self.details |= dict(self.inner.details)

    def _wide(self, X: X) -> X:
        more = self._targets(X) if self.params["columns"] == "targets" else self._outliers(X)
        return np.hstack([X, more]).astype(np.float32)

    def _decision(self, X: X) -> Floats:
        return self.inner.decision(self._wide(X))

    def _fit_targets(self, X: X, y: Labels) -> Matrix:
        self.targets = TargetEncoder(target_type="binary", random_state=self.seed)
        if not self.info.categorical:
            return np.empty((len(X), 0))
        made: Matrix = self.targets.fit_transform(self._levels(X), y)
        return made

    def _targets(self, X: X) -> Matrix:
        if not self.info.categorical:
            return np.empty((len(X), 0))
        made: Matrix = self.targets.transform(self._levels(X))
        return made

    def _levels(self, X: X) -> Matrix:
        return np.nan_to_num(X[:, self.info.categorical], nan=-1)

    def _fit_outliers(self, X: X) -> Matrix:
        self.filled = for_trees(self.info).fit(X)
        filled = self.filled.transform(X)
        self.isolation = IsolationForest(n_estimators=100, random_state=self.seed, n_jobs=1)
        self.isolation.fit(filled)
        if self.params["columns"] == "outliers":
            self.sorted = np.sort(filled, axis=0)
            some = self.rng.permutation(len(X))[:2000]
            self.near = NearestNeighbors(n_neighbors=6, algorithm="brute")
            self.near.fit(self._scores(X)[some])
        return self._outliers(X)

    def _outliers(self, X: X) -> Matrix:
        filled = self.filled.transform(X)
        made = [self.isolation.score_samples(filled)]
        if self.params["columns"] == "outliers":
            away = self.near.kneighbors(self.columns.transform(X))[0][:, -1]
            n_rows = len(self.sorted)
            tail = np.zeros(len(X))
            for i in range(filled.shape[1]):
                below = np.searchsorted(self.sorted[:, i], filled[:, i], "right")
                above = n_rows - np.searchsorted(self.sorted[:, i], filled[:, i], "left")
                tail -= np.log((np.minimum(below, above) + 1) / (n_rows + 1))
            made += [np.log1p(away), tail]
        return np.column_stack(made)
