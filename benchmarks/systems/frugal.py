"""This project, through its estimator, as a user of the library would call it."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.systems.task import Answer, Task


def imports(options: Any) -> None:
    """Load what `fit` needs, on its own bill."""
    import automl.estimator  # noqa: F401


def fit(task: Task) -> Answer:
    """Search and refit in a mode, within `cpu_seconds` where they are given."""
    from automl.estimator import FrugalClassifier
    from automl.meta.knowledge import Knowledge
    from benchmarks.sets import SETS

    # What the knowledge base learnt from this very source, it must not use here.
    source = SETS[task.name].entry if task.name in SETS else task.name
    model = FrugalClassifier(
        mode=task.options["mode"],
        cpu_seconds=task.options.get("cpu_seconds"),
        knowledge=Knowledge.shipped().without(source),
        random_state=task.seed,
    )
    model.fit(task.X, task.y, time=task.time, groups=task.group)
    event = int(np.flatnonzero(model.classes_ == 1)[0])
    result = model.result_
    members = [
        {"model": m.candidate.model, "weight": round(m.weight, 4)} for m in model.champion_.members
    ]
    return Answer(
        predict={task.options["system"]: lambda X: model.predict_proba(X)[:, event]},
        details={
            "alert_threshold": float(model.champion_.threshold),
            "alert_rate": float(model.champion_.alert_rate),
            "limit_rows": model.champion_.provenance.get("alerts", {}).get("n_rows"),
            "phases": {name: round(c.cpu_seconds, 3) for name, c in result.costs.items()},
            "n_trials": len(result.trials),
            "n_failed": sum(trial.error is not None for trial in result.trials),
            "members": members,
            "stop_reason": result.stop_reason,
            "warnings": [str(warning["code"]) for warning in result.warnings],
        },
    )
