"""Weights for a mean of a few members in logit space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def greedy_weights(
    logits: Mapping[int, Floats],
    *,
    score: Callable[[Floats], float],
    n_additions: int = N_ADDITIONS,
) -> dict[int, float]:
    """One share each, then `n_additions` times one more to the member that helps most.

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
    shares = dict.fromkeys(numbers, 1)
    if len(numbers) > 1:
        total = np.sum([logits[n] for n in numbers], axis=0)
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


def equal_weights(numbers: Sequence[int]) -> dict[int, float]:
    """The same weight for each: what too few positives leave.

    >>> equal_weights([4, 2])
    {2: 0.5, 4: 0.5}
    """
    return {number: 1 / len(numbers) for number in sorted(numbers)}


def mean_logit(logits: Mapping[int, Floats], weights: Mapping[int, float]) -> Floats:
    """The weighted mean, shape (n_rows,), added up in the order of the numbers."""
    return np.asarray(np.sum([weights[n] * logits[n] for n in sorted(weights)], axis=0))
