"""From finalists to a champion: fit on all rows of the final rung, calibrate, set a threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from automl.data.freed import give_back
from automl.meters.base import Meter
from automl.models.catalog import build, family, rows_for
from automl.models.rounds import N_TREES, default_rounds, most_rounds
from automl.search.calibration import expected_calibration_error, fit_platt
from automl.search.champion import Champion, Member
from automl.search.ensemble import mean_logit
from automl.search.evaluate import SHIFT_ROWS, expected_seconds, refit_seconds, score_logit
from automl.search.fitted import Fitted
from automl.search.judging import cross_fitted
from automl.search.lifetime import n_trees as trees_of
from automl.search.lifetime import predict_seconds
from automl.search.parts import BOOSTED, fit_parts, like_parts
from automl.search.problem import Problem
from automl.search.reasons import typical_row
from automl.search.seen import Seen, hashes
from automl.search.spare import SparePart
from automl.search.threshold import choose
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


def refit_rows(trial: Trial, problem: Problem) -> int:
    """The final rows, or those of the trial where it was widened to more."""
    return max(problem.final_rows, trial.proposal.n_rows)


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

    Boosting is the mean of its parts' models and a refit on all rows; the others are refitted. A
    forest too: the trees of its parts are one forest already, but each saw four fifths of the
    rows, and with rare rows the last fifth counts (docs/method.md, Families). Models that died
    with an earlier process are fitted again, so that a resumed search ends with the same champion.

    `affordable` tells whether so many expected CPU-seconds still fit the budget; where a refit
    on the final rows does not, the models of the parts are the member.
    """
    kind = family(trial.candidate)

    n_rows = refit_rows(trial, problem)
    rounds = refit_rounds(trial) if kind in BOOSTED else None
    seconds = refit_seconds(trial.candidate, problem, rounds=rounds, n_rows=n_rows)
    refits = affordable(seconds)
    averages = kind in BOOSTED or not refits
    if not averages:
        at_hand = ()  # a forest of the parts is as large as the one that is grown now
    give_back(problem.matrix.nbytes)
    refitted: tuple[Fitted, ...] = ()
    if refits:
        refitted = (fit_all(trial, problem, n_rows=n_rows),)
    averaged: tuple[Fitted, ...] = ()
    if averages:
        averaged = at_hand or fit_parts(trial.proposal, problem, meter=meter)[0]
        refitted = tuple(like_parts(fitted, averaged, problem) for fitted in refitted)
    return Member(
        trial=trial.number,
        candidate=trial.candidate,
        weight=weight,
        models=(*averaged, *refitted),
    )


def fit_all(
    trial: Trial,
    problem: Problem,
    *,
    n_rows: int,
    rounds: int | None = None,
    n_trees: int | None = None,
) -> Fitted:
    """The trial's candidate fitted on all rows of a rung.

    Boosting takes `rounds`, else those that the parts' best rounds tell; a forest `n_trees`.
    """
    rows = problem.rows_to_fit(n_rows, None)
    dataset = problem.dataset
    boosted = family(trial.candidate) in BOOSTED
    model = build(
        trial.candidate,
        encoder_info=problem.info,
        seed=problem.seed,
        rounds=(rounds or refit_rounds(trial)) if boosted else None,
        n_trees=n_trees or problem.more_trees * N_TREES["final"],
        unlabelled=problem.unlabelled_for(trial.candidate, len(rows)),
    )
    model.fit(
        rows_for(model, problem.matrix, rows, info=problem.info),
        dataset.y[rows],
        sample_weight=None if dataset.weight is None else dataset.weight[rows],
    )
    return Fitted(model=model, shift=problem.prior_shift(rows, None), n_rows=len(rows))


def crown(
    members: tuple[Member, ...],
    problem: Problem,
    *,
    logits: Mapping[int, Floats],
    finalists: Mapping[int, Floats],
    provenance: Mapping[str, Any],
    judged: Mapping[int, Member] | None = None,
    ancestors: Sequence[Seen] = (),
    spare: Sequence[SparePart] = (),
    shift_rows: int = SHIFT_ROWS,
) -> Champion:
    """Calibrate on the members' out-of-fold logits and choose the alert threshold there.

    `logits` are those of the members by trial number; `finalists` of all that were finalists,
    kept beside the champion for curves. `judged` are members as the logits came from them, by
    trial number, where that was not the models of the parts; `ancestors` are digests of the rows
    that models of an older champion have seen, where there are any among the members'. `spare`
    are further folds to read the alert threshold from, `shift_rows` rows to read what averaging
    does to it.
    """
    validation = problem.validation
    weights = {member.trial: member.weight for member in members}
    whole = mean_logit({n: logits[n] for n in weights}, weights)
    platt = fit_platt(validation.y, whole, validation.weight)
    honest = platt.log_odds(whole)
    if not validation.few_positives:
        honest = cross_fitted(
            {n: logits[n] for n in weights},
            weights,
            y=validation.y,
            row_weight=validation.weight,
            score=problem.objective.score,
            weighed=not judged,
            seed=problem.seed,
        )
    threshold = choose(
        whole,
        members,
        problem,
        calibration=platt,
        honest=honest,
        judged=judged or {},
        spare=spare,
        shift_rows=shift_rows,
    )
    probability = np.asarray(expit(honest))
    scores: dict[str, Any] = {
        **score_logit(problem, honest),
        **(threshold.scores() if problem.objective.sets_threshold else {}),
        "expected_calibration_error": expected_calibration_error(
            validation.y, probability, validation.weight
        ),
        "prevalence": validation.prevalence,
        "n_validation_positives": validation.n_positive,
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "rows": validation.rows.astype(np.int64, copy=False),
        "y": validation.y.astype(np.int8),
        "weight": validation.weight,
        "probability": probability,
    }
    arrays |= {f"logit_{number}": logit for number, logit in sorted(finalists.items())}
    return Champion(
        encoder=problem.encoder,
        members=members,
        calibration=platt,
        threshold=threshold.probability,
        alert_rate=threshold.share if problem.objective.sets_threshold else problem.alert_rate,
        schema=problem.schema,
        provenance=provenance
        if threshold.alerts is None
        else {**provenance, "alerts": threshold.alerts},
        scores=scores,
        out_of_fold=arrays,
        typical=typical_row(problem.matrix, problem.info),
        seen=_seen(problem, ancestors),
    )


def _seen(problem: Problem, ancestors: Sequence[Seen]) -> tuple[Seen, ...]:
    """Digests of the rows, and of older rows that are not surely among them."""
    hashed = hashes(problem.matrix)
    older = (digest for digest in ancestors if not digest.is_within(hashed))
    return (Seen.of(hashed), *older)


def expected_refit_joules(trial: Trial, problem: Problem) -> float:
    """Joules that a member's fit on all rows is expected to take: a pure function."""
    rounds = refit_rounds(trial) if family(trial.candidate) in BOOSTED else None
    n_rows = refit_rows(trial, problem)
    seconds = refit_seconds(trial.candidate, problem, rounds=rounds, n_rows=n_rows)
    return expected_seconds(seconds).joules


def expected_predict_joules(trial: Trial) -> float:
    """Joules per 1,000 rows that a member's use is expected to take: a pure function."""
    trees = [trees_of(part) for part in trial.details["parts"]]
    if family(trial.candidate) in BOOSTED:
        trees.append(refit_rounds(trial))
    return expected_seconds(predict_seconds(trial.candidate, trees=trees)).joules
