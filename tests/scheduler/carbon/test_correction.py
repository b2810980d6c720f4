"""The correction: against a plain computation, with little history, with holes, with steps."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import mean, pstdev

import pytest

from scheduler.carbon.correction import (
    DAILY,
    DAY,
    DEVIATION_HOURS,
    LONGEST,
    RECENT,
    WEEK,
    WEEKLY,
    WEEKS,
    corrected,
)
from scheduler.carbon.hourly_profile import packaged
from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.carbon.typical import Typical

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)


def _series(
    values: list[float], *, end: datetime = NOW, zone: str = "DE", step: timedelta = HOUR
) -> IntensitySeries:
    start = end - len(values) * step
    return IntensitySeries(
        zone=zone,
        source="a meter",
        factor_type="direct",
        issued_at=end,
        readings=tuple(
            Reading(start=start + i * step, end=start + (i + 1) * step, grams_per_kwh=one)
            for i, one in enumerate(values)
        ),
    )


def _profile(*, zone: str = "DE", now: datetime = NOW, hours: int = 96) -> IntensitySeries:
    return Typical().forecast(zone, now, now + hours * HOUR, now=now)


def _waves(n: int, *, seed: int = 0) -> list[float]:
    """A grid with a day, a week and weather."""
    draw = random.Random(seed)
    values, weather = [], 0.0
    for i in range(n):
        weather = 0.97 * weather + draw.gauss(0, 8)
        day = 60 * math.sin(2 * math.pi * i / 24) + 20 * math.sin(2 * math.pi * i / 168)
        values.append(300 + day + weather)
    return values


def _plainly(values: list[float], ahead: int, zone: str) -> float:
    """The definition, without any of the shortcuts, for a history of at least `LONGEST` hours."""
    shipped = packaged()
    profile = shipped.profiles.get(zone)
    n = len(values)
    level, deviation = mean(values[-WEEK:]), pstdev(values[-DEVIATION_HOURS:])
    apart = {i: values[i] - mean(values[i - WEEK + 1 : i + 1]) for i in range(WEEK, n)}
    first = n - WEEKS * WEEK

    def shape(hour: int) -> float:
        return profile.shape(NOW + (hour - n) * HOUR)

    around = mean(shape(i) for i in range(n - WEEK, n)) if profile else 0.0

    def usual(hour: int, period: int, half_life: float) -> float:
        past = sorted(i for i in apart if first <= i < hour and (hour - i) % period == 0)
        weights = [0.5 ** (k / half_life) for k in range(len(past))]
        top = sum(w * apart[i] for w, i in zip(weights, reversed(past), strict=True))
        bottom = sum(weights)
        if profile:
            rest = 0.5 ** (len(past) / half_life)
            top += rest * deviation * (shape(hour) - around)
            bottom += rest
        return top / bottom

    def base(hour: int) -> float:
        return (usual(hour, WEEK, WEEKLY) + usual(hour, DAY, DAILY)) / 2

    target = n + ahead
    weekly = usual(target, WEEK, WEEKLY)
    features = [
        deviation * (shape(target) - around) if profile else weekly,
        weekly,
        usual(target, DAY, DAILY),
        next(values[i] for i in range(n - 1, 0, -1) if (target - i) % DAY == 0) - level,
        deviation,
    ]
    angle = 2 * math.pi * (NOW.hour + 0.5 + shipped.longitude(zone) / 15) / 24
    recent = [mean(values[i] - level - base(i) for i in range(n - k, n)) for k in RECENT]
    for turn in (1, math.cos(angle), math.sin(angle), math.cos(2 * angle), math.sin(2 * angle)):
        features += [turn * one for one in recent]
    rows = dict(zip(shipped.horizons, shipped.weights, strict=True))
    low = max(h for h in rows if h <= ahead)
    high = min(h for h in rows if h >= ahead)
    share = (ahead - low) / (high - low) if high > low else 0.0
    weights = [(1 - share) * a + share * b for a, b in zip(rows[low], rows[high], strict=True)]
    return level + sum(w * one for w, one in zip(weights, features, strict=True))


@pytest.mark.parametrize("zone", ["DE", "US-CAL-CISO", "ZA"])
def test_it_is_what_its_definition_says(zone: str) -> None:
    values = _waves(LONGEST)
    found = corrected(_profile(zone=zone), _series(values, zone=zone), now=NOW)
    for ahead in (0, 1, 5, 23, 24, 29, 60, 95):
        assert found.readings[ahead].grams_per_kwh == pytest.approx(
            _plainly(values, ahead, zone), abs=0.02
        )


def test_it_speaks_in_the_terms_of_the_history() -> None:
    profile, history = _profile(), _series(_waves(LONGEST))
    found = corrected(profile, history, now=NOW)
    assert (found.factor_type, found.signal, found.issued_at) == ("direct", "average", NOW)
    assert "a meter" in found.source
    assert "typical" in found.source
    assert [(one.start, one.end) for one in found.readings] == [
        (one.start, one.end) for one in profile.readings
    ]
    assert all(one.is_estimated for one in found.readings)
    deviation = pstdev(one.grams_per_kwh for one in history.readings[-DEVIATION_HOURS:])
    assert found.error_grams == pytest.approx(packaged().error * deviation)
    # Twice the grams in, twice the grams out.
    double = _series([2 * one.grams_per_kwh for one in history.readings])
    for one, two in zip(found.readings, corrected(profile, double, now=NOW).readings, strict=True):
        assert two.grams_per_kwh == pytest.approx(2 * one.grams_per_kwh)


def test_an_anomaly_lifts_the_next_hours_most() -> None:
    values = _waves(LONGEST)
    usual = corrected(_profile(), _series(values), now=NOW)
    lifted = [*values[:-6], *(one + 100 for one in values[-6:])]
    found = corrected(_profile(), _series(lifted), now=NOW)
    rises = [
        b.grams_per_kwh - a.grams_per_kwh
        for a, b in zip(usual.readings, found.readings, strict=True)
    ]
    assert rises[0] > 60
    assert rises[0] > rises[6] > rises[12] > mean(rises[48:])


def test_a_grid_that_never_moves_is_expected_not_to() -> None:
    for zone in ("ZA", "WORLD"):
        found = corrected(_profile(zone=zone), _series([50.0] * 2000, zone=zone), now=NOW)
        assert all(one.grams_per_kwh == pytest.approx(50) for one in found.readings)


@pytest.mark.parametrize("n", [1, 5, 23, 25, 100, 167, 168, 169, 671, 1343, 1345, 1512, 3000])
@pytest.mark.parametrize("zone", ["FR", "ZA"])
def test_any_length_of_history_gives_a_forecast(n: int, zone: str) -> None:
    values = _waves(3000)[-n:]
    found = corrected(_profile(zone=zone), _series(values, zone=zone), now=NOW)
    assert len(found.readings) == 96
    assert 100 < mean(one.grams_per_kwh for one in found.readings) < 500


def test_a_day_of_history_keeps_the_order_of_the_profile() -> None:
    profile = _profile(zone="US-CAL-CISO", hours=24)
    values = [
        one.grams_per_kwh + 50
        for one in Typical().history("US-CAL-CISO", NOW - 24 * HOUR, NOW, now=NOW).readings
    ]
    found = corrected(profile, _series(values, zone="US-CAL-CISO"), now=NOW)

    def grams(one: Reading) -> float:
        return one.grams_per_kwh

    best, mine = min(profile.readings, key=grams), min(found.readings, key=grams)
    assert abs(best.start - mine.start) <= 2 * HOUR
    assert mean(map(grams, found.readings)) == pytest.approx(mean(values), rel=0.15)


def test_what_was_not_known_yet_is_not_used() -> None:
    values = _waves(LONGEST)
    later = _series([*values, 1900.0, 1900.0, 1900.0], end=NOW + 3 * HOUR)
    expected = corrected(_profile(), _series(values), now=NOW)
    assert corrected(_profile(), later, now=NOW).readings == expected.readings


def test_a_history_that_ended_long_ago_says_nothing() -> None:
    profile = _profile()
    for old in (_series(_waves(2000), end=NOW - 97 * HOUR), _series([])):
        assert corrected(profile, old, now=NOW) is profile
    late = corrected(profile, _series(_waves(2000), end=NOW - 3 * HOUR), now=NOW)
    assert late.readings[0].start == NOW


def test_readings_of_the_past_stay() -> None:
    profile = Typical().forecast("DE", NOW - 48 * HOUR, NOW + 24 * HOUR, now=NOW)
    found = corrected(profile, _series(_waves(2000)), now=NOW)
    assert found.readings[:48] == profile.readings[:48]
    assert all(
        a.grams_per_kwh != b.grams_per_kwh
        for a, b in zip(found.readings[48:], profile.readings[48:], strict=True)
    )


def _quarters(values: list[float]) -> IntensitySeries:
    fine = [one + move for one in values for move in (-3.0, 1.0, 4.0, -2.0)]
    return _series(fine, step=HOUR / 4)


def _holed(values: list[float]) -> IntensitySeries:
    whole = _series(values)
    kept = [one for i, one in enumerate(whole.readings) if i % 50 != 7]
    return IntensitySeries(**{**vars(whole), "readings": tuple(kept)})


@pytest.mark.parametrize(("change", "most"), [(_quarters, 1e-6), (_holed, 12.0)])
def test_steps_are_averaged_and_holes_filled(
    change: Callable[[list[float]], IntensitySeries], most: float
) -> None:
    values = _waves(LONGEST)
    expected = corrected(_profile(), _series(values), now=NOW)
    found = corrected(_profile(), change(values), now=NOW)
    for a, b in zip(expected.readings, found.readings, strict=True):
        assert b.grams_per_kwh == pytest.approx(a.grams_per_kwh, abs=most)


def test_it_takes_milliseconds() -> None:
    profile, history = _profile(), _series(_waves(LONGEST))
    taken = []
    for _ in range(5):
        began = time.process_time()
        corrected(profile, history, now=NOW)
        taken.append(time.process_time() - began)
    assert min(taken) < 0.05
