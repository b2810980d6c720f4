"""FLAML by average precision; its time budget counts CPU-seconds, like every peer's.

It reads texts as categories itself. Columns without any value are dropped, as it would fail, and
columns are named by number, since its LightGBM refuses names with brackets.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.systems.task import Answer, Task


def imports(options: Any) -> None:
    """Load what `fit` needs, on its own bill."""
    import_module("flaml.automl")
    for learner in ("lightgbm", "xgboost", "catboost", "sklearn.ensemble"):
        try:
            import_module(learner)
        except ImportError:
            continue


def fit(task: Task) -> Answer:
    """`AutoML().fit` on raw columns with a time budget of as many CPU-seconds."""
    kept = [name for name in task.X.columns if task.X[name].notna().any()]
    X, y = task.X[kept], task.y
    texts = [name for name in kept if X[name].dtype.kind not in "biuf"]
    levels = {name: X[name].dropna().unique() for name in texts}

    def read(X: Any) -> Any:
        X = X[kept].copy()
        for name in texts:
            X[name] = X[name].astype(object).where(X[name].isin(levels[name]), None)
        X = X.astype(dict.fromkeys(texts, "category")) if texts else X
        return X.set_axis([f"f{i}" for i in range(len(kept))], axis=1)

    options: dict[str, Any] = {}
    if task.group is not None:
        options = {"split_type": "group", "groups": task.group}
    elif task.time is not None:
        # Its time split takes the order of the rows for the order in time.
        order = np.argsort(task.time, kind="stable")
        X, y = X.iloc[order].reset_index(drop=True), y[order]
        options = {"split_type": "time"}
    model = import_module("flaml").AutoML()
    model.fit(
        X_train=read(X),
        y_train=y,
        task="classification",
        metric="ap",
        time_budget=task.options["cpu_seconds"],
        n_jobs=1,
        seed=task.seed,
        verbose=0,
        **options,
    )
    if model.model is None:
        raise RuntimeError("it found no model within its budget")
    return Answer(
        predict={task.options["system"]: lambda X: model.predict_proba(read(X))[:, 1]},
        details={
            "budget_cpu_seconds": task.options["cpu_seconds"],
            "best": str(model.best_estimator),
            "n_trials": len(model.config_history),
            **{name: value for name, value in options.items() if name == "split_type"},
        },
    )
