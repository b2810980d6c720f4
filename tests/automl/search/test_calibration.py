"""Platt scaling against scikit-learn's unpenalised regression, and the calibration error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from automl.search.calibration import Platt, expected_calibration_error, fit_platt
from automl.search.metrics import average_precision


def scores(
    n_rows: int = 4000, *, slope: float = 0.5, intercept: float = -3.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n_rows) * 2
    return (rng.random(n_rows) < expit(slope * score + intercept)).astype(int), score


def test_it_is_the_weighted_fit_of_least_log_loss() -> None:
    y, score = scores()
    weight = np.where(y == 1, 1.0, 7.0)
    found = fit_platt(y, score, weight)
    plus, minus = (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2)
    target = np.where(y == 1, plus, minus)
    # A soft target is a row of each label, weighted by it.
    rows = np.concatenate([score, score])[:, None]
    labels = np.repeat([1, 0], len(y))
    soft = np.concatenate([weight * target, weight * (1 - target)])
    regression = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    regression.fit(rows, labels, sample_weight=soft)
    assert found.slope == pytest.approx(regression.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(regression.intercept_[0], rel=1e-4)


def test_it_finds_the_true_prevalence_from_thinned_negatives() -> None:
    y, score = scores(60_000, slope=1.0, intercept=-4.0)
    rng = np.random.default_rng(1)
    kept = (y == 1) | (rng.random(len(y)) < 0.2)
    weight = np.where(y == 1, 1.0, 5.0)[kept]
    probability = fit_platt(y[kept], score[kept], weight).probability(score)
    assert probability.mean() == pytest.approx(y.mean(), rel=0.03)
    assert expected_calibration_error(y, probability) < 0.005


def test_ranks_survive_even_a_score_that_is_wrong() -> None:
    y, score = scores(seed=2)
    platt = fit_platt(y, -score)
    assert platt.slope > 0
    assert average_precision(y, platt.probability(-score)) == average_precision(y, -score)
    assert platt.probability(-score).mean() == pytest.approx(y.mean(), abs=0.01)


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.floats(-40, 40).map(lambda x: round(x, 6))),
        min_size=2,
        max_size=40,
    )
)
def test_it_is_strictly_monotone_whatever_it_was_fitted_on(found: list[tuple[int, float]]) -> None:
    """Also beyond the scores it was fitted on, and where a probability rounds to 0 or 1."""
    y, score = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    platt = fit_platt(y, score)
    assert np.isfinite([platt.slope, platt.intercept]).all()
    ordered = np.unique(np.r_[score, -60.0, 60.0])
    assert (np.diff(platt.log_odds(ordered)) > 0).all()
    assert (np.diff(platt.probability(ordered)) >= 0).all()


@pytest.mark.parametrize("score", [np.zeros(50), np.r_[np.full(49, -25.0), 25.0]])
def test_constant_and_separable_scores_give_finite_probabilities(score: np.ndarray) -> None:
    y = np.r_[np.zeros(49), 1].astype(int)
    platt = fit_platt(y, score)
    assert np.isfinite([platt.slope, platt.intercept]).all()
    probability = platt.probability(score)
    assert ((probability > 0) & (probability < 1)).all()


def test_calibration_error_of_known_cases() -> None:
    y = np.r_[np.zeros(50), np.ones(50)].astype(int)
    assert expected_calibration_error(y, np.full(100, 0.5), n_bins=1) == pytest.approx(0)
    assert expected_calibration_error(y, np.full(100, 0.8), n_bins=1) == pytest.approx(0.3)
    assert expected_calibration_error(y, y.astype(float)) == 0
    # Nine tenths of the weight are right, one tenth is off by 0.4.
    weight = np.r_[np.full(50, 9.0), np.full(50, 1.0)] / 50
    probability = np.r_[np.zeros(50), np.full(50, 0.6)]
    assert expected_calibration_error(y, probability, weight) == pytest.approx(0.04)


def test_probability_of_the_identity() -> None:
    np.testing.assert_allclose(Platt().probability(np.array([0.0])), [0.5])
