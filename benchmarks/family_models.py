"""Models that were tried as further families and did not earn a place in the catalog.

Distances, kernels, a perceptron, normal classes; `benchmarks.families` says what each gained.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestNeighbors, NeighborhoodComponentsAnalysis
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from automl.models.base import Floats, Labels, Valid, X, log_odds
from benchmarks.family_base import Matrix, Tried


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
