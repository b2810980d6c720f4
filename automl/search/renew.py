"""The members of an older champion on grown data: judged as they are, then fitted once more."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.models.boosting import Boosting, continued
from automl.models.catalog import expected_cpu_seconds, family
from automl.models.rounds import most_rounds
from automl.search.champion import Champion, Member
from automl.search.ensemble import mean_logit
from automl.search.evaluate import expected_cost, expected_seconds, refit_seconds
from automl.search.fitted import Fitted
from automl.search.ledger import Ledger, is_ensemble
from automl.search.lifetime import predict_seconds
from automl.search.parts import BOOSTED, like_parts
from automl.search.problem import Problem
from automl.search.refit import fit_all
from automl.search.start import Relation
from automl.search.stop import Stop
from automl.search.strategies import SearchEnd, Strategy
from automl.search.validation import MANY_POSITIVES, N_FOLDS
from automl.trial import Candidate, Proposal, Trial

Floats = npt.NDArray[np.float64]

# The best round comes later on more rows, as their number to this power
# (`automl.models.expected`, TYPICAL_POWER).
ROUNDS_POWER = 0.34
# Where a fit from the start is not affordable: a quarter of the rounds more (docs/method.md,
# Starting from a champion).
MORE_ROUNDS, LEAST_MORE = 0.25, 5
# Standard errors that the score on new rows may be below the one the champion was chosen by.
WORSE = 2.0


def starting(relation: Relation, race: Strategy, *, ledger: Ledger) -> Strategy:
    """The strategy of a search that starts from a champion.

    Its configurations are proposed at the final rung. Where it was recalled and holds on the new
    rows, or where its configurations are all that is to be repeated, that is the whole search;
    else `race` follows, which has them first.
    """
    if relation.kind == "first":
        return race
    return _starting(relation, race, ledger=ledger)


def _starting(
    relation: Relation, race: Strategy, *, ledger: Ledger
) -> Generator[Sequence[Proposal], Sequence[Trial], SearchEnd]:
    n_rows = ledger.problem.final_rows
    proposals = [
        Proposal(candidate=candidate, rung="final", n_rows=n_rows)
        for candidate in relation.start.candidates
    ]
    done = yield proposals
    numbers = {trial.candidate.id: trial.number for trial in done if trial.score is not None}
    if len(numbers) < len(proposals):
        return (yield from race)
    finalists = tuple(sorted(numbers.values()))
    if relation.kind == "repeated":
        text = f"the {len(numbers)} configurations of the model it started from: {relation.why}"
        return SearchEnd(stop=Stop(reason="start", text=text), finalists=finalists)
    members = relation.start.champion.members
    weights = {numbers[member.candidate.id]: member.weight for member in members}
    logits = {number: ledger.logit(number) for number in weights}
    found = compare(relation.start.champion, ledger.problem, mean_logit(logits, weights))
    if not found.holds:
        return (yield from race)
    text = f"the model it started from holds, {found.said}: {relation.why}"
    return SearchEnd(stop=Stop(reason="start", text=text), finalists=finalists, weights=weights)


def recalled(relation: Relation | None) -> dict[str, Member]:
    """Members by the id of their configuration, where their models stand for a fold's."""
    if relation is None or relation.kind != "recalled":
        return {}
    return {member.candidate.id: member for member in relation.start.champion.members}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A champion's score where it was chosen and on rows that it never saw, at one prevalence."""

    then: float
    now: float
    standard_error: float

    @property
    def holds(self) -> bool:
        """Whether it is not worse than chance explains."""
        return self.then - self.now <= WORSE * self.standard_error

    @property
    def said(self) -> str:
        """Both scores in words."""
        return f"{self.now:.3g} after {self.then:.3g} (standard error {self.standard_error:.2g})"


def compare(champion: Champion, problem: Problem, now: Floats) -> Comparison:
    """The champion by its logits on the rows that judge it, and by its own record.

    The record's rows are weighted to today's prevalence, which an average precision follows.
    """
    validation, objective, kept = problem.validation, problem.objective, champion.out_of_fold
    y, weight = kept["y"], np.asarray(kept["weight"], dtype=np.float64)
    weights = {member.trial: member.weight for member in champion.members}
    then = mean_logit({n: kept[f"logit_{n}"] for n in weights}, weights)
    rate, old_rate = validation.prevalence, float(np.average(y, weights=weight))
    weight = weight * np.where(y == 1, rate / old_rate, (1 - rate) / (1 - old_rate))
    # A record's own error by that of today's rows, which goes with the number of positives.
    spread = float(np.nanstd(objective.replicates(validation.bootstrap, now)))
    more = validation.n_positive / max(int(np.sum(y == 1)), 1)
    return Comparison(
        then=objective.score(y, then, weight),
        now=objective.score(validation.y, now, validation.weight),
        standard_error=spread * (1 + more) ** 0.5,
    )


def renewed(
    trial: Trial,
    old: Member,
    problem: Problem,
    *,
    weight: float,
    affordable: Callable[[float], bool],
) -> Member:
    """A member with its newest models and one more, fitted on all rows of the final rung.

    As many models as before, so that the cost of its use stays: the oldest goes. A member of one
    model, which is no average, is replaced. Without the means for a fit its newest trees are gone
    on with, and without the means for that it stays as it is.
    """
    candidate, n_rows = trial.candidate, problem.final_rows
    rounds = later_rounds(old, problem) if family(candidate) in BOOSTED else None
    kept = kept_models(old)
    if affordable(refit_seconds(candidate, problem, rounds=rounds)):
        fitted = fit_all(
            trial,
            problem,
            n_rows=n_rows,
            rounds=rounds,
            n_trees=newest_trees(old) if kept else None,
        )
    elif affordable(continuing_seconds(old, problem)):
        fitted = gone_on(old, problem)
    else:
        return Member(trial=trial.number, candidate=candidate, weight=weight, models=old.models)
    if kept:
        fitted = like_parts(fitted, kept[-1:], problem)
    return Member(trial=trial.number, candidate=candidate, weight=weight, models=(*kept, fitted))


def more_rounds(old: Member) -> int:
    """Rounds to go on with a member's newest trees for; 0 where they cannot be gone on with.

    Only plain boosting can: what a rate of positives or a made-up row was on the older rows is
    not known any more. It ends where the most rounds are reached, after some generations.
    """
    model = old.models[-1].model
    if type(model) is not Boosting:
        return 0
    grown = int(model.details["best_iteration"])
    wanted = max(ceil(MORE_ROUNDS * grown), LEAST_MORE)
    return max(min(wanted, most_rounds(old.candidate.params) - grown), 0)


def continuing_seconds(old: Member, problem: Problem) -> float:
    """Expected CPU-seconds of `gone_on`: its rounds, and what the older trees say of the rows."""
    rounds = more_rounds(old)
    if not rounds:
        return inf
    trees = [int(old.models[-1].model.details["best_iteration"])]
    predicting = predict_seconds(old.candidate, trees=trees) * problem.final_rows / 1000
    return refit_seconds(old.candidate, problem, rounds=rounds) + predicting


def gone_on(old: Member, problem: Problem) -> Fitted:
    """A member's newest trees and some more, fitted to all rows of the final rung."""
    newest = old.models[-1].model
    if not isinstance(newest, Boosting):
        raise TypeError(f"the trees of {type(newest).__name__} cannot be gone on with")
    rows, dataset = problem.rows_to_fit(problem.final_rows, None), problem.dataset
    model = continued(
        newest,
        problem.matrix[rows],
        dataset.y[rows],
        params=old.candidate.params,
        info=problem.info,
        # Rows and columns of a round are drawn anew, not those of the first rounds again.
        seed=problem.seed + int(newest.details["best_iteration"]),
        rounds=more_rounds(old),
        sample_weight=None if dataset.weight is None else dataset.weight[rows],
    )
    return Fitted(model=model, shift=problem.prior_shift(rows, None), n_rows=len(rows))


def kept_models(old: Member) -> tuple[Fitted, ...]:
    """Those of a member that stay when one is added."""
    return old.models[1:]


def newest_trees(old: Member) -> int | None:
    """Trees of a forest's newest model, so that the new one weighs the same."""
    found = old.models[-1].model.details.get("n_trees")
    return None if found is None else int(found)


def later_rounds(old: Member, problem: Problem) -> int:
    """Rounds for all rows: those of the newest model, grown with the rows."""
    rounds = int(old.models[-1].model.details["best_iteration"])
    train = problem.validation.parts[0].train
    growth = problem.dataset.n_rows / max(len(train), 1)
    wanted = ceil(rounds * growth**ROUNDS_POWER)
    return int(min(wanted, most_rounds(old.candidate.params)))


def expected_without(first: Sequence[Candidate], relation: Relation, problem: Problem) -> float:
    """CPU-seconds that the search is expected to have taken without its start.

    A race over the configurations that this mode tries in any case, and the start's own on the
    final rows by as many folds as usual: no refinement, so rather too little.
    """
    screening = sum(
        expected_cost(
            Proposal(candidate=c, rung="screening", n_rows=problem.screening_rows), problem
        ).cpu_seconds
        for c in first
    )
    n_folds = 2 if problem.dataset.n_positive < MANY_POSITIVES else 1
    n_rows = round(problem.final_rows * (1 - 1 / N_FOLDS))
    final = sum(
        n_folds * expected_cpu_seconds(c, n_rows, problem.n_columns)
        for c in relation.start.candidates
    )
    return screening + final


def saving(
    relation: Relation,
    problem: Problem,
    trials: Sequence[Trial],
    *,
    race: Sequence[Candidate],
) -> dict[str, Any]:
    """What a start spared, by expected costs, and what it rested on, as JSON values."""
    took = sum(t.expected.cpu_seconds for t in trials if not is_ensemble(t))
    without = expected_without(race, relation, problem)
    saved = expected_seconds(max(without - took, 0.0))
    return {
        "model": dict(relation.start.parent),
        **relation.to_json(),
        "expected_cpu_seconds": took,
        "expected_cpu_seconds_without": without,
        "expected_saved_cpu_seconds": saved.cpu_seconds,
        "expected_saved_joules": saved.joules,
    }
