"""Brute force over all families of this project, with greedy ensembling of its trials.

The named configurations first, then random ones around them, every one five folds on all rows,
until as many CPU-seconds are gone as brute took on the same split. The members are chosen by
Caruana et al. (ICML 2004): the trial that lifts the out-of-fold average precision of the mean
logit most, with replacement, 25 times. A member predicts by its five fold models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.systems.clock import cpu_seconds
from benchmarks.systems.task import Answer, Floats, Task

N_FOLDS = 5
STEPS = 25
# Fold models are kept of so many trials, the best by themselves; the rest could hardly be chosen.
KEPT = 25


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """A trial with its out-of-fold logits and fold models."""

    candidate: Any
    score: float
    logit: Floats
    models: tuple[Any, ...]


def imports(options: Any) -> None:
    """Load what `fit` needs, on its own bill."""
    import optuna  # noqa: F401
    import sklearn.model_selection  # noqa: F401

    import automl.models.catalog  # noqa: F401


def fit(task: Task) -> Answer:
    """Fill the budget with trials, then choose."""
    import optuna
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    from automl.data.encoding import TableEncoder

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    began = cpu_seconds()
    encoder = TableEncoder().fit(task.X)
    matrix = encoder.transform(task.X)
    kind = StratifiedKFold if task.group is None else StratifiedGroupKFold
    cut = kind(N_FOLDS, shuffle=True, random_state=task.seed)
    parts = list(cut.split(np.empty((len(task.y), 1)), task.y, groups=task.group))
    pool: list[Pooled] = []
    n_trials, n_failed, longest = 0, 0, 0.0
    for candidate in _candidates(task.seed):
        spent = cpu_seconds() - began
        if pool and spent + longest / 2 > task.options["cpu_seconds"]:
            break
        before = cpu_seconds()
        try:
            one = _tried(candidate, matrix, task, encoder.info, parts)
        except ValueError:
            n_failed += 1
            continue
        finally:
            n_trials += 1
            longest = max(longest, cpu_seconds() - before)
        pool = sorted([*pool, one], key=lambda trial: -trial.score)[:KEPT]
    counts = chosen(task.y, [t.logit for t in pool], average_precision_score)
    members = [(count, pool[i]) for i, count in enumerate(counts) if count]

    def predict(X: Any) -> Floats:
        rows = encoder.transform(X)
        logits = [
            count * np.mean([model.decision(rows) for model in trial.models], axis=0)
            for count, trial in members
        ]
        return 1 / (1 + np.exp(-np.sum(logits, axis=0) / sum(counts)))

    return Answer(
        predict={"brute-wide": predict},
        details={
            "budget_cpu_seconds": task.options["cpu_seconds"],
            "tried": n_trials,
            "failed": n_failed,
            "members": [
                {"model": t.candidate.model, "params": dict(t.candidate.params), "count": count}
                for count, t in members
            ],
        },
    )


def _candidates(seed: int):
    """The named ones, then neighbours of them without end, families in turn by chance."""
    import optuna

    from automl.meta.portfolio import NAMED
    from automl.models.catalog import CATALOG

    yield from NAMED.values()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    rng = np.random.default_rng(seed)
    models = sorted({named.model for named in NAMED.values()})
    while True:
        model = models[rng.integers(len(models))]
        around = [named for named in NAMED.values() if named.model == model]
        yield CATALOG[model].refine(around[rng.integers(len(around))], study.ask())


def _tried(candidate: Any, matrix: Any, task: Task, info: Any, parts: Any) -> Pooled:
    from sklearn.metrics import average_precision_score

    from automl.models.catalog import build

    logit, models = np.zeros(len(task.y)), []
    for rows, judged in parts:
        model = build(candidate, encoder_info=info, seed=task.seed, n_trees=60)
        valid = (matrix[judged], task.y[judged], None)
        models.append(model.fit(matrix[rows], task.y[rows], valid=valid))
        logit[judged] = model.decision(matrix[judged])
    return Pooled(
        candidate=candidate,
        score=float(average_precision_score(task.y, logit)),
        logit=logit,
        models=tuple(models),
    )


def chosen(y: Any, logits: list[Floats], score: Any) -> list[int]:
    """How often each is chosen; the prefix of steps that scored best.

    >>> rising, falling = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    >>> chosen([0, 1], [rising, falling], lambda y, score: float(score[1] > score[0]))
    [1, 0]
    """
    total, counts = np.zeros(len(y)), [0] * len(logits)
    best, best_counts = -np.inf, list(counts)
    for _ in range(STEPS):
        scores = [score(y, total + logit) for logit in logits]
        i = int(np.argmax(scores))
        total, counts[i] = total + logits[i], counts[i] + 1
        if scores[i] > best + 1e-9:
            best, best_counts = scores[i], list(counts)
    return best_counts
