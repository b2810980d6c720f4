"""How a champion does on parts of the rows that a named column tells apart."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.search.curves import reliability

Floats = npt.NDArray[np.float64]

# Fewer rows, positives or alerts say little, and are few people: no figure is given of them.
LEAST_ROWS, LEAST_COUNT = 20, 10
MOST_LEVELS = 12  # by rows; the rest is one part
N_QUANTILES = 4
OTHERS, MISSING = "all others", "missing"


def subgroups(
    arrays: Mapping[str, npt.NDArray[Any]], columns: pd.DataFrame, *, threshold: float
) -> list[dict[str, Any]]:
    """Recall, precision and calibration on the validation rows, by part of each column.

    Parameters
    ----------
    arrays : mapping
        What a champion keeps of its validation rows: ``y``, ``weight`` and ``probability``.
    columns : DataFrame
        One row per validation row. A column of more than `MOST_LEVELS` numbers or dates is cut at
        its quartiles; of others the commonest levels are parts, the rest is one.
    threshold : probability from which a row is alerted

    Returns
    -------
    list of dict
        By column: ``column``, ``by`` (levels or quantiles) and ``parts``, each with ``level``,
        ``n_rows`` and ``n_positive`` as counted, ``recall``, ``precision``, ``predicted``,
        ``observed``, each null with fewer than `LEAST_COUNT` to tell it from, and 90 % Wilson
        intervals (`curves.reliability`). Parts of fewer than `LEAST_ROWS` rows are left out and
        counted in ``n_too_few``.

    Not promised: that no single row can be told by comparing parts with the whole.
    """
    y = np.asarray(arrays["y"], dtype=np.float64)
    weight = np.asarray(arrays["weight"], dtype=np.float64)
    probability = np.asarray(arrays["probability"], dtype=np.float64)
    found = []
    for name in columns.columns:
        by, labels = _parts(columns[name])
        parts, too_few = [], 0
        for level in dict.fromkeys(labels[np.argsort(labels, kind="stable")].tolist()):
            inside = labels == level
            if inside.sum() < LEAST_ROWS:
                too_few += 1
                continue
            told = _figures(y[inside], probability[inside], weight[inside], threshold=threshold)
            parts.append({"level": level.partition("\0")[2] or level, **told})
        found.append({"column": str(name), "by": by, "parts": parts, "n_too_few": too_few})
    return found


def _figures(y: Floats, probability: Floats, weight: Floats, *, threshold: float) -> dict[str, Any]:
    n_positive = int(y.sum())
    alerted = probability >= threshold
    whole = reliability(y, probability, weight, n_bins=1)
    enough = n_positive >= LEAST_COUNT
    told: dict[str, Any] = {
        "n_rows": len(y),
        "n_positive": n_positive if enough else None,
        "predicted": whole["predicted"][0],
        **_rate("observed", whole if enough else None),
    }
    hits = alerted[y == 1].astype(np.float64)
    recall = reliability(hits, np.ones(len(hits)), weight[y == 1], n_bins=1) if enough else None
    precision = (
        reliability(y[alerted], np.ones(int(alerted.sum())), weight[alerted], n_bins=1)
        if alerted.sum() >= LEAST_COUNT
        else None
    )
    return told | _rate("recall", recall) | _rate("precision", precision)


def _rate(name: str, found: Mapping[str, Any] | None) -> dict[str, float | None]:
    """A rate with its interval; None for each where there is too little to tell it from."""
    ends = ("", "_low", "_high")
    return {
        f"{name}{end}": None if found is None else float(found[f"observed{end}"][0]) for end in ends
    }


def _parts(column: pd.Series[Any]) -> tuple[str, npt.NDArray[np.object_]]:
    """What each row's part is called, numbers of order before the name where there is an order."""
    dates = pd.api.types.is_datetime64_any_dtype(column)
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    missing = column.isna().to_numpy()
    labels = np.full(len(column), f"9\0{MISSING}", dtype=object)
    if (dates or numbers) and column.nunique() > MOST_LEVELS:
        values = column[~missing].astype("int64" if dates else "float64").to_numpy()
        edges = np.unique(np.quantile(values, np.arange(1, N_QUANTILES) / N_QUANTILES))
        shown = [_shown(edge, dates=dates) for edge in edges]
        names = [
            f"0\0below {shown[0]}",
            *(f"{i}\0{low} to {high}" for i, (low, high) in enumerate(pairwise(shown), 1)),
            f"{len(shown)}\0{shown[-1]} and above",
        ]
        places = np.searchsorted(edges, values, side="right")
        labels[~missing] = np.asarray(names, dtype=object)[places]
        return "quantiles", labels
    texts = column[~missing].astype(str)
    counts = texts.value_counts()
    kept = [one for one in counts.index[:MOST_LEVELS] if counts[one] >= LEAST_ROWS]
    order = {one: f"{1000 + i}\0{one}" for i, one in enumerate(kept)}
    labels[~missing] = texts.map(lambda one: order.get(one, f"8\0{OTHERS}")).to_numpy(dtype=object)
    return "levels", labels


def _shown(edge: float, *, dates: bool) -> str:
    """A quartile, rounded: the exact one may be somebody's value."""
    return str(pd.Timestamp(int(edge), unit="us").date()) if dates else f"{edge:.3g}"
