"""A student: one small boosted model that repeats what a costlier model says.

Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network", 2015: it is fitted to the
teacher's logits, not to labels. Where a model is used much, the joules of its use outweigh those
of finding it, and a tenth of the trees at nearly the same ranking saves most of a life's energy.

It is judged as any candidate is. In each fold the student learns from the models that the
teacher has of that fold, on the rows that these were fitted to; so no row that judges it was seen
by it or by whom it learned from. Its loss against the teacher is the paired difference of their
scores on those rows. The final student learns from the same models on all rows: each part of its
teacher is older than a refit, which costs it nothing that the folds would not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from automl.cost import Cost
from automl.meters.base import measure
from automl.models.boosting import regressed
from automl.search.champion import Member
from automl.search.evaluate import expected_seconds, refit_seconds, score_logit
from automl.search.fitted import Fitted
from automl.search.ledger import Ledger, members_of
from automl.search.lifetime import n_trees, predict_seconds, predictions
from automl.search.metrics import interval
from automl.search.parts import fit_parts
from automl.search.problem import Problem
from automl.trial import Candidate, Proposal, Trial

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

STUDENT = "distilled"
# 1.2 CPU-milliseconds per 1,000 rows, which is less than the linear model takes.
ROUNDS = 40
PARAMS: Mapping[str, float] = {"learning_rate": 0.15, "num_leaves": 31, "lambda_l2": 1.0}
# Rows to learn from: a smooth function needs no more, and they are scored by the whole teacher.
MOST_ROWS = 30_000
# The joules that a student is expected to save are this many times those of making it.
MARGIN = 3.0


_BOOSTING = Candidate(model="lightgbm", params={**PARAMS, "rounds": ROUNDS})


def student_use(problem: Problem) -> float:
    """Joules that a student is expected to take over the life that the objective describes."""
    joules = expected_seconds(predict_seconds(_BOOSTING, trees=[ROUNDS])).joules
    return joules * predictions(problem.objective, n_rows=problem.dataset.n_rows) / 1000


def making_joules(problem: Problem, teacher: Sequence[Trial]) -> float:
    """Joules that making a student of these members is expected to take."""
    return expected_seconds(making_seconds(problem, teacher)).joules


def making_seconds(problem: Problem, teacher: Sequence[Trial]) -> float:
    """Expected CPU-seconds of a student: one per fold and the last, and its teacher's scores."""
    n_fits = len(problem.validation.parts) + 1
    n_rows = min(MOST_ROWS, problem.final_rows)
    share = n_rows / problem.final_rows
    scored = sum(
        predict_seconds(t.candidate, trees=[n_trees(d) for d in t.details["parts"]])
        for t in teacher
    )
    fit = share * refit_seconds(_BOOSTING, problem, rounds=ROUNDS)
    return n_fits * (fit + scored * n_rows / 1000)


def pays(*, saved_joules: float, making_joules: float) -> bool:
    """Whether a student is worth being made.

    >>> pays(saved_joules=10.0, making_joules=3.0), pays(saved_joules=0.0, making_joules=0.0)
    (True, False)
    """
    return saved_joules > MARGIN * making_joules


def distil(ledger: Ledger, teacher: Trial, logit: Floats) -> Trial | None:
    """The student of a teacher as a trial; None where the budget has no room for it.

    Parameters
    ----------
    teacher : an ensemble or one of the finalists
    logit : its out-of-fold logits, in the order of the validation rows
    """
    problem = ledger.problem
    weights = members_of(teacher)
    by_number = {trial.number: trial for trial in ledger.trials}
    expected = making_seconds(problem, [by_number[number] for number in weights])
    proposal = Proposal(
        candidate=Candidate(
            model=STUDENT,
            params={**PARAMS, "rounds": ROUNDS, "teacher": {str(n): w for n, w in weights.items()}},
        ),
        rung="final",
        n_rows=min(MOST_ROWS, problem.final_rows),
    )
    stored = [t for t in ledger.trials if t.proposal == proposal and t.error is None]
    if stored:
        return stored[0]
    if not ledger.affordable(expected):
        return None
    with measure(ledger.meter) as reading:
        students = [
            _student(ledger, weights, part=i, rows=problem.rows_to_fit(proposal.n_rows, part))
            for i, part in enumerate(problem.validation.parts)
        ]
        with measure(ledger.meter) as predicting:
            pairs = zip(students, problem.validation.parts, strict=True)
            own = np.concatenate([s.decision(problem.matrix[p.valid]) for s, p in pairs])
        objective, bootstrap = problem.objective, problem.validation.bootstrap
        scores = score_logit(problem, own)
        intervals = objective.intervals(bootstrap, own)
        lost = objective.replicates(bootstrap, logit) - objective.replicates(bootstrap, own)
        spread = interval(lost)
    score = scores[objective.score_name]
    per_thousand = 1000 / len(problem.validation.rows)
    trial = Trial(
        number=ledger.next_number,
        proposal=proposal,
        cost=reading.cost,
        expected=Cost(
            cpu_seconds=expected, joules=expected_seconds(expected).joules, meter="expected"
        ),
        score=score,
        interval=intervals.get(objective.score_name),
        scores=scores,
        intervals=intervals,
        predict_joules=predicting.cost.joules * per_thousand,
        details={
            "parts": [dict(fitted.model.details) for fitted in students],
            "teacher": teacher.number,
            "loss": (teacher.score or 0.0) - score,
            "loss_interval": None if spread is None else list(spread),
        },
    )
    arrays = {"rows": problem.validation.rows.astype(np.int64, copy=False), "logit": own}
    return ledger.record(trial, arrays)


def student_member(ledger: Ledger, trial: Trial) -> Member:
    """The student of all rows that it may learn from, by the teacher's models of every fold."""
    weights = {int(n): float(w) for n, w in trial.candidate.params["teacher"].items()}
    rows = ledger.problem.rows_to_fit(trial.proposal.n_rows, None)
    fitted = _student(ledger, weights, part=None, rows=rows)
    return Member(trial=trial.number, candidate=trial.candidate, weight=1.0, models=(fitted,))


def _student(
    ledger: Ledger, weights: Mapping[int, float], *, part: int | None, rows: Rows
) -> Fitted:
    problem = ledger.problem
    matrix = problem.matrix[rows]
    teaching = np.zeros(len(rows))
    for number, weight in sorted(weights.items()):
        models = _models(ledger, number)
        if part is not None and len(models) == len(problem.validation.parts):
            models = (models[part],)
        teaching += weight * np.mean([fitted.decision(matrix) for fitted in models], axis=0)
    own = problem.dataset.weight
    model = regressed(
        matrix,
        teaching,
        params=PARAMS,
        info=problem.info,
        seed=problem.seed,
        rounds=ROUNDS,
        sample_weight=None if own is None else own[rows],
    )
    return Fitted(model=model, n_rows=len(rows))


def _models(ledger: Ledger, number: int) -> tuple[Fitted, ...]:
    """A trial's models of the parts, fitted again where they died with an earlier process."""
    if number not in ledger.models:
        trial = next(t for t in ledger.trials if t.number == number)
        ledger.models[number] = fit_parts(trial.proposal, ledger.problem, meter=ledger.meter)[0]
    return ledger.models[number]
