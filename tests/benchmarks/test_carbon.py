"""The evaluation of forecasts and the fit of profiles, on grids whose truth is known."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.build_profiles import longitudes
from benchmarks.carbon_features import Known, fit_weights, packaged_of, sample_of
from benchmarks.carbon_savings import HORIZON, TAIL, kept_share, saving
from benchmarks.carbon_shapes import Choices, fit_profiles, shape_of
from benchmarks.carbon_traces import Trace, hours_late, redistributable
from scheduler.carbon.hourly_profile import packaged


def _trace(grams: np.ndarray, *, zone: str = "DE", year: int = 2020) -> Trace:
    return Trace(zone=zone, start=datetime(year, 1, 1, tzinfo=UTC), grams=grams)


def _day(n: int) -> np.ndarray:
    """Lowest at noon UTC, a little lower at weekends (2020 began on a Wednesday)."""
    hours = np.arange(n)
    weekend = ((hours // 24 + 2) % 7) >= 5
    return 300 + 80 * np.cos(2 * np.pi * hours / 24) - 20.0 * weekend


@pytest.mark.parametrize(("hours", "slack"), [(1, 24), (2, 8), (4, 12)])
def test_savings_are_those_of_trying_every_window(hours: int, slack: int) -> None:
    draw = np.random.default_rng(0)
    truth, guess = draw.uniform(50, 500, 100), draw.uniform(50, 500, 100)
    at_once, chosen, oracle = [], [], []
    for start in range(len(truth) - TAIL):
        windows = [slice(start + k, start + k + hours) for k in range(slack + 1)]
        at_once.append(truth[windows[0]].mean())
        chosen.append(truth[min(windows, key=lambda one: guess[one].mean())].mean())
        oracle.append(min(truth[one].mean() for one in windows))
    rows = np.stack([guess[i : i + HORIZON] for i in range(len(truth) - TAIL)])
    for forecast in (guess, rows):
        found = saving(truth, forecast, hours=hours, slack=slack)
        assert found.n_jobs == len(chosen)
        assert found.grams_chosen == pytest.approx(np.mean(chosen))
        assert found.grams_oracle == pytest.approx(np.mean(oracle))
        expected = (np.mean(at_once) - np.mean(chosen)) / (np.mean(at_once) - np.mean(oracle))
        assert found.percent == pytest.approx(100 * expected)
        assert found.worst_grams == pytest.approx(np.max(np.subtract(chosen, at_once)))
        assert found.n_late == 0
    assert saving(truth, truth, hours=hours, slack=slack).percent == pytest.approx(100)


def test_a_worst_case_is_kept_as_often_as_its_error_says() -> None:
    draw = np.random.default_rng(3)
    n = 4000
    truth = draw.normal(300, 50, n)
    # The first hour is known, all others with an error of 20.
    rows = np.stack([truth[i : i + HORIZON] for i in range(n - TAIL)])
    rows[:, 1:] += draw.normal(0, 20, (n - TAIL, HORIZON - 1))
    rows[:, 2:] = 10_000.0  # one alternative: nothing is chosen for its luck but against waiting
    right = kept_share(truth, rows, np.full(n - TAIL, 20.0), slack=24)
    small = kept_share(truth, rows, np.full(n - TAIL, 2.0), slack=24)
    assert 0.9 < right < 0.97
    assert small < 0.6


def test_a_series_that_is_late_is_told() -> None:
    walk = np.random.default_rng(1).normal(size=8784).cumsum() + 300
    for lag in (-2, 0, 1):
        assert hours_late(_trace(np.roll(walk, lag)), _trace(walk)) == lag


def test_a_profile_finds_the_day_of_a_grid_without_weather() -> None:
    trace = _trace(_day(8784))
    profile = fit_profiles({"DE": trace}, Choices(noon_trend=0.0))["DE"]
    assert profile.deviation == pytest.approx(trace.grams.std(), abs=0.01)
    assert profile.level == pytest.approx([trace.grams.mean()] * 12, rel=0.02)
    # It follows the clocks, the grid does not: one hour off in one of the two halves of the year.
    found = saving(trace.grams, shape_of(profile, trace), hours=1, slack=24)
    assert found.percent > 97
    assert profile.error < 0.5


def test_neighbours_weigh_as_much_as_chosen() -> None:
    flipped = 600 - _day(8784)
    traces = {"DE": _trace(_day(8784)), "FR": _trace(flipped, zone="FR")}
    low = 12 - 24 * 2  # any noon
    shapes = []
    for share in (0.0, 0.3, 1.0):
        profile = fit_profiles(traces, Choices(noon_trend=0.0, europe=share))["FR"]
        shapes.append(profile.shape(traces["FR"].hour(24 * 30 + 48 + low)))
    assert all(a > b for a, b in pairwise(shapes))
    assert shapes[0] > 0 > shapes[2]
    # 0.7 of its own and 0.3 of what the neighbour has.
    assert shapes[1] == pytest.approx(0.7 * shapes[0] + 0.3 * shapes[2], abs=0.01)


def test_a_trend_is_taken_out_of_the_past_and_put_into_the_future() -> None:
    from benchmarks.carbon_shapes import PLACES, suns

    n = 8784 + 8760
    flat = _trace(np.zeros(n))
    years = (np.arange(n) - n / 2) / 24 / 365.25
    grams = 300 + _day(n) - 0.2 * 60 * years * suns(flat, PLACES["DE"])
    trace = _trace(grams)
    profile = fit_profiles({"DE": trace}, Choices(noon_trend=0.2 * 60 / grams.std()))["DE"]
    june = [datetime(year, 6, 10, 11, tzinfo=UTC) for year in (2020, 2021)]
    fall = profile.grams(june[0]) - profile.grams(june[1])
    assert fall == pytest.approx(0.2 * 60 * math.sin(math.radians(62)), rel=0.1)


def test_weights_learn_how_an_anomaly_fades() -> None:
    draw = np.random.default_rng(2)
    n, weather = 8784, [0.0]
    for shock in draw.normal(0, 20, n - 1):
        weather.append(0.9 * weather[-1] + shock)
    trace = _trace(_day(n) + np.array(weather))
    known = Known.of(trace, None, 10.0)
    sample = sample_of(known, 0, n)
    weights = fit_weights([sample], n_ahead=28)
    shipped = packaged_of({}, {}, weights, 0.0)
    at = sample.at[:2000:7]
    found = known.forecast(at, 28, shipped)
    for ahead in (0, 5, 12):
        came = trace.grams[at + ahead]
        wrong = found[:, ahead] - came
        # The best that can be known: what shocks add from now on.
        least = 20 * math.sqrt((1 - 0.81 ** (ahead + 1)) / (1 - 0.81))
        assert least * 0.85 < wrong.std() < least * 1.2


def test_longitudes_are_those_of_the_map() -> None:
    found = longitudes()
    for country, east in {"FR": 2.3, "ZA": 28, "JP": 139.7, "GB": -0.1, "IN": 88}.items():
        assert found[country] == pytest.approx(east, abs=1)
    assert dict(packaged().longitudes) == found


@pytest.mark.data
@pytest.mark.usefixtures("shared_data")
def test_what_ships_is_what_the_script_builds() -> None:
    traces = redistributable()
    assert set(traces) == set(packaged().profiles)
    near = {zone: traces[zone] for zone in ("FR", "DE", "ES", "NL")}
    built, shipped = fit_profiles(near)["FR"], packaged().profiles["FR"]
    assert built.to_json()["level"] == pytest.approx(shipped.to_json()["level"], abs=0.11)
    assert built.middle_year == shipped.middle_year
    for mine, theirs in zip(built.shapes, shipped.shapes, strict=True):
        assert np.array(mine) == pytest.approx(np.array(theirs), abs=0.0011)
