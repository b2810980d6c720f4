"""What the knowledge base suggests in one search, kept with the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isinf
from typing import Any

from automl.meta.features import LANDMARKS, Meta, meta_features
from automl.meta.gains import Expectation
from automl.meta.knowledge import Knowledge
from automl.meta.portfolio import NAMED, label
from automl.search.problem import Problem
from automl.trial import Candidate, Trial


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One configuration that the knowledge put forward, and what became of it.

    stage is ``first`` (raced), ``expand`` or ``explore``; `tried` says whether the strategy
    proposed it. gain_percent, with its standard error, is what the tasks tell of the best score,
    before it is weighed against the mode's own expectation; weight is that of these tasks.
    """

    candidate: str
    name: str
    model: str
    stage: str
    tried: bool
    why: str
    gain_percent: float | None = None
    standard_error: float | None = None
    weight: float | None = None
    alive: float | None = None
    expected_cpu_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Adviser:
    """Asks the knowledge for one problem, and keeps what it said.

    It sees scores and expected costs only, so that a replayed search is told the same.
    """

    def __init__(self, knowledge: Knowledge, problem: Problem) -> None:
        self.knowledge, self.problem = knowledge, problem
        self.suggestions: list[Suggestion] = []

    def meta(self, trials: Sequence[Trial]) -> Meta:
        """The features of the table, with the landmarks that were scored so far."""
        dataset, info = self.problem.dataset, self.problem.info
        names = {NAMED[name].id: name for name in LANDMARKS}
        scored = {
            names[trial.candidate.id]: score
            for trial in reversed(trials)  # those of the race come first, and count
            if trial.candidate.id in names
            and (score := trial.scores.get("average_precision")) is not None
        }
        return meta_features(
            n_rows=dataset.n_rows,
            n_positive=dataset.n_positive,
            n_columns=self.problem.n_columns,
            n_categories=len(info.categorical),
            most_levels=max(info.cardinality, default=0),
            landmarks=scored,
        )

    def gain(self, candidate: Candidate, trials: Sequence[Trial]) -> Expectation | None:
        """What a candidate is expected to add to the trials of one rung, in percent."""
        # By what the tables were told of, whatever the objective is.
        known = "average_precision"
        scores = {t.candidate.id: t.scores[known] for t in trials if known in t.scores}
        return self.knowledge.gain(candidate, scores=scores, meta=self.meta(trials))

    def note(
        self,
        candidate: Candidate,
        *,
        stage: str,
        tried: bool,
        why: str,
        told: Expectation | None = None,
        expected_cpu_seconds: float | None = None,
    ) -> None:
        """Keep a suggestion with what became of it."""
        known = self.knowledge.config(candidate)
        self.suggestions.append(
            Suggestion(
                candidate=candidate.id,
                name=label(candidate) if known is None else known.name,
                model=candidate.model,
                stage=stage,
                tried=tried,
                why=why if told is None else f"{why}; {told.why}",
                gain_percent=None if told is None else round(told.gain_percent, 3),
                standard_error=None
                if told is None or isinf(told.standard_error)
                else round(told.standard_error, 3),
                weight=None if told is None else round(told.weight, 2),
                alive=None if told is None or told.alive is None else round(told.alive, 3),
                expected_cpu_seconds=expected_cpu_seconds,
            )
        )
