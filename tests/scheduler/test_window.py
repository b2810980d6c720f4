"""Windows against every start of a fine grid, slots against every set of cells."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.slots import best_slots
from scheduler.window import Window, best_window, best_windows, stretches

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def series_of(readings) -> IntensitySeries:
    return IntensitySeries(
        zone="FR",
        source="test",
        factor_type="lifecycle",
        issued_at=NOON,
        readings=tuple(readings),
    )


def hourly(grams, start=NOON, step=HOUR) -> IntensitySeries:
    return series_of(
        Reading(start=start + i * step, end=start + (i + 1) * step, grams_per_kwh=float(one))
        for i, one in enumerate(grams)
    )


def uneven(seed: int, *, holes: bool) -> IntensitySeries:
    """Readings of 5 to 90 minutes, some missing."""
    draw = random.Random(seed)
    readings, at = [], NOON
    for _ in range(25):
        end = at + draw.choice((5, 15, 30, 60, 90)) * MINUTE
        if not (holes and draw.random() < 0.15):
            readings.append(Reading(start=at, end=end, grams_per_kwh=draw.uniform(10, 500)))
        at = end
    return series_of(readings)


def brute_force(series, *, seconds, earliest, latest_end) -> float | None:
    """The least mean over every covered start on a grid of a minute."""
    length, found, start = timedelta(seconds=seconds), [], earliest
    while start + length <= latest_end:
        if series.covered(start, start + length) > 1 - 1e-9:
            found.append(series.mean(start, start + length))
        start += MINUTE
    return min(found) if found else None


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("minutes", [1, 17, 60, 150, 421])
def test_no_start_of_a_grid_is_cleaner_than_the_best_window(seed, minutes):
    series = uneven(seed, holes=seed % 2 == 1)
    bounds = {"earliest": NOON + 13 * MINUTE, "latest_end": NOON + 20 * HOUR + 7 * MINUTE}
    found = best_window(series, seconds=minutes * 60.0, **bounds)
    # Lengths, edges and bounds are whole minutes, so that the grid holds every candidate.
    least = brute_force(series, seconds=minutes * 60.0, **bounds)
    if least is None:
        assert found is None
        return
    assert found.grams_per_kwh == pytest.approx(least, abs=1e-5)
    assert found.seconds == minutes * 60
    assert bounds["earliest"] <= found.start
    assert found.end <= bounds["latest_end"]
    assert series.covered(found.start, found.end) == pytest.approx(1)
    assert series.mean(found.start, found.end) == pytest.approx(found.grams_per_kwh, abs=1e-5)


def test_a_window_between_the_steps_of_a_grid_is_found():
    # 90 minutes over 100, 10, 50: the hour at 10 and the half hour behind it.
    found = best_window(
        hourly([100, 10, 50]), seconds=5400, earliest=NOON, latest_end=NOON + 3 * HOUR
    )
    assert (found.start, round(found.grams_per_kwh, 3)) == (NOON + HOUR, 23.333)


def test_of_equal_windows_the_first_one_is_best():
    found = best_window(
        hourly([0.1] * 30), seconds=3700, earliest=NOON, latest_end=NOON + 30 * HOUR
    )
    assert found.start == NOON


def test_the_least_window_is_the_cleanest_then_the_first():
    early = Window(grams_per_kwh=5, start=NOON, end=NOON + HOUR)
    late = Window(grams_per_kwh=5, start=NOON + HOUR, end=NOON + 2 * HOUR)
    clean = Window(grams_per_kwh=4, start=NOON + 3 * HOUR, end=NOON + 4 * HOUR)
    assert sorted([late, clean, early]) == [clean, early, late]


def test_nothing_is_planned_into_a_hole():
    parts = hourly([50, 50, 1, 1, 50, 50]).readings
    series = series_of(one for i, one in enumerate(parts) if i != 3)
    found = best_window(series, seconds=7200, earliest=NOON, latest_end=NOON + 6 * HOUR)
    assert (found.start, found.grams_per_kwh) == (NOON + HOUR, 25.5)
    assert len(stretches(series, NOON, NOON + 6 * HOUR)) == 2


def test_a_series_that_is_too_short_has_no_window():
    bounds = {"earliest": NOON, "latest_end": NOON + 9 * HOUR}
    assert best_window(hourly([5, 6]), seconds=7201, **bounds) is None
    assert best_window(series_of([]), seconds=60, **bounds) is None
    assert best_windows(series_of([]), seconds=60, count=5, **bounds) == ()
    assert best_slots(hourly([5, 6]), seconds=7201, pause_seconds=0, **bounds) == ()
    assert best_slots(series_of([]), seconds=60, pause_seconds=0, **bounds) == ()


def test_a_length_of_nothing_is_refused():
    for call in (best_window, best_slots):
        more = {"pause_seconds": 0} if call is best_slots else {}
        with pytest.raises(ValueError, match="no mean"):
            call(hourly([5]), seconds=0.0, earliest=NOON, latest_end=NOON + HOUR, **more)


def test_options_of_a_long_job_are_as_far_apart_as_there_is_room_for():
    draw = random.Random(0)
    found = best_windows(
        hourly([draw.uniform(50, 400) for _ in range(40)]),
        seconds=16 * 3600,
        earliest=NOON,
        latest_end=NOON + 40 * HOUR,
        count=5,
    )
    starts = sorted(one.start for one in found)
    # 24 hours of starts: windows of 16 hours have room for two, half as far apart for three or so.
    assert all(later - earlier >= 4 * HOUR for earlier, later in itertools.pairwise(starts))


@pytest.mark.parametrize("seed", range(6))
def test_the_best_windows_do_not_overlap_and_each_is_the_best_of_what_is_left(seed):
    series = uneven(seed, holes=False)
    bounds = {"earliest": NOON, "latest_end": series.end}
    found = best_windows(series, seconds=4500, count=4, **bounds)
    assert list(found) == sorted(found)
    assert found[0] == best_window(series, seconds=4500, **bounds)
    length = timedelta(seconds=4500)
    for n, one in enumerate(found[1:], start=1):
        left, start = [], NOON
        while start + length <= series.end:
            if all(abs(start - other.start) >= length for other in found[:n]):
                left.append(series.mean(start, start + length))
            start += MINUTE
        assert one.grams_per_kwh <= min(left) + 1e-5
        assert all(abs(one.start - other.start) >= length for other in found[:n])


def test_where_there_is_no_room_for_five_apart_they_begin_in_different_hours():
    grams = [40, 35, 30, 25, 20, 10, 12, 15, 30, 40, 50, 60]
    found = best_windows(
        hourly(grams), seconds=6 * 3600, earliest=NOON, latest_end=NOON + 12 * HOUR, count=5
    )
    assert len(found) == 5
    starts = sorted(one.start for one in found)
    assert all(later - earlier >= HOUR for earlier, later in itertools.pairwise(starts))


def cheapest_set(grams, *, cells: int, pause_cells: int, most_slots: int) -> float:
    """The least sum over every set of cells in which the work and the pauses fit."""
    least = float("inf")
    for chosen in itertools.product((False, True), repeat=len(grams)):
        n_slots = sum(one and (i == 0 or not chosen[i - 1]) for i, one in enumerate(chosen))
        if 0 < n_slots <= most_slots and sum(chosen) == cells + (n_slots - 1) * pause_cells:
            least = min(least, sum(g for g, one in zip(grams, chosen, strict=True) if one))
    return least


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("pause_cells", [0, 1])
@pytest.mark.parametrize("cells", [1, 4, 7])
def test_no_set_of_cells_is_cleaner_than_the_best_slots(seed, cells, pause_cells):
    draw = random.Random(seed)
    grams = [draw.randint(10, 90) for _ in range(12)]
    series = hourly(grams, step=HOUR / 2)
    found = best_slots(
        series,
        seconds=cells * 1800.0,
        earliest=NOON,
        latest_end=NOON + 6 * HOUR,
        pause_seconds=pause_cells * 1800.0,
        most_slots=4,
        least_gain=0,
    )
    least = cheapest_set(grams, cells=cells, pause_cells=pause_cells, most_slots=4)
    assert sum(one.grams_per_kwh * one.seconds for one in found) == pytest.approx(least * 1800)
    length = sum(one.seconds for one in found)
    assert length == pytest.approx((cells + (len(found) - 1) * pause_cells) * 1800)
    assert all(a.end < b.start for a, b in itertools.pairwise(found))
    assert all(series.mean(one.start, one.end) == pytest.approx(one.grams_per_kwh) for one in found)


def test_the_last_slot_ends_when_the_work_is_done():
    series = hourly([10, 90, 20, 90, 90])
    found = best_slots(
        series, seconds=4500, earliest=NOON, latest_end=NOON + 5 * HOUR, pause_seconds=60
    )
    assert [(one.start - NOON, one.end - NOON) for one in found] == [
        (0 * HOUR, HOUR),
        (2 * HOUR, 2 * HOUR + timedelta(seconds=960)),
    ]


def test_a_further_pause_has_to_save_more_than_minutes():
    """By arithmetic alone a third clean slot beats a minute in the dirty hour."""
    bounds = {"seconds": 7200.0, "earliest": NOON, "latest_end": NOON + 8 * HOUR}
    series = hourly([400, 190] * 4)
    found = best_slots(series, pause_seconds=60, **bounds)
    assert [one.seconds for one in found] == [3600, 3660]
    assert len(best_slots(series, pause_seconds=60, least_gain=0, **bounds)) == 3


def test_a_pause_that_costs_more_than_it_saves_is_not_made():
    series = hourly([10, 12, 10, 90])
    bounds = {"seconds": 7200.0, "earliest": NOON, "latest_end": NOON + 4 * HOUR}
    assert len(best_slots(series, pause_seconds=60, **bounds)) == 2
    assert len(best_slots(series, pause_seconds=900, **bounds)) == 1


def test_slots_may_begin_at_once_between_two_steps_of_the_clock():
    start = NOON + 10 * MINUTE
    series = hourly([10, 90, 90, 10, 90])
    found = best_slots(
        series, seconds=5400, earliest=start, latest_end=NOON + 5 * HOUR, pause_seconds=0
    )
    assert found[0].start == start
    assert sum(one.seconds for one in found) == 5400
    assert {one.grams_per_kwh for one in found} == {10}


def test_slots_leave_holes_out():
    parts = hourly([50, 1, 1, 50, 50, 40]).readings
    series = series_of(one for i, one in enumerate(parts) if i != 1)
    found = best_slots(
        series, seconds=7200, earliest=NOON, latest_end=NOON + 6 * HOUR, pause_seconds=0
    )
    assert [one.start - NOON for one in found] == [2 * HOUR, 5 * HOUR]


def test_a_long_forecast_is_cut_into_longer_steps():
    grams = [50] * 24 * 14
    grams[200:212] = [5] * 12
    found = best_slots(
        hourly(grams),
        seconds=12 * 3600,
        earliest=NOON,
        latest_end=NOON + 14 * 24 * HOUR,
        pause_seconds=30,
    )
    assert found[0].grams_per_kwh == 5
