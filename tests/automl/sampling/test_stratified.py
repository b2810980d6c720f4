"""Case-control samples: random within a class, and as long as docs/method.md says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.sampling.stratified import CaseControl, mix


def dataset(n_rows: int, n_positive: int) -> Dataset:
    y = np.zeros(n_rows, dtype=np.int8)
    y[:n_positive] = 1
    return Dataset(X=pd.DataFrame({"x": np.arange(n_rows)}), y=y)


@pytest.mark.parametrize(
    ("n_rows", "n_positive", "screening", "final"),
    [
        (100_000, 600, 6_600, 12_600),
        (100_000, 5_000, 6_600, 100_000),  # 20:1 of 5,000 is all negatives
        (200_000, 5_000, 6_600, 105_000),
        (100_000, 100, 1_100, 2_100),
        (50_000, 600, 6_600, 50_000),
        (16_000, 600, 16_000, 16_000),  # 6,600 is above 0.4 x 16,000
        (16_600, 600, 6_600, 16_600),
        (1_000, 500, 1_000, 1_000),
        (1_500_000, 100_000, 6_600, 420_000),  # all positives, and what else there is room for
        (1_500_000, 20_000, 6_600, 420_000),
        (1_500_000, 700_000, 6_600, 420_000),  # 210,000 of each class
        (400_000, 100_000, 6_600, 400_000),
        (300_000, 299_000, 1_600, 211_000),  # more positives than negatives
    ],
)
def test_rows_of_a_rung(n_rows: int, n_positive: int, screening: int, final: int) -> None:
    rows = dataset(n_rows, n_positive)
    assert CaseControl().screening_rows(rows) == screening
    assert CaseControl().final_rows(rows) == final


def test_each_row_of_a_class_is_as_likely_to_be_screened() -> None:
    rows = dataset(400, 40)
    sampler = CaseControl(n_positive=10, negatives_per_positive=9)
    drawn = np.zeros(400)
    n_draws = 2000
    for seed in range(n_draws):
        drawn[sampler.order(rows, seed=seed)[:100]] += 1
    for rate, share in ((drawn[:40] / n_draws, 10 / 40), (drawn[40:] / n_draws, 90 / 360)):
        # Binomial: five standard errors for 400 comparisons.
        assert np.abs(rate - share).max() < 5 * np.sqrt(share * (1 - share) / n_draws)


def test_mix_keeps_each_order_and_spreads() -> None:
    mixed = mix(np.arange(5), np.arange(100, 150))
    assert mixed[mixed < 100].tolist() == list(range(5))
    assert mixed[mixed >= 100].tolist() == list(range(100, 150))
    assert np.diff(np.flatnonzero(mixed < 100)).tolist() == [11] * 4
    assert mix(np.arange(0), np.arange(3)).tolist() == [0, 1, 2]
