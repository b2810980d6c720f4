"""One proposal, one trial."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, replace
from math import ceil
from statistics import median

import numpy as np
import numpy.typing as npt

from automl.cost import Cost
from automl.data.freed import give_back
from automl.meters.base import Meter, measure
from automl.meters.cpu_time import WATTS_PER_CORE
from automl.models.catalog import family
from automl.models.expected import FitShape
from automl.models.rounds import N_TREES, PATIENCE, patience_on
from automl.search.champion import Member
from automl.search.fitted import Fitted, in_blocks
from automl.search.journal import Arrays
from automl.search.lifetime import n_trees, predict_seconds
from automl.search.parts import BOOSTED, fit_parts, trees_of_part
from automl.search.problem import Problem
from automl.trial import Candidate, Proposal, Trial

Floats = npt.NDArray[np.float64]

LONGEST_ERROR = 300  # characters of a model's own message that a trial keeps


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trial with what is too large for its record."""

    trial: Trial
    out_of_fold: Arrays | None = None
    models: tuple[Fitted, ...] = ()


def evaluate(
    proposal: Proposal,
    problem: Problem,
    *,
    number: int,
    expected: Cost,
    meter: Meter,
    recalled: Member | None = None,
) -> Outcome:
    """Fit on each part's training rows, predict its validation rows, score them together.

    A model that fails in any way is a trial with an error, not an exception. Of the error only
    its type and the library's own message are kept. A `recalled` member was fitted before, and
    only predicts.
    """
    reset_peak_memory()
    models: tuple[Fitted, ...] = ()
    logit: Floats | None = None
    predicting: Cost | None = None
    error: str | None = None
    with measure(meter) as reading:
        try:
            if recalled is None:
                models, logit, predicting = fit_parts(proposal, problem, meter=meter)
            else:
                models, logit, predicting = _recall(recalled, problem, meter=meter)
            if not np.isfinite(logit).all():
                raise FloatingPointError("the model's scores are not all finite")
            scores = score_logit(problem, logit)
            intervals = problem.objective.intervals(problem.validation.bootstrap, logit)
        except Exception as failure:  # whatever a model may raise, MemoryError too
            error = f"{type(failure).__name__}: {str(failure)[:LONGEST_ERROR]}"
    peak = peak_memory_bytes()
    give_back(problem.matrix.nbytes)
    if error is not None or logit is None or predicting is None:
        failed = Trial(
            number=number,
            proposal=proposal,
            cost=reading.cost,
            expected=expected,
            peak_memory_bytes=peak,
            error=error,
        )
        return Outcome(trial=failed)
    n_predicted = len(problem.validation.rows)
    trial = Trial(
        number=number,
        proposal=proposal,
        cost=reading.cost,
        expected=expected,
        score=scores[problem.objective.score_name],
        interval=intervals.get(problem.objective.score_name),
        scores=scores,
        intervals=intervals,
        predict_joules=predicting.joules / n_predicted * 1000,
        peak_memory_bytes=peak,
        details={
            "parts": [dict(fitted.model.details) for fitted in models],
            **_row_cost(proposal, problem, models),
            **({} if recalled is None else {"recalled": True}),
        },
    )
    arrays = {"rows": problem.validation.rows.astype(np.int64, copy=False), "logit": logit}
    return Outcome(trial=trial, out_of_fold=arrays, models=models)


# One row is predicted again until so much time went by: forests take milliseconds, boosting 50 us.
ROW_SECONDS = 0.004
MOST_ROWS = 9


def _row_cost(proposal: Proposal, problem: Problem, models: tuple[Fitted, ...]) -> dict[str, float]:
    """CPU-milliseconds of one of a finalist's models for one row alone: the median of some."""
    if proposal.rung != "final":
        return {}
    took: list[float] = []
    rows = problem.matrix[:MOST_ROWS]
    for i in range(len(rows)):
        begun = time.process_time()
        models[-1].decision(rows[i : i + 1])
        took.append(time.process_time() - begun)
        if sum(took) > ROW_SECONDS:
            break
    return {"row_milliseconds": 1000 * median(took)}


def _recall(
    member: Member, problem: Problem, *, meter: Meter
) -> tuple[tuple[Fitted, ...], Floats, Cost]:
    """As `fit_parts`, by the models of a member that none of the validation rows was fitted to."""
    with measure(meter) as reading:
        logit = np.concatenate(
            [member.decision(problem.matrix[rows]) for rows in in_blocks(problem.validation.rows)]
        )
    return member.models, logit, reading.cost


def expected_cost(proposal: Proposal, problem: Problem) -> Cost:
    """What a proposal is expected to take: a pure function of the proposal and shapes."""
    n_positive = problem.n_positive(proposal.n_rows)
    seconds = problem.costs.score_seconds(len(problem.validation.rows))
    for part in problem.validation.parts:
        share = len(part.train) / problem.dataset.n_rows
        n_rows = round(proposal.n_rows * share)
        shape = FitShape(
            n_rows=n_rows,
            n_columns=problem.n_columns,
            n_wide=problem.n_wide,
            n_bins=problem.n_bins,
            n_positive=round(n_positive * share),
            n_stopping=min(n_rows, len(part.valid)),
            n_valid=len(part.valid),
            n_trees=trees_of_part(proposal.rung, problem),
            patience=patience_on(n_rows, PATIENCE[proposal.rung]),
            n_unlabelled=problem.n_unlabelled(n_rows),
        )
        seconds += problem.costs.seconds(proposal.candidate, shape)
    return expected_seconds(seconds)


def recall_cost(member: Member, problem: Problem) -> Cost:
    """What it is expected to take to judge a member that was fitted before."""
    trees = [n_trees(fitted.model.details) for fitted in member.models]
    n_thousands = len(problem.validation.rows) / 1000
    return expected_seconds(n_thousands * predict_seconds(member.candidate, trees=trees))


def default_fit_seconds(
    candidate: Candidate, problem: Problem, *, n_rows: int | None = None
) -> float:
    """Expected CPU-seconds of one fit on the final rows: what brute force is counted in.

    With `n_rows`, on so many.
    """
    shape = _final(problem, n_rows)
    shape = replace(shape, n_stopping=shape.n_rows // 4, n_valid=shape.n_rows // 4)
    return problem.costs.seconds(candidate, shape)


def refit_seconds(
    candidate: Candidate,
    problem: Problem,
    *,
    rounds: int | None = None,
    n_rows: int | None = None,
) -> float:
    """Expected CPU-seconds of a fit on the final rows, or so many, that nothing stops early.

    `rounds` is of boosting, where the trial has told it; otherwise it is what a trial would.
    """
    shape = _final(problem, n_rows)
    if rounds is None:
        rounds = ceil(
            problem.costs.expected_rounds(candidate, replace(shape, n_stopping=shape.n_rows // 4))
        )
    return problem.costs.seconds(candidate, replace(shape, rounds=rounds))


# Rows of each side on which the averaging's effect on the alert limit is read
# (`automl.search.threshold`): 100 of them at an alert rate of 1 %.
SHIFT_ROWS = 10_000


def shift_seconds(candidate: Candidate, problem: Problem) -> float:
    """Expected CPU-seconds of reading what averaging a candidate's models does to the limit.

    Each part's rows are predicted by the models of all parts.
    """
    parts = problem.validation.parts
    n_rows = sum(min(len(part.train), SHIFT_ROWS // len(parts)) for part in parts)
    trees = float(trees_of_part("final", problem))
    if family(candidate) in BOOSTED:
        shape = _final(problem)
        trees = problem.costs.expected_rounds(candidate, replace(shape, n_stopping=n_rows))
    # Each model has what is fixed, such as a kernel's, anew.
    return n_rows / 1000 * len(parts) * predict_seconds(candidate, trees=[ceil(trees)])


def closing_seconds(problem: Problem) -> float:
    """Expected CPU-seconds of the end of a search: weighing, calibrating, the threshold."""
    return problem.costs.closing_seconds(len(problem.validation.rows), problem.n_columns)


def _final(problem: Problem, n_rows: int | None = None) -> FitShape:
    n_rows = problem.final_rows if n_rows is None else n_rows
    return FitShape(
        n_rows=n_rows,
        n_columns=problem.n_columns,
        n_wide=problem.n_wide,
        n_bins=problem.n_bins,
        n_positive=problem.n_positive(n_rows),
        n_trees=problem.more_trees * N_TREES["final"],
        patience=patience_on(n_rows, PATIENCE["final"]),
        n_unlabelled=problem.n_unlabelled(n_rows),
    )


def expected_seconds(seconds: float) -> Cost:
    """CPU-seconds as a cost of the meter ``expected``, at the default watts of a core."""
    return Cost(cpu_seconds=seconds, joules=seconds * WATTS_PER_CORE, meter="expected")


def score_logit(problem: Problem, logit: Floats) -> dict[str, float]:
    """The scores of out-of-fold logits at the true prevalence, by name; nan ones left out."""
    validation = problem.validation
    return problem.objective.scores(validation.y, logit, validation.weight)


def reset_peak_memory() -> None:
    """Let the kernel's high-water mark of resident memory start again, where it can."""
    try:
        with open("/proc/self/clear_refs", "wb") as file:
            file.write(b"5")
    except OSError:
        pass  # then the mark is that of the whole process, which is said nowhere else either


def peak_memory_bytes() -> int:
    """The highest resident memory since `reset_peak_memory`, in bytes."""
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
