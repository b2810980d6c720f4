"""MLJAR's mode `Compete` by average precision on raw columns, with its own time limit."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.systems.task import Answer, Task


def imports(options: Any) -> None:
    """Load what `fit` needs, on its own bill."""
    import_module("supervised.automl")
    for learner in ("lightgbm", "xgboost", "catboost"):
        import_module(learner)


def fit(task: Task) -> Answer:
    """`AutoML(mode="Compete")` within `seconds` on one thread, without explanations."""
    model = import_module("supervised.automl").AutoML(
        results_path=str(task.folder / "mljar"),
        mode="Compete",
        ml_task="binary_classification",
        eval_metric="average_precision",
        total_time_limit=task.options["seconds"],
        explain_level=0,
        n_jobs=1,
        random_state=task.seed,
        verbose=0,
    )
    model.fit(task.X, task.y)
    return Answer(
        predict={task.options["system"]: lambda X: np.asarray(model.predict_proba(X))[:, 1]},
        details={"n_models": len(model._models), "best": str(model._best_model.get_name())},
    )
