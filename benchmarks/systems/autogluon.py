"""AutoGluon by average precision on raw columns, with its own time limit.

One CPU, folds one after another in its own process, so that the operating system's count is whole.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.systems.task import Answer, Task

LABEL = "__target__"


def imports(options: Any) -> None:
    """Load what `fit` needs, on its own bill."""
    import_module("autogluon.tabular")
    for learner in ("lightgbm", "xgboost", "catboost", "torch"):
        import_module(learner)


def fit(task: Task) -> Answer:
    """A preset within `seconds`."""
    made = import_module("autogluon.tabular").TabularPredictor(
        label=LABEL,
        eval_metric="average_precision",
        path=str(task.folder / "autogluon"),
        verbosity=0,
    )
    bagged = task.options["presets"] == "best_quality"
    predictor = made.fit(
        task.X.assign(**{LABEL: task.y}),
        presets=task.options["presets"],
        time_limit=task.options["seconds"],
        num_cpus=1,
        num_gpus=0,
        ag_args_ensemble={"fold_fitting_strategy": "sequential_local"} if bagged else None,
        dynamic_stacking=False if bagged else "auto",
    )
    models = list(predictor.model_names())
    return Answer(
        predict={task.options["system"]: lambda X: np.asarray(predictor.predict_proba(X)[1])},
        details={"best": str(predictor.model_best), "n_models": len(models), "models": models},
    )
