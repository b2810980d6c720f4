"""How many trees are grown; apart from the models, so that a cost is known without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Rounds where nothing tells when to stop, and the most that are tried, at learning rate 0.05
# (docs/method.md, Validation: 160 fixed rounds were within 3 % of early stopping; best iterations
# lay below 300).
ROUNDS, MOST_ROUNDS, AT_RATE = 160, 300, 0.05
# docs/method.md, Early stopping: sorting the validation rows after every round was up to half of a
# fit's time.
SCORED_EVERY = 4
# Rounds without a better average precision before boosting stops, and trees of a forest: 12 and
# 40 were enough to race, 20 and 60 are for the end (docs/method.md, Validation).
PATIENCE = {"screening": 12, "refinement": 12, "final": 20}
# On more rows than this, twice as patient (docs/method.md, Early stopping): with 20 rounds, stops
# at a score that wavered cost 0.006 of 0.999 on adb_cover and 0.015 of 0.135 on credit_next_month.
# On fewer rows 40 rounds cost 1.30 of the CPU for 0.993 of the average precision.
PATIENT_ROWS = 10_000
N_TREES = {"screening": 40, "refinement": 40, "final": 60}
# In the mode `best`, where rows are few: 240 trees in place of 60 gained 1.7 %
# (docs/method.md, Best).
MORE_TREES = 4


def patience_on(n_rows: int, patience: int) -> int:
    """The patience of a rung, on so many rows.

    >>> patience_on(5_000, 20), patience_on(50_000, 20)
    (20, 40)
    """
    return patience if n_rows <= PATIENT_ROWS else 2 * patience


def default_rounds(params: Mapping[str, Any], rounds: int | None = None) -> int:
    """Trees where nothing tells when to stop: as told, else in inverse of the learning rate."""
    if rounds is not None:
        return max(1, rounds)
    if "rounds" in params:
        return int(params["rounds"])
    return _at_rate(params, ROUNDS)


def most_rounds(params: Mapping[str, Any]) -> int:
    """The most trees that are tried with early stopping."""
    return _at_rate(params, MOST_ROUNDS)


def _at_rate(params: Mapping[str, Any], rounds: int) -> int:
    scaled = rounds * AT_RATE / float(params.get("learning_rate", 0.1))
    return int(min(max(scaled, rounds / 3), 4 * rounds))


def rounds_between_scores(params: Mapping[str, Any]) -> int:
    """Early stopping scores its rows after so many rounds, more of them where learning is slow.

    >>> [rounds_between_scores({"learning_rate": rate}) for rate in (0.3, 0.1, 0.05, 0.01)]
    [1, 2, 4, 8]
    """
    return int(
        min(max(round(SCORED_EVERY * AT_RATE / float(params.get("learning_rate", 0.1))), 1), 8)
    )
