"""Forests: extra trees, random forest, and one balanced tree by tree."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from imblearn.ensemble import BalancedRandomForestClassifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline

from automl.data.encoding import EncoderInfo
from automl.errors import DataError
from automl.models.base import Floats, Labels, SklearnModel, Valid, X, log_odds
from automl.models.columns import for_trees, tree_numbers
from automl.models.rows import rows_at

# A leaf has at least this share of the rows, those included that are left out. Full-grown trees on
# many rows are larger than the table (60 on 1.2 million rows of 25 columns: several GB beside
# 120 MB), and as slow to use.
MOST_LEAVES = 30_000
# Rows that a forest is grown on: more only deepens trees whose leaves are bounded. On 300,000 of
# 25 columns (30 MB) 60 trees were 113 MB and a trial's peak 235 above what it began with; on
# 1.5 million it was the longest trial (python -m benchmarks.memory).
MOST_ROWS = 210_000


class Trees(SklearnModel):
    """Trees of scikit-learn, which are checked when they are read from a file."""

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            A tree points outside itself (``corrupt_model``): scikit-learn would follow it.
        """
        model = super().load(folder, stem)
        for tree in model.pipeline[-1].estimators_:
            check_nodes(tree.tree_)
        return model


class Forest(Trees):
    """Averaged trees on median-filled, one-hot columns.

    The logit is that of the mean leaf share together with one tree that says the prevalence:
    shares of exactly 0 and 1 become finite, the order stays.
    """

    trusted: ClassVar[tuple[str, ...]] = (
        "numpy.dtype",
        "sklearn.tree._tree.Tree",
    )  # the nodes are checked on loading
    kind: ClassVar[Any]
    fixed: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, *, params: Mapping[str, Any], info: EncoderInfo, seed: int, n_trees: int
    ) -> None:
        forest = self.kind(
            n_estimators=n_trees,
            min_samples_leaf=int(params.get("min_samples_leaf", 2)),
            max_features=params.get("max_features", "sqrt"),
            n_jobs=1,
            random_state=seed,
            **self.fixed,
        )
        super().__init__(
            pipeline=Pipeline([("columns", for_trees(info)), ("model", forest)]),
            details={"n_trees": n_trees},
        )
        self._info = info

    def fit(
        self,
        X: X,
        y: Labels,
        *,
        sample_weight: Floats | None = None,
        valid: Valid | None = None,
    ) -> Self:
        """Fit on X, or on 210,000 of its rows by chance; `valid` is not used."""
        least = max(self.pipeline[-1].min_samples_leaf, ceil(len(X) / MOST_LEAVES))
        if len(X) > MOST_ROWS:
            seed = self.pipeline[-1].random_state
            rows = np.sort(np.random.default_rng(seed).permutation(len(X))[:MOST_ROWS])
            X, y = rows_at(X, rows), y[rows]
            sample_weight = None if sample_weight is None else sample_weight[rows]
        self.pipeline[-1].set_params(min_samples_leaf=least)
        if self._info.monotone:
            # How many columns there are for the trees is known once the levels are.
            columns, forest = self.pipeline[0], self.pipeline[-1]
            n_columns = columns.fit(X).transform(X[:1]).shape[1]
            directions = [self._info.monotone[i] for i in tree_numbers(self._info)]
            # A list: scikit-learn 1.9 turns the signs of an int8 array around in place, tree by
            # tree.
            forest.set_params(monotonic_cst=directions + [0] * (n_columns - len(directions)))
        return super().fit(X, y, sample_weight=sample_weight, valid=valid)

    def _decision(self, X: X) -> Floats:
        return self.logit(self.pipeline.predict_proba(X)[:, 1])

    def logit(self, share: Floats) -> Floats:
        """Logits of the trees' mean leaf shares, shape (n_rows,)."""
        n_trees, rate = self.details["n_trees"], self._fitted_rate()
        share = (n_trees * share + rate) / (n_trees + 1)
        logits: Floats = np.log(share) - np.log1p(-share)
        return logits

    def _fitted_rate(self) -> float:
        """Prevalence that the trees saw."""
        return float(self.details["positive_rate"])


class ExtraTrees(Forest):
    """Extremely randomised trees. Geurts, Ernst & Wehenkel, Machine Learning 2006."""

    kind = ExtraTreesClassifier


class RandomForest(Forest):
    """Random forest. Breiman, Machine Learning 2001."""

    kind = RandomForestClassifier


class BalancedForest(Forest):
    """Each tree on all positives' bootstrap and as many negatives; the prior is corrected.

    Chen, Liaw & Breiman, "Using random forest to learn imbalanced data", 2004. A candidate,
    never a default: undersampling lowered average precision (docs/method.md, Imbalance).
    """

    trusted = (
        *Forest.trusted,
        "imblearn.ensemble._forest.BalancedRandomForestClassifier",
        "imblearn.pipeline.Pipeline",
        "imblearn.under_sampling._prototype_selection._random_under_sampler.RandomUnderSampler",
    )
    kind = BalancedRandomForestClassifier
    fixed: ClassVar[dict[str, Any]] = {
        "sampling_strategy": "all",
        "replacement": True,
        "bootstrap": False,
    }

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
        self.details["seen_rate"] = 0.5
        if sample_weight is not None:
            positive, negative = sample_weight[y == 1].mean(), sample_weight[y == 0].mean()
            self.details["seen_rate"] = float(positive / (positive + negative))
        return self

    def logit(self, share: Floats) -> Floats:
        """Logits of the trees' mean leaf shares at the true prevalence, shape (n_rows,)."""
        # Half of each tree's rows were positive: by Bayes' rule the logit shifts by the
        # difference of the log-odds (see automl.sampling.prior).
        shift = log_odds(self.details["positive_rate"]) - log_odds(self.details["seen_rate"])
        logits: Floats = super().logit(share) + shift
        return logits

    def _fitted_rate(self) -> float:
        return float(self.details["seen_rate"])


def check_nodes(tree: Any) -> None:
    """Raise DataError unless every node of a tree points to later nodes and real columns."""
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    here = np.arange(tree.node_count)
    inner = left != -1
    sound = (
        len(left) == len(right) == len(feature) == tree.node_count
        and np.all((right != -1) == inner)
        and np.all((left > here)[inner] & (left < tree.node_count)[inner])
        and np.all((right > here)[inner] & (right < tree.node_count)[inner])
        and np.all((feature >= 0)[inner] & (feature < tree.n_features)[inner])
    )
    if not sound:
        raise DataError("a tree of this model points outside itself", code="corrupt_model")
