"""Statistics of a column's values over stretches and the windows within them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.features.segments import Stretches, kept_before
from automl.relations.tables import Floats

STATISTICS = (
    "mean",
    "last",
    "std",
    "min",
    "max",
    "trend",
    "sum",
    "first",
    "last_minus_mean",
    "missing",
    "below_zero",
)
# What an entity without events has; everything else of it is unknown.
EMPTY = {"sum": 0.0, "below_zero": 0.0}
# Below this share of the squares' own size a variance is rounding: n * eps of float64 for a
# stretch of some thousand values, and a margin.
ROUNDING = 1e-12


def present(
    values: Floats, time: Floats, windows: Sequence[Stretches]
) -> tuple[Floats, Floats, list[Stretches]]:
    """Leave out missing values: shorter arrays, and where the stretches lie in them."""
    known = ~np.isnan(values)
    if known.all():
        return values, time, list(windows)
    before = kept_before(known)
    return values[known], time[known], [window.kept(before) for window in windows]


def statistics(
    values: Floats,
    time: Floats,
    windows: Sequence[Stretches],
    wanted: Sequence[Collection[str]],
) -> list[dict[str, Floats]]:
    """Statistics of known values (see `present`) over windows, each the end of the first.

    Parameters
    ----------
    values, time : arrays of shape (n_events,)
    windows : the widest first; the others end where it ends
    wanted : for each window, names of `STATISTICS` other than `missing`

    Returns
    -------
    For each window a mapping of name to array of shape (n_stretches,). The standard deviation is
    that of the population; the trend is the slope of the least-squares line per unit of time, NaN
    where all times are equal.

    Squares are taken about the mean of the widest window: about zero they would lose what an
    account of a million and daily moves of one have to say.
    """
    whole = windows[0]
    all_wanted = set().union(*wanted)
    found: list[dict[str, Floats]] = [{} for _ in windows]
    if all_wanted & {"std", "trend", "last_minus_mean"}:
        centre = whole.sum(values) / positive(whole.count)
        off = values - whole.spread(np.nan_to_num(centre))
    if "std" in all_wanted:
        squares = off * off
    if "trend" in all_wanted:
        middle = whole.sum(time) / positive(whole.count)
        past = time - whole.spread(np.nan_to_num(middle))
        both, past_squares = off * past, past * past
    if "below_zero" in all_wanted:
        below = kept_before(values < 0)
    for inside, names, one in zip(windows, wanted, found, strict=True):
        n = positive(inside.count)
        if {"std", "trend"} & set(names):
            sum_off = inside.sum(off)
        if "sum" in names or "mean" in names or "last_minus_mean" in names:
            one["sum"] = inside.sum(values)
        if "mean" in names or "last_minus_mean" in names:
            one["mean"] = one["sum"] / n
        if "std" in names:
            sum_squares = inside.sum(squares)
            variance = without_rounding(sum_squares - sum_off * sum_off / n, sum_squares)
            one["std"] = np.sqrt(variance / n)
        if "trend" in names:
            sum_past, sum_past_squares = inside.sum(past), inside.sum(past_squares)
            across = inside.sum(both) - sum_off * sum_past / n
            spread = without_rounding(sum_past_squares - sum_past * sum_past / n, sum_past_squares)
            apart = inside.last(time) > inside.first(time)
            one["trend"] = np.where(apart, across, np.nan) / positive(spread)
        if "min" in names:
            one["min"] = inside.min(values)
        if "max" in names:
            one["max"] = inside.max(values)
        if "first" in names:
            one["first"] = inside.first(values)
        if "last" in names or "last_minus_mean" in names:
            one["last"] = inside.last(values)
        if "last_minus_mean" in names:
            one["last_minus_mean"] = one["last"] - one["mean"]
        if "below_zero" in names:
            one["below_zero"] = inside.total(below).astype(np.float64)
    return found


def without_rounding(difference: Floats, of: Floats) -> Floats:
    """A sum of squares that was reached by a difference, 0 where only rounding is left."""
    return np.where(difference > ROUNDING * of, difference, 0.0)


def positive(values: npt.NDArray[Any]) -> Floats:
    """NaN for what cannot be divided by."""
    divisors: Floats = np.where(values > 0, values, np.nan)
    return divisors
