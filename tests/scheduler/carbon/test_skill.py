"""Forecasts are judged by what their choice saves, against brute force over the truth."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from scheduler.carbon.series import IntensitySeries
from scheduler.carbon.skill import LEAST_DAYS, Trial, compared, share_of_oracle, tried
from tests.scheduler.carbon.grids import DAY, HOUR, NOW, hourly, wave

ON_THE_HOUR = NOW.replace(minute=0)


def scattered(seed: int, *, issued_at: datetime = NOW, hours: int = 30) -> IntensitySeries:
    chance = random.Random(seed)
    return hourly(
        lambda at: chance.uniform(10, 500), issued_at, issued_at + hours * HOUR,
        issued_at=issued_at,
    )  # fmt: skip


def test_a_trial_is_what_brute_force_says() -> None:
    for seed in range(50):
        forecast, truth = scattered(seed), scattered(seed + 1000)
        first = ON_THE_HOUR + HOUR
        starts = [first + index * HOUR for index in range(25)]
        was = {at: truth.mean(at, at + HOUR) for at in starts}
        chosen = min(starts, key=lambda at: forecast.mean(at, at + HOUR))
        trial = tried(forecast, truth)
        assert trial.saved == pytest.approx(was[first] - was[chosen])
        assert trial.possible == pytest.approx(was[first] - min(was.values()))
        assert trial.saved <= trial.possible + 1e-9
        assert len(trial.errors) == 24


def test_the_truth_reaches_all_of_it_and_its_opposite_less_than_nothing() -> None:
    truth = hourly(wave, NOW - DAY, NOW + 3 * DAY)
    issued = [NOW + index * timedelta(hours=5) for index in range(8)]
    right = [hourly(wave, at, at + DAY, issued_at=at) for at in issued]
    wrong = [hourly(lambda at: -wave(at) + 400, at, at + DAY, issued_at=at) for at in issued]
    assert share_of_oracle(tried(one, truth) for one in right) == pytest.approx(1)
    assert share_of_oracle(tried(one, truth) for one in wrong) < 0


def test_too_little_in_common_is_no_trial() -> None:
    truth = hourly(wave, NOW, NOW + 30 * HOUR)
    assert tried(scattered(0, hours=11), truth) is None
    assert tried(scattered(0), hourly(wave, NOW, NOW + 11 * HOUR)) is None
    assert tried(scattered(0), hourly(wave, NOW + 3 * HOUR, NOW + 30 * HOUR)) is None


def pairs(differences: Sequence[float], *, per_day: int = 3) -> list[tuple[Trial, Trial]]:
    """Some trials a day; on each day the rival saved so much more."""
    midnight = ON_THE_HOUR.replace(hour=0)
    return [
        (
            Trial(issued_at=at, saved=50, possible=100),
            Trial(issued_at=at, saved=50 + difference, possible=100),
        )
        for day, difference in enumerate(differences)
        for at in (midnight + day * DAY + part * DAY / per_day for part in range(per_day))
    ]


@pytest.mark.parametrize(
    ("differences", "believed"),
    [
        ([-10] * LEAST_DAYS, True),
        ([0] * LEAST_DAYS, True),
        ([10] * LEAST_DAYS, False),
        ([30, -28] * (LEAST_DAYS // 2), True),  # more on average, and no more than chance
        ([30, -10] * (LEAST_DAYS // 2), False),
        ([10] * (LEAST_DAYS - 1), True),  # too few days
    ],
)
def test_who_saves_more_for_sure_is_believed(differences: list[float], believed: bool) -> None:
    verdict = compared(pairs(differences))
    assert verdict.own_is_better is believed
    if len(differences) >= LEAST_DAYS:
        assert verdict.own_share == pytest.approx(0.5)
        mean = sum(differences) / len(differences)
        assert verdict.rival_share == pytest.approx(0.5 + mean / 100)
    else:
        assert verdict.own_share is None


def test_many_forecasts_of_a_day_are_one_observation() -> None:
    few, many = compared(pairs([30, -20] * 4)), compared(pairs([30, -20] * 4, per_day=8))
    assert few.own_is_better
    assert many.own_is_better
    assert many.n_compared == 64


def test_without_evidence_the_provider_is_believed() -> None:
    assert compared([]).own_is_better


def test_a_flat_grid_cannot_be_chosen_from() -> None:
    assert share_of_oracle([Trial(issued_at=NOW, saved=0, possible=0)]) == 1
