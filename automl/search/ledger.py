"""Runs proposals one by one: replayed, refused, or evaluated, and written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.cost import ZERO, Budget, Cost, Refusal, Speed
from automl.meters.base import Meter
from automl.meters.cpu_time import WATTS_PER_CORE
from automl.models.catalog import family
from automl.search.champion import Member
from automl.search.evaluate import (
    closing_seconds,
    evaluate,
    expected_cost,
    recall_cost,
    refit_seconds,
    shift_seconds,
)
from automl.search.fitted import Fitted
from automl.search.journal import Arrays, Journal, all_ended
from automl.search.parts import BOOSTED
from automl.search.problem import Problem
from automl.search.speed import speed_of
from automl.trial import Candidate, Proposal, Trial

Floats = npt.NDArray[np.float64]

ENSEMBLE = "ensemble"


class Ledger:
    """The trials of one search, what they cost, and what is left of the budget.

    It is the only place that asks the budget, and the only one that writes to the journal.
    `before` is what was spent on the budget before the first trial, `speed` what the probe said;
    without one, an expected CPU-second is taken for a measured one. `recalled` are members of an
    older champion by the id of their configuration: at the final rung they stand for a fit.
    """

    def __init__(
        self,
        *,
        problem: Problem,
        meter: Meter,
        budget: Budget,
        journal: Journal,
        stop: Callable[[], str | None] | None,
        before: Cost,
        speed: Speed | None = None,
        recalled: Mapping[str, Member] | None = None,
    ) -> None:
        self.problem, self.meter = problem, meter
        self._budget, self._journal, self._stop = budget, journal, stop
        self.trials: list[Trial] = all_ended(journal)
        self._stored = {_key(trial.proposal): trial for trial in self.trials}
        self.replayed = sum((t.cost for t in self.trials if not is_ensemble(t)), start=ZERO)
        self.spent = before + self.replayed
        self._probed = Speed(watts=WATTS_PER_CORE) if speed is None else speed
        self._recalled = dict(recalled or {})
        self.models: dict[int, tuple[Fitted, ...]] = {
            trial.number: member.models
            for trial in self.trials
            if (member := self.recalled(trial.proposal)) is not None
        }
        self.refusals: list[Refusal] = []
        self.stopped: str | None = None

    def run(self, proposals: Sequence[Proposal]) -> list[Trial]:
        """The trials of those proposals that ran, now or in an earlier process."""
        done: list[Trial] = []
        for proposal in proposals:
            trial = self._stored.get(_key(proposal)) or self._evaluate(proposal)
            if trial is not None:
                done.append(trial)
        return done

    def recalled(self, proposal: Proposal) -> Member | None:
        """The older champion's member that stands for the proposal's fit, if there is one."""
        if proposal.rung != "final" or proposal.n_rows != self.problem.final_rows:
            return None
        return self._recalled.get(proposal.candidate.id)

    def charge(self, cost: Cost) -> None:
        """Add work that is no trial: proposing, weighing."""
        self.spent += cost

    def logit(self, number: int) -> Floats:
        """Out-of-fold logits of a scored trial, in the order of the validation rows."""
        arrays = self._journal.out_of_fold(number)
        if arrays is None or not np.array_equal(arrays["rows"], self.problem.validation.rows):
            raise ValueError(
                f"the journal's out-of-fold rows of trial {number} are not this search's"
            )
        return np.asarray(arrays["logit"], dtype=np.float64)

    def record(self, trial: Trial, out_of_fold: Arrays) -> Trial:
        """Write down a trial that needed no fit (an ensemble); a stored one of its kind stays."""
        stored = self._stored.get(_key(trial.proposal))
        if stored is not None and stored.error is None:
            return stored
        self._journal.begin(trial.number, trial.proposal, trial.expected)
        self._journal.end(trial, out_of_fold)
        self._keep(trial)
        return trial

    @property
    def next_number(self) -> int:
        return max((trial.number for trial in self.trials), default=-1) + 1

    def affordable(self, seconds: float) -> bool:
        """Whether a refit of so many expected CPU-seconds still fits; `charge` what it took."""
        more = self.speed.cost(seconds + closing_seconds(self.problem))
        return self._budget.refusal(self.spent, n_trials=-1, expected=more) is None

    def _evaluate(self, proposal: Proposal) -> Trial | None:
        if self.stopped is None and self._stop is not None:
            self.stopped = self._stop()
        if self.stopped is not None:
            return None
        candidate = proposal.candidate
        member = self.recalled(proposal)
        expected = (
            expected_cost(proposal, self.problem)
            if member is None
            else recall_cost(member, self.problem)
        )
        n_trials = sum(not is_ensemble(trial) for trial in self.trials)
        refusal = self._budget.refusal(
            self.spent,
            n_trials=n_trials,
            expected=self.speed.cost(expected.cpu_seconds + self._reserve(candidate)),
        )
        if refusal is not None:
            self.refusals.append(refusal)
            return None
        number = self.next_number
        self._journal.begin(number, proposal, expected)
        outcome = evaluate(
            proposal,
            self.problem,
            number=number,
            expected=expected,
            meter=self.meter,
            recalled=member,
        )
        self._journal.end(outcome.trial, outcome.out_of_fold)
        # Boosting's models of the parts are the champion's, others' only where a budget refuses the
        # refit; and a student learns from them. A forest's are as large as a table.
        use = self.problem.objective.predictions_per_day
        if family(proposal.candidate) in BOOSTED or self._budget.is_limited or use:
            self.models[number] = outcome.models
        self.spent += outcome.trial.cost
        self._keep(outcome.trial)
        return outcome.trial

    def _keep(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._stored[_key(trial.proposal)] = trial

    def _reserve(self, candidate: Candidate) -> float:
        """Expected CPU-seconds of the end, which must be affordable: refit, limit and closing.

        Without any room for a refit the models of the parts become the champion, so the first
        candidate needs none.
        """
        closing = closing_seconds(self.problem)
        if all(trial.score is None for trial in self.trials):
            return closing
        in_use = shift_seconds(candidate, self.problem)
        return closing + in_use + refit_seconds(candidate, self.problem)

    @property
    def speed(self) -> Speed:
        """What an expected CPU-second is on this machine, by the probe and the stored trials."""
        return speed_of(
            [t for t in self.trials if t.error is None and not is_ensemble(t)], self._probed
        )


def is_ensemble(trial: Trial) -> bool:
    """Whether a trial is a weighted mean of others; its cost repeats theirs."""
    return trial.candidate.model == ENSEMBLE


def members_of(trial: Trial) -> dict[int, float]:
    """Weight by trial number: of an ensemble its members, else the trial itself.

    >>> from automl.cost import ZERO
    >>> alone = Trial(number=3, cost=ZERO, expected=ZERO, proposal=Proposal(
    ...     candidate=Candidate(model="logistic"), rung="final", n_rows=10))
    >>> members_of(alone)
    {3: 1.0}
    """
    if not is_ensemble(trial):
        return {trial.number: 1.0}
    members: Mapping[str, Any] = trial.candidate.params["members"]
    return {int(number): float(weight) for number, weight in members.items()}


def _key(proposal: Proposal) -> tuple[str, str, int]:
    return proposal.candidate.id, proposal.rung, proposal.n_rows
