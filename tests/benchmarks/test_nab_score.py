"""The benchmark's score against hand-computed cases and a plain walk over all thresholds."""

import math

import numpy as np
import pytest

from benchmarks.nab_score import (
    PROFILES,
    Profile,
    Scored,
    best,
    by_profile,
    points,
    probation,
    raw_at,
    scaled,
    sigmoid,
)


def test_one_window_by_hand():
    """20 rows, 3 of them probationary, window 10..14, alerts at 5 (false), 12 (late), 16."""
    scores = np.zeros(20)
    scores[[1, 5, 12, 16]] = 1.0
    series = Scored(scores=scores, windows=[(10, 14)])

    def curve(x: float) -> float:
        return 2 / (1 + math.exp(5 * x)) - 1

    detected = curve(-3 / 5) / curve(-1)
    alarms = -1.0 + curve(2 / 4)  # before any window; two rows after one of width five
    standard = detected + 0.11 * alarms
    assert raw_at([series], threshold=0.5, profile=PROFILES["standard"]) == pytest.approx(standard)
    low_fp = detected + 0.22 * alarms
    assert raw_at([series], threshold=0.5, profile=PROFILES["reward_low_FP"]) == pytest.approx(
        low_fp
    )


def test_null_is_0_and_perfect_is_100_for_every_profile():
    windows = [(30, 49), (70, 79)]
    first = np.zeros(100)
    first[[30, 70]] = 1.0
    assert by_profile([Scored(scores=first, windows=windows)]) == pytest.approx(
        dict.fromkeys(PROFILES, 100.0)
    )
    # All rows alike can be alerted together or not at all; the best of both is not to.
    nothing = Scored(scores=np.zeros(2000), windows=[(1500, 1501)])
    assert best([nothing], profile=PROFILES["standard"]) == (0.0, math.inf)


def test_a_missed_window_costs_by_its_profile():
    series = Scored(scores=np.zeros(50), windows=[(20, 24), (40, 44)])
    for profile in PROFILES.values():
        raw = raw_at([series], threshold=0.5, profile=profile)
        assert raw == -2 * profile.missed
        assert scaled(raw, 2, profile) == 0


def test_probation_is_at_most_750_rows():
    assert [probation(n) for n in (100, 4033, 22_695)] == [15, 604, 750]
    assert len(points(Scored(scores=np.zeros(100), windows=[])).scores) == 85


def test_best_threshold_is_that_of_a_walk_over_all():
    rng = np.random.default_rng(3)
    series = [
        Scored(scores=rng.integers(0, 12, 300) / 12, windows=[(100, 129), (200, 219)]),
        Scored(scores=rng.integers(0, 12, 200) / 12, windows=[]),
        Scored(scores=rng.random(150), windows=[(149, 149)]),
    ]
    series[0].scores[[105, 205]] = 2.0
    for profile in (*PROFILES.values(), Profile(false_alarm=0.001, missed=0.3)):
        thresholds = np.unique(np.concatenate([one.scores for one in series])).tolist()
        walked = [raw_at(series, threshold=t, profile=profile) for t in [*thresholds, math.inf]]
        score, threshold = best(series, profile=profile)
        assert score == pytest.approx(scaled(max(walked), 3, profile))
        assert raw_at(series, threshold=threshold, profile=profile) == pytest.approx(max(walked))


def test_sigmoid_goes_from_one_to_minus_one():
    assert sigmoid(np.array([3.1]))[0] == -1
    assert sigmoid(np.array([2.99]))[0] > -1
