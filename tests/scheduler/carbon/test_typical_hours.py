"""The packaged profile as a source: what it answers, in which units, and what it is built from."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from math import asin, degrees
from statistics import mean

import pytest

from automl.errors import DataError
from scheduler.carbon.hourly_profile import (
    LEAST_SHARE,
    MOST_YEARS_AHEAD,
    SHIPPED_FILE,
    Packaged,
    Profile,
    packaged,
    sun_heights,
)
from scheduler.carbon.typical import Typical, yearly_mean
from scheduler.carbon.zones import zones
from scheduler.errors import ForecastUnavailable

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def _flat(**changes: object) -> Profile:
    """A profile of Paris whose only movement is what a test gives it."""
    shapes = [[[0.0] * 24 for _ in range(12)] for _ in range(3)]
    given = {
        "zone": "FR",
        "time_zone": "Europe/Paris",
        "latitude": 46.5,
        "longitude": 2.5,
        "middle_year": 2021.0,
        "noon_trend": 0.0,
        "level": (100.0,) * 12,
        "deviation": 10.0,
        "error": 0.5,
        "shapes": shapes,
    }
    return Profile(**{**given, **changes})


def test_an_hour_is_that_of_the_local_clock_and_kind_of_day() -> None:
    shapes = [[[0.0] * 24 for _ in range(12)] for _ in range(3)]
    for kind in range(3):
        for twelfth in range(12):
            shapes[kind][twelfth] = [100.0 * kind + hour for hour in range(24)]
    profile = _flat(shapes=shapes)
    # Paris is two hours ahead of UTC in June and one in January.
    assert profile.shape(MONDAY + 10 * HOUR) == pytest.approx(12)
    assert profile.shape(datetime(2026, 1, 5, 10, tzinfo=UTC)) == pytest.approx(11)
    assert profile.shape(MONDAY + 5 * DAY) == pytest.approx(102)
    assert profile.shape(MONDAY + 6 * DAY) == pytest.approx(202)
    # 22:30 UTC on a Friday is Saturday in Paris already.
    assert profile.shape(MONDAY + 4 * DAY + 22.5 * HOUR) == pytest.approx(100)


def test_twelfths_of_the_year_are_joined_by_line_and_the_year_by_its_ends() -> None:
    shapes = [[[float(twelfth)] * 24 for twelfth in range(12)] for _ in range(3)]
    profile = _flat(shapes=shapes)
    middle = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=365.25 / 12 * 5.5)
    assert profile.shape(middle.replace(hour=12)) == pytest.approx(5, abs=0.05)
    assert profile.shape(middle.replace(hour=12) + timedelta(days=15.2)) == pytest.approx(
        5.5, abs=0.05
    )
    assert profile.shape(datetime(2026, 1, 1, 12, tzinfo=UTC)) == pytest.approx(5.5, abs=0.25)


def test_noon_falls_from_year_to_year_and_not_for_ever() -> None:
    profile = _flat(noon_trend=0.2)
    noon = sun_heights(datetime(2023, 6, 21, tzinfo=UTC).date(), 46.5, 2.5)[12]
    assert profile.shape(datetime(2023, 6, 21, 12, tzinfo=UTC)) == pytest.approx(
        -0.2 * (2023 + 171 / 365.25 - 2021) * noon
    )
    assert profile.shape(datetime(2023, 6, 21, 0, tzinfo=UTC)) == 0
    late = [profile.shape(datetime(year, 6, 21, 12, tzinfo=UTC)) for year in (2026, 2041)]
    assert late == [pytest.approx(-0.2 * MOST_YEARS_AHEAD * noon)] * 2


def test_the_sun_stands_as_high_as_the_almanac_says() -> None:
    # Paris: 64.6 degrees at the solstice of June, 17.7 in December, 41.2 at an equinox.
    for month, day, height in ((6, 21, 64.6), (12, 21, 17.7), (3, 20, 41.2)):
        heights = sun_heights(datetime(2026, month, day, tzinfo=UTC).date(), 48.86, 2.35)
        assert degrees(asin(max(heights))) == pytest.approx(height, abs=1.5)
        assert min(heights) == 0


def test_a_profile_is_never_nothing() -> None:
    shapes = [[[-30.0] * 24 for _ in range(12)] for _ in range(3)]
    assert _flat(shapes=shapes).grams(MONDAY) == pytest.approx(100 * LEAST_SHARE)


def test_hours_are_cut_to_what_was_asked() -> None:
    start, end = MONDAY + 0.25 * HOUR, MONDAY + 2.5 * HOUR
    for series in (
        Typical().forecast("FR", start, end, now=start),
        Typical().history("FR", start, end + DAY, now=end),
    ):
        assert (series.start, series.end, len(series.readings)) == (start, end, 3)
        assert series.readings[1].end - series.readings[1].start == HOUR
        assert all(one.is_estimated for one in series.readings)
        assert series.error_grams > 0
    assert Typical().latest("FR", now=start).end == MONDAY
    with pytest.raises(ForecastUnavailable):
        Typical().forecast("FR", end, end, now=end)
    long = Typical().forecast("SE", MONDAY, MONDAY + 5000 * DAY, now=MONDAY)
    assert long.end - long.start < timedelta(days=400)


def test_every_zone_answers_and_says_from_what() -> None:
    for zone in zones():
        series = Typical().forecast(zone.code, MONDAY, MONDAY + 2 * DAY, now=MONDAY)
        values = {one.grams_per_kwh for one in series.readings}
        assert len(series.readings) == 48
        assert series.source.startswith("typical")
        assert zone.profile == (len(values) > 24) == (series.error_grams is not None)
        if not zone.profile:
            assert values == {yearly_mean(zone.code).grams_per_kwh}
            assert f"yearly mean of {yearly_mean(zone.code).year}: " in series.source
            assert series.year == yearly_mean(zone.code).year
            assert series.factor_type == yearly_mean(zone.code).factor_type
    with pytest.raises(DataError):
        Typical().forecast("XX", MONDAY, MONDAY + DAY, now=MONDAY)


def test_what_ships_is_what_zones_promise_and_small() -> None:
    text = SHIPPED_FILE.read_text(encoding="utf-8")
    assert len(text) < 100_000
    assert "Electricity Maps" not in text
    value = json.loads(text)
    assert len(value["sources"]) == 2
    shipped = Packaged.read()
    assert set(shipped.profiles) == {zone.code for zone in zones() if zone.profile}
    for zone, profile in shipped.profiles.items():
        again = Profile.from_json(zone, json.loads(json.dumps(profile.to_json())))
        assert again.shape(MONDAY) == profile.shape(MONDAY)
        week = [profile.grams(MONDAY + i * HOUR) for i in range(168)]
        assert 0.6 * mean(profile.level) < mean(week) < 1.4 * mean(profile.level)
    assert -25 < shipped.longitude("PT") < 0 < shipped.longitude("ZA") < 40
    assert shipped.longitude("WORLD") == 0


def test_noon_is_cleaner_than_night_where_the_sun_shines() -> None:
    for zone in ("DE", "ES", "GB", "US-CAL-CISO"):
        profile = packaged().profiles[zone]
        noon = 20 if zone.startswith("US") else 12
        assert profile.grams(MONDAY + noon * HOUR) < profile.grams(MONDAY + (noon + 10) * HOUR)


def test_four_days_take_no_time() -> None:
    typical = Typical(Packaged.read())
    taken = []
    for week in range(10):
        start = MONDAY + 7 * week * DAY
        began = time.process_time()
        typical.forecast("FR", start, start + 4 * DAY, now=start)
        taken.append(time.process_time() - began)
    assert min(taken) < 0.01  # 1 ms alone; tests run side by side
