"""Folds that validate no trial, judged by the champion's members: more rows for its limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.split import folds
from automl.models.catalog import CATALOG, build, family, rows_for
from automl.search.champion import Member
from automl.search.evaluate import refit_seconds, shift_seconds
from automl.search.fitted import Fitted
from automl.search.parts import BOOSTED
from automl.search.problem import Problem
from automl.search.validation import N_FOLDS

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

# A limit rests on so many alerts, or on so many of the five folds. The last one gained nothing: a
# share of 1 % of 700 to 7,800 rows was off by 0.315 with and without it (docs/method.md, Alert
# threshold).
ENOUGH_ALERTS, MOST_FOLDS = 50, 4


@dataclass(frozen=True, kw_only=True)
class SparePart:
    """One more fold with a model of each member that was fitted without it."""

    train: Rows
    valid: Rows
    models: tuple[Fitted, ...]  # in the order of the members

    def decision(self, members: Sequence[Member], matrix: npt.NDArray[np.float32]) -> Floats:
        """Logits of encoded rows by the members' weights, shape (n_rows,)."""
        total = np.zeros(len(matrix))
        for member, fitted in zip(members, self.models, strict=True):
            total += member.weight * fitted.decision(matrix)
        return total


def spare_parts(
    members: Sequence[Member], problem: Problem, *, affordable: Callable[[float], bool]
) -> tuple[SparePart, ...]:
    """Fit the members without further folds, until their rows hold enough alerts.

    Each member as it is refitted, on the same scale. None where the objective reads no limit from
    a share, where rows lie in the order of time (the folds before are no more like what is to
    come), where models were fitted on a sample of the rows or come from an older champion or a
    student, and where `affordable` denies the expected CPU-seconds.
    """
    dataset, validation = problem.dataset, problem.validation
    if dataset.time is not None or problem.objective.metric == "expected_cost":
        return ()
    if any(member.candidate.model not in CATALOG for member in members):
        return ()
    if any((member.fitted_rows or 0) < dataset.n_rows for member in members):
        return ()
    left = folds(dataset, seed=problem.seed, k=N_FOLDS)
    n_judged = len(validation.parts)
    same = zip(left, validation.parts, strict=False)
    if len(left) <= n_judged or not all(np.array_equal(a.train, b.train) for a, b in same):
        return ()
    n_spare = folds_wanted(
        n_judged, n_judging=len(validation.rows), n_rows=dataset.n_rows, rate=problem.alert_rate
    )
    parts: list[SparePart] = []
    # Averaging is read on rows of the judged parts in any case, and then on those of these.
    seconds = 2 * sum(shift_seconds(member.candidate, problem) for member in members)
    for fold in left[n_judged : n_judged + n_spare]:
        # Of all of them: what the ones before took is not on the bill yet.
        seconds += sum(_seconds(member, problem, n_rows=len(fold.train)) for member in members)
        if not affordable(seconds):
            break
        models = tuple(_fitted(member, problem, rows=fold.train) for member in members)
        parts.append(SparePart(train=fold.train, valid=fold.valid, models=models))
    return tuple(parts)


def folds_wanted(n_judged: int, *, n_judging: int, n_rows: int, rate: float) -> int:
    """Further folds until enough alerts are expected on rows that judge; `n_judged` have folds.

    >>> folds_wanted(2, n_judging=800, n_rows=2_000, rate=0.01)
    2
    >>> folds_wanted(2, n_judging=8_000, n_rows=20_000, rate=0.01)
    0
    """
    n_spare = 0
    while n_judged + n_spare < MOST_FOLDS and rate * n_judging < ENOUGH_ALERTS:
        n_spare += 1
        n_judging += n_rows // N_FOLDS
    return n_spare


def _rounds(member: Member) -> int | None:
    if family(member.candidate) not in BOOSTED:
        return None
    return int(member.models[-1].model.details["best_iteration"])


def _seconds(member: Member, problem: Problem, *, n_rows: int) -> float:
    return refit_seconds(member.candidate, problem, rounds=_rounds(member), n_rows=n_rows)


def _fitted(member: Member, problem: Problem, *, rows: Rows) -> Fitted:
    """The member's refit on those rows alone.

    With as many trees: half of them scatter more on rows they did not see, which rows that were
    fitted cannot tell, and the share of alerts fell to 0.8 of that asked for.
    """
    dataset, refit = problem.dataset, member.models[-1]
    model = build(
        member.candidate,
        encoder_info=problem.info,
        seed=problem.seed,
        rounds=_rounds(member),
        n_trees=refit.model.details.get("n_trees"),
        unlabelled=problem.unlabelled_for(member.candidate, len(rows)),
    )
    model.fit(
        rows_for(model, problem.matrix, rows, info=problem.info),
        dataset.y[rows],
        sample_weight=None if dataset.weight is None else dataset.weight[rows],
    )
    return Fitted(model=model, slope=refit.slope, shift=refit.shift, n_rows=len(rows))
