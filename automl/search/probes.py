"""What a look at the table says is worth a trial of its own, before anything is expanded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from automl.meta.portfolio import NAMED
from automl.models.levels import IDENTITIES, identities_tell
from automl.search.problem import Problem
from automl.trial import Candidate


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A candidate for tables of one kind, and what says that this table is of it."""

    candidate: Candidate
    why: str


def probes(problem: Problem) -> Sequence[Probe]:
    """Candidates that suit this table; a pure function of its screening rows.

    Rates of levels where the levels of a column are identities: most tables are not of this
    kind and pay a few hundredths of a CPU-second for the look.
    """
    if problem.info.monotone:
        return ()  # a level's rate knows no direction
    dataset = problem.dataset
    rows = problem.rows_to_fit(problem.screening_rows, None)
    told = identities_tell(
        problem.matrix[rows],
        dataset.y[rows],
        weight=None if dataset.weight is None else dataset.weight[rows],
        seed=problem.seed,
    )
    if told < IDENTITIES:
        return ()
    why = (
        f"levels of a column explain {100 * told:.0f} % more of the labels than ranges of its "
        f"values, at least {100 * IDENTITIES:.0f} are needed"
    )
    return (Probe(candidate=NAMED["R15"], why=why),)
