"""A half is judged by what the other half fitted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from automl.search.calibration import Floats, expected_calibration_error, fit_platt
from automl.search.ensemble import greedy_weights, mean_logit
from automl.search.judging import cross_fitted
from automl.search.metrics import average_precision


def test_luck_is_not_reported() -> None:
    """Members of pure noise: weights chosen on the rows flatter them, cross-fitted ones do not."""
    rng = np.random.default_rng(0)
    flattered, honest, prevalence = [], [], 0.1
    for seed in range(30):
        y = np.zeros(400, dtype=np.int8)
        y[:40] = 1
        ones = np.ones(400)
        logits = {number: rng.normal(size=400) for number in range(3)}

        def score(values: Floats, labels: npt.NDArray[np.int8] = y) -> float:
            return average_precision(labels, values)

        weights = greedy_weights(logits, score=score)
        flattered.append(average_precision(y, mean_logit(logits, weights)))
        logit = cross_fitted(
            logits,
            weights,
            y=y,
            row_weight=ones,
            score=average_precision,
            weighed=True,
            seed=seed,
        )
        honest.append(average_precision(y, logit))
    # A random order of few rows scores a little above the prevalence.
    by_chance = np.mean([average_precision(y, rng.normal(size=400)) for _ in range(200)])
    error = np.std(honest) / np.sqrt(len(honest))
    assert abs(np.mean(honest) - by_chance) < 3 * error
    assert np.mean(flattered) > np.mean(honest) + error
    assert np.mean(honest) > prevalence / 2


def test_weights_that_were_known_stay() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(300) < 0.3).astype(np.int8)
    logits = {4: rng.normal(size=300) + y, 7: rng.normal(size=300)}
    logit = cross_fitted(
        logits,
        {4: 0.75, 7: 0.25},
        y=y,
        row_weight=np.ones(300),
        score=average_precision,
        weighed=False,
        seed=0,
    )
    whole = mean_logit(logits, {4: 0.75, 7: 0.25})
    inside = fit_platt(y, whole).log_odds(whole)
    # Of the same ranking within each half, by another line than all rows would fit.
    assert not np.array_equal(logit, inside)
    assert np.corrcoef(logit, inside)[0, 1] > 0.98
    assert expected_calibration_error(y, np.asarray(expit(logit))) < 0.2
