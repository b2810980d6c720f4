"""Brute force: Optuna's TPE over LightGBM, every trial five folds on all rows.

A cheap brute force, which makes it a severe rival: rows are binned once, folds are views of those
bins, and every fit stops early by average precision, after 300 rounds at most. Tables of 50,000
rows and more may want capacity, so there it is up to 1,000 rounds of slower learning; everywhere
up to 256 leaves, and native categories or ordinal codes. Where there are entities no entity is on
both sides of a fold; rows in time are dealt by chance, which is what gives brute the most data to
fit on. The best trial is fitted again on all rows with the mean of its folds' best rounds; its
five fold models averaged are the by-product `brute-bag`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.systems.clock import cpu_seconds
from benchmarks.systems.columns import Categories
from benchmarks.systems.task import Answer, Floats, Task

N_FOLDS = 5
PATIENCE = 30
# From so many rows on, slower learning in more rounds is in the space.
ROWS_FOR_CAPACITY = 50_000
SLOWEST, SLOWEST_WITH_CAPACITY = 0.02, 0.01
ROUNDS, ROUNDS_WITH_CAPACITY = 300, 1000
# A table of more rows than this gets so many of its trials, and its CPU is extrapolated. The
# customs declarations, 54,000 rows, get all of them: there it is known that capacity decides.
MANY_ROWS, FEW_TRIALS, N_TRIALS = 60_000, 10, 60

FIXED = {
    "objective": "binary",
    "metric": "average_precision",
    "num_threads": 1,
    "verbosity": -1,
    "force_col_wise": True,
    "feature_pre_filter": False,  # else min_data_in_leaf is fixed with the bins
    "bagging_freq": 1,
}


def imports(options: Any) -> None:
    """Load what `fit` needs, on its own bill."""
    import lightgbm  # noqa: F401
    import optuna  # noqa: F401
    import sklearn.model_selection  # noqa: F401


def suggested(trial: Any, *, has_categories: bool, capacity: bool) -> dict[str, Any]:
    """A point of the space."""
    slowest = SLOWEST_WITH_CAPACITY if capacity else SLOWEST
    params = {
        "learning_rate": trial.suggest_float("learning_rate", slowest, 0.3, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 256, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 1, 100, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l1": trial.suggest_float("lambda_l1", 1e-8, 10.0, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-8, 10.0, log=True),
    }
    if has_categories:
        params["native"] = trial.suggest_categorical("native", [True, False])
        params["cat_smooth"] = trial.suggest_float("cat_smooth", 1.0, 100.0, log=True)
    return params


def most_rounds(learning_rate: float, *, capacity: bool) -> int:
    """The cap: many rounds of slow learning, a hundred of fast.

    >>> [most_rounds(rate, capacity=True) for rate in (0.01, 0.034, 0.3)]
    [1000, 765, 100]
    >>> most_rounds(0.034, capacity=False)
    300
    """
    most = ROUNDS_WITH_CAPACITY if capacity else ROUNDS
    return int(np.clip(round(26 / learning_rate), 100, most))


class Binned:
    """The training rows binned once, as native categories and as codes, with their folds."""

    def __init__(self, task: Task) -> None:
        import lightgbm as lgb
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        self.seed = task.seed
        self.capacity = task.options["n_rows"] >= ROWS_FOR_CAPACITY
        self.categories = Categories(task.X)
        self.positions = self.categories.positions(task.X)
        values = self.categories.codes(task.X)
        if task.group is None:
            cut = StratifiedKFold(N_FOLDS, shuffle=True, random_state=task.seed)
        else:
            cut = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=task.seed)
        self.parts = list(cut.split(np.empty((len(task.y), 1)), task.y, groups=task.group))
        self.whole: dict[bool, Any] = {}
        self.folds: dict[bool, list[tuple[Any, Any]]] = {}
        for native in (True, False) if self.positions else (False,):
            whole = lgb.Dataset(
                values,
                task.y,
                categorical_feature=self.positions if native else [],
                params=FIXED,
                free_raw_data=True,
            ).construct()
            self.whole[native] = whole
            self.folds[native] = [
                (whole.subset(np.sort(fit)), whole.subset(np.sort(judge)))
                for fit, judge in self.parts
            ]

    def fitted(self, params: Mapping[str, Any]) -> tuple[float, list[Any]]:
        """Mean average precision over the folds, and the folds' models."""
        import lightgbm as lgb

        own = {**FIXED, **params, "seed": self.seed}
        native = bool(own.pop("native", False))
        models = [
            lgb.train(
                own,
                fit,
                num_boost_round=most_rounds(own["learning_rate"], capacity=self.capacity),
                valid_sets=[judge],
                callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
            )
            for fit, judge in self.folds[native]
        ]
        scores = [model.best_score["valid_0"]["average_precision"] for model in models]
        return float(np.mean(scores)), models

    def refitted(self, params: Mapping[str, Any], rounds: int) -> Any:
        """One model of all rows."""
        import lightgbm as lgb

        own = {**FIXED, **params, "seed": self.seed}
        native = bool(own.pop("native", False))
        return lgb.train(own, self.whole[native], num_boost_round=rounds)


def fit(task: Task) -> Answer:
    """The study; trials that an earlier run has written down are not run again."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    n_trials = FEW_TRIALS if task.options["n_rows"] > MANY_ROWS else N_TRIALS
    n_trials = int(task.options.get("trials", n_trials))
    binned = Binned(task)
    known = _known(task)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=task.seed)
    )
    best: tuple[float, dict[str, Any], list[Any]] = (-1.0, {}, [])
    seconds = replayed = 0.0
    for number in range(n_trials):
        trial = study.ask()
        params = suggested(trial, has_categories=bool(binned.positions), capacity=binned.capacity)
        before = known.get(number)
        models: list[Any] = []
        if before is not None and before["params"] == params:
            value, cost = float(before["value"]), float(before["cpu_seconds"])
            replayed += cost
        else:
            began = cpu_seconds()
            value, models = binned.fitted(params)
            cost = cpu_seconds() - began
            _keep(task, number=number, params=params, value=value, cpu_seconds=cost)
        seconds += cost
        study.tell(trial, value)
        if value > best[0]:
            best = (value, params, models)
    value, params, models = best
    again = cpu_seconds()
    models = models or binned.fitted(params)[1]
    replayed -= cpu_seconds() - again  # fitted anew only because an earlier run had the trial
    rounds = max(1, round(float(np.mean([model.best_iteration for model in models]))))
    final = binned.refitted(params, rounds)
    codes = binned.categories.codes

    def bag(X: Any) -> Floats:
        raw = [m.predict(codes(X), num_iteration=m.best_iteration, raw_score=True) for m in models]
        return 1 / (1 + np.exp(-np.mean(raw, axis=0)))

    return Answer(
        predict={"brute": lambda X: np.asarray(final.predict(codes(X))), "brute-bag": bag},
        details={
            "n_trials": n_trials,
            "of_trials": N_TRIALS,
            "trial_cpu_seconds": round(seconds, 3),
            "replayed_cpu_seconds": round(replayed, 3),
            "best_params": params,
            "best_rounds": rounds,
            "best_cv": round(value, 6),
        },
    )


def _known(task: Task) -> dict[int, dict[str, Any]]:
    if task.trials is None or not task.trials.exists():
        return {}
    rows = [json.loads(line) for line in task.trials.read_text("utf-8").splitlines() if line]
    return {r["number"]: r for r in rows if (r["set"], r["seed"]) == (task.name, task.seed)}


def _keep(task: Task, **values: Any) -> None:
    if task.trials is not None:
        row = {"set": task.name, "seed": task.seed, **values}
        row["cpu_seconds"] = round(row["cpu_seconds"], 4)
        with task.trials.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
