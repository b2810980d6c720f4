"""Prior correction against truth: the exact posterior, and a model fitted to a sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from automl.sampling.prior import logit_shift

rates = st.floats(0.001, 0.999)


@given(sampled=rates, true=rates, p=st.floats(0.001, 0.999))
def test_agrees_with_bayes_rule(sampled: float, true: float, p: float) -> None:
    # Count per row of the population: a positive is kept with s1, a negative with s0.
    s1, s0 = sampled / true, (1 - sampled) / (1 - true)
    population = (p / s1) / (p / s1 + (1 - p) / s0)
    got = expit(logit(p) + logit_shift(sampled_rate=sampled, true_rate=true))
    assert got == pytest.approx(population, rel=1e-9)


@given(rate=rates)
def test_the_same_rate_changes_nothing_and_back_is_the_inverse(rate: float) -> None:
    assert logit_shift(sampled_rate=rate, true_rate=rate) == 0
    there = logit_shift(sampled_rate=rate, true_rate=0.02)
    assert there == -logit_shift(sampled_rate=0.02, true_rate=rate)


def test_a_model_fitted_to_a_case_control_sample_is_calibrated_again() -> None:
    rng = np.random.default_rng(0)
    n = 400_000
    X = rng.normal(size=(n, 2))
    truth = 1 / (1 + np.exp(-(X @ [1.0, -0.5] - 4.5)))
    y = rng.random(n) < truth
    kept = np.flatnonzero(y | (rng.random(n) < 10 * y.mean()))
    fitted = LogisticRegression(C=1e6).fit(X[kept], y[kept])
    raw = fitted.predict_proba(X)[:, 1]
    shift = logit_shift(sampled_rate=y[kept].mean(), true_rate=y.mean())
    corrected = expit(fitted.decision_function(X) + shift)
    assert raw.mean() > 4 * truth.mean()
    assert corrected.mean() == pytest.approx(truth.mean(), rel=0.03)
    for low, high in ((0, 0.5), (0.5, 0.9), (0.9, 0.99), (0.99, 1)):
        a, b = np.quantile(truth, (low, high))
        part = (truth >= a) & (truth <= b)
        assert corrected[part].mean() == pytest.approx(truth[part].mean(), rel=0.1)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_a_rate_outside_the_open_interval_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="strictly between"):
        logit_shift(sampled_rate=rate, true_rate=0.5)
    with pytest.raises(ValueError, match="strictly between"):
        logit_shift(sampled_rate=0.5, true_rate=rate)
