"""The logistic model against scikit-learn's, and where it must not be used."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from automl.meta.alive import OTHERS, RIDGE, Alive, Example, fit_alive, log_loss
from automl.meta.features import META_NAMES, Meta

RNG = np.random.default_rng(3)


def meta(values: np.ndarray) -> Meta:
    return tuple(float(one) for one in values)


X = RNG.normal(size=(60, len(META_NAMES))).round(3)
ALIVE = X[:, META_NAMES.index("ln_d")] + 0.5 * RNG.normal(size=60) > 0
EXAMPLES = [Example(meta=meta(x), alive=bool(y)) for x, y in zip(X, ALIVE, strict=True)]


def test_it_is_ridge_regression() -> None:
    fitted = fit_alive("forest", EXAMPLES, modelled=True)
    own = X[:, [META_NAMES.index(name) for name in OTHERS]]
    standard = np.clip((own - own.mean(axis=0)) / own.std(axis=0), -3, 3)
    truth = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=1000).fit(standard, ALIVE)
    assert fitted.weights == pytest.approx(truth.coef_[0], abs=2e-3)
    assert fitted.bias == pytest.approx(truth.intercept_[0], abs=2e-3)
    told = [fitted.probability(one.meta) for one in EXAMPLES]
    assert told == pytest.approx(truth.predict_proba(standard)[:, 1], abs=5e-3)
    assert Alive.from_json(fitted.to_json()) == fitted


def test_weights_count_like_repeats() -> None:
    heavy = [
        Example(meta=one.meta, alive=one.alive, weight=2.0 if i < 20 else 1.0)
        for i, one in enumerate(EXAMPLES)
    ]
    repeated = EXAMPLES + EXAMPLES[:20]
    assert fit_alive("x", heavy, modelled=False).rate == (
        fit_alive("x", repeated, modelled=False).rate
    )


def test_without_a_model_it_is_the_rate() -> None:
    base = fit_alive("forest", EXAMPLES, modelled=False)
    assert base.rate == pytest.approx((ALIVE.sum() + 1) / 62, abs=1e-4)
    assert base.probability(EXAMPLES[0].meta) == base.rate
    one_sided = [Example(meta=one.meta, alive=True) for one in EXAMPLES]
    assert fit_alive("forest", one_sided, modelled=True).names == ()


def test_an_unknown_landmark_gives_the_rate() -> None:
    fitted = fit_alive("forest", EXAMPLES, modelled=True)
    assert "ln_lift_linear" in fitted.names
    unknown = list(EXAMPLES[0].meta)
    unknown[META_NAMES.index("ln_lift_linear")] = None
    assert fitted.probability(tuple(unknown)) == fitted.rate


def test_log_loss_is_the_textbook_one() -> None:
    examples = [Example(meta=(), alive=True), Example(meta=(), alive=False, weight=3.0)]
    assert log_loss(examples, [0.8, 0.4]) == pytest.approx(-(np.log(0.8) + 3 * np.log(0.6)) / 4)
