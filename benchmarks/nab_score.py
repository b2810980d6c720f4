"""The score of the Numenta Anomaly Benchmark: early detections count more, false alarms cost.

Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly Benchmark",
ICMLA 2015; the scoring function with the weights of its profiles as its version 1.1 has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# The first part of each series is not scored: 15 % of it, but of at most 5,000 rows.
PROBATION, PROBATION_ROWS = 0.15, 5000
# Past three widths after a window a false alarm costs its whole weight.
FAR = 3.0

# The scoreboard of the benchmark's README: standard, reward low FP, reward low FN.
PUBLISHED = {
    "ARTime": (74.9, 65.1, 80.4),
    "Numenta HTM": (70.5, 62.6, 75.2),
    "CAD OSE": (69.9, 67.0, 73.2),
    "earthgecko Skyline": (58.2, 46.2, 63.9),
    "KNN CAD": (58.0, 43.4, 64.8),
    "Relative Entropy": (54.6, 47.6, 58.8),
    "Random Cut Forest": (51.7, 38.4, 59.7),
    "Twitter ADVec": (47.1, 33.6, 53.5),
    "Windowed Gaussian": (39.6, 20.9, 47.4),
    "Etsy Skyline": (35.7, 27.1, 44.5),
    "Bayesian Changepoint": (17.7, 3.2, 32.2),
    "EXPoSE": (16.4, 3.2, 26.9),
    "Random": (11.0, 1.2, 19.5),
    "Null": (0.0, 0.0, 0.0),
}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a detection, a missed window and a false alarm weigh."""

    detected: float = 1.0
    missed: float = 1.0
    false_alarm: float = 0.11


PROFILES = {
    "standard": Profile(),
    "reward_low_FP": Profile(false_alarm=0.22),
    "reward_low_FN": Profile(missed=2.0),
}


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One series: how odd each row is, in order of time, and where its anomalies are.

    Parameters
    ----------
    scores : array of shape (n_rows,); higher is odder
    windows : (first, last) row of each labelled window, both within, ascending and apart
    """

    scores: Floats
    windows: Sequence[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Points:
    """The rows of a series that are scored: what each is worth if it is alerted.

    `worth` is the share of a whole detection within a window (`window` >= 0), and of a whole false
    alarm outside (-1).
    """

    scores: Floats
    worth: Floats
    window: Integers


def probation(n_rows: int) -> int:
    """How many first rows are not scored."""
    return int(min(np.floor(PROBATION * n_rows), PROBATION * PROBATION_ROWS))


def sigmoid(position: Floats) -> Floats:
    """1 far before the end of a window, 0 at it, -1 from three widths after it.

    >>> sigmoid(np.array([-1.0, -0.5, 0.0, 1.0, 3.0])).round(5).tolist()
    [0.98661, 0.84828, 0.0, -0.98661, -1.0]
    """
    value = 2 / (1 + np.exp(5 * np.minimum(position, FAR))) - 1
    return np.where(position >= FAR, -1.0, value)


def points(series: Scored) -> Points:
    """What an alert at each row is worth, without the probationary part."""
    n_rows = len(series.scores)
    at = np.arange(n_rows)
    window = np.full(n_rows, -1, dtype=np.int64)
    worth = np.full(n_rows, -1.0)
    most = sigmoid(np.array([-1.0]))[0]
    for number, (first, last) in enumerate(series.windows):
        width = last - first + 1
        # False alarms after a window cost less the nearer they are, until the next begins.
        after = at > last
        worth[after] = sigmoid((at[after] - last) / max(width - 1, 1))
        window[first : last + 1] = number
    for first, last in series.windows:
        inside = np.arange(first, last + 1)
        worth[inside] = sigmoid(-(last - inside + 1) / (last - first + 1)) / most
    kept = slice(probation(n_rows), None)
    return Points(scores=series.scores[kept], worth=worth[kept], window=window[kept])


def scaled(raw: float, n_windows: int, profile: Profile) -> float:
    """0 is the detector that never alerts, 100 the one that alerts at each window's first row."""
    null = -profile.missed * n_windows
    return 100 * (raw - null) / (profile.detected * n_windows - null)


def raw_at(series: Sequence[Scored], *, threshold: float, profile: Profile) -> float:
    """The sum over series when rows with a score at or above the threshold are alerted."""
    total = 0.0
    for one in series:
        found = points(one)
        alerted = found.scores >= threshold
        total += profile.false_alarm * found.worth[alerted & (found.window < 0)].sum()
        for number in np.unique(found.window[found.window >= 0]):
            best = found.worth[alerted & (found.window == number)]
            total += profile.detected * best.max() if len(best) else -profile.missed
    return float(total)


def best(series: Sequence[Scored], *, profile: Profile) -> tuple[float, float]:
    """The scaled score at the best threshold for all series together, and that threshold.

    As the benchmark does it, the threshold is optimised on the labels that are scored: figures are
    comparable with those published, and too good for a detector in use. Infinity: never alert.
    """
    scores, gains, n_windows, raw = [], [], 0, 0.0
    for one in series:
        found = points(one)
        outside = found.window < 0
        scores.append(found.scores[outside])
        gains.append(profile.false_alarm * found.worth[outside])
        for number in np.unique(found.window[~outside]):
            inside = found.window == number
            order = np.argsort(-found.scores[inside], kind="stable")
            # What the window is worth so far, going down; its first row replaces the miss.
            worth = profile.detected * np.maximum.accumulate(found.worth[inside][order])
            scores.append(found.scores[inside][order])
            gains.append(np.diff(worth, prepend=-profile.missed))
        n_windows += len(one.windows)
        raw -= profile.missed * len(np.unique(found.window[~outside]))
    score, gain = np.concatenate(scores), np.concatenate(gains)
    order = np.argsort(-score, kind="stable")
    score = score[order]
    totals = raw + np.cumsum(gain[order])
    last = np.append(score[1:] != score[:-1], True)  # a threshold alerts all of its equals
    at = int(np.argmax(np.where(last, totals, -np.inf)))
    if totals[at] <= raw:
        return scaled(raw, n_windows, profile), float("inf")
    return scaled(float(totals[at]), n_windows, profile), float(score[at])


def by_profile(series: Sequence[Scored]) -> dict[str, float]:
    """The scaled score of each profile, each at its own best threshold."""
    return {name: best(series, profile=profile)[0] for name, profile in PROFILES.items()}
