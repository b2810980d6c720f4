"""Scores against scikit-learn, ties and weights included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import lognorm, norm
from sklearn.metrics import average_precision_score, roc_auc_score

from automl.search.metrics import (
    Bootstrap,
    alert_threshold,
    average_precision,
    interval,
    recall_at_alert_rate,
    roc_auc,
)

rows = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(-4, 4),  # few values, so that ties are common
        st.floats(0.01, 50, allow_nan=False),
    ),
    min_size=2,
    max_size=60,
).filter(lambda found: len({y for y, _, _ in found}) == 2)


@given(rows)
def test_scores_equal_those_of_scikit_learn(found: list[tuple[int, int, float]]) -> None:
    y, score, weight = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    for w in (None, weight):
        assert average_precision(y, score, w) == pytest.approx(
            average_precision_score(y, score, sample_weight=w), abs=1e-12
        )
        assert roc_auc(y, score, w) == pytest.approx(
            roc_auc_score(y, score, sample_weight=w), abs=1e-12
        )


@given(rows)
def test_a_whole_weight_is_that_many_copies(found: list[tuple[int, int, float]]) -> None:
    y, score, weight = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    copies = np.ceil(weight).astype(int) % 5 + 1
    assert average_precision(y, score, copies) == pytest.approx(
        average_precision(np.repeat(y, copies), np.repeat(score, copies)), abs=1e-12
    )


def test_without_positives_scores_are_not_numbers() -> None:
    assert np.isnan(average_precision([0, 0], [1, 2]))
    assert np.isnan(roc_auc([0, 0], [1, 2]))
    assert np.isnan(recall_at_alert_rate([0, 0], [1, 2], alert_rate=0.5))


def test_recall_at_alert_rate_counts_the_top_rows() -> None:
    rng = np.random.default_rng(0)
    y, score = rng.integers(0, 2, 200), rng.permutation(200).astype(float)
    top = np.argsort(-score)[:30]
    assert recall_at_alert_rate(y, score, alert_rate=0.15) == pytest.approx(y[top].sum() / y.sum())


def test_ties_at_the_alert_limit_count_in_part() -> None:
    # Two alerts among four equal rows, two of them positive: one is found on average.
    assert recall_at_alert_rate([1, 1, 0, 0], [1, 1, 1, 1], alert_rate=0.5) == pytest.approx(0.5)


@given(rows, st.floats(0.01, 0.99))
def test_the_share_above_the_threshold_is_within_one_group_of_the_one_asked_for(
    found: list[tuple[int, int, float]], rate: float
) -> None:
    _, score, weight = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    chosen = alert_threshold(score, alert_rate=rate, weight=weight)
    share = [weight[score >= t].sum() / weight.sum() for t in np.unique(score)[::-1]]
    expected = np.array(share) * len(score) / (len(score) + 1)
    own = int(np.sum(np.unique(score) >= chosen)) - 1
    assert own >= 0  # always an alert
    assert own == 0 or expected[own - 1] <= rate + 1e-9
    assert own == len(share) - 1 or expected[own + 1] >= rate - 1e-9


@pytest.mark.parametrize("shape", ["normal", "lognormal"])
@pytest.mark.parametrize(
    ("n_rows", "rate"), [(280, 0.01), (1400, 0.01), (1400, 0.005), (300, 0.05)]
)
def test_the_share_asked_for_is_alerted_on_rows_not_seen(
    shape: str, n_rows: int, rate: float
) -> None:
    rng = np.random.default_rng(5)
    truth = {"normal": norm, "lognormal": lognorm(1.0)}[shape]
    shares = []
    for _ in range(600):
        score = truth.rvs(size=n_rows, random_state=rng)
        shares.append(truth.sf(alert_threshold(score, alert_rate=rate)))
    # Of the mean of 600 draws with about rate x n_rows alerts each, three standard errors; and
    # that a score between two rows is not quite linear in the share.
    error = 3 / (600 * rate * n_rows) ** 0.5
    assert np.mean(shares) == pytest.approx(rate, rel=error + 0.03)


def test_rows_of_weights_are_counted_by_them() -> None:
    rng = np.random.default_rng(6)
    shares = []
    for _ in range(300):  # one in ten of the lower rows stands for ten
        score = rng.normal(size=3000)
        kept = (score > 2.5) | (rng.random(3000) < 0.1)
        weight = np.where(score > 2.5, 1.0, 10.0)[kept]
        shares.append(norm.sf(alert_threshold(score[kept], alert_rate=0.02, weight=weight)))
    assert np.mean(shares) == pytest.approx(0.02, rel=0.05)


def test_rows_that_tie_are_alerted_together_at_a_limit_beside_them() -> None:
    tied = np.r_[np.full(7, 5.0), np.full(3, 4.0), np.linspace(0, 1, 90)]
    assert alert_threshold(tied, alert_rate=0.01) == pytest.approx(4.5)  # at least the highest
    assert alert_threshold(tied, alert_rate=0.08) == pytest.approx(4.5)
    assert alert_threshold(tied, alert_rate=0.095) == pytest.approx(2.5)
    assert alert_threshold(np.ones(9), alert_rate=0.1) == 1.0


def test_every_replicate_is_the_score_of_resampled_rows() -> None:
    rng = np.random.default_rng(1)
    y, score, weight = rng.integers(0, 2, 80), rng.integers(0, 20, 80), rng.uniform(1, 5, 80)
    bootstrap = Bootstrap(y, weight, seed=3, n=20)
    for counts, found in zip(bootstrap._counts, bootstrap.average_precisions(score), strict=True):
        kept = counts > 0
        expected = average_precision_score(
            y[kept], score[kept], sample_weight=(counts * weight)[kept]
        )
        assert found == pytest.approx(expected, abs=1e-12)


def test_the_interval_covers_like_a_bootstrap_of_rows() -> None:
    rng = np.random.default_rng(2)
    y = (rng.random(3000) < 0.05).astype(int)
    score = rng.normal(size=3000) + y
    low, high = interval(Bootstrap(y, np.ones(3000), seed=0, n=400).average_precisions(score)) or (
        0,
        0,
    )
    plain = []
    for _ in range(400):
        taken = rng.integers(0, 3000, 3000)
        plain.append(average_precision_score(y[taken], score[taken]))
    expected = np.quantile(plain, [0.05, 0.95])
    assert (low, high) == pytest.approx(tuple(expected), abs=0.25 * (expected[1] - expected[0]))


def test_differences_between_like_scores_are_paired() -> None:
    rng = np.random.default_rng(4)
    y = (rng.random(2000) < 0.05).astype(int)
    score = rng.normal(size=2000) + y
    near = score + rng.normal(size=2000) * 0.1
    bootstrap = Bootstrap(y, np.ones(2000), seed=0)
    one, other = bootstrap.average_precisions(score), bootstrap.average_precisions(near)
    assert (one - other).std() < 0.5 * one.std()


def test_an_interval_needs_replicates_with_positives() -> None:
    assert interval(np.array([np.nan, np.nan, 0.5])) is None
