"""LightGBM and scikit-learn's HistGradientBoosting as they come: the floor."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.systems.columns import Categories
from benchmarks.systems.task import Answer, Task

# HistGradientBoosting refuses categories of more levels; those columns are ordinal codes.
MOST_LEVELS = 255


def imports(options: Any) -> None:
    """Load what `fit` needs, on its own bill."""
    if options["model"] == "lightgbm":
        import lightgbm  # noqa: F401
    else:
        import sklearn.ensemble  # noqa: F401


def fit(task: Task) -> Answer:
    """One fit on all rows; native categories."""
    categories = Categories(task.X)
    if task.options["model"] == "lightgbm":
        import lightgbm as lgb

        # It refuses names with brackets or quotes.
        names = [f"f{i}" for i in range(task.X.shape[1])]

        def rows(X: Any) -> Any:
            return categories.native(X).set_axis(names, axis=1)

        model = lgb.LGBMClassifier(n_jobs=1, verbosity=-1, random_state=task.seed)
        model.fit(rows(task.X), task.y)
        return Answer(
            predict={"lightgbm": lambda X: np.asarray(model.predict_proba(rows(X)))[:, 1]}
        )
    from sklearn.ensemble import HistGradientBoostingClassifier

    # It crashes on columns without any value (scikit-learn 1.9).
    kept = [name for name in task.X.columns if task.X[name].notna().any()]
    histgb = HistGradientBoostingClassifier(random_state=task.seed)
    histgb.fit(categories.native(task.X[kept], most=MOST_LEVELS), task.y)
    return Answer(
        predict={
            "histgb": lambda X: histgb.predict_proba(categories.native(X[kept], most=MOST_LEVELS))[
                :, 1
            ]
        },
        details={"encoding": "columns above 255 levels as codes, empty columns dropped"},
    )
