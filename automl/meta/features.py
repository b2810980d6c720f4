"""What is said of a table before and during a race: counts, and three scores as landmarks.

Pfahringer, Bensusan & Giraud-Carrier, "Meta-learning by landmarking various learning algorithms",
ICML 2000. The landmarks are scores that the race measured anyway, so they cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import TypeAlias

# In this order in a knowledge file. `levels` are those of the category with most of them; the last
# three are nan until the race has scored what they compare.
META_NAMES = (
    "ln_n",
    "ln_pos",
    "ln_rate",
    "ln_d",
    "cat_share",
    "ln_levels",
    "ln_lift_linear",
    "ln_boost_over_linear",
    "ln_forest_over_boost",
)
# Names of the configurations whose scores are the landmarks: linear, boosting, forest.
LANDMARKS = ("LRq", "L15", "ETs")

Meta: TypeAlias = tuple[float | None, ...]
LEAST_SCORE = 1e-6  # a landmark of zero has no logarithm


def meta_features(
    *,
    n_rows: int,
    n_positive: int,
    n_columns: int,
    n_categories: int,
    most_levels: int,
    landmarks: Mapping[str, float] | None = None,
) -> Meta:
    """The features of a table, in the order of `META_NAMES`; None is not known yet.

    Parameters
    ----------
    n_columns, n_categories : encoded columns, and how many of them are codes of a category
    most_levels : of one category; 0 without any
    landmarks : score by name of configuration, of those in `LANDMARKS` that were scored

    >>> meta_features(n_rows=1000, n_positive=50, n_columns=4, n_categories=1, most_levels=7,
    ...     landmarks={"LRq": 0.2, "L15": 0.2})[4:]
    (0.25, 2.0794, 1.3863, 0.0, None)
    """
    known = {name: max(score, LEAST_SCORE) for name, score in (landmarks or {}).items()}
    linear, boosting, forest = (known.get(name) for name in LANDMARKS)
    rate = n_positive / n_rows
    values = (
        log(n_rows),
        log(n_positive),
        log(rate),
        log(n_columns),
        n_categories / n_columns,
        log(1 + most_levels),
        _log_ratio(linear, rate),
        _log_ratio(boosting, linear),
        _log_ratio(forest, boosting),
    )
    return tuple(None if value is None else round(value, 4) for value in values)


def _log_ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None else log(above / below)
