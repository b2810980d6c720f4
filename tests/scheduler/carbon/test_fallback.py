"""Live, then cached, then typical; which one it was; and which forecast is believed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from automl.errors import DataError
from scheduler.carbon.cache import Cache
from scheduler.carbon.fallback import Fallback
from scheduler.carbon.series import IntensitySeries
from scheduler.errors import ForecastUnavailable
from tests.scheduler.carbon.grids import DAY, HOUR, NOW, Grid, Profile, hourly, repeated, wave


def fallback(*grids: Grid, cache: Cache | None = None) -> Fallback:
    return Fallback(grids, typical=Profile(), correct=repeated, cache=cache)


def test_without_sources_it_is_the_profile_and_says_so() -> None:
    source = fallback()
    for series in (
        source.forecast("DE", NOW, NOW + DAY, now=NOW),
        source.history("DE", NOW - DAY, NOW, now=NOW),
        source.latest("DE", now=NOW),
    ):
        assert series.source == "typical wave"
        assert series.zone == "DE"
        assert all(one.is_estimated for one in series.readings)
        assert series.readings[0].grams_per_kwh == 2 * wave(series.readings[0].start)
    forecast = source.forecast("DE", NOW, NOW + DAY, now=NOW)
    assert NOW - HOUR < forecast.issued_at <= NOW  # never too old to plan by
    assert source.history("DE", NOW - DAY, NOW + DAY, now=NOW).end == NOW


@pytest.mark.parametrize("zone", ["XX", "", "US", "FRANCE"])
def test_an_unknown_zone_is_refused_with_the_list(zone: str) -> None:
    source = fallback(Grid())
    if zone == "US":  # known; that no source has it is no error
        assert source.latest(zone, now=NOW).source == "typical wave"
        return
    for ask in (
        lambda: source.history(zone, NOW - DAY, NOW, now=NOW),
        lambda: source.latest(zone, now=NOW),
        lambda: source.forecast(zone, NOW, NOW + DAY, now=NOW),
    ):
        with pytest.raises(DataError) as error:
            ask()
        assert error.value.code == "unknown_zone"
        listed = error.value.details["zones"]
        assert isinstance(listed, list)
        assert "FR" in listed


def test_live_is_live_and_the_first_source_wins() -> None:
    first, second = Grid("first"), Grid("second", truth=lambda at: 1.0)
    source = fallback(first, second)
    series = source.history("FR", NOW - 5 * HOUR, NOW - HOUR, now=NOW)
    assert series.source == "first"
    assert series.factor_type == "direct"
    assert not any(one.is_estimated for one in series.readings)
    assert source.latest("FR", now=NOW).source == "first"
    first.fails = "unreachable"
    assert source.history("FR", NOW - 40 * DAY, NOW - 39 * DAY, now=NOW).source == "second"


def test_when_live_fails_the_cache_answers_and_says_so(tmp_path: Path) -> None:
    grid = Grid()
    source = fallback(grid, cache=Cache(tmp_path))
    before = source.history("FR", NOW - 5 * HOUR, NOW, now=NOW)
    grid.fails = "unreachable"
    # Another process, an hour later.
    later, source = NOW + HOUR, fallback(grid, cache=Cache(tmp_path))
    after = source.history("FR", NOW - 5 * HOUR, NOW - HOUR, now=later)
    assert after.source == "grid, cached"
    assert [one.grams_per_kwh for one in after.readings] == [
        one.grams_per_kwh for one in before.between(NOW - 5 * HOUR, NOW - HOUR).readings
    ]
    assert source.latest("FR", now=later).source == "grid, cached"
    assert source.forecast("FR", later, later + DAY, now=later).source == (
        "typical wave, corrected by grid, cached"
    )


def test_what_is_cached_longer_than_six_hours_plans_nothing(tmp_path: Path) -> None:
    grid = Grid(expected=wave)
    source = fallback(grid, cache=Cache(tmp_path))
    source.history("FR", NOW - DAY, NOW, now=NOW)
    source.forecast("FR", NOW, NOW + DAY, now=NOW)
    grid.fails = "unreachable"
    soon, late = NOW + 5 * HOUR, NOW + 7 * HOUR
    assert "cached" in source.forecast("FR", soon, soon + DAY, now=soon).source
    assert source.forecast("FR", late, late + DAY, now=late).source == "typical wave"
    assert source.latest("FR", now=late).source == "typical wave"
    # The bill of what ran then still has it.
    assert source.history("FR", NOW - DAY, NOW - HOUR, now=late).source == "grid, cached"


def test_a_feed_that_stopped_corrects_nothing() -> None:
    grid = Grid()
    grid.ended = NOW - 8 * HOUR
    assert fallback(grid).forecast("FR", NOW, NOW + DAY, now=NOW).source == "typical wave"
    grid.ended = NOW - 4 * HOUR
    assert "corrected by grid" in fallback(grid).forecast("FR", NOW, NOW + DAY, now=NOW).source


def test_holes_are_filled_at_the_level_around_and_marked() -> None:
    grid = Grid()
    hole = NOW.replace(minute=0) - 20 * HOUR, NOW.replace(minute=0) - 12 * HOUR
    grid.hidden = [hole]
    start, end = NOW - DAY, NOW - HOUR
    series = fallback(grid).history("FR", start, end, now=NOW)
    assert series.covered(start, end) == 1
    for one in series.readings:
        inside = one.start < hole[1] and one.end > hole[0]
        assert one.is_estimated == inside
        assert one.source == ("typical wave" if inside else "")
        # The profile says twice as much; its shape is right, and its level is the readings'.
        assert one.grams_per_kwh == pytest.approx(wave(one.start))


def test_hours_not_published_yet_are_estimated() -> None:
    series = fallback(Grid()).history("FR", NOW - 2 * HOUR, NOW, now=NOW)
    assert series.covered(NOW - 2 * HOUR, NOW) == 1
    assert [one.is_estimated for one in series.readings] == [False, False, True]


def test_the_profile_is_brought_to_the_level_of_the_source() -> None:
    """Direct factors count half of what the profile does; the forecast is in the source's units."""
    series = fallback(Grid()).forecast("FR", NOW, NOW + 3 * DAY, now=NOW)
    assert series.source == "typical wave, corrected by grid"
    assert series.factor_type == "direct"
    assert series.issued_at == NOW.replace(minute=0)  # when the newest reading ended
    assert series.covered(NOW, NOW + 3 * DAY) == 1
    for one in series.readings:
        assert one.grams_per_kwh == pytest.approx(wave(one.start))
        assert one.is_estimated


def test_an_own_forecast_is_believed_and_goes_on_where_it_ends() -> None:
    grid = Grid(expected=lambda at: wave(at) + 3)
    series = fallback(grid).forecast("FR", NOW, NOW + 3 * DAY, now=NOW)
    assert series.source == "grid, then typical wave"
    assert series.covered(NOW, NOW + 3 * DAY) == 1
    for one in series.readings:
        own = one.end <= NOW + DAY
        assert one.is_estimated != own
        assert one.grams_per_kwh == pytest.approx(wave(one.start) + 3)


def test_a_forecast_with_a_hole_has_none() -> None:
    grid = Grid(expected=wave)
    grid.hidden = [(NOW + 5 * HOUR, NOW + 8 * HOUR)]
    series = fallback(grid).forecast("FR", NOW, NOW + 10 * HOUR, now=NOW)
    assert series.covered(NOW, NOW + 10 * HOUR) == 1


def test_a_source_without_forecast_gives_way_to_one_that_has() -> None:
    series = fallback(Grid("measured"), Grid("weather", expected=wave)).forecast(
        "FR", NOW, NOW + 10 * HOUR, now=NOW
    )
    assert series.source == "weather"


def lived_through(source: Fallback, *, days: int) -> IntensitySeries:
    """The forecast at the end of some days in which it was asked now and then."""
    at = NOW - days * DAY
    while at < NOW:
        source.forecast("FR", at, at + DAY, now=at)
        at += 4 * HOUR
    return source.forecast("FR", NOW, NOW + DAY, now=NOW)


def upside_down(at: datetime) -> float:
    return 400 - wave(at)


@pytest.mark.parametrize(
    ("expected", "days", "believed"),
    [
        (wave, 8, True),
        (upside_down, 8, False),
        (upside_down, 5, True),  # on so few days nobody is judged
    ],
)
def test_who_chose_better_lately_is_believed(expected, days: int, believed: bool) -> None:
    grid = Grid(expected=expected)
    series = lived_through(fallback(grid), days=days)
    assert series.source == ("grid" if believed else "typical wave, corrected by grid")


def test_the_error_of_a_judged_forecast_is_told() -> None:
    grid = Grid(expected=lambda at: wave(at) + (-3 if at.hour % 4 < 2 else 3))
    series = lived_through(fallback(grid), days=8)
    assert series.source == "grid"
    # Half of the hours are as wrong as the first, half differ from it by 6.
    assert series.error_grams == pytest.approx((0.5 * 6**2) ** 0.5, rel=0.1)


def test_a_source_is_not_asked_more_often_than_it_publishes() -> None:
    grid = Grid(expected=wave)
    source = fallback(grid)
    for minute in range(9):
        at = NOW + timedelta(minutes=minute)
        source.forecast("FR", at, at + DAY, now=at)
        source.latest("FR", now=at)
        source.history("FR", at - DAY, at, now=at)
    kinds = [kind for kind, _, _ in grid.asked]
    assert kinds.count("forecast") == 1
    # Nine weeks in parts of one, once.
    assert kinds.count("history") == 10
    grid.asked.clear()
    source.history("FR", NOW - DAY, NOW + HOUR, now=NOW + HOUR)
    ((_, start, _),) = grid.asked
    assert NOW - start <= 25 * HOUR  # only what may still be revised


def test_a_failing_source_is_left_alone_and_tried_again() -> None:
    grid = Grid()
    grid.fails = "unreachable"
    source = fallback(grid)
    for second in range(60):
        source.latest("FR", now=NOW + timedelta(seconds=second))
    assert len(grid.asked) == 3
    grid.fails = ""
    assert source.latest("FR", now=NOW + timedelta(minutes=7)).source == "grid"


def test_a_clock_set_back_harms_nothing() -> None:
    grid = Grid(expected=wave)
    source = fallback(grid)
    source.forecast("FR", NOW, NOW + DAY, now=NOW)
    before = NOW - 3 * HOUR
    assert source.latest("FR", now=before).end <= before
    series = source.forecast("FR", before, before + DAY, now=before)
    assert series.issued_at <= before
    assert series.covered(before, before + DAY) == 1
    grid.fails = "unreachable"
    for _ in range(5):
        source.latest("FR", now=NOW)
    assert source.latest("FR", now=before - DAY).readings  # by whatever there is


def test_a_question_about_last_week_leaves_no_gap_behind() -> None:
    source = fallback(Grid())
    source.history("FR", NOW - 10 * DAY, NOW - 8 * DAY, now=NOW)
    source.history("FR", NOW - 5 * DAY, NOW - HOUR, now=NOW)
    series = source.history("FR", NOW - 10 * DAY, NOW - HOUR, now=NOW)
    assert not any(one.is_estimated for one in series.readings)
    assert source.latest("FR", now=NOW).source == "grid"


def test_what_is_older_than_the_cache_is_asked_for_each_time() -> None:
    grid = Grid()
    source = fallback(grid)
    long_ago = NOW - 300 * DAY
    for _ in range(2):
        series = source.history("FR", long_ago, long_ago + HOUR, now=NOW)
        assert (series.source, series.start) == ("grid", long_ago)
    assert len(grid.asked) == 2
    grid.fails = "no_readings"  # it does not reach so far, and is in good health
    for _ in range(5):
        assert source.history("FR", long_ago, long_ago + HOUR, now=NOW).source == "typical wave"
    grid.fails = ""
    assert source.latest("FR", now=NOW).source == "grid"


def test_nothing_has_passed_yet() -> None:
    with pytest.raises(ForecastUnavailable):
        fallback().history("FR", NOW + HOUR, NOW + DAY, now=NOW)


def test_the_sources_are_not_mixed() -> None:
    """Each of two sources has what the other has not; a history is of one, and filled."""
    first, second = Grid("first"), Grid("second", truth=lambda at: 3 * wave(at))
    half = NOW.replace(minute=0) - 12 * HOUR
    first.hidden = [(half - 4 * HOUR, half)]
    series = fallback(first, second).history("FR", NOW - DAY, NOW - HOUR, now=NOW)
    assert {one.source for one in series.readings} == {"", "typical wave"}
    assert max(one.grams_per_kwh for one in series.readings) < 301


def test_hourly_of_the_tests_is_what_it_says() -> None:
    assert hourly(wave, NOW, NOW + HOUR).covered(NOW, NOW + HOUR) == 1
