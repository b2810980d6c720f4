"""How easily a row is set apart from the others: a score that needs no labels."""

from __future__ import annotations

import warnings
from typing import ClassVar, Self

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline

from automl.data.encoding import EncoderInfo
from automl.models.base import Floats, X, check_columns, one_thread
from automl.models.columns import for_trees
from automl.models.trees import Trees

N_TREES = 100
# Of the paper: more rows a tree hide anomalies behind each other.
SAMPLE_ROWS = 256


class Isolation(Trees):
    """Isolation forest on median-filled, one-hot columns.

    Liu, Ting & Zhou, "Isolation forest", ICDM 2008: random cuts set an odd row apart after few of
    them. Each tree sees 256 rows, so a fit costs the same on any table.
    """

    trusted: ClassVar[tuple[str, ...]] = (
        "numpy.dtype",
        "sklearn.tree._tree.Tree",
    )  # the nodes are checked on loading

    def __init__(self, *, info: EncoderInfo, seed: int) -> None:
        forest = IsolationForest(
            n_estimators=N_TREES, max_samples=SAMPLE_ROWS, n_jobs=1, random_state=seed
        )
        super().__init__(
            pipeline=Pipeline([("columns", for_trees(info)), ("model", forest)]),
            details={"n_trees": N_TREES, "sample_rows": SAMPLE_ROWS},
        )

    def fit_rows(self, X: X) -> Self:
        """Fit on encoded rows, shape (n_rows, n_columns)."""
        self.details |= {"n_columns": X.shape[1], "n_rows": len(X)}
        self.pipeline[-1].set_params(max_samples=min(SAMPLE_ROWS, len(X)))
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a column that is empty in this sample
            self.pipeline.fit(X)
        return self

    def oddness(self, X: X) -> Floats:
        """Between 0 and 1, shape (n_rows,); higher is odder."""
        check_columns(X, self.details["n_columns"])
        if not len(X):
            return np.empty(0)
        with one_thread():
            return -np.asarray(self.pipeline.score_samples(X), dtype=np.float64)
