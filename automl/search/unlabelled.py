"""Rows without a label: when learning from them too is put forward, and for what gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from automl.meta.gains import Expectation
from automl.meta.portfolio import NAMED, Portfolio
from automl.search.problem import Problem
from automl.trial import Candidate, Trial

SELF_TRAINED = NAMED["S15"]
# Of the best score, as measured on four tables (`automl.models.self_training`). So wide an error
# leaves little more than what any expansion is expected to gain.
GAIN_PERCENT, STANDARD_ERROR = 1.0, 1.3

Gain = Callable[[Candidate, Sequence[Trial]], Expectation | None]


def with_unlabelled(models: Portfolio, problem: Problem) -> Portfolio:
    """The portfolio with self-training as boosting's last expansion, where there are such rows."""
    if not models.expand or not problem.n_unlabelled(problem.dataset.n_rows):
        return models
    own = (*models.expand.get("boosting", ()), SELF_TRAINED)
    return replace(models, expand={**models.expand, "boosting": own})


def gain_with_unlabelled(gain: Gain) -> Gain:
    """The expected gain that `gain` tells, and for self-training that of its own evidence.

    What it gains is the rows', of which the knowledge base knows nothing.
    """

    def told(candidate: Candidate, trials: Sequence[Trial]) -> Expectation | None:
        if candidate.id != SELF_TRAINED.id:
            return gain(candidate, trials)
        why = "measured on four tables of which most labels were hidden"
        return Expectation(
            gain_percent=GAIN_PERCENT,
            standard_error=STANDARD_ERROR,
            weight=4.0,
            alive=None,
            why=why,
        )

    return told
