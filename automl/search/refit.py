"""From finalists to a champion: fit on all rows of the final rung, calibrate, set a threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.meters.base import Meter
from automl.models.catalog import N_TREES, build, expected_cpu_seconds, family
from automl.models.rounds import default_rounds, most_rounds
from automl.search.calibration import expected_calibration_error, fit_platt
from automl.search.champion import Champion, Member
from automl.search.ensemble import mean_logit
from automl.search.evaluate import expected_seconds, score_logit
from automl.search.fitted import Fitted
from automl.search.metrics import alert_threshold
from automl.search.parts import BOOSTED, fit_parts, like_parts
from automl.search.problem import Problem
from automl.search.reasons import typical_row
from automl.trial import Trial

Floats = npt.NDArray[np.float64]

# A refit has no validation rows to stop by. On a fifth more rows the best round comes later; one
# fold's best round is too noisy to be trusted alone, so it is kept within half of the default
# and the most that is ever tried (docs/method.md, Validation).
MORE_ROUNDS = 1.3


def refit_rounds(trial: Trial) -> int:
    """Boosting rounds for all rows, from the best rounds of the trial's parts."""
    params = trial.candidate.params
    best = [part["best_iteration"] for part in trial.details["parts"]]
    wanted = ceil(MORE_ROUNDS * float(np.mean(best)))
    return min(max(wanted, default_rounds(params) // 2), most_rounds(params))


def fit_member(
    trial: Trial,
    problem: Problem,
    *,
    weight: float,
    at_hand: tuple[Fitted, ...],
    meter: Meter,
    affordable: Callable[[float], bool],
) -> Member:
    """A member's models: those of its parts, a refit, or both, by family.

    Boosting is the mean of its parts' models and a refit on all rows; a forest is the trees of
    its parts, which are one forest already; the others are refitted. Models that died with an
    earlier process are fitted again, so that a resumed search ends with the same champion.

    `affordable` tells whether so many expected CPU-seconds still fit the budget; where a refit
    on the final rows does not, the models of the parts are the member.
    """
    kind = family(trial.candidate)

    def parts_models() -> tuple[Fitted, ...]:
        return at_hand or fit_parts(trial.proposal, problem, meter=meter)[0]

    if kind == "forest":
        return Member(
            trial=trial.number, candidate=trial.candidate, weight=weight, models=parts_models()
        )
    n_rows = problem.final_rows
    seconds = expected_cpu_seconds(trial.candidate, n_rows, problem.n_columns)
    refitted: tuple[Fitted, ...] = (
        (_fit_all(trial, problem, n_rows=n_rows),) if affordable(seconds) else ()
    )
    averaged = parts_models() if kind in BOOSTED or not refitted else ()
    if averaged:
        refitted = tuple(like_parts(fitted, averaged, problem) for fitted in refitted)
    return Member(
        trial=trial.number,
        candidate=trial.candidate,
        weight=weight,
        models=(*averaged, *refitted),
    )


def _fit_all(trial: Trial, problem: Problem, *, n_rows: int) -> Fitted:
    rows = problem.rows_to_fit(n_rows, None)
    dataset = problem.dataset
    boosted = family(trial.candidate) in BOOSTED
    model = build(
        trial.candidate,
        encoder_info=problem.info,
        seed=problem.seed,
        rounds=refit_rounds(trial) if boosted else None,
        n_trees=N_TREES["final"],
    ).fit(
        problem.matrix[rows],
        dataset.y[rows],
        sample_weight=None if dataset.weight is None else dataset.weight[rows],
    )
    return Fitted(model=model, shift=problem.prior_shift(rows, None))


def crown(
    members: tuple[Member, ...],
    problem: Problem,
    *,
    logits: Mapping[int, Floats],
    finalists: Mapping[int, Floats],
    provenance: Mapping[str, Any],
) -> Champion:
    """Calibrate on the members' out-of-fold logits and choose the alert threshold there.

    `logits` are those of the members by trial number; `finalists` of all that were finalists,
    kept beside the champion for curves.
    """
    validation = problem.validation
    weights = {member.trial: member.weight for member in members}
    whole = mean_logit({n: logits[n] for n in weights}, weights)
    platt = fit_platt(validation.y, whole, validation.weight)
    probability = platt.probability(whole)
    limit = alert_threshold(whole, alert_rate=problem.alert_rate, weight=validation.weight)
    limit += _averaging_shift(members, problem)
    threshold = float(platt.probability(np.array([limit]))[0])
    scores: dict[str, Any] = {
        **score_logit(problem, whole),
        "expected_calibration_error": expected_calibration_error(
            validation.y, probability, validation.weight
        ),
        "prevalence": validation.prevalence,
        "n_validation_positives": validation.n_positive,
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "rows": validation.rows.astype(np.int64),
        "y": validation.y.astype(np.int8),
        "weight": validation.weight,
        "probability": probability,
    }
    arrays |= {f"logit_{number}": logit for number, logit in sorted(finalists.items())}
    return Champion(
        encoder=problem.encoder,
        members=members,
        calibration=platt,
        threshold=threshold,
        alert_rate=problem.alert_rate,
        schema=schema_of(problem.dataset.X),
        provenance=provenance,
        scores=scores,
        out_of_fold=arrays,
        typical=typical_row(problem.matrix, problem.info),
    )


# Rows of each side on which the averaging's effect is read: 100 of them at an alert rate of 1 %.
SHIFT_ROWS = 10_000


def _averaging_shift(members: tuple[Member, ...], problem: Problem) -> float:
    """How far the alert threshold moves from out-of-fold logits to those of the whole champion.

    Out of fold, a row is judged by one model of each member; in use by the mean of several, whose
    extremes are less extreme. Both are read on the same rows, fitted by both, so that what they
    owe to having seen the rows cancels.
    """
    parts = problem.validation.parts
    rng = np.random.default_rng(problem.seed)
    shifts = []
    for i, part in enumerate(parts):
        n_rows = min(len(part.train), SHIFT_ROWS // len(parts))
        matrix = problem.matrix[np.sort(rng.choice(part.train, n_rows, replace=False))]
        single, whole = np.zeros(n_rows), np.zeros(n_rows)
        for member in members:
            logits = [fitted.decision(matrix) for fitted in member.models]
            # A member without models of its parts is its refit, in use as here.
            own = logits[i] if len(logits) >= len(parts) else logits[0]
            single += member.weight * own
            whole += member.weight * np.mean(logits, axis=0)
        at = 1 - problem.alert_rate
        shifts.append(np.quantile(whole, at) - np.quantile(single, at))
    return float(np.mean(shifts))


def schema_of(X: pd.DataFrame) -> tuple[dict[str, str], ...]:
    """Name and kind of every column: ``number``, ``category`` or ``datetime``."""
    from automl.data.encoding import column_kind

    return tuple(
        {"name": str(name), "type": column_kind(X.iloc[:, i])} for i, name in enumerate(X.columns)
    )


# CPU-seconds to predict 1,000 rows of 10 columns within a batch of 20,000, measured 2026-11-22 on
# one of two shared x86-64 cores: boosting 0.0012 at 50 trees and 0.0089 at 300, extra trees 0.0026
# at 20 and 0.0086 at 60, random and balanced forests 0.006 at 60, linear 0.0017. A batch of 1,000
# rows costs a forest 2.5 and a linear model 5 times as much.
FIXED_SECONDS = {"boosting": 0.0, "resampled": 0.0, "linear": 0.0017}
SECONDS_PER_TREE = {"boosting": 3e-5, "resampled": 3e-5, "linear": 0.0}
FOREST_SECONDS_PER_TREE = 1.3e-4


def expected_predict_joules(trial: Trial) -> float:
    """Joules per 1,000 rows that a member's use is expected to take: a pure function."""
    kind = family(trial.candidate)
    parts = trial.details["parts"]
    trees = sum(part.get("best_iteration", part.get("n_trees", 0)) for part in parts)
    if kind in BOOSTED:
        trees += refit_rounds(trial)
    per_tree = SECONDS_PER_TREE.get(kind, FOREST_SECONDS_PER_TREE)
    seconds = FIXED_SECONDS.get(kind, 0.0) + per_tree * trees
    return expected_seconds(seconds).joules
