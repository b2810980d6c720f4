"""From a score on the logit scale to a probability at the true prevalence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

Floats = npt.NDArray[np.float64]

# Logits beyond this are probabilities that float64 cannot tell from 0 or 1 in a mean.
LOGIT_LIMIT = 30.0
MAX_STEPS = 100
# Below this the ranks of scores would be lost in the rounding of probabilities.
LEAST_SLOPE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Platt:
    """Probability = expit(slope x logit + intercept).

    Platt, "Probabilistic outputs for support vector machines", 1999: targets are drawn in from
    0 and 1 by the counts, so that separable scores do not get a slope without end.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def log_odds(self, score: Floats) -> Floats:
        """Calibrated logits of logits, shape (n_rows,)."""
        return self.slope * score + self.intercept

    def probability(self, score: Floats) -> Floats:
        """Probabilities of logits, shape (n_rows,)."""
        return np.asarray(expit(self.log_odds(score)))


def fit_platt(y: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Platt:
    """The slope and intercept of least weighted log loss.

    Where the fit would turn the ranking over or level it (a score no better than chance), the
    slope stays small and positive, and only the intercept is fitted, so that ranks survive and
    the mean is still the prevalence.

    Parameters
    ----------
    y, score, weight : arrays of shape (n_rows,)
        0 or 1; logits; row weights above 0, which restore the true prevalence.

    >>> platt = fit_platt([0, 0, 0, 1], [-2.0, -1.0, 0.5, 1.0])
    >>> platt.slope > 0
    True
    """
    labels = np.asarray(y, dtype=np.float64)
    scores = np.clip(np.asarray(score, dtype=np.float64), -LOGIT_LIMIT, LOGIT_LIMIT)
    weights = np.ones(len(labels)) if weight is None else np.asarray(weight, dtype=np.float64)
    n_positive, n_negative = labels.sum(), len(labels) - labels.sum()
    # The pull by counts of rows, not by their weights: it stands for how little was seen.
    target = np.where(labels > 0, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    slope, intercept = _newton(target, scores, weights, free_slope=True)
    if slope < LEAST_SLOPE:
        slope = LEAST_SLOPE
        _, intercept = _newton(target, slope * scores, weights, free_slope=False)
    return Platt(slope=slope, intercept=intercept)


def _newton(
    target: Floats, score: Floats, weight: Floats, *, free_slope: bool
) -> tuple[float, float]:
    """Damped Newton steps on the convex weighted log loss of (slope, intercept)."""
    prevalence = float(np.clip(np.average(target, weights=weight), 1e-12, 1 - 1e-12))
    columns = (
        np.column_stack([score, np.ones_like(score)]) if free_slope else np.ones((len(score), 1))
    )
    offset = np.zeros_like(score) if free_slope else score
    theta = np.zeros(columns.shape[1])
    theta[-1] = logit(prevalence)

    def loss(theta: Floats) -> float:
        linear = columns @ theta + offset
        return float(np.dot(weight, np.logaddexp(0.0, linear) - target * linear))

    now = loss(theta)
    for _ in range(MAX_STEPS):
        probability = expit(columns @ theta + offset)
        gradient = columns.T @ (weight * (probability - target))
        curvature = weight * probability * (1 - probability)
        hessian = (columns * curvature[:, None]).T @ columns
        step = np.linalg.solve(hessian + 1e-10 * weight.sum() * np.eye(len(theta)), gradient)
        scale = 1.0
        while scale > 1e-6 and loss(theta - scale * step) > now:
            scale /= 2
        theta = theta - scale * step
        after = loss(theta)
        if now - after < 1e-12 * max(1.0, abs(now)):
            break
        now = after
    return (float(theta[0]), float(theta[1])) if free_slope else (1.0, float(theta[0]))


def expected_calibration_error(
    y: npt.ArrayLike,
    probability: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    n_bins: int = 10,
) -> float:
    """Mean gap between probability and frequency over bins of equal weight, weighted by bin.

    Naeini, Cooper & Hauskrecht, AAAI 2015; with equal-weight bins, since for a rare event nearly
    all rows would fall into the first of ten equal-width bins.

    >>> expected_calibration_error([0, 1], [0.0, 1.0])
    0.0
    """
    labels = np.asarray(y, dtype=np.float64)
    values = np.asarray(probability, dtype=np.float64)
    weights = np.ones(len(labels)) if weight is None else np.asarray(weight, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    labels, values, weights = labels[order], values[order], weights[order]
    middle = np.cumsum(weights) - weights / 2
    bins = np.minimum((middle / weights.sum() * n_bins).astype(int), n_bins - 1)
    gap = np.bincount(bins, weights * (values - labels), minlength=n_bins)
    return float(np.abs(gap).sum() / weights.sum())
