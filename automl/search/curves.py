"""What a champion's out-of-fold scores look like as curves, thin enough to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from automl.search.calibration import expected_calibration_error
from automl.search.metrics import Ranking, Steps, average_precision, average_precisions

Floats = npt.NDArray[np.float64]
Columns = dict[str, list[float] | list[int]]

MOST_POINTS = 200
N_BINS = 10
# The champion's members come first, then other finalists, the best by average precision.
MOST_MEMBERS = 6
# Of a standard normal: two-sided 90 %, as every interval here.
Z = 1.645
DIGITS = 7  # significant


def curves(arrays: Mapping[str, npt.NDArray[Any]], *, members: list[int]) -> dict[str, Any]:
    """The curves of the whole champion and of each finalist, as JSON values.

    Parameters
    ----------
    arrays : mapping
        What a champion keeps of its validation rows: ``y``, ``weight``, its calibrated
        ``probability``, and ``logit_<trial>`` of each finalist.
    members : list of int
        Trials that the champion is made of.

    Returns
    -------
    dict
        ``champion``, and ``members`` by trial number as text: see `curves_of`. A finalist's
        probabilities are its own, before the champion's calibration.
    """
    y = np.asarray(arrays["y"], dtype=np.float64)
    weight = np.asarray(arrays["weight"], dtype=np.float64)
    whole = np.asarray(arrays["probability"], dtype=np.float64)
    prefix = "logit_"
    logits = {
        int(name.removeprefix(prefix)): values.astype(np.float64)
        for name, values in arrays.items()
        if name.startswith(prefix)
    }
    chosen = sorted(logits)
    if len(chosen) > MOST_MEMBERS:
        quality = {number: average_precision(y, logits[number], weight) for number in chosen}
        chosen.sort(key=lambda number: (number not in members, -quality[number]))
    return {
        "champion": curves_of(y, whole, weight),
        "members": {
            str(number): curves_of(y, expit(logits[number]), weight)
            for number in sorted(chosen[:MOST_MEMBERS])
        },
    }


def curves_of(y: Floats, probability: Floats, weight: Floats) -> dict[str, Any]:
    """All curves of one column of probabilities, weighted to the true prevalence.

    Returns
    -------
    dict
        ``n_rows``, ``n_positive`` as counted, ``prevalence`` by weight, ``average_precision``,
        ``expected_calibration_error``, and columns of at most `MOST_POINTS` entries under
        ``precision_recall`` (threshold, recall, precision), ``gain`` (threshold, alerted, recall,
        lift) and ``calibration`` (`reliability`). Each point is that of a real threshold, at and
        above which rows are alerted.
    """
    ranking = Ranking.of(probability)
    steps = Steps.of(y, ranking, weight[None, :])
    found, alerted = steps.found[0], steps.alerted[0]
    threshold = probability[ranking.order[ranking.last]]
    prevalence = found[-1] / alerted[-1]
    recall, share = found / found[-1], alerted / alerted[-1]
    precision = found / alerted
    # Precision is highest right after a positive; below, it only falls until the next.
    gained = np.flatnonzero(np.diff(found, prepend=0.0) > 0)
    by_recall = gained[thinned(recall[gained], np.linspace(0, 1, MOST_POINTS - 2))]
    at = np.unique([0, *by_recall, len(recall) - 1])
    half = MOST_POINTS // 2
    wanted = np.concatenate([np.geomspace(share[0], 1, half), np.linspace(share[0], 1, half)])
    along = np.unique(thinned(share, wanted))
    return {
        "n_rows": len(y),
        "n_positive": int(y.sum()),
        "prevalence": _short(prevalence),
        "average_precision": _short(float(average_precisions(steps)[0])),
        "expected_calibration_error": _short(expected_calibration_error(y, probability, weight)),
        "precision_recall": _columns(
            threshold=threshold[at], recall=recall[at], precision=precision[at]
        ),
        "gain": _columns(
            threshold=threshold[along],
            alerted=share[along],
            recall=recall[along],
            lift=precision[along] / prevalence,
        ),
        "calibration": reliability(y, probability, weight),
    }


def thinned(values: Floats, wanted: Floats) -> npt.NDArray[np.intp]:
    """Positions in ascending `values` of what is nearest to each of `wanted`, ascending.

    >>> thinned(np.array([0.0, 0.4, 0.5, 1.0]), np.array([0.1, 0.45, 1.0])).tolist()
    [0, 1, 3]
    """
    right = np.clip(np.searchsorted(values, wanted), 0, len(values) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(wanted - values[left] <= values[right] - wanted, left, right)
    return np.unique(nearer).astype(np.intp)


def reliability(y: Floats, probability: Floats, weight: Floats, *, n_bins: int = N_BINS) -> Columns:
    """Predicted against observed, in bins that expect equally many positives.

    Bins of equal width or of equally many rows leave all but the last nearly empty of positives
    where these are rare. Equal probabilities stay together, so there may be fewer bins.

    Returns
    -------
    dict
        By bin, ascending: ``low`` and ``high`` probability in it, ``n_rows`` and ``n_positive``
        as counted, ``predicted`` and ``observed`` by weight, and the 90 % Wilson interval
        ``observed_low``, ``observed_high`` (Wilson, "Probable inference", 1927) at the effective
        number of rows, since weights make rows count for more than they tell.
    """
    order = np.argsort(probability, kind="stable")
    y, probability, weight = y[order], probability[order], weight[order]
    expected = np.cumsum(weight * probability)
    last = np.append(np.flatnonzero(np.diff(probability)), len(y) - 1)  # of equal probabilities
    shares = expected[last] / max(expected[-1], 1e-300)
    cuts = np.searchsorted(shares, np.arange(1, n_bins + 1) / n_bins - 1e-12)
    ends = np.unique([*last[np.minimum(cuts, len(last) - 1)], len(y) - 1])
    starts = np.array([0, *(ends[:-1] + 1)])
    found = {
        name: np.add.reduceat(values, starts)
        for name, values in {
            "weight": weight,
            "rows": np.ones(len(y)),
            "positive": y,
            "predicted": weight * probability,
            "observed": weight * y,
            "positive_squares": weight**2 * y,
            "negative_squares": weight**2 * (1 - y),
        }.items()
    }
    rate = found["observed"] / found["weight"]
    variance = (
        found["positive_squares"] * (1 - rate) ** 2 + found["negative_squares"] * rate**2
    ) / found["weight"] ** 2
    kish = found["weight"] ** 2 / (found["positive_squares"] + found["negative_squares"])
    with np.errstate(invalid="ignore", divide="ignore"):
        effective = np.where(variance > 0, rate * (1 - rate) / variance, kish)
    centre = (rate + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    spread = np.sqrt(rate * (1 - rate) / effective + Z**2 / (4 * effective**2))
    spread *= Z / (1 + Z**2 / effective)
    return _columns(
        low=probability[starts],
        high=probability[ends],
        n_rows=found["rows"].astype(np.int64),
        n_positive=found["positive"].astype(np.int64),
        predicted=found["predicted"] / found["weight"],
        observed=rate,
        observed_low=np.clip(centre - spread, 0, 1),
        observed_high=np.clip(centre + spread, 0, 1),
    )


def _columns(**columns: npt.NDArray[Any]) -> Columns:
    return {
        name: values.tolist() if values.dtype.kind == "i" else [_short(value) for value in values]
        for name, values in columns.items()
    }


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
