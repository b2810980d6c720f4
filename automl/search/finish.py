"""The end of a search: weigh the finalists, draw the front, make the picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from automl.errors import BudgetExhausted, FrugalError
from automl.search.distill import STUDENT, distil, making_joules, pays, student_use
from automl.search.ensemble import mean_logit
from automl.search.ledger import ENSEMBLE, Ledger, members_of
from automl.search.lifetime import Lifetime, lifetime
from automl.search.pareto import Point, pareto_front, picks
from automl.search.problem import Problem
from automl.search.refit import expected_predict_joules, expected_refit_joules
from automl.search.strategies import SearchEnd
from automl.search.weighing import weigh
from automl.trial import Trial

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Finish:
    """The front and picks as trial numbers, and the finalists' out-of-fold logits."""

    front: tuple[int, ...]
    picks: Mapping[str, int]
    logits: Mapping[int, Floats]
    lifetimes: Mapping[int, Lifetime]  # of all that may be picked
    # Of each one's score below the best's, in pairs: whoever counts another use picks by them.
    standard_errors: Mapping[int, float]


def finish(ledger: Ledger, end: SearchEnd, *, price: float) -> Finish:
    """Weigh the finalists into an ensemble, and choose on expected costs.

    `price` is what a joule has to be worth, in percent of the score: that of the search's steps.

    Raises
    ------
    BudgetExhausted
        Nothing was scored before the budget or a stop ended the search.
    FrugalError
        Every candidate failed (``no_model``).
    """
    by_number = {trial.number: trial for trial in ledger.trials}
    finalists = [by_number[number] for number in end.finalists]
    if not finalists:
        raise _nothing(ledger)
    final = [t for t in ledger.trials if t.proposal.rung == "final" and t.score is not None]
    made = (ENSEMBLE, STUDENT)  # of the others, here, or by an earlier process
    # Of many refinements the one with the highest score is the luckiest: none is picked alone.
    eligible = {
        t.number: t
        for t in [*finalists, *final]
        if t.candidate.model not in made and t.number not in end.others
    }
    logits = {number: ledger.logit(number) for number in sorted({*eligible, *end.others})}
    if len(finalists) + len(end.others) > 1:
        chosen = {trial.number: trial for trial in finalists}
        others = {number: by_number[number] for number in end.others}
        ensemble = weigh(ledger, chosen, logits, known=end.weights, others=others)
        if ensemble is not None:
            eligible[ensemble.number] = ensemble
    kept = {number for trial in eligible.values() for number in members_of(trial)}
    logits = {number: logit for number, logit in logits.items() if number in kept}
    lifetimes = {
        number: _lifetime(ledger.problem, trial, [by_number[n] for n in members_of(trial)])
        for number, trial in eligible.items()
    }
    student = _student(ledger, eligible, logits, lifetimes)
    if student is not None:
        eligible[student.number] = student
        logits[student.number] = ledger.logit(student.number)
        lifetimes[student.number] = _student_life(student, ledger.problem, lifetimes)
    points = [
        Point(
            number=trial.number,
            score=float(trial.score or 0.0),
            joules=lifetimes[trial.number].total,
            name=trial.candidate.id,
        )
        for trial in eligible.values()
    ]
    front = pareto_front(points)
    bootstrap, objective = ledger.problem.validation.bootstrap, ledger.problem.objective

    @cache
    def replicates(number: int) -> Floats:
        weights = members_of(eligible[number])
        return objective.replicates(bootstrap, mean_logit(logits, weights))

    def standard_error(one: int, other: int) -> float:
        difference = replicates(one) - replicates(other)
        finite = difference[np.isfinite(difference)]
        return float(finite.std()) if len(finite) else 0.0

    return Finish(
        front=tuple(point.number for point in front),
        picks=picks(front, price=price, standard_error=standard_error),
        logits=logits,
        lifetimes=lifetimes,
        standard_errors={one: standard_error(one, front[-1].number) for one in sorted(lifetimes)},
    )


def _lifetime(problem: Problem, trial: Trial, members: Sequence[Trial]) -> Lifetime:
    return lifetime(
        search=trial.expected.joules,
        refit=sum(expected_refit_joules(member, problem) for member in members),
        predict=sum(expected_predict_joules(member) for member in members),
        n_rows=problem.dataset.n_rows,
        objective=problem.objective,
    )


def _student(
    ledger: Ledger,
    eligible: Mapping[int, Trial],
    logits: Mapping[int, Floats],
    lifetimes: Mapping[int, Lifetime],
) -> Trial | None:
    """A student of the best, where its use is told and saves more than the student takes."""
    problem = ledger.problem
    use = problem.objective.predictions_per_day
    if not use:
        return None
    teacher = max(eligible.values(), key=lambda t: (t.score or 0.0, -t.number))
    weights = members_of(teacher)
    members = [trial for trial in ledger.trials if trial.number in weights]
    making = making_joules(problem, members)
    repeated = (1 + (problem.objective.retrains or 0.0)) * making
    if not pays(
        saved_joules=lifetimes[teacher.number].use - student_use(problem), making_joules=repeated
    ):
        return None
    return distil(ledger, teacher, mean_logit(logits, weights))


def _student_life(student: Trial, problem: Problem, lifetimes: Mapping[int, Lifetime]) -> Lifetime:
    """Its teacher's folds and its own; fitted again, its teacher's folds are, too."""
    teacher = lifetimes[student.details["teacher"]]
    retrains = problem.objective.retrains or 0.0
    return Lifetime(
        search=teacher.search + student.expected.joules,
        refit=0.0,  # the last of its fits is counted with those of the folds
        use=student_use(problem),
        retrains=retrains * (teacher.search + student.expected.joules),
    )


def _nothing(ledger: Ledger) -> FrugalError:
    if ledger.stopped is not None:
        return BudgetExhausted(f"stopped before one candidate was scored: {ledger.stopped}")
    errors = [trial.error for trial in ledger.trials if trial.error is not None]
    if ledger.refusals:
        return BudgetExhausted(
            f"the budget ended before one candidate was scored: {ledger.refusals[0]}"
        )
    return FrugalError(
        f"none of {len(errors)} candidates could be fitted; the first failed with {errors[0]}",
        code="no_model",
    )
