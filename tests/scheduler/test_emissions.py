"""Emissions against a sum over minutes, holes against their definition, moves against a count."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from automl.cost import Cost
from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.emissions import Rates, Stretch, by_day, fill, moved, rates_of
from scheduler.errors import ForecastUnavailable

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
METER = "cpu_time"


def series(
    values: Sequence[float | None], *, start: datetime = NOON, source: str = "measured"
) -> IntensitySeries:
    """Hourly readings; None is a hole."""
    readings = tuple(
        Reading(start=start + i * HOUR, end=start + (i + 1) * HOUR, grams_per_kwh=value)
        for i, value in enumerate(values)
        if value is not None
    )
    return IntensitySeries(
        zone="FR", source=source, factor_type="lifecycle", issued_at=start, readings=readings
    )


def work(start: datetime, end: datetime, joules: float = 3.6e6, phase: str = "search") -> Stretch:
    cost = Cost(cpu_seconds=joules / 4, joules=joules, meter=METER)
    return Stretch(phase=phase, start=start, end=end, cost=cost)


@dataclass
class Known:
    """A source with one series, or without any."""

    known: IntensitySeries | None
    name: str = "known"
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        self.asked.append((start, end))
        if self.known is None:
            raise ForecastUnavailable("nothing")
        return self.known.between(start, end)

    latest = forecast = history  # type: ignore[assignment]


def daily(level: float = 100.0) -> Known:
    """A profile that rises by 1 g/kWh an hour within each day, over many days."""
    start = NOON.replace(hour=0) - timedelta(days=400)
    values = [level + hour for _ in range(500) for hour in range(24)]
    return Known(series(values, start=start, source="typical"), name="typical")


def test_a_phase_over_hours_emits_what_each_minute_of_it_does() -> None:
    chance = random.Random(3)
    values = [chance.uniform(0, 900) for _ in range(12)]
    rates = Rates(series(values))
    for _ in range(50):
        begin = NOON + chance.randrange(0, 600) * MINUTE
        end = begin + chance.randrange(1, 120) * MINUTE
        stretch = work(begin, end, joules=chance.uniform(1, 1e6))
        minutes = int((end - begin) / MINUTE)
        expected = sum(
            stretch.cost.joules / minutes / 3.6e6 * values[int((begin - NOON) / HOUR + i / 60)]
            for i in range(minutes)
        )
        assert rates.price(stretch).gco2e == pytest.approx(expected, rel=1e-9)


def test_a_moment_has_the_intensity_it_lies_in_and_outside_there_is_none() -> None:
    rates = Rates(series([10, 20]))
    assert rates.price(work(NOON + HOUR, NOON + HOUR)).gco2e == pytest.approx(20)
    for moment in (NOON - MINUTE, NOON + 2 * HOUR):
        with pytest.raises(ForecastUnavailable):
            rates.over(moment, moment)


def test_holes_follow_the_profile_at_the_level_of_the_readings_around_them() -> None:
    # Half of the profile, which rises by 1 an hour from 100 at midnight.
    known = series([56, None, 57, None])
    profile = daily().known
    assert profile is not None
    whole = fill(known, profile, NOON, NOON + 4 * HOUR)
    assert [one.grams_per_kwh for one in whole.readings] == [56, 56.5, 57, 57.5]
    assert [one.is_estimated for one in whole.readings] == [False, True, False, True]
    assert whole.source == "measured"
    assert {one.source for one in whole.readings if one.is_estimated} == {"typical"}
    rate = Rates(whole).over(NOON, NOON + 4 * HOUR)
    assert (rate.share_estimated, rate.sources) == (0.5, {"measured": 0.5, "typical": 0.5})


def test_without_a_reading_in_a_day_the_profile_stands_as_it_is() -> None:
    profile = daily().known
    assert profile is not None
    for known in (None, series([]), series([500], start=NOON - timedelta(days=3)), profile):
        filled = fill(known, profile, NOON, NOON + HOUR)
        assert [one.grams_per_kwh for one in filled.readings] == [112]
        assert all(one.is_estimated for one in filled.readings)


def test_a_source_that_fails_leaves_the_profile_and_says_so() -> None:
    spans = [(NOON, NOON + HOUR)]
    rates = rates_of(Known(None), daily(), zone="FR", spans=spans, now=NOON + HOUR)
    assert rates.series.issued_at == NOON + HOUR, "nothing is known on a later day"
    assert rates.series.source == "typical"
    assert rates.over(NOON, NOON + HOUR).share_estimated == 1


def test_spans_far_apart_are_asked_for_one_by_one() -> None:
    source = Known(series([300] * 24 * 40, start=NOON - 30 * timedelta(days=1)))
    spans = [
        (NOON, NOON + HOUR),
        (NOON - timedelta(days=20), NOON - timedelta(days=20)),
        (NOON + HOUR, NOON + 2 * HOUR),
    ]
    rates = rates_of(source, daily(), zone="FR", spans=spans, now=NOON + 2 * HOUR)
    assert len(source.asked) == 2
    assert all(end - start < timedelta(days=3) for start, end in source.asked)
    for start, end in spans:
        assert rates.over(start, end).grams_per_kwh == 300


@pytest.mark.parametrize("end", [NOON, NOON - HOUR])  # a clock that was set back
def test_work_of_no_time_has_the_intensity_of_its_moment(end: datetime) -> None:
    source = Known(series([300] * 30))
    rates = rates_of(source, daily(), zone="FR", spans=[(NOON, end)], now=NOON + 9 * HOUR)
    assert rates.over(NOON, NOON).grams_per_kwh == 300


def test_a_stretch_is_cut_at_the_midnights_of_utc_and_keeps_its_energy() -> None:
    late = NOON.replace(hour=23)
    parts = by_day(work(late, late + 26 * HOUR, joules=26.0))
    joules: list[Any] = [(day, part.cost.joules) for day, part in parts]
    assert joules == [
        ("2026-06-01", pytest.approx(1)),
        ("2026-06-02", pytest.approx(24)),
        ("2026-06-03", pytest.approx(1)),
    ]
    midnight = NOON.replace(hour=0)
    (only,) = by_day(work(midnight, midnight + 24 * HOUR))
    assert only[0] == "2026-06-01"
    assert by_day(work(NOON, NOON))[0][0] == "2026-06-01"


def test_moved_work_keeps_order_durations_and_what_ran_together() -> None:
    a, b = work(NOON, NOON + 2 * HOUR), work(NOON + HOUR, NOON + 3 * HOUR)
    c, d = work(NOON + 9 * HOUR, NOON + 10 * HOUR), work(NOON + 9 * HOUR, NOON + 9 * HOUR)
    to = NOON - 5 * HOUR
    got = [((one.start - to) / HOUR, (one.end - to) / HOUR) for one in moved([c, a, b, d], to)]
    assert got == [(3, 4), (0, 2), (1, 3), (3, 3)]
    assert moved([], to) == []
