"""Models that were tried as further families and did not earn a place in the catalog.

They keep to the fitting half of the models' contract: `decision` is a logit near the prevalence
of the rows, ranks are what is judged. None is saved. `benchmarks.families` says what each gained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestNeighbors, NeighborhoodComponentsAnalysis
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer, StandardScaler, TargetEncoder
from sklearn.svm import SVC

from automl.data.encoding import EncoderInfo
from automl.meta.portfolio import NAMED
from automl.models import catalog
from automl.models.base import Floats, Labels, Valid, X, log_odds, one_thread, positive_rate
from automl.models.columns import for_linear, for_trees

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


class CatBoost(Tried):
    """CatBoost with its ordered target statistics; installed for this benchmark only."""

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        CatBoostClassifier = import_module("catboost").CatBoostClassifier
        options = {"learning_rate": 0.08, "boosting_type": "Plain", **self.params}
        model = CatBoostClassifier(
            iterations=self.rounds or (300 if valid is not None else 160),
            thread_count=1,
            random_seed=self.seed,
            verbose=0,
            allow_writing_files=False,
            **options,
        )
        if valid is None:
            model.fit(self._table(X), y, cat_features=self.info.categorical)
        else:
            model.set_params(od_type="Iter", od_wait=15, use_best_model=True)
            stopping = (self._table(valid[0]), valid[1])
            model.fit(self._table(X), y, cat_features=self.info.categorical, eval_set=stopping)
        self.model = model
        self.details["best_iteration"] = int(model.tree_count_)

    def _table(self, X: X) -> Any:
        import pandas as pd

        if not self.info.categorical:
            return X
        table = pd.DataFrame(X)
        for i in self.info.categorical:
            table[i] = np.where(np.isnan(X[:, i]), -1, X[:, i]).astype(int)
        return table

    def _decision(self, X: X) -> Floats:
        logits: Floats = self.model.predict(self._table(X), prediction_type="RawFormulaVal")
        return logits


class Histogram(Tried):
    """scikit-learn's own boosting at the settings of the portfolio's first model."""

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        options = {"learning_rate": 0.05, "max_leaf_nodes": 15, "l2_regularization": 1.0}
        if valid is None:
            model = HistGradientBoostingClassifier(
                max_iter=self.rounds or 160,
                early_stopping=False,
                random_state=self.seed,
                **options,
            ).fit(X, y)
        else:
            model = HistGradientBoostingClassifier(
                max_iter=300,
                early_stopping=True,
                n_iter_no_change=15,
                scoring="loss",
                random_state=self.seed,
                **options,
            ).fit(X, y, X_val=valid[0], y_val=valid[1], sample_weight_val=valid[2])
        self.model = model
        self.details["best_iteration"] = max(1, model.n_iter_ - 15 * (valid is not None))

    def _decision(self, X: X) -> Floats:
        logits: Floats = self.model.decision_function(X)
        return logits


class Neighbours(Tried):
    """Share of positives among the 30 nearest rows, by distance.

    ``metric`` is ``plain``, ``linear`` (columns by the size of a logistic regression's
    coefficients) or ``nca`` (neighbourhood components of 1,000 rows; Goldberger et al., 2004).
    """

    N = 30

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        scores = self._scores(X)
        metric = self.params.get("metric", "plain")
        self.weights: Matrix = np.eye(scores.shape[1])
        if metric == "linear":
            size = np.abs(LogisticRegression(C=0.1, max_iter=100).fit(scores, y).coef_[0])
            self.weights = np.diag(size / max(size.max(), 1e-9) + 0.05)
        elif metric == "nca":
            positives, negatives = self._classes(y)
            some = np.concatenate([positives[:250], negatives[:750]])
            nca = NeighborhoodComponentsAnalysis(
                n_components=min(6, scores.shape[1]), init="pca", max_iter=40, random_state=0
            )
            self.weights = nca.fit(scores[some], y[some]).components_.T
        near = scores @ self.weights
        self.index = NearestNeighbors(
            n_neighbors=min(self.N, len(near)),
            algorithm="brute" if near.shape[1] > 12 else "kd_tree",
        ).fit(near)
        self.labels = y.astype(float)

    def _decision(self, X: X) -> Floats:
        away, rows = self.index.kneighbors(self.columns.transform(X) @ self.weights)
        votes = 1 / (away + 0.1 * away.mean() + 1e-9)
        return self._log_odds((votes * self.labels[rows]).sum(1) / votes.sum(1), self.N)


class Kernel(Tried):
    """Logistic regression on a radial kernel's Nystroem features: a Gaussian process's cousin.

    300 landmarks, a third of them positives; the kernel's width from their median distance.
    """

    N = 300

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        scores = self._scores(X)
        positives, negatives = self._classes(y)
        taken = positives[: self.N // 3]
        self.marks = scores[np.concatenate([taken, negatives[: self.N - len(taken)]])]
        away = euclidean_distances(self.marks, squared=True)
        self.gamma = 1 / np.median(away[away > 0])
        values, vectors = np.linalg.eigh(np.exp(-self.gamma * away))
        self.whiten = vectors / np.sqrt(np.maximum(values, 1e-3))
        self.model = LogisticRegression(C=1.0, max_iter=200).fit(self._features(scores), y)

    def _features(self, scores: Matrix) -> Matrix:
        near = np.exp(-self.gamma * euclidean_distances(scores, self.marks, squared=True))
        return np.hstack([3 * near @ self.whiten, 0.5 * scores])

    def _decision(self, X: X) -> Floats:
        logits: Floats = self.model.decision_function(self._features(self.columns.transform(X)))
        return logits


class SupportVectors(Tried):
    """A radial support vector machine on all positives and at most 4,500 rows."""

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        scores = self._scores(X)
        positives, negatives = self._classes(y)
        some = np.concatenate([positives, negatives[: max(500, 4500 - len(positives))]])
        self.model = SVC(C=1, gamma="scale", class_weight="balanced").fit(scores[some], y[some])

    def _decision(self, X: X) -> Floats:
        margin: Floats = self.model.decision_function(self.columns.transform(X))
        return 2 * margin + log_odds(self.rate)


class Perceptron(Tried):
    """One hidden layer on normal scores, for a number of passes that falls with the rows."""

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        self.scale = StandardScaler()
        scores = self.scale.fit_transform(self._scores(X))
        self.model = MLPClassifier(
            (32,),
            alpha=1e-2,
            batch_size=min(128, len(y)),
            learning_rate_init=2e-3,
            max_iter=int(np.clip(450_000 / len(y), 12, 80)),
            n_iter_no_change=1000,
            random_state=self.seed,
        ).fit(scores, y)

    def _decision(self, X: X) -> Floats:
        share = self.model.predict_proba(self.scale.transform(self.columns.transform(X)))[:, 1]
        return self._log_odds(share, 1e6)


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


class Gaussian(Tried):
    """A normal distribution for each class on normal scores; ``shared`` covariance or ``naive``."""

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        scores = self._scores(X)
        if self.params["shape"] == "naive":
            self.naive = GaussianNB(var_smoothing=1e-2).fit(scores, y)
            return
        d = scores.shape[1]
        pooled = np.cov(scores.T).reshape(d, d)
        self.classes = []
        for label in (0, 1):
            own = scores[y == label]
            share = min(1.0, max(0.3, d / len(own)))
            spread = np.cov(own.T).reshape(d, d) if len(own) > 1 else pooled
            spread = (1 - share) * spread + share * pooled + 2e-2 * np.eye(d)
            self.classes.append((own.mean(0), np.linalg.cholesky(spread), len(own) / len(y)))

    def _decision(self, X: X) -> Floats:
        scores = self.columns.transform(X)
        if self.params["shape"] == "naive":
            joint = self.naive.predict_joint_log_proba(scores)
            return np.asarray(joint[:, 1] - joint[:, 0])
        logs = []
        for mean, root, share in self.classes:
            away = np.linalg.solve(root, (scores - mean).T)
            logs.append(np.log(share) - np.log(np.diag(root)).sum() - 0.5 * (away**2).sum(0))
        return np.asarray(logs[1] - logs[0])


class EasyEnsemble(Tried):
    """imbalanced-learn's: ten boosted sets of stumps, each on balanced rows."""

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        from imblearn.ensemble import EasyEnsembleClassifier
        from sklearn.ensemble import AdaBoostClassifier

        self.model = make_pipeline(
            for_trees(self.info),
            EasyEnsembleClassifier(
                n_estimators=10,
                estimator=AdaBoostClassifier(n_estimators=20),
                random_state=self.seed,
                n_jobs=1,
            ),
        ).fit(X, y)

    def _decision(self, X: X) -> Floats:
        share = np.clip(self.model.predict_proba(X)[:, 1], 1e-6, 1 - 1e-6)
        return np.asarray(4 * (np.log(share) - np.log1p(-share)) + log_odds(self.rate))


class BalancedBag(Tried):
    """Five boostings, each on all positives and five negatives for each, prior-corrected."""

    def _fit(self, X: X, y: Labels, valid: Valid | None) -> None:
        self.models = []
        for i in range(5):
            positives, negatives = self._classes(y)
            rows = np.sort(np.concatenate([positives, negatives[: 5 * len(positives)]]))
            self.models.append(
                catalog.build(
                    NAMED["L15"], encoder_info=self.info, seed=self.seed + i, rounds=100
                ).fit(X[rows], y[rows])
            )
        self.shift = log_odds(self.rate) - log_odds(float(y[rows].mean()))

    def _decision(self, X: X) -> Floats:
        return np.asarray(np.mean([m.decision(X) for m in self.models], axis=0) + self.shift)


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
