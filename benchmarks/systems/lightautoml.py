"""LightAutoML's tabular preset by average precision on raw columns, with its own time limit.

Its tuning asks Optuna for a timeout, which reads `datetime`; that is made to count CPU too.
"""

from __future__ import annotations

import datetime
import time
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.systems.task import Answer, Task

LABEL = "__target__"


def imports(options: Any) -> None:
    """Load what `fit` needs, on its own bill."""
    import_module("lightautoml.automl.presets.tabular_presets")
    import_module("lightautoml.tasks")
    optimize: Any = import_module("optuna.study._optimize")
    if hasattr(optimize, "datetime"):
        optimize.datetime = SimpleNamespace(datetime=_CpuTime, timedelta=datetime.timedelta)


class _CpuTime(datetime.datetime):
    """`now` by the process's clock, which counts CPU-seconds here."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.fromtimestamp(time.time(), tz)


def average_precision(y: Any, p: Any, sample_weight: Any = None) -> float:
    """Its tasks take a metric as a function."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(y, p, sample_weight=sample_weight))


def fit(task: Task) -> Answer:
    """`TabularAutoML` within `seconds` on one CPU."""
    presets = import_module("lightautoml.automl.presets.tabular_presets")
    goal = import_module("lightautoml.tasks").Task(
        "binary", metric=average_precision, greater_is_better=True
    )
    model = presets.TabularAutoML(
        task=goal,
        timeout=task.options["seconds"],
        cpu_limit=1,
        reader_params={"n_jobs": 1, "cv": 5, "random_state": task.seed},
    )
    train = task.X.assign(**{LABEL: task.y})
    roles = {"target": LABEL}
    if task.group is not None:
        train, roles = train.assign(__group__=task.group), {**roles, "group": "__group__"}
    model.fit_predict(train, roles=roles, verbose=0)
    return Answer(
        predict={
            task.options["system"]: lambda X: np.asarray(
                model.predict(X.assign(__group__=0) if task.group is not None else X).data
            )[:, 0]
        },
        details={"best": str(model.create_model_str_desc())[:2000]},
    )
