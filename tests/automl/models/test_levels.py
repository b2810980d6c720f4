"""Rates of levels against plain loops, and the model that reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score

from automl.data.encoding import EncoderInfo
from automl.models.boosting import Boosting
from automl.models.levels import IDENTITIES, N_FOLDS, PRIOR_ROWS, LevelRates, identities_tell
from automl.models.rated import RatedBoosting


def goods(n_rows: int, *, seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Prices that repeat: every fifth of 400 is of the goods that are often positive."""
    rng = np.random.default_rng(seed)
    prices = np.random.default_rng(7).uniform(1, 1000, 400).astype(np.float32)
    good = rng.integers(0, 400, n_rows)
    X = np.column_stack([prices[good], rng.normal(size=n_rows), rng.integers(0, 3, n_rows)])
    chance = np.where(good % 20 == 0, 0.7, 0.01)
    return X.astype(np.float32), (rng.random(n_rows) < chance).astype(np.int8)


def test_a_row_is_rated_by_the_other_folds_and_a_later_row_by_all() -> None:
    X, y = goods(600, seed=0)
    X[::50, 0] = np.nan
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    rates = LevelRates(seed=3)
    crossed = rates.fit_transform(X, y, weight=weight)
    single = next(i for i, kept in enumerate(rates.kept) if kept.columns == (0,))
    prior = np.average(y, weights=weight)
    rng = np.random.default_rng(3)
    fold = np.empty(len(y), dtype=int)
    for label in (1, 0):
        own = rng.permutation(np.flatnonzero(y == label))
        fold[own] = np.arange(len(own)) % N_FOLDS
    whole = rates.transform(X)
    for i in range(len(y)):
        alike = (X[:, 0] == X[i, 0]) | (np.isnan(X[:, 0]) & np.isnan(X[i, 0]))
        for rows, told in ((alike & (fold != fold[i]), crossed), (alike, whole)):
            positive, seen = (weight * y)[rows].sum(), weight[rows].sum()
            expected = (positive + PRIOR_ROWS * prior) / (seen + PRIOR_ROWS)
            assert told[i, single] == pytest.approx(expected)


def test_levels_never_seen_are_at_the_prevalence() -> None:
    X, y = goods(600, seed=0)
    rates = LevelRates(seed=0)
    rates.fit_transform(X, y)
    assert rates.transform(np.full((2, 3), 5e6, dtype=np.float32)) == pytest.approx(y.mean())


def test_a_label_does_not_reach_its_own_row() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 300, (3000, 2)).astype(np.float32)
    y = (rng.random(3000) < 0.1).astype(np.int8)
    crossed = LevelRates(seed=0).fit_transform(X, y)
    for column in crossed.T:
        assert average_precision_score(y, column) < 0.13


def test_identities_are_told_from_amounts() -> None:
    X, y = goods(3000, seed=0)
    assert identities_tell(X, y, seed=0) > 3 * IDENTITIES
    amounts = np.round(np.random.default_rng(0).normal(size=(3000, 3)) * 50).astype(np.float32)
    smooth = np.random.default_rng(1).random(3000) < 1 / (1 + np.exp(3 - amounts[:, 0] / 25))
    assert identities_tell(amounts, smooth.astype(np.int8), seed=0) < IDENTITIES / 4
    assert identities_tell(np.zeros((50, 1), np.float32), np.eye(50, dtype=np.int8)[0], seed=0) == 0


def test_rates_find_what_small_trees_cannot(tmp_path: Path) -> None:
    X, y = goods(4000, seed=0)
    later, truth = goods(4000, seed=1)
    info = EncoderInfo.numeric(3)
    params = {"num_leaves": 8, "learning_rate": 0.1}
    plain = Boosting(params=params, info=info, seed=0, patience=10, rounds=40).fit(X, y)
    rated = RatedBoosting(params=params, info=info, seed=0, patience=10, rounds=40).fit(X, y)
    scores = [average_precision_score(truth, m.decision(later)) for m in (plain, rated)]
    assert scores[1] > 1.2 * scores[0]
    files = rated.save(tmp_path, "m")
    assert sorted(files) == ["m.json", "m.npz", "m.txt"]
    again = RatedBoosting.load(tmp_path, "m")
    assert (again.decision(later) == rated.decision(later)).all()


def test_without_levels_it_is_boosting() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2)).astype(np.float32), (rng.random(300) < 0.3).astype(np.int8)
    info = EncoderInfo.numeric(2)
    models = [
        kind(params={}, info=info, seed=0, patience=5, rounds=5).fit(X, y)
        for kind in (Boosting, RatedBoosting)
    ]
    assert (models[0].decision(X) == models[1].decision(X)).all()
