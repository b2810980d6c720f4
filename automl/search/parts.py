"""The models of a trial's parts, and one scale for logits that are to be averaged."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import numpy.typing as npt

from automl.cost import ZERO, Cost
from automl.meters.base import Meter, measure
from automl.models.catalog import build, family, rows_for
from automl.models.rounds import N_TREES
from automl.search.calibration import fit_platt
from automl.search.fitted import Fitted
from automl.search.problem import Problem
from automl.search.validation import FEW_POSITIVES, Part
from automl.trial import Proposal

Floats = npt.NDArray[np.float64]

BOOSTED = ("boosting", "rated", "resampled")
# Rows to compare two models' scales on: a standard deviation within about 2 %.
SCALE_ROWS = 4000


def fit_parts(
    proposal: Proposal, problem: Problem, *, meter: Meter
) -> tuple[tuple[Fitted, ...], Floats, Cost]:
    """Fit every part and predict its validation rows.

    The same data, candidate and seed give the same models.

    Returns
    -------
    The models, their out-of-fold logits in the order of the validation rows, and what
    predicting them took.
    """
    models: list[Fitted] = []
    logits: list[Floats] = []
    predicting = ZERO
    for part in problem.validation.parts:
        fitted = _fit(proposal, problem, part=part)
        with measure(meter) as reading:
            logit = fitted.decisions(problem.matrix, part.valid)
        predicting += reading.cost
        if family(proposal.candidate) in BOOSTED:
            fitted, logit = _at_scale(fitted, logit, problem, part=part)
        models.append(fitted)
        logits.append(logit)
    return tuple(models), np.concatenate(logits), predicting


def trees_of_part(rung: str, problem: Problem) -> int:
    """A rung's trees are shared over its parts; together they are the forest."""
    return ceil(problem.more_trees * N_TREES[rung] / len(problem.validation.parts))


def _fit(proposal: Proposal, problem: Problem, *, part: Part) -> Fitted:
    rows = problem.rows_to_fit(proposal.n_rows, part)
    dataset = problem.dataset
    stopping, stopping_weight = part.thinned(len(rows), y=dataset.y, seed=problem.seed)
    model = build(
        proposal.candidate,
        encoder_info=problem.info,
        seed=problem.seed,
        rung=proposal.rung,
        n_trees=trees_of_part(proposal.rung, problem),
        unlabelled=problem.unlabelled_for(proposal.candidate, len(rows)),
    )
    judges = rows_for(model, problem.matrix, stopping, info=problem.info)
    model.fit(
        rows_for(model, problem.matrix, rows, info=problem.info),
        dataset.y[rows],
        sample_weight=None if dataset.weight is None else dataset.weight[rows],
        valid=(judges, dataset.y[stopping], stopping_weight),
    )
    return Fitted(model=model, shift=problem.prior_shift(rows, part), n_rows=len(rows))


def _at_scale(
    fitted: Fitted, logit: Floats, problem: Problem, *, part: Part
) -> tuple[Fitted, Floats]:
    """Bring a part's logits to the scale of probabilities, where its positives can tell it.

    Boosting that stops by average precision stops at any scale: one part's model after 8 rounds
    and another's after 80 rank alike, but 8 rounds have hardly left the prevalence. Side by side
    the logits of the first would all rank below the second's.
    """
    y = problem.dataset.y[part.valid]
    if int(y.sum()) < FEW_POSITIVES or not np.isfinite(logit).all():
        return fitted, logit
    platt = fit_platt(y, logit, part.weight)
    scaled = replace(
        fitted,
        slope=platt.slope * fitted.slope,
        shift=platt.slope * fitted.shift + platt.intercept,
    )
    return scaled, platt.log_odds(logit)


def like_parts(fitted: Fitted, parts: tuple[Fitted, ...], problem: Problem) -> Fitted:
    """Bring a refit to the scale of the parts' models, by mean and spread on fitted rows.

    A refit has no rows left to be calibrated on. Both sides are compared on rows that they were
    fitted on, so that neither looks surer than the other for having seen them.
    """
    means, spreads, own_means, own_spreads = [], [], [], []
    for model, part in zip(parts, problem.validation.parts, strict=True):
        rows = problem.rows_to_fit(min(SCALE_ROWS, problem.dataset.n_rows), part)[:SCALE_ROWS]
        matrix = problem.matrix[rows]
        theirs, own = model.decision(matrix), fitted.decision(matrix)
        means.append(theirs.mean())
        spreads.append(theirs.std())
        own_means.append(own.mean())
        own_spreads.append(own.std())
    if min(own_spreads) <= 0 or min(spreads) <= 0:
        return fitted
    slope = float(np.mean(spreads) / np.mean(own_spreads))
    shift = float(np.mean(means) - slope * np.mean(own_means))
    return replace(fitted, slope=slope * fitted.slope, shift=slope * fitted.shift + shift)
