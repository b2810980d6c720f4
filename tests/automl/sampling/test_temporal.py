"""Recent rows first, old ones never gone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from automl.data.dataset import Dataset
from automl.data.split import folds
from automl.sampling.stratified import CaseControl
from automl.sampling.temporal import RecentFirst


def dataset(n: int = 60_000) -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset(
        X=pd.DataFrame({"x": np.zeros(n)}),
        y=(rng.random(n) < 0.05).astype(np.int8),
        time=rng.permutation(n) // 100,
    )


def test_the_chance_to_be_kept_halves_each_half_life() -> None:
    rows = dataset()
    times = np.asarray(rows.time)
    for positive in (False, True):
        counts = np.zeros(2)
        for seed in range(5):
            order = RecentFirst(half_life=0.5).order(rows, seed=seed)
            n_kept = 300 if positive else 3000
            kept = order[rows.y[order] == positive][:n_kept]
            counts += [(times[kept] >= 540).sum(), (times[kept] < 60).sum()]
        # First and last tenth are 0.9 of the span apart: 2 ** (0.9 / 0.5) = 3.5.
        assert 2.8 < counts[0] / counts[1] < 4.3


def test_every_fold_can_be_fitted_on_the_screening_sample() -> None:
    """Validation is later than training: the earliest fold still has rows of both classes."""
    rows = dataset()
    sampler = RecentFirst()
    sample = sampler.order(rows, seed=0)[: sampler.screening_rows(rows)]
    made = folds(rows, seed=0)
    assert len(made) == 5
    for fold in made:
        train = np.intersect1d(fold.train, sample)
        assert rows.y[train].sum() >= 30
        assert np.asarray(rows.time)[train].max() < np.asarray(rows.time)[fold.valid].min()


def test_one_moment_or_no_time_is_plain_case_control() -> None:
    rows = dataset(2000)
    timeless = Dataset(X=rows.X, y=rows.y)
    assert np.array_equal(
        RecentFirst().order(timeless, seed=4), CaseControl().order(timeless, seed=4)
    )
    moment = Dataset(X=rows.X, y=rows.y, time=np.full(2000, np.datetime64("2024-01-01")))
    assert sorted(RecentFirst().order(moment, seed=4)) == list(range(2000))
