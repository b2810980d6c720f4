"""How far rows have moved from those that a model was trained on: histograms, never rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Histogram = dict[str, Any]

N_BINS = 10
# Levels of a text column that are told apart; rarer ones, and those of few rows, are one.
MOST_LEVELS = 20
LEAST_ROWS = 10
# Added to every count, so that an empty bin is no infinity.
PRIOR = 0.5
# Of all columns together, how often chance alone may look like drift.
FALSE_ALARMS = 0.01


def histograms(
    frame: pd.DataFrame, *, like: Mapping[str, Histogram] | None = None
) -> dict[str, Histogram]:
    """Counts of each column's cells: tenths of a number, the most frequent levels of a text.

    Parameters
    ----------
    frame : DataFrame as `automl.data.loading.load` makes it
    like : histograms whose bins are used, of those of its columns that the frame has

    Returns
    -------
    dict
        By column ``edges`` or ``levels``, and ``counts``: one for each bin, then (of levels) one
        for the rest, and one for missing cells.
    """
    if like is None:
        return {str(name): _histogram(frame[name]) for name in frame.columns}
    return {name: _counted(frame[name], like[name]) for name in like if name in frame.columns}


def score_histogram(
    logit: npt.ArrayLike, weight: npt.ArrayLike | None = None, *, like: Histogram | None = None
) -> Histogram:
    """Counts of scores between the tenths of the scores of the training, by weight."""
    values = np.asarray(logit, dtype=np.float64)
    shares = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=np.float64)
    if like is None:
        order = np.argsort(values, kind="stable")
        at = (np.cumsum(shares[order]) - shares[order] / 2) / shares.sum()
        edges = np.unique(np.interp(np.arange(1, N_BINS) / N_BINS, at, values[order]))
    else:
        edges = np.asarray(like["edges"], dtype=np.float64)
    places = np.searchsorted(edges, values, side="right")
    counts = np.bincount(places, weights=shares, minlength=len(edges) + 1)
    # Weights say of how many rows each stands for one; the number of rows says how sure that is.
    counts = counts * (len(values) / shares.sum())
    return {"edges": edges.tolist(), "counts": [*counts.tolist(), 0.0]}


def psi(before: Sequence[float], now: Sequence[float]) -> float:
    """Population stability index of two histograms of the same bins.

    0 is no change; below 0.1 is usually called none, above 0.2 much (Siddiqi, "Credit Risk
    Scorecards", 2006).

    >>> round(psi([50, 50], [50, 50]), 3), round(psi([500, 500], [800, 200]), 2)
    (0.0, 0.41)
    """
    a, b = _shares(before), _shares(now)
    return float(((b - a) * np.log(b / a)).sum())


def chance(before: Sequence[float], now: Sequence[float], *, n_columns: int) -> float:
    """The index that chance alone reaches in one of `n_columns` columns once in a hundred times.

    Of rows that did not change it is a chi-squared of the number of bins, by 1/n + 1/m (Yurdakul,
    "Statistical properties of the population stability index", 2018).
    """
    from scipy.special import chdtri  # scipy.stats takes half a second to import

    n, m = float(np.sum(before)), float(np.sum(now))
    used = int(((np.asarray(before) + np.asarray(now)) > 0).sum())
    if n <= 0 or m <= 0 or used < 2:
        return float("inf")
    tail = chdtri(used - 1, FALSE_ALARMS / max(n_columns, 1))
    return float(tail * (1 / n + 1 / m))


def moved(
    before: Mapping[str, Histogram], now: Mapping[str, Histogram]
) -> list[dict[str, float | str]]:
    """The index of each column beside what chance reaches, the most moved first.

    Without columns whose cells all lie in one bin, then as now: features that no model uses are
    missing in every row.
    """
    names = [name for name in before if name in now]
    found: list[dict[str, float | str]] = []
    for name in names:
        a, b = before[name]["counts"], now[name]["counts"]
        limit = chance(a, b, n_columns=len(names))
        if np.isfinite(limit):
            found.append({"column": name, "psi": psi(a, b), "chance": limit})
    return sorted(found, key=lambda one: -float(one["psi"]))


def _histogram(column: pd.Series[Any]) -> Histogram:
    if hasattr(column, "cat"):
        counts = column.value_counts()
        frequent = counts[counts >= LEAST_ROWS].head(MOST_LEVELS)
        return _counted(column, {"levels": [str(level) for level in frequent.index]})
    values = _numbers(column)
    known = values[~np.isnan(values)]
    tenths = np.arange(1, N_BINS) / N_BINS
    edges: Floats = np.unique(np.quantile(known, tenths)) if len(known) else np.empty(0)
    return _counted(column, {"edges": edges.tolist()})


def _counted(column: pd.Series[Any], like: Histogram) -> Histogram:
    if "levels" in like:
        texts = column.astype("object")
        missing = texts.isna().to_numpy()
        place = {level: i for i, level in enumerate(like["levels"])}
        rest = len(place)
        places = np.array([place.get(str(value), rest) for value in texts[~missing]], dtype=int)
        counts = np.bincount(places, minlength=rest + 1)
        return {"levels": like["levels"], "counts": [*counts.tolist(), int(missing.sum())]}
    values = _numbers(column) if not hasattr(column, "cat") else np.full(len(column), np.nan)
    known = values[~np.isnan(values)]
    edges = np.asarray(like["edges"], dtype=np.float64)
    # Of many equal values the edge is one of them: they lie together below it.
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return {"edges": like["edges"], "counts": [*counts.tolist(), int(len(values) - len(known))]}


def _numbers(column: pd.Series[Any]) -> Floats:
    values = column.to_numpy()
    if values.dtype.kind == "M":
        numbers = values.astype("datetime64[us]").astype(np.float64)
        numbers[np.isnat(values)] = np.nan
        return np.asarray(numbers)
    return np.asarray(values, dtype=np.float64)


def _shares(counts: Sequence[float]) -> Floats:
    smooth = np.asarray(counts, dtype=np.float64) + PRIOR
    return np.asarray(smooth / smooth.sum())
