"""Weights for a mean of a few members in logit space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# docs/method.md, Ensemble: six additions on top of equal weights were the steadiest of the four
# schemes tried.
N_ADDITIONS = 6


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


def equal_weights(numbers: Sequence[int]) -> dict[int, float]:
    """The same weight for each: what too few positives leave.

    >>> equal_weights([4, 2])
    {2: 0.5, 4: 0.5}
    """
    return {number: 1 / len(numbers) for number in sorted(numbers)}


def mean_logit(logits: Mapping[int, Floats], weights: Mapping[int, float]) -> Floats:
    """The weighted mean, shape (n_rows,), added up in the order of the numbers."""
    return np.asarray(np.sum([weights[n] * logits[n] for n in sorted(weights)], axis=0))
