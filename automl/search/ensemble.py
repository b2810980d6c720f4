"""Weights for a mean of a few members in logit space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import log, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# docs/method.md, Ensemble: six additions on top of equal weights were the steadiest of the four
# schemes tried.
N_ADDITIONS = 6
# More members cost at each prediction; beyond six none gained (docs/method.md, Best).
MOST_ADMITTED = 3
# Shares that each starts with where few positives tell them apart (docs/method.md, Few positives).
SHARES_OF_FEW = 2


def greedy_weights(
    logits: Mapping[int, Floats],
    *,
    score: Callable[[Floats], float],
    n_additions: int = N_ADDITIONS,
    n_shares: int = 1,
) -> dict[int, float]:
    """`n_shares` each, then `n_additions` times one more to the member that helps most.

    Caruana et al., "Ensemble selection from libraries of models", ICML 2004, started from equal
    weights, which shrinks the choice towards the mean: with few positives the shares of a free
    fit are mostly noise. The lower number wins a tie.

    Parameters
    ----------
    logits : out-of-fold logits by trial number, each of shape (n_rows,)
    score : the objective of a logit array, higher is better

    Returns
    -------
    Weight by trial number; they sum to 1.
    """
    numbers = sorted(logits)
    shares = dict.fromkeys(numbers, n_shares)
    if len(numbers) > 1:
        total = n_shares * np.sum([logits[n] for n in numbers], axis=0)
        for _ in range(n_additions):
            # The ranking by the sum is the ranking by the mean.
            winner = max(numbers, key=lambda n: (score(total + logits[n]), -n))
            shares[winner] += 1
            total = total + logits[winner]
    whole = sum(shares.values())
    return {number: float(Fraction(share, whole)) for number, share in shares.items()}


def admitted(
    weights: Mapping[int, float],
    logits: Mapping[int, Floats],
    *,
    score: Callable[[Floats], float],
    error: Callable[[Floats, Floats], float],
    most: int = MOST_ADMITTED,
) -> dict[int, float]:
    """Let further members into a mixture, one share at a time, where chance does not explain it.

    The gain of the best of n is, without any true one, about sqrt(2 log n) standard errors of
    such a gain (the expected maximum of n normal draws is below that): less than that lets nobody
    in. Stopping where what is left to gain is below the error of validation is the rule of
    Makarova et al., "Automatic termination for hyperparameter optimization", AutoML 2022.

    Parameters
    ----------
    weights : of the mixture so far, by trial number
    logits : out-of-fold logits of its members and of those that may join
    score : the objective of a logit array, higher is better
    error : the standard error of the difference between two arrays' scores, in pairs
    most : members that may be let in

    Returns
    -------
    Weight by trial number; they sum to 1. The same weights where nobody is let in.

    >>> rows = np.array([1.0, 0.0])
    >>> admitted({0: 1.0}, {0: rows, 1: -rows}, score=lambda logit: float(logit[1] - logit[0]),
    ...          error=lambda one, other: 9.0)
    {0: 1.0}
    """
    mixed = dict(weights)
    for _ in range(most):
        rest = [number for number in sorted(logits) if number not in mixed]
        if not rest:
            break
        whole = mean_logit(logits, mixed)
        # A share as large as that of a member on the mean.
        share = 1 / (len(mixed) + 1)
        gains = {n: score((1 - share) * whole + share * logits[n]) - score(whole) for n in rest}
        best = max(rest, key=lambda n: (gains[n], -n))
        joined = (1 - share) * whole + share * logits[best]
        if gains[best] <= max(1.0, sqrt(2 * log(len(rest)))) * error(joined, whole):
            break
        mixed = {number: (1 - share) * one for number, one in mixed.items()} | {best: share}
    return mixed


def shrunk_weights(
    logits: Mapping[int, Floats], *, score: Callable[[Floats], float]
) -> dict[int, float]:
    """Weights near those that let every member move the mean as far: for few positives.

    On few rows a linear model of many columns is sure of every row, its logits spreading five
    times as far as those of boosting that stopped after ten rounds: one share each would leave it
    alone. So shares are of logits of one spread, which needs no label, and several to start with,
    since the scores that add to them are mostly noise.

    Parameters
    ----------
    logits, score : as for `greedy_weights`

    Returns
    -------
    Weight by trial number, of the logits as they are; they sum to 1.
    """
    alike = equal_weights(logits)
    scaled = {number: alike[number] * logits[number] for number in alike}
    shares = greedy_weights(scaled, score=score, n_shares=SHARES_OF_FEW)
    whole = sum(shares[number] * alike[number] for number in alike)
    return {number: shares[number] * alike[number] / whole for number in alike}


def equal_weights(logits: Mapping[int, Floats]) -> dict[int, float]:
    """Weights by which each member spreads the rows as far: what too few positives leave.

    Parameters
    ----------
    logits : out-of-fold logits by trial number, each of shape (n_rows,)

    Returns
    -------
    Weight by trial number; they sum to 1.

    >>> equal_weights({4: np.array([-1.0, 1.0]), 2: np.array([-3.0, 3.0])})
    {2: 0.25, 4: 0.75}
    """
    spread = {number: float(np.std(logits[number])) for number in sorted(logits)}
    # One that ranks nothing changes no ranking at any weight.
    least = min((one for one in spread.values() if one > 0), default=1.0)
    inverse = {number: 1 / max(one, least) for number, one in spread.items()}
    whole = sum(inverse.values())
    return {number: one / whole for number, one in inverse.items()}


def mean_logit(logits: Mapping[int, Floats], weights: Mapping[int, float]) -> Floats:
    """The weighted mean, shape (n_rows,), added up in the order of the numbers."""
    return np.asarray(np.sum([weights[n] * logits[n] for n in sorted(weights)], axis=0))
