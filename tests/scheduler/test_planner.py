"""Plans against hand-made forecasts: floors, deadlines, holes, old data, slots, new forecasts."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from automl.errors import DataError
from automl.search.expectation import Expectation
from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.plan import Plan, When
from scheduler.planner import MOST_AGE, plan, span

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOULES = 3.6e6 * 0.01  # 0.01 kWh: 300 g/kWh are 3 g


def forecast(grams, *, start=NOW, issued_at=NOW, error=None) -> IntensitySeries:
    return IntensitySeries(
        zone="DE",
        source="test",
        factor_type="lifecycle",
        issued_at=issued_at,
        error_grams=error,
        readings=tuple(
            Reading(start=start + i * HOUR, end=start + (i + 1) * HOUR, grams_per_kwh=float(one))
            for i, one in enumerate(grams)
        ),
    )


def of(seconds: float, *, p95: float = 0.0, pause: float = 0.0) -> Expectation:
    return Expectation(
        cpu_seconds=seconds,
        p95_cpu_seconds=p95 or seconds,
        seconds=seconds,
        p95_seconds=p95 or seconds,
        joules=JOULES,
        pause_seconds=pause,
    )


LOW = When(policy="low_carbon")
NOON_DIP = [384, 384, 350, 296, 296, 350, 384, 384] + [400] * 30


def test_a_job_waits_for_the_cleanest_window_and_says_so():
    found = plan(LOW, of(3600), forecast(NOON_DIP, error=60), now=NOW)
    assert found.start_at == NOW + 3 * HOUR
    assert (found.grams_per_kwh_now, found.grams_per_kwh) == (384, 296)
    assert found.gco2e_now == pytest.approx(3.84)
    assert found.saving_gco2e == pytest.approx(0.88)
    # 88 g/kWh are gained; 1.645 standard deviations of 60 are 98.7.
    assert found.worst_saving_gco2e == pytest.approx((88 - 98.7) * 0.01)
    assert found.reason == (
        "waits until 12:00 UTC: 384 -> 296 g/kWh, saves 23 % of 3.8 gCO2e; at worst 3 % dirtier"
    )
    assert (found.zone, found.source, found.factor_type) == ("DE", "test", "lifecycle")


def test_the_worst_case_is_not_made_up_where_no_error_was_measured():
    found = plan(LOW, of(3600), forecast(NOON_DIP), now=NOW)
    assert found.worst_saving_gco2e is None
    assert "worst" not in found.reason
    kind = plan(LOW, of(3600), forecast(NOON_DIP, error=10), now=NOW)
    assert kind.reason.endswith("at worst 19 % saved")


def test_now_runs_now_and_still_says_what_waiting_would_bring():
    found = plan(When(), of(3600), forecast(NOON_DIP, error=5), now=NOW)
    assert (found.start_at, found.saving_gco2e, found.reason) == (NOW, 0, "runs now, as asked")
    assert found.alternatives[0].start == NOW + 3 * HOUR
    assert found.alternatives[0].saving_gco2e == pytest.approx(0.88)
    assert found.alternatives[0].worst_saving_gco2e == pytest.approx((88 - 1.645 * 5) * 0.01)


def test_five_windows_are_offered_the_best_first():
    found = plan(LOW, of(1800), forecast(NOON_DIP), now=NOW).alternatives
    assert len(found) == 5
    assert [one.gco2e for one in found] == sorted(one.gco2e for one in found)
    assert len({one.start for one in found}) == 5
    assert all(one.end - one.start == timedelta(minutes=30) for one in found)


@pytest.mark.parametrize(
    ("before", "after", "floor", "waits"),
    [
        (500, 486, 0.03, False),  # 2.8 %
        (500, 484, 0.03, True),  # 3.2 % and 16 g
        (40, 36, 0.03, False),  # 10 %, but 4 g
        (40, 34, 0.03, True),  # 15 % and 6 g
        (500, 460, 0.1, False),  # 8 %
        (40, 39.9, 0.0, True),  # any gain
        (40, 40, 0.0, False),
    ],
)
def test_a_wait_that_gains_less_than_the_floor_runs_now(before, after, floor, waits):
    series = forecast([before, before, after] + [before] * 30)
    found = plan(replace(LOW, floor=floor), of(3600), series, now=NOW)
    assert (found.start_at > NOW) is waits
    assert found.reason.startswith("waits" if waits else "runs now")
    if not waits and after < before:
        assert "less than the floor of" in found.reason
        assert f"{100 * floor:g} %" in found.reason


def test_the_deadline_bounds_the_start_with_a_fifth_in_hand():
    when = replace(LOW, finish_by=NOW + 4 * HOUR)
    found = plan(when, of(3600), forecast([384, 380, 300, 200, 100, 100]), now=NOW)
    assert found.latest_start == NOW + 4 * HOUR - 1.2 * HOUR
    assert found.start_at == found.latest_start
    assert found.slots[-1].end <= when.finish_by


def test_a_known_95th_percentile_is_kept_in_hand_instead():
    when = replace(LOW, finish_by=NOW + 8 * HOUR)
    found = plan(when, of(3600, p95=3 * 3600), forecast(NOON_DIP), now=NOW)
    assert found.latest_start == NOW + 5 * HOUR
    # It may not fit: then the job runs at once rather than being refused.
    tight = plan(replace(LOW, finish_by=NOW + 2 * HOUR), of(3600, p95=9e4), forecast([9]), now=NOW)
    assert (tight.start_at, tight.latest_start) == (NOW, NOW)
    assert tight.reason == "runs now: its latest start leaves no room to wait"


@pytest.mark.parametrize("minutes", [60, 71])
def test_a_deadline_that_is_too_early_is_refused_with_the_earliest_possible(minutes):
    when = replace(LOW, finish_by=NOW + timedelta(minutes=minutes))
    with pytest.raises(DataError) as caught:
        plan(when, of(3600), forecast(NOON_DIP), now=NOW)
    assert caught.value.code == "deadline_infeasible"
    assert caught.value.details["field"] == "when.finish_by"
    possible = datetime.fromisoformat(caught.value.details["earliest_finish"])
    assert NOW + 1.2 * HOUR <= possible <= NOW + 1.2 * HOUR + timedelta(minutes=2)
    # What was told is accepted.
    assert plan(replace(LOW, finish_by=possible), of(3600), None, now=NOW).start_at == NOW


@pytest.mark.parametrize(
    ("field", "moment", "why"),
    [
        ("finish_by", NOW - HOUR, "has passed"),
        ("finish_by", NOW, "has passed"),
        ("latest_start", NOW - HOUR, "has passed"),
        ("finish_by", NOW + timedelta(days=36_500), "more than a year ahead"),
        ("latest_start", NOW + timedelta(days=366), "more than a year ahead"),
        ("start_after", NOW + timedelta(days=366), "more than a year ahead"),
    ],
)
def test_impossible_times_are_refused_with_the_field_named(field, moment, why):
    with pytest.raises(DataError, match=why) as caught:
        plan(replace(LOW, **{field: moment}), of(60), forecast(NOON_DIP), now=NOW)
    assert caught.value.code == "deadline_infeasible"
    assert caught.value.details["field"] == f"when.{field}"


def test_the_first_moment_allowed_is_what_a_plan_is_compared_with():
    when = replace(LOW, start_after=NOW + 2 * HOUR)
    found = plan(when, of(3600), forecast(NOON_DIP), now=NOW)
    assert (found.grams_per_kwh_now, found.grams_per_kwh) == (350, 296)
    flat = plan(when, of(3600), forecast([300] * 40), now=NOW)
    assert flat.start_at == NOW + 2 * HOUR
    assert flat.reason == "runs at 11:00 UTC: no later start is expected to be cleaner"


def test_without_a_deadline_nothing_waits_longer_than_a_day():
    series = forecast([300] * 26 + [10] * 10)
    assert plan(LOW, of(3600), series, now=NOW).start_at == NOW
    found = plan(replace(LOW, latest_start=NOW + 30 * HOUR), of(3600), series, now=NOW)
    assert found.start_at == NOW + 26 * HOUR
    assert "waits until 2026-11-24 11:00 UTC" in found.reason


def test_a_late_deadline_is_not_waited_for_longer_than_a_week():
    when = replace(LOW, finish_by=NOW + timedelta(days=300))
    series = forecast([300] * 24 * 8 + [10] * 48)
    assert plan(when, of(3600), series, now=NOW).start_at == NOW
    assert span(when, of(3600), now=NOW) == (NOW, NOW + timedelta(days=7) + HOUR)
    assert span(LOW, of(3600), now=NOW) == (NOW, NOW + 25 * HOUR)


def test_old_data_runs_at_once():
    fresh = forecast(NOON_DIP, issued_at=NOW - MOST_AGE)
    assert plan(LOW, of(3600), fresh, now=NOW).start_at > NOW
    stale = forecast(NOON_DIP, issued_at=NOW - MOST_AGE - timedelta(seconds=1))
    found = plan(LOW, of(3600), stale, now=NOW)
    assert (found.start_at, found.reason) == (NOW, "runs now: the forecast of test is 6 hours old")


def test_what_the_forecast_does_not_cover_is_not_planned_into():
    hole = forecast(NOON_DIP)
    hole = replace(hole, readings=tuple(r for r in hole.readings if r.start != NOW + 4 * HOUR))
    found = plan(LOW, of(2 * 3600), hole, now=NOW)
    assert found.start_at == NOW + 2 * HOUR
    short = plan(LOW, of(5 * 3600), forecast([300, 100, 100]), now=NOW)
    assert short.start_at == NOW
    assert short.grams_per_kwh_now == pytest.approx(500 / 3)
    assert "covers the 5 hours" in short.reason


def test_without_any_forecast_a_job_runs_and_claims_nothing():
    for series in (None, forecast([])):
        found = plan(LOW, of(3600), series, now=NOW)
        assert (found.start_at, found.gco2e, found.saving_gco2e) == (NOW, None, None)
        assert "no forecast" in found.reason
    later = replace(LOW, start_after=NOW + HOUR)
    assert plan(later, of(60), None, now=NOW).reason.startswith("runs at 10:00 UTC: no forecast")
    assert plan(When(), of(60), None, now=NOW).reason == "runs now, as asked"


def test_a_forecast_that_begins_later_is_read_from_where_it_begins():
    series = forecast([300, 100], start=NOW + 2 * HOUR)
    assert plan(LOW, of(1800), series, now=NOW).grams_per_kwh_now == 300


UPS_AND_DOWNS = [400, 200] * 30


@pytest.mark.parametrize(
    ("hours", "interruptible", "n_slots"),
    [(2, None, 1), (2, True, 2), (9, False, 1), (9, None, 5), (2, False, 1)],
)
def test_long_jobs_and_those_that_may_pause_get_slots(hours, interruptible, n_slots):
    when = replace(LOW, interruptible=interruptible)
    found = plan(when, of(hours * 3600, pause=60), forecast(UPS_AND_DOWNS), now=NOW)
    assert len(found.slots) == n_slots
    total = sum((one.end - one.start).total_seconds() for one in found.slots)
    assert total == pytest.approx(hours * 3600 + 60 * (n_slots - 1))
    if n_slots > 1:
        assert f"in {n_slots} slots" in found.reason


def test_the_work_of_a_pause_is_part_of_what_a_plan_emits():
    when = replace(LOW, interruptible=True)
    found = plan(when, of(7200, pause=60), forecast(UPS_AND_DOWNS), now=NOW)
    # Two hours at 200, and the minute of coming back in the hour at 400 behind them.
    assert found.grams_per_kwh * 7200 == pytest.approx(7200 * 200 + 60 * 400)
    assert found.gco2e == pytest.approx(found.grams_per_kwh * 0.01)


def test_slots_are_left_when_the_pause_costs_more_than_it_saves():
    when = replace(LOW, interruptible=True)
    series = forecast([400, 100, 104, 100] + [400] * 30)
    assert len(plan(when, of(7200, pause=10), series, now=NOW).slots) == 2
    assert len(plan(when, of(7200, pause=300), series, now=NOW).slots) == 1


def test_the_running_hour_is_ranked_by_its_forecast_so_that_nothing_waits_for_ever():
    """Planned once an hour with the same forecast, the job starts where the first plan said."""
    grams = [384, 380, 350, 296, 310, 350] + [384] * 40
    starts = set()
    for n in range(4):
        now = NOW + n * HOUR
        series = forecast(grams[n:], start=now, issued_at=now)
        when = replace(LOW, latest_start=NOW + 24 * HOUR)
        starts.add(plan(when, of(3600), series, now=now).start_at)
    assert starts == {NOW + 3 * HOUR}


def test_a_plan_comes_back_from_json():
    paris = timezone(HOUR)
    when = replace(
        LOW, zone="DE", finish_by=datetime(2026, 11, 24, 9, tzinfo=paris), interruptible=True
    )
    first = plan(when, of(7200, pause=30), forecast(UPS_AND_DOWNS, error=3), now=NOW)
    text = json.dumps(first.to_json(), allow_nan=False)
    assert Plan.from_json(json.loads(text)) == first
    assert json.loads(text)["finish_by"] == "2026-11-24T08:00:00+00:00"
    bare = plan(When(), of(60), None, now=NOW)
    assert Plan.from_json(json.loads(json.dumps(bare.to_json()))) == bare


@pytest.mark.parametrize(
    "fields",
    [
        {"policy": "sometime"},
        {"floor": 1.0},
        {"floor": -0.1},
        {"floor": float("nan")},
        {"finish_by": datetime(2026, 11, 24, 9)},  # noqa: DTZ001
        {"start_after": NOW + HOUR, "latest_start": NOW},
        {"start_after": NOW + HOUR, "finish_by": NOW},
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValueError):
        When(**{"policy": "low_carbon", **fields})


@pytest.mark.parametrize("seed", range(150))
def test_whatever_is_wished_the_deadline_is_kept_and_nothing_is_made_dirtier(seed):
    draw = random.Random(seed)
    seconds = draw.choice((30, 1800, 3 * 3600, 10 * 3600, 30 * 3600)) * draw.uniform(0.5, 1.5)
    expectation = of(seconds, p95=seconds * draw.uniform(1, 4), pause=draw.choice((0, 30, 600)))
    now = NOW + timedelta(seconds=draw.uniform(0, 3600))
    room = timedelta(seconds=1.2 * seconds + draw.choice((0, 600, 9e4)) * draw.random() + 1)
    start_after = draw.choice((None, now - HOUR, now + 5 * HOUR * draw.random()))
    earliest = max(now, start_after or now)
    when = replace(
        LOW,
        start_after=start_after,
        finish_by=draw.choice((None, earliest + room)),
        interruptible=draw.choice((None, True, False)),
        floor=draw.choice((0.0, 0.03)),
    )
    series = forecast(
        [draw.uniform(20, 600) for _ in range(draw.choice((3, 24, 96)))], start=NOW, error=20
    )
    found = plan(when, expectation, series, now=now)
    assert earliest <= found.start_at <= found.latest_start
    ends = [slot.end for slot in found.slots]
    assert ends == sorted(ends)
    assert ends[-1] <= found.latest_start + timedelta(seconds=seconds + 1e-3)
    if when.finish_by is not None:
        # A fifth more than expected still fits behind the last start.
        assert found.latest_start + timedelta(seconds=1.2 * seconds) <= when.finish_by
    work = sum((slot.end - slot.start).total_seconds() for slot in found.slots)
    pauses = expectation.pause_seconds * (len(found.slots) - 1)
    assert work == pytest.approx(seconds + pauses, abs=1e-3)
    assert found.gco2e <= found.gco2e_now * (1 + 1e-9)
    if found.start_at > earliest or len(found.slots) > 1:
        emitted = sum(
            series.mean(slot.start, slot.end) * (slot.end - slot.start).total_seconds()
            for slot in found.slots
        )
        assert found.grams_per_kwh == pytest.approx(emitted / seconds, rel=1e-6)
        assert all(series.covered(slot.start, slot.end) > 1 - 1e-9 for slot in found.slots)
        gain = found.grams_per_kwh_now - found.grams_per_kwh
        assert gain >= when.floor * found.grams_per_kwh_now
        assert found.alternatives[0].start is not None
    assert Plan.from_json(json.loads(json.dumps(found.to_json()))) == found
