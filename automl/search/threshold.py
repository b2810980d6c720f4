"""From which probability on a row is alerted, by what the objective asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.search.calibration import Platt
from automl.search.champion import Member
from automl.search.metrics import alert_threshold, recall_threshold
from automl.search.problem import Problem

Floats = npt.NDArray[np.float64]

# Rows of each side on which the averaging's effect is read: 100 of them at an alert rate of 1 %.
SHIFT_ROWS = 10_000
# Rows that no model was fitted on, and the fewest alerts among them that a threshold rests on.
UNSEEN_ROWS, ENOUGH_ALERTS = 40_000, 50
# The effect is taken as the mean over alert shares around the one asked for, by these factors: at
# 1 % of 3,000 rows one quantile rests on two neighbours of 30 rows.
AROUND = np.geomspace(0.5, 2.0, 9)


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Where alerts begin, and what that means on the validation rows."""

    probability: float
    share: float  # of all rows, by weight, that are alerted
    recall: float  # share of the positives that are alerted
    precision: float  # share of the alerts that are positives; 0 without any
    cost: float | None  # per row, where the objective knows costs

    def scores(self) -> dict[str, float]:
        """What it means, by name."""
        found = {"recall_at_threshold": self.recall, "precision_at_threshold": self.precision}
        return found if self.cost is None else {**found, "cost_at_threshold": self.cost}


def choose(
    logit: Floats,
    members: tuple[Member, ...],
    problem: Problem,
    *,
    calibration: Platt,
    honest: Floats,
    judged: Mapping[int, Member],
) -> Threshold:
    """The threshold of a champion, from its members' out-of-fold logits.

    What it means is told by `honest`, calibrated logits of the same rows by weights and a
    calibration that those rows did not choose.

    For ``expected_cost`` it is the probability at which alerting costs what not alerting does
    (Elkan, "The foundations of cost-sensitive learning", IJCAI 2001): on 13 tables it saved as
    much as the cheapest of all thresholds out of fold or more, which is the noise's choice where
    positives are few. For ``precision_at_recall`` it is the most precise one that finds the
    share asked for, and for every other objective the one that alerts `alert_rate` of the rows.
    """
    validation, objective = problem.validation, problem.objective
    y, weight = validation.y, validation.weight
    if objective.metric == "expected_cost":
        probability = objective.fair_probability
        judged_from = float(np.log(probability) - np.log1p(-probability))
    else:
        if objective.metric == "precision_at_recall" and objective.recall is not None:
            limit = recall_threshold(y, logit, recall=objective.recall, weight=weight)
            share = float(np.average(logit >= limit, weights=weight))
        else:
            share = objective.alert_rate
            limit = alert_threshold(logit, alert_rate=share, weight=weight)
        judged_from = float(calibration.log_odds(np.array([limit]))[0])
        recall = float(np.average(logit[y == 1] >= limit, weights=weight[y == 1]))
        unseen = limit_on_unseen(members, problem, judged, share=share, recall=recall)
        if unseen is None:
            limit = limit_of_parts(logit, members, problem, judged, share=share)
        else:
            limit = unseen
        probability = float(calibration.probability(np.array([limit]))[0])
    alerted = honest >= judged_from
    found = float((weight * y)[alerted].sum())
    share = float(np.average(alerted, weights=weight))
    return Threshold(
        probability=probability,
        share=share,
        recall=found / float((weight * y).sum()),
        precision=found / float(weight[alerted].sum()) if alerted.any() else 0.0,
        cost=objective.cost(y, alerted, weight),
    )


def limit_on_unseen(
    members: tuple[Member, ...],
    problem: Problem,
    judged: Mapping[int, Member],
    *,
    share: float,
    recall: float,
) -> float | None:
    """The limit of a champion read on negatives that none of its models was fitted on.

    Above 50,000 rows most negatives are in no fit, and tell the whole champion's false alerts
    without a detour; of the positives, all fitted, the alerts take the `recall` out of fold with
    them. None where there are too few such rows; where they are the oldest, since a population
    that changes over time is not told by its past; and where models of an older champion, which
    may have seen them, were `judged`.
    """
    dataset = problem.dataset
    if judged or dataset.time is not None:
        return None
    n_fitted = [fitted.n_rows or 0 for member in members for fitted in member.models]
    left = problem.order[max(problem.final_rows, *n_fitted) :]
    left = np.sort(left[dataset.y[left] == 0][:UNSEEN_ROWS])
    rate = problem.validation.prevalence
    false = (share - rate * recall) / (1 - rate)
    if false * len(left) < ENOUGH_ALERTS:
        return None
    matrix = problem.matrix[left]
    whole = np.sum([member.weight * member.decision(matrix) for member in members], axis=0)
    weight = None if dataset.weight is None else dataset.weight[left]
    return alert_threshold(whole, alert_rate=false, weight=weight)


def limit_of_parts(
    logit: Floats,
    members: tuple[Member, ...],
    problem: Problem,
    judged: Mapping[int, Member],
    *,
    share: float,
) -> float:
    """The limit of a champion, from the out-of-fold logits of the parts' models.

    Out of fold, a row is judged by one model of each member; in use by the mean of several, whose
    extremes are less extreme. How far that moves the limit is read on rows fitted by both, so
    that what they owe to having seen them cancels. Each part tells its own limit and its own
    move: pooled, the part whose scores spread most has all the alerts (docs/method.md, Alert
    threshold). `judged` are members as their logits came from them, where that was not the models
    of the parts.
    """
    validation = problem.validation
    moves = averaging_moves(members, problem, judged, share=share)
    ends = np.cumsum([len(part.valid) for part in validation.parts])[:-1]
    own = list(zip(np.split(logit, ends), np.split(validation.weight, ends), strict=True))
    if min(len(values) for values, _ in own) * share < 1:
        # Not one alert to read a limit from in the smallest part.
        own = [(logit, validation.weight)]
    limits = [alert_threshold(values, alert_rate=share, weight=w) for values, w in own]
    return float(np.mean(limits) + np.mean(moves))


def averaging_moves(
    members: tuple[Member, ...], problem: Problem, judged: Mapping[int, Member], *, share: float
) -> list[float]:
    """By how much averaging moves the limit of `share` alerts, seen from each part's models."""
    if all(member.trial in judged for member in members):
        return [0.0]  # as many models judged as are in use
    parts = problem.validation.parts
    rng = np.random.default_rng(problem.seed)
    moves = []
    for i, part in enumerate(parts):
        n_rows = min(len(part.train), SHIFT_ROWS // len(parts))
        matrix = problem.matrix[np.sort(rng.choice(part.train, n_rows, replace=False))]
        single, whole = np.zeros(n_rows), np.zeros(n_rows)
        for member in members:
            logits = [fitted.decision(matrix) for fitted in member.models]
            # A member without models of its parts is its refit, in use as here.
            own = logits[i] if len(logits) >= len(parts) else logits[0]
            if member.trial in judged:
                own = judged[member.trial].decision(matrix)
            single += member.weight * own
            whole += member.weight * np.mean(logits, axis=0)
        below = 1 - np.minimum(share * AROUND, 1.0)
        moves.append(float(np.mean(np.quantile(whole, below) - np.quantile(single, below))))
    return moves
