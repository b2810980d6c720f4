"""Neighbours of a candidate, suggested to an Optuna trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automl.trial import Candidate

if TYPE_CHECKING:
    import optuna


def boosting(around: Candidate, trial: optuna.trial.Trial) -> Candidate:
    """Slower and larger trees included: where capacity matters, the best was far above 31."""
    now: dict[str, Any] = {
        "learning_rate": 0.1,
        "num_leaves": 31,
        "feature_fraction": 1.0,
        "min_data_in_leaf": 20,
        "lambda_l2": 0.1,
        **around.params,
    }
    rate, leaves = float(now["learning_rate"]), int(now["num_leaves"])
    new = {
        "learning_rate": _log(trial, "learning_rate", rate / 2, min(rate * 2, 0.3)),
        "num_leaves": trial.suggest_int("num_leaves", max(4, leaves // 3), 8 * leaves, log=True),
        "feature_fraction": round(trial.suggest_float("feature_fraction", 0.3, 1.0), 3),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 3, 100, log=True),
        "lambda_l2": _log(trial, "lambda_l2", 1e-2, 30.0),
    }
    return Candidate(model=around.model, params={**around.params, **new})


def linear(around: Candidate, trial: optuna.trial.Trial) -> Candidate:
    """Another penalty."""
    C = float(around.params.get("C", 0.1))
    return Candidate(
        model=around.model, params={**around.params, "C": _log(trial, "C", C / 100, C * 100)}
    )


def kernel(around: Candidate, trial: optuna.trial.Trial) -> Candidate:
    """Another penalty, a wider or narrower kernel."""
    C, width = float(around.params.get("C", 1.0)), float(around.params.get("width", 1.0))
    new = {
        "C": _log(trial, "C", C / 100, C * 100),
        "width": _log(trial, "width", width / 4, width * 4),
    }
    return Candidate(model=around.model, params={**around.params, **new})


def forest(around: Candidate, trial: optuna.trial.Trial) -> Candidate:
    """Smaller or larger leaves, more columns a split."""
    new = {
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 20, log=True),
        "max_features": trial.suggest_categorical("max_features", ["sqrt", 0.5, 1.0]),
    }
    return Candidate(model=around.model, params={**around.params, **new})


def _log(trial: optuna.trial.Trial, name: str, low: float, high: float) -> float:
    # Four digits: an id that people can compare, and equal on every machine.
    return float(f"{trial.suggest_float(name, low, high, log=True):.4g}")
