"""Other boostings and balanced ensembles that were tried as further families."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from automl.meta.portfolio import NAMED
from automl.models import catalog
from automl.models.base import Floats, Labels, Valid, X, log_odds
from automl.models.columns import for_trees
from benchmarks.family_base import Tried


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
