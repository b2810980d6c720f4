"""Groups of features tried one after the other: what is kept so far, and what it scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.cost import ZERO, Cost, Refusal
from automl.data.dataset import Dataset
from automl.data.split import folds
from automl.features.featurizer import Featurizer, GroupOffer
from automl.meta.portfolio import NAMED
from automl.meters.base import Meter, measure
from automl.relations.tables import Relations
from automl.search.effort import Effort
from automl.search.evaluate import (
    closing_seconds,
    default_fit_seconds,
    evaluate,
    expected_cost,
    expected_seconds,
)
from automl.search.fitted import columns_used
from automl.search.objective import Objective
from automl.search.problem import Problem, prepare
from automl.search.purse import Purse
from automl.search.stop import Stop, refused
from automl.search.validation import Part, Validation
from automl.trial import Proposal

Floats = npt.NDArray[np.float64]

# The judge of a group: the first model of every portfolio.
JUDGE = NAMED["L15"]
# Folds are added until so many positives judge: a gain of a percent is lost in the noise of fewer.
JUDGING_POSITIVES, N_FOLDS = 300, 5
# A group that costs less than this share of brute force stays unless it is seen to harm, if it does
# not bring more columns than this: each of them is paid for in every later fit. On few rows that is
# next to nothing, while a standard error of some dozens of positives is more than any group gains:
# there as many cells may come as 100 columns have on a usual screening sample.
CHEAP_SHARE, MANY_COLUMNS = 0.001, 100
MANY_CELLS = MANY_COLUMNS * 6600
# The choice of features may take this share of what the search may, or so many expected
# CPU-seconds: on few rows all groups together take less than what they bring is worth.
CHOICE_SHARE, LEAST_SECONDS = 1 / 3, 6.0
# A budget keeps room for so many fits of models on the final rows: two parts and a refit.
RESERVED_FITS = 3
LEAST_TRIES = 3  # of a table's groups, whatever they take
# Groups of a table that brought nothing, after which its others wait until those of other tables
# were tried.
PATIENCE = 2
# Kinds that wait until all others were tried. Hundreds of random columns tell apart the series that
# are known: on telemetry, tried before `rolling`, they kept it out, and other channels were ranked
# at 0.72 of the average precision for three times the CPU (`benchmarks.relational_series`).
LAST_KINDS = ("convolutions",)
# Standard errors by which a cheap group may seem to harm, and a dear one has to gain.
HARM_ERRORS, GAIN_ERRORS = 1.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was found of one group.

    `gain` is in percent of what the score was above chance, `error` its bootstrap standard
    error; `share` the expected cost of computing it for the rows of the final fits, in percent of
    brute force; `cost` what trying it took.
    """

    name: str
    kept: bool
    why: str
    n_columns: int
    n_used: int
    score: float | None
    gain: float | None
    error: float | None
    share: float
    cost: Cost

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "cost": self.cost.to_json()}


class Race:
    """What is kept so far, and its out-of-fold scores."""

    def __init__(
        self,
        *,
        relations: Relations,
        dataset: Dataset,
        effort: Effort,
        n_final: int,
        objective: Objective,
        meter: Meter,
        seed: int,
        purse: Purse,
    ) -> None:
        self.relations, self.dataset, self.meter, self.seed = relations, dataset, meter, seed
        self._purse, self._kept_seconds = purse, 0.0
        self._effort, self._n_final, self._objective = effort, n_final, objective
        self._validation = judging(dataset, seed=seed)
        self.decisions: list[Decision] = []
        self._fitted: list[Featurizer] = []
        self._columns = dataset.X
        self._tries: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._spent = self._judge_seconds = self._fit_seconds = self._models_seconds = 0.0
        self.base_score: float | None = None
        self._replicates: Floats | None = None
        self._used: frozenset[str] = frozenset()
        self.ended: Stop | None = None
        if dataset.X.shape[1]:
            self._judge(dataset.X)

    def _judge(self, X: pd.DataFrame) -> None:
        """Judge the entity table alone, where the budget has room for it."""
        with measure(self.meter) as reading:
            problem = self._problem(X)
            refusal = self._purse.refusal(self._judge_seconds + self._models_seconds)
            if refusal is None:
                self.base_score, self._replicates, self._used = self._judged(problem)
        self.ended = None if refusal is None else refused(refusal)
        self._purse.charge(reading.cost, expected=self._spent)

    def turn(self, offer: GroupOffer) -> tuple[bool, bool, float]:
        """The cheap come first, and last those of tables that have told nothing yet."""
        silent = self._failures.get(offer.table, 0) >= PATIENCE
        return offer.kind in LAST_KINDS, silent, offer.expected_seconds

    def affords(self, offer: GroupOffer) -> bool:
        """Whether trying one more group fits what the choice of features may take.

        That is a share of what the search itself may: counted in expected CPU-seconds, so that
        the same data choose the same features.
        """
        if self._tries.get(offer.table, 0) < LEAST_TRIES:
            return True
        most = max(LEAST_SECONDS, CHOICE_SHARE * self._effort.limit_seconds(self._fit_seconds))
        return self._spent + offer.expected_seconds + self._judge_seconds <= most

    def refusal(self, offer: GroupOffer) -> Refusal | None:
        """Why the budget has no room for one more group, and for using what is kept, or None.

        Beside trying it, that is computing it and all that is kept for the rows of the final
        fits, and then a first model.
        """
        tried = offer.expected_seconds + self._judge_seconds
        whole = (offer.expected_seconds + self._kept_seconds) * self._n_final
        return self._purse.refusal(tried + whole / self.relations.n_rows + self._models_seconds)

    def left(self, offer: GroupOffer, *, why: str | None = None) -> Decision:
        """A group that was not tried."""
        text = (
            f"not tried: {self._spent:.2g} expected CPU-seconds are spent, and one more group "
            "is more than the choice of features may take"
        )
        decision = _untried(offer.name, why=why or text)
        self.decisions.append(decision)
        return decision

    def tried(self, offer: GroupOffer) -> Decision:
        """Compute a group for the sample, judge it, and keep it or not."""
        name, seconds = offer.name, offer.expected_seconds
        before = self._spent
        self._spent += seconds
        self._tries[offer.table] = self._tries.get(offer.table, 0) + 1
        with measure(self.meter) as reading:
            fitted, frame = Featurizer.fit_transform(self.relations, [name], seed=self.seed)
            told = self._decided(name, frame.reset_index(drop=True), seconds=seconds)
            if told.kept:
                self._fitted.append(fitted)
                self._kept_seconds += seconds
        self._purse.charge(reading.cost, expected=self._spent - before)
        decision = replace(told, cost=reading.cost)
        self.decisions.append(decision)
        if not decision.kept:
            self._failures[offer.table] = self._failures.get(offer.table, 0) + 1
        return decision

    def _decided(self, name: str, frame: pd.DataFrame, *, seconds: float) -> Decision:
        share = 100 * self._of_brute(seconds * self._n_final / max(len(frame), 1))
        nothing = replace(
            _untried(name, why="the table offers nothing of this kind"),
            n_columns=frame.shape[1],
            share=share,
        )
        if not frame.shape[1]:
            return nothing
        columns = pd.concat([self._columns, frame], axis=1)
        score, replicates, used = self._judged(self._problem(columns))
        n_used = len(used & set(frame.columns))
        found = replace(nothing, score=score, n_used=n_used)
        if self._replicates is None or not self.base_score:
            return self._keep(found, columns, (score, replicates, used), why="the first")
        # Of what a ranking has above chance, so that an area under the ROC curve counts alike.
        before = float(np.nanmean(self._replicates)) - self._objective.chance
        gains = 100 * (replicates - self._replicates) / max(before, 1e-12)
        gain, error = float(np.nanmean(gains)), float(np.nanstd(gains))
        found = replace(found, gain=gain, error=error)
        needed = self._effort.least_rate * share
        few = frame.shape[1] <= MANY_COLUMNS or frame.size <= MANY_CELLS
        if share <= 100 * CHEAP_SHARE and few:
            wanted, kind = needed - HARM_ERRORS * error, "cheap"
        else:
            wanted, kind = needed + GAIN_ERRORS * error, "dear"
        why = (
            f"{kind}: {gain:+.1f} % +- {error:.1f} at {share:.3g} % of brute force; "
            f"at least {wanted:+.1f} % was asked"
        )
        if gain < wanted or not n_used:
            return replace(found, why=why if n_used else f"{kind}: no split used it")
        return self._keep(found, columns, (score, replicates, used), why=why)

    def _keep(
        self,
        found: Decision,
        columns: pd.DataFrame,
        judged: tuple[float | None, Floats, frozenset[str]],
        *,
        why: str,
    ) -> Decision:
        self._columns = columns
        score, self._replicates, self._used = judged
        self.base_score = score if self.base_score is None else self.base_score
        return replace(found, kept=True, why=why)

    def pruned(self) -> Featurizer | None:
        """The features of what was kept, without the columns that no tree split on."""
        whole = Featurizer(
            groups=tuple(group for fitted in self._fitted for group in fitted.groups)
        )
        used = [name for name in whole.columns if name in self._used]
        return whole.only(used) if used else None

    def _problem(self, X: pd.DataFrame) -> Problem:
        """The sample with these columns; what judging them is expected to take is noted."""
        problem = prepare(
            replace(self.dataset, X=X, unlabelled=None),
            seed=self.seed,
            objective=self._objective,
            validation=self._validation,
        )
        self._fit_seconds = default_fit_seconds(JUDGE, problem, n_rows=self._n_final)
        self._models_seconds = RESERVED_FITS * self._fit_seconds + closing_seconds(problem)
        self._judge_seconds = expected_cost(_proposal(problem), problem).cpu_seconds
        return problem

    def _judged(self, problem: Problem) -> tuple[float | None, Floats, frozenset[str]]:
        """The judge's score, its bootstrap replicates, and the columns that trees split on."""
        self._spent += self._judge_seconds
        outcome = evaluate(
            _proposal(problem),
            problem,
            number=0,
            expected=ZERO,
            meter=self.meter,
        )
        if outcome.out_of_fold is None:
            return None, np.full(100, np.nan), frozenset()
        logit = outcome.out_of_fold["logit"]
        return (
            outcome.trial.score,
            self._objective.replicates(self._validation.bootstrap, logit),
            frozenset(columns_used(outcome.models, problem.encoder.origins)),
        )

    def _of_brute(self, seconds: float) -> float:
        brute = self._effort.brute_seconds(self._fit_seconds)
        return expected_seconds(seconds).joules / expected_seconds(brute).joules if brute else 0.0


def _proposal(problem: Problem) -> Proposal:
    return Proposal(candidate=JUDGE, n_rows=problem.dataset.n_rows, rung="screening")


def _untried(name: str, *, why: str) -> Decision:
    return Decision(
        name=name,
        kept=False,
        why=why,
        n_columns=0,
        n_used=0,
        score=None,
        gain=None,
        error=None,
        share=0.0,
        cost=ZERO,
    )


def judging(dataset: Dataset, *, seed: int) -> Validation:
    """Folds until enough positives judge; more of them than a search has of its models."""
    parts: list[Part] = []
    n_positive = 0
    for fold in folds(dataset, seed=seed, k=N_FOLDS):
        if n_positive >= JUDGING_POSITIVES:
            break
        weight = np.ones(len(fold.valid)) if dataset.weight is None else dataset.weight[fold.valid]
        parts.append(Part(train=fold.train, valid=fold.valid, weight=weight))
        n_positive += int(dataset.y[fold.valid].sum())
    rows = np.concatenate([part.valid for part in parts])
    weight = np.concatenate([part.weight for part in parts])
    return Validation(parts=tuple(parts), rows=rows, y=dataset.y[rows], weight=weight, seed=seed)
