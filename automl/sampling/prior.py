"""From the prevalence of a sample back to that of the world.

Case-control sampling keeps a positive row with probability s1 and a negative one with s0,
whatever their features. By Bayes' rule, for features x,

    odds_sample(x) = P(x | y=1) P(y=1) s1 / (P(x | y=0) P(y=0) s0) = odds_true(x) * s1 / s0,

so the logit of a model fitted to the sample is that of the population plus log(s1 / s0), a
constant. With f the share of positives, f / (1 - f) is scaled by the same s1 / s0, hence

    logit_true(x) = logit_sample(x) + logit(f_true) - logit(f_sample).

The order of rows, and so the average precision, does not change. Fithian & Hastie, "Local
case-control sampling", Annals of Statistics 2014 (arXiv 1306.3706), section 2. Not promised: a
model with a wrong form converges to another optimum on the sample than on all rows, which no
constant repairs; calibration on unsampled rows comes after it.
"""

from __future__ import annotations

from math import log


def logit_shift(*, sampled_rate: float, true_rate: float) -> float:
    """What to add to a logit fitted at `sampled_rate` positives.

    Raises
    ------
    ValueError
        A rate is not strictly between 0 and 1.

    >>> round(logit_shift(sampled_rate=0.5, true_rate=0.01), 4)
    -4.5951
    """
    for name, rate in (("sampled_rate", sampled_rate), ("true_rate", true_rate)):
        if not 0 < rate < 1:
            raise ValueError(f"{name} is {rate}; it must be strictly between 0 and 1")
    return log(true_rate / (1 - true_rate)) - log(sampled_rate / (1 - sampled_rate))
