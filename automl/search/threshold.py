"""From which probability on a row is alerted, by what the objective asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.models.catalog import CATALOG
from automl.search.calibration import Platt
from automl.search.champion import Member
from automl.search.evaluate import SHIFT_ROWS, shift_seconds
from automl.search.metrics import alert_threshold, recall_threshold
from automl.search.problem import Problem
from automl.search.spare import ENOUGH_ALERTS, SparePart

Floats = npt.NDArray[np.float64]
Scores = tuple[Floats, Floats]  # logits of rows, and their weights

# Rows that no model was fitted on.
UNSEEN_ROWS = 40_000
# The effect is taken as the mean over alert shares around the one asked for, by these factors: at
# 1 % of 3,000 rows one quantile rests on two neighbours of 30 rows.
AROUND = np.geomspace(0.5, 2.0, 9)
# A limit is as sure as this many logits, about a twentieth of the odds: where so little makes half
# of the alerts more, or fewer, too many rows are alike for the share asked for to be kept.
SURE_LOGITS, MOST_MOVED = 0.05, 0.5
# Alerts in a part below which it does not tell whether rows tie.
LEAST_ALERTS = 2


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Where the champion's alerts begin on the logit scale, and how well that is known."""

    at: float
    share: float  # asked for
    least: float  # shares that may be alerted where rows tie at the limit
    most: float
    n_rows: float  # that told it; of unequal weights as many as would tell it as well


def told_by(scores: Sequence[Scores], *, share: float, at: float) -> Limit:
    """A limit with what is known of it, from rows part after part.

    Whether rows tie is asked of each part at its own limit, since the same tie lies at another
    height in each; of all together at the limit itself where a part has hardly an alert.
    """
    whole, weight = (np.concatenate(column) for column in zip(*scores, strict=True))
    own = [(whole, weight, at)]
    if min(len(values) for values, _ in scores) * share >= LEAST_ALERTS:
        own = [(v, w, alert_threshold(v, alert_rate=share, weight=w)) for v, w in scores]

    def alerted(moved: float) -> float:
        found = sum(float(w[v >= limit + moved].sum()) for v, w, limit in own)
        return found / float(weight.sum())

    return Limit(
        at=at,
        share=share,
        least=alerted(SURE_LOGITS),
        most=alerted(-SURE_LOGITS),
        n_rows=equal_rows(weight, weight[whole >= at]),
    )


def equal_rows(weight: Floats, alerted: Floats) -> float:
    """How many rows of equal weight tell a share as well as these do (after Kish, 1965).

    >>> equal_rows(np.array([1.0, 1.0, 4.0, 4.0]), np.array([4.0, 4.0]))
    2.5
    """
    if not len(alerted):
        return float(len(weight))
    return float(weight.sum() * alerted.sum() / (alerted**2).sum())


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Where alerts begin, and what that means on the validation rows."""

    probability: float
    share: float  # of all rows, by weight, that are alerted
    recall: float  # share of the positives that are alerted
    precision: float  # share of the alerts that are positives; 0 without any
    cost: float | None  # per row, where the objective knows costs
    # How the limit was read from a share: `asked`, `least` and `most` that may be alerted where
    # scores near it tie, and how many rows told it; None where a cost or a recall sets it.
    alerts: Mapping[str, Any] | None = None

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
    spare: Sequence[SparePart] = (),
    shift_rows: int = SHIFT_ROWS,
) -> Threshold:
    """The threshold of a champion, from its members' out-of-fold logits.

    What it means is told by `honest`, calibrated logits of the same rows by weights and a
    calibration that those rows did not choose. `spare` are further folds that tell the limit,
    `shift_rows` how many rows may tell what averaging the models does to it (`rows_affordable`).

    For ``expected_cost`` it is the probability at which alerting costs what not alerting does
    (Elkan, "The foundations of cost-sensitive learning", IJCAI 2001): on 13 tables it saved as
    much as the cheapest of all thresholds out of fold or more, which is the noise's choice where
    positives are few. For ``precision_at_recall`` it is the most precise one that finds the
    share asked for, and for every other objective the one that alerts `alert_rate` of the rows.
    """
    validation, objective = problem.validation, problem.objective
    y, weight = validation.y, validation.weight
    alerts: dict[str, Any] | None = None
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
        found = limit_on_unseen(members, problem, judged, share=share, recall=recall)
        if found is None:
            found = limit_of_parts(
                logit,
                members,
                problem,
                judged,
                share=share,
                spare=spare,
                shift_rows=shift_rows,
            )
        alerts = {
            "asked": share,
            "least": found.least,
            "most": found.most,
            "n_rows": round(found.n_rows),
        }
        probability = float(calibration.probability(np.array([found.at]))[0])
    alerted = honest >= judged_from
    caught = float((weight * y)[alerted].sum())
    share = float(np.average(alerted, weights=weight))
    return Threshold(
        probability=probability,
        share=share,
        recall=caught / float((weight * y).sum()),
        precision=caught / float(weight[alerted].sum()) if alerted.any() else 0.0,
        cost=objective.cost(y, alerted, weight),
        alerts=alerts,
    )


def tied(alerts: Mapping[str, Any]) -> str | None:
    """A sentence where rows too alike to be told apart lie at the limit; None where they do not.

    >>> tied({"asked": 0.01, "least": 0.009, "most": 0.011, "n_rows": 2000})
    >>> tied({"asked": 0.01, "least": 0.0004, "most": 0.067, "n_rows": 2000})
    'alerts for 1 % of the rows were asked for; rows tie at the limit: it may be 0.04 to 6.7 %'
    """
    asked, least, most = (float(alerts[name]) for name in ("asked", "least", "most"))
    if most <= (1 + MOST_MOVED) * asked and least >= MOST_MOVED * asked:
        return None
    low, high = f"{100 * least:.2g}", f"{100 * most:.2g}"
    return (
        f"alerts for {100 * asked:.2g} % of the rows were asked for; rows tie at the limit: "
        f"it may be {low if low == high else f'{low} to {high}'} %"
    )


def limit_on_unseen(
    members: tuple[Member, ...],
    problem: Problem,
    judged: Mapping[int, Member],
    *,
    share: float,
    recall: float,
) -> Limit | None:
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
    weight = np.ones(len(left)) if dataset.weight is None else dataset.weight[left]
    at = alert_threshold(whole, alert_rate=false, weight=weight)
    # Ties among positives are not seen here; where only those are alerted, there is no limit.
    n_rows = equal_rows(weight, weight[whole >= at])
    return Limit(at=at, share=share, least=share, most=share, n_rows=n_rows)


def limit_of_parts(
    logit: Floats,
    members: tuple[Member, ...],
    problem: Problem,
    judged: Mapping[int, Member],
    *,
    share: float,
    spare: Sequence[SparePart] = (),
    shift_rows: int = SHIFT_ROWS,
) -> Limit:
    """The limit of a champion, from the out-of-fold logits of the parts' models.

    Out of fold, a row is judged by one model of each member; in use by the mean of several, whose
    extremes are less extreme. How far that moves the limit is read on rows fitted by both, so
    that what they owe to having seen them cancels.

    With `spare` parts, rows of all parts are moved as their own part tells, and pooled. Without,
    each part tells its own limit and its own move: of two parts pooled, the one whose scores
    spread most has all the alerts (docs/method.md, Alert threshold). `judged` are members as
    their logits came from them, where that was not the models of the parts.
    """
    validation = problem.validation
    moves = averaging_moves(members, problem, judged, share=share, n_rows=shift_rows)
    ends = np.cumsum([len(part.valid) for part in validation.parts])[:-1]
    own = list(zip(np.split(logit, ends), np.split(validation.weight, ends), strict=True))
    if spare:
        scores = [(v + move, w) for (v, w), move in zip(own, moves, strict=True)]
        scores += spare_scores(members, problem, spare, share=share)
        whole, weight = (np.concatenate(column) for column in zip(*scores, strict=True))
        at = alert_threshold(whole, alert_rate=share, weight=weight)
        return told_by(scores, share=share, at=at)
    if min(len(values) for values, _ in own) * share < 1:
        # Not one alert to read a limit from in the smallest part.
        own = [(logit, validation.weight)]
    limits = [alert_threshold(values, alert_rate=share, weight=w) for values, w in own]
    move = float(np.mean(moves))
    moved = [(values + move, w) for values, w in own]
    return told_by(moved, share=share, at=float(np.mean(limits)) + move)


def rows_affordable(
    members: Sequence[Member], problem: Problem, affordable: Callable[[float], bool]
) -> int:
    """On how many rows averaging's effect may be read: 10,000, or what a limit leaves room for.

    0 where an eighth of them is too much: the limit of alerts is then that of the parts.
    """
    # A student, which is in no race, predicts for next to nothing.
    raced = [member.candidate for member in members if member.candidate.model in CATALOG]
    seconds = sum(shift_seconds(candidate, problem) for candidate in raced)
    for part in (1, 2, 4, 8):
        if affordable(seconds / part):
            return SHIFT_ROWS // part
    return 0


def averaging_moves(
    members: tuple[Member, ...],
    problem: Problem,
    judged: Mapping[int, Member],
    *,
    share: float,
    n_rows: int = SHIFT_ROWS,
) -> list[float]:
    """By how much averaging moves the limit of `share` alerts, seen from each part's models.

    Read on `n_rows` rows of all parts together; not at all on none.
    """
    parts = problem.validation.parts
    if not n_rows or all(member.trial in judged for member in members):
        return [0.0] * len(parts)  # as many models judged as are in use
    rng = np.random.default_rng(problem.seed)
    moves = []
    for i, part in enumerate(parts):
        n_own = min(len(part.train), n_rows // len(parts))
        matrix = problem.matrix[np.sort(rng.choice(part.train, n_own, replace=False))]
        single, whole = np.zeros(n_own), np.zeros(n_own)
        for member in members:
            logits = [fitted.decision(matrix) for fitted in member.models]
            # A member without models of its parts is its refit, in use as here.
            own = logits[i] if len(logits) >= len(parts) else logits[0]
            if member.trial in judged:
                own = judged[member.trial].decision(matrix)
            single += member.weight * own
            whole += member.weight * np.mean(logits, axis=0)
        moves.append(_move(single, whole, share=share))
    return moves


def spare_scores(
    members: tuple[Member, ...], problem: Problem, spare: Sequence[SparePart], *, share: float
) -> list[Scores]:
    """Logits of each spare fold's rows, moved by what averaging does to the fold's models."""
    rng, own = np.random.default_rng(problem.seed), problem.dataset.weight
    scores = []
    for part in spare:
        n_rows = min(len(part.train), SHIFT_ROWS // len(spare))
        matrix = problem.matrix[np.sort(rng.choice(part.train, n_rows, replace=False))]
        whole = np.sum([member.weight * member.decision(matrix) for member in members], axis=0)
        move = _move(part.decision(members, matrix), whole, share=share)
        logit = part.decision(members, problem.matrix[part.valid])
        scores.append((logit + move, np.ones(len(logit)) if own is None else own[part.valid]))
    return scores


def _move(single: Floats, whole: Floats, *, share: float) -> float:
    below = 1 - np.minimum(share * AROUND, 1.0)
    return float(np.mean(np.quantile(whole, below) - np.quantile(single, below)))
