"""Plans made again by newer forecasts: moved for a gain that counts, kept otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.planner import plan
from scheduler.replanning import replan
from tests.scheduler.test_planner import HOUR, LOW, NOON_DIP, NOW, forecast, of


def test_only_a_newer_forecast_makes_a_new_plan():
    first = plan(LOW, of(3600), forecast(NOON_DIP), now=NOW)
    later = NOW + HOUR
    same = forecast([1] * 40, start=later)
    assert replan(first, of(3600), same, now=later) is first
    newer = forecast([300, 300, 300, 300, 50] + [300] * 30, start=later, issued_at=later)
    second = replan(first, of(3600), newer, now=later)
    assert second.start_at == later + 4 * HOUR
    assert (second.decided_at, second.issued_at) == (later, later)


def test_planning_again_never_moves_the_latest_start_back_nor_refuses():
    first = plan(LOW, of(3600), forecast(NOON_DIP), now=NOW)
    late = NOW + 23 * HOUR
    newer = forecast([300] * 5 + [50] * 30, start=late, issued_at=late)
    second = replan(first, of(3600), newer, now=late)
    assert second.latest_start == first.latest_start == NOW + 24 * HOUR
    assert second.start_at == late
    deadline = plan(replace(LOW, finish_by=NOW + 3 * HOUR), of(3600), forecast(NOON_DIP), now=NOW)
    gone = NOW + 20 * HOUR
    third = replan(deadline, of(3600), forecast([9] * 9, start=gone, issued_at=gone), now=gone)
    assert third.start_at == gone


@pytest.mark.parametrize("hours", [1, 2, 2.75])
def test_a_job_near_its_window_does_not_start_before_it(hours):
    """Little is left to gain by waiting, and that little was part of the plan."""
    descent = [384, 320, 301, 296, 300, 384, 384] + [400] * 30
    first = plan(LOW, of(3600), forecast(descent), now=NOW)
    now = NOW + hours * HOUR
    again = replan(first, of(3600), forecast(descent, issued_at=now), now=now)
    assert again.start_at == first.start_at == NOW + 3 * HOUR
    assert again.grams_per_kwh == 296
    assert (again.gco2e_now, again.saving_gco2e) == (first.gco2e_now, first.saving_gco2e)
    assert "still waits until 12:00 UTC: 296 g/kWh" in again.reason


def test_a_small_gain_elsewhere_moves_nothing_and_a_large_one_does():
    first = plan(LOW, of(3600), forecast([384, 384, 384, 100, 384] + [400] * 30), now=NOW)
    later = NOW + HOUR

    def again(grams):
        series = forecast([384, 384, 384, 100, grams] + [400] * 30, issued_at=later)
        return replan(first, of(3600), series, now=later).start_at

    assert again(96) == NOW + 3 * HOUR
    assert again(94) == NOW + 4 * HOUR
    assert again(300) == NOW + 3 * HOUR


def test_a_window_that_turned_dirty_is_left():
    first = plan(LOW, of(3600), forecast(NOON_DIP), now=NOW)
    later = NOW + HOUR
    now_flat = forecast([384, 384] + [500] * 30, issued_at=later)
    assert replan(first, of(3600), now_flat, now=later).start_at == later
