"""Weighted scores of a ranking, and their bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# 100 replicates: the 5th and 95th percentiles are then known to about a tenth of the interval's
# width, and one trial's bootstrap stays near 20 ms of CPU at 20,000 validation rows.
N_REPLICATES = 100
# Replicates are worked off in blocks of at most so many cells (8 bytes each).
BLOCK_CELLS = 500_000


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Rows from the highest score down, ties marked: what every score here starts from."""

    order: npt.NDArray[np.intp]  # positions of the rows, highest score first, shape (n_rows,)
    last: npt.NDArray[np.intp]  # in `order`, where each group of equal scores ends

    @classmethod
    def of(cls, score: Floats) -> Ranking:
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(score) - 1)
        return cls(order=order, last=last)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What is found and what it takes at every possible threshold: all that a score here needs.

    Both are sums of weights at and above each group of equal scores, from the highest down, of
    shape (n_replicates, n_groups): one row per set of weights.
    """

    found: Floats  # positives
    alerted: Floats  # rows of either class

    @classmethod
    def of(cls, y: Floats, ranking: Ranking, weights: Floats) -> Steps:
        """Of `weights`, shape (n_replicates, n_rows), for rows ranked once."""
        ranked = weights[:, ranking.order]
        return cls(
            found=np.cumsum(ranked * y[ranking.order], axis=1)[:, ranking.last],
            alerted=np.cumsum(ranked, axis=1)[:, ranking.last],
        )


def _runs(y: Floats, ranking: Ranking) -> npt.NDArray[np.intp]:
    """Where, in the ranking's order, groups of equal scores begin, those without positives merged.

    A run of groups without a positive becomes one: along it what is found stays, so that areas,
    shares at a limit and best thresholds are the same.
    """
    begins = np.append(0, ranking.last[:-1] + 1)
    positive = np.add.reduceat(y[ranking.order], begins) > 0
    kept = positive.copy()
    kept[0] = True
    kept[1:] |= positive[:-1]
    return np.asarray(begins[kept], dtype=np.intp)


def average_precisions(steps: Steps) -> Floats:
    """Area under the precision-recall steps, shape (n_replicates,); nan without a positive."""
    gained = np.diff(steps.found, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # A replicate may give the first group no weight at all: its precision counts for nothing.
        precision = np.where(steps.alerted > 0, steps.found / steps.alerted, 0.0)
        return np.asarray((precision * gained).sum(axis=1) / steps.found[:, -1])


def roc_aucs(steps: Steps) -> Floats:
    """Share of (positive, negative) pairs in the right order, ties half; nan with one class."""
    found = np.pad(steps.found, ((0, 0), (1, 0)))
    false = np.pad(steps.alerted - steps.found, ((0, 0), (1, 0)))
    area = np.trapezoid(found, false, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = found[:, -1] * false[:, -1]
        return np.where(pairs > 0, area / pairs, np.nan)


def recalls_at_alert_rate(steps: Steps, alert_rate: float) -> Floats:
    """Share of the positives among the `alert_rate` rows (by weight) of highest score.

    A group of equal scores that straddles the limit counts in part, as if drawn at random.
    """
    everything = steps.alerted[:, -1:]
    limit = alert_rate * everything
    at = (steps.alerted < limit).sum(axis=1, keepdims=True)  # the group that straddles it
    at = np.minimum(at, steps.alerted.shape[1] - 1)
    found = np.pad(steps.found, ((0, 0), (1, 0)))
    alerted = np.pad(steps.alerted, ((0, 0), (1, 0)))
    low, high = np.take_along_axis(alerted, at, 1), np.take_along_axis(alerted, at + 1, 1)
    below, above = np.take_along_axis(found, at, 1), np.take_along_axis(found, at + 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        within = np.where(high > low, (limit - low) / (high - low), 0.0)
        shares = (below + within * (above - below)) / steps.found[:, -1:]
    return np.asarray(shares[:, 0])


# Sums of weights in another order differ in their last digits; a recall this close is reached.
SAME_RECALL = 1e-9


def precisions_at_recall(steps: Steps, recall: float) -> Floats:
    """The highest precision of a threshold that finds at least `recall` of the positives."""
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(steps.alerted > 0, steps.found / steps.alerted, 0.0)
        enough = steps.found >= (recall - SAME_RECALL) * steps.found[:, -1:]
        best = np.where(enough, precision, 0.0).max(axis=1)
    return np.where(steps.found[:, -1] > 0, best, np.nan)


def least_costs(steps: Steps, *, missed_cost: float, alert_cost: float) -> Floats:
    """Cost per row at the cheapest threshold, alerting nobody and everybody included.

    A missed positive costs `missed_cost` and an alert on a negative `alert_cost`; the rest is
    free. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.
    """
    positives, everything = steps.found[:, -1:], steps.alerted[:, -1]
    false = steps.alerted - steps.found
    total = missed_cost * (positives - steps.found) + alert_cost * false
    nobody = missed_cost * positives[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.minimum(total.min(axis=1), nobody) / everything)


def cost_savings(steps: Steps, *, missed_cost: float, alert_cost: float) -> Floats:
    """Share of the cost saved against the better of alerting nobody and everybody, in [0, 1].

    0 is a ranking that helps nothing, 1 one that separates the classes; nan with one class.
    """
    positives, everything = steps.found[:, -1], steps.alerted[:, -1]
    idle = np.minimum(missed_cost * positives, alert_cost * (everything - positives))
    least = least_costs(steps, missed_cost=missed_cost, alert_cost=alert_cost) * everything
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(idle > 0, np.clip(1 - least / idle, 0.0, 1.0), np.nan)


def average_precision(
    y: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> float:
    """Area under the precision-recall steps, as scikit-learn's `average_precision_score`.

    Parameters are arrays of shape (n_rows,): y of 0 and 1, any finite score, weights above 0.
    Without any positive it is nan.

    >>> round(average_precision([0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8]), 3)
    1.0
    """
    return float(average_precisions(steps_of(y, score, weight))[0])


def roc_auc(y: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Share of (positive, negative) pairs in the right order, ties half; nan with one class."""
    return float(roc_aucs(steps_of(y, score, weight))[0])


def recall_at_alert_rate(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    alert_rate: float,
    weight: npt.ArrayLike | None = None,
) -> float:
    """Share of the positives among the `alert_rate` rows (by weight) of highest score.

    >>> recall_at_alert_rate([1, 0, 0, 1], [0.9, 0.5, 0.3, 0.1], alert_rate=0.25)
    0.5
    """
    return float(recalls_at_alert_rate(steps_of(y, score, weight), alert_rate)[0])


def steps_of(y: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Steps:
    """The steps of one set of weights, or of ones: the first row of each array."""
    labels = np.asarray(y, dtype=np.float64)
    weights = np.ones(len(labels)) if weight is None else np.asarray(weight, dtype=np.float64)
    ranking = Ranking.of(np.asarray(score, dtype=np.float64))
    return Steps.of(labels, ranking, weights[None, :])


def alert_threshold(
    score: npt.ArrayLike, *, alert_rate: float, weight: npt.ArrayLike | None = None
) -> float:
    """The score at and above which a share `alert_rate` of rows not seen is expected.

    A row drawn like these n lies at or above the k-th highest of them with probability
    k / (n + 1), whatever the distribution (Wilks, 1941); between two rows it is taken as linear in
    the score. Rows of equal scores are alerted together, all or none, by which share is nearer,
    and the limit then lies halfway to the next score: models that differ by a rounding agree.

    At least the highest score of these rows is above it, so that there is always an alert.

    >>> alert_threshold([0.1, 0.2, 0.3, 0.9], alert_rate=0.5)
    0.25
    """
    score = np.asarray(score, dtype=np.float64)
    weight = np.ones(len(score)) if weight is None else np.asarray(weight, dtype=np.float64)
    ranking = Ranking.of(score)
    values = score[ranking.order[ranking.last]]
    n_equal = np.diff(ranking.last, prepend=-1)
    share = np.cumsum(weight[ranking.order])[ranking.last] / weight.sum()
    expected = share * len(score) / (len(score) + 1)
    above = int(np.searchsorted(expected, alert_rate, side="right")) - 1  # the last group within
    at = max(above, 0)
    below = min(at + 1, len(values) - 1)
    middle = (values[at] + values[below]) / 2
    if below == at:
        return float(values[at])
    if above < 0:
        return float(values[at] if n_equal[at] == 1 else middle)
    part = (alert_rate - expected[at]) / (expected[below] - expected[at])
    if n_equal[at] == n_equal[below] == 1:
        return float(values[at] + part * (values[below] - values[at]))
    if part < 0.5:
        return float(middle)
    return float((values[below] + values[min(below + 1, len(values) - 1)]) / 2)


def recall_threshold(
    y: npt.ArrayLike, score: npt.ArrayLike, *, recall: float, weight: npt.ArrayLike | None = None
) -> float:
    """The score at and above which precision is highest while `recall` of the positives is found.

    >>> recall_threshold([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], recall=0.6)
    0.7
    """
    score = np.asarray(score, dtype=np.float64)
    ranking, steps = Ranking.of(score), steps_of(y, score, weight)
    enough = steps.found[0] >= (recall - SAME_RECALL) * steps.found[0, -1]
    best = int(np.argmax(np.where(enough, steps.found[0] / steps.alerted[0], -1.0)))
    return float(score[ranking.order[ranking.last[best]]])


class Bootstrap:
    """The same Poisson resamples of the validation rows for every trial.

    Every row's count in a replicate is Poisson(1), which for the sums used here is the usual
    bootstrap without its rounding to n rows. One matrix for all trials makes differences
    between trials paired: they vary several times less than the trials themselves.

    Parameters
    ----------
    y, weight : arrays of shape (n_rows,)
    seed : int
    """

    def __init__(
        self, y: npt.ArrayLike, weight: npt.ArrayLike, *, seed: int, n: int = N_REPLICATES
    ) -> None:
        self.y = np.asarray(y, dtype=np.float64)
        self.weight = np.asarray(weight, dtype=np.float64)
        rng = np.random.default_rng(seed)
        # One replicate at a time: all at once are eight times the bytes that are kept.
        self._counts = np.empty((n, len(self.y)), dtype=np.uint8)
        for counts in self._counts:
            counts[:] = rng.poisson(1.0, size=len(self.y))

    def replicates(
        self, score: npt.ArrayLike, metrics: Mapping[str, Callable[[Steps], Floats]]
    ) -> dict[str, Floats]:
        """Each metric of `score` in every replicate, shape (n,); nan where it says nothing.

        The rows are ranked and added up once for all of them, and of thresholds without a
        positive between them only the last is kept: no metric of a ranking can tell them apart.
        """
        ranking = Ranking.of(np.asarray(score, dtype=np.float64))
        starts, weight = _runs(self.y, ranking), self.weight[ranking.order]
        gained = self.y[ranking.order] * weight
        size = max(1, BLOCK_CELLS // len(starts))
        found: dict[str, list[Floats]] = {name: [] for name in metrics}
        for k in range(0, len(self._counts), size):
            block = self._counts[k : k + size]
            sums = np.empty((2, len(block), len(starts)))
            for i, counts in enumerate(block):
                drawn = counts[ranking.order]
                np.add.reduceat(drawn * gained, starts, out=sums[0, i])
                np.add.reduceat(drawn * weight, starts, out=sums[1, i])
            np.cumsum(sums, axis=2, out=sums)
            steps = Steps(found=sums[0], alerted=sums[1])
            for name, metric in metrics.items():
                found[name].append(metric(steps))
        return {name: np.concatenate(blocks) for name, blocks in found.items()}

    def average_precisions(self, score: npt.ArrayLike) -> Floats:
        """Average precision of `score` in every replicate, shape (n,); nan without a positive."""
        return self.replicates(score, {"average_precision": average_precisions})[
            "average_precision"
        ]


def interval(replicates: Floats, *, level: float = 0.9) -> tuple[float, float] | None:
    """Percentile interval of bootstrap replicates; None when fewer than half are numbers."""
    finite = replicates[np.isfinite(replicates)]
    if len(finite) * 2 < len(replicates):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
