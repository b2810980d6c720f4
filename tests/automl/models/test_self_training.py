"""Unlabelled rows help where they should, keep the prior, and are nothing without rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score

from automl.data.encoding import EncoderInfo
from automl.models.boosting import Boosting
from automl.models.self_training import SelfTraining
from automl.models.unlabelled import Unlabelled

INFO = EncoderInfo.numeric(4)
PARAMS = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "rounds": 100,
}


def _clusters(
    n: int, *, seed: int, rate: float = 0.1
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Two clusters that hardly touch: where rows lie tells the label once a few are known."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < rate).astype(np.int8)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    X[y == 1] += 1.6
    return X, y


def test_where_clusters_tell_it_is_no_worse_than_the_labelled_rows_alone() -> None:
    ratios = []
    for seed in range(6):
        X, y = _clusters(250, seed=seed)
        rows, _ = _clusters(4000, seed=100 + seed)
        test, truth = _clusters(4000, seed=200 + seed)
        alone = Boosting(params=PARAMS, info=INFO, seed=0, patience=20).fit(X, y)
        unlabelled = Unlabelled(rows=rows, rate=float(y.mean()))
        taught = SelfTraining(
            params=PARAMS, info=INFO, seed=0, patience=20, unlabelled=unlabelled
        ).fit(X, y)
        assert taught.details["n_unlabelled"] == 4000
        ratios.append(
            average_precision_score(truth, taught.decision(test))
            / average_precision_score(truth, alone.decision(test))
        )
    assert np.mean(ratios) > 0.995
    assert np.std(ratios) > 0  # it learnt something else


def test_the_prior_is_that_of_the_rows_it_was_fitted_on() -> None:
    X, y = _clusters(20_000, seed=1, rate=0.05)
    rows, _ = _clusters(5000, seed=2, rate=0.05)
    kept = np.flatnonzero((y == 1) | (np.random.default_rng(0).random(len(y)) < 0.2))
    model = SelfTraining(
        params=PARAMS,
        info=INFO,
        seed=0,
        patience=20,
        unlabelled=Unlabelled(rows=rows, rate=float(y.mean())),
    ).fit(X[kept], y[kept])
    mean = float(expit(model.decision(X[kept])).mean())
    assert mean == pytest.approx(float(y[kept].mean()), rel=0.15)


def test_it_saves_and_predicts_as_boosting_does(tmp_path: object) -> None:
    X, y = _clusters(300, seed=3)
    unlabelled = Unlabelled(rows=X[:50], rate=0.1)
    model = SelfTraining(params=PARAMS, info=INFO, seed=0, patience=20, unlabelled=unlabelled).fit(
        X, y
    )
    model.save(tmp_path, "m")  # type: ignore[arg-type]
    loaded = SelfTraining.load(tmp_path, "m")  # type: ignore[arg-type]
    np.testing.assert_array_equal(loaded.decision(X), model.decision(X))


def test_without_such_rows_it_is_boosting_alone() -> None:
    X, y = _clusters(200, seed=4)
    alone = Boosting(params=PARAMS, info=INFO, seed=0, patience=20).fit(X, y)
    for rows in (None, Unlabelled(rows=X[:0], rate=0.1)):
        taught = SelfTraining(params=PARAMS, info=INFO, seed=0, patience=20, unlabelled=rows)
        np.testing.assert_array_equal(taught.fit(X, y).decision(X), alone.decision(X))
