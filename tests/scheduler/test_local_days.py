"""Once per local date, counted by walking through the year minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from automl.errors import DataError
from scheduler.local_days import DailyWindow, exists, local_time, moment, time_zone

START = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = (
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",  # changes by half an hour
    "Asia/Kolkata",
    "Pacific/Tongatapu",  # +13
    "Pacific/Pago_Pago",  # -11
)


def window(zone: str, at: str = "02:30", **given: object) -> DailyWindow:
    return DailyWindow(zone=ZoneInfo(zone), at=local_time(at), hours=4.0, **given)


def walked(zone: str, at: str, *, begin: datetime, n_days: int) -> dict[date, datetime]:
    """When the clock on the wall first shows, or first passes, a time on each date."""
    found: dict[date, datetime] = {}
    step = timedelta(minutes=30)
    now, end = begin, begin + timedelta(days=n_days)
    while now < end:
        wall = now.astimezone(ZoneInfo(zone))
        if wall.strftime("%H:%M") >= at:
            found.setdefault(wall.date(), now)
        now += step
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", ["00:00", "02:00", "02:30", "03:00", "23:30"])
def test_a_simulated_year_has_one_run_per_local_date(zone: str, at: str) -> None:
    truth = walked(zone, at, begin=START - timedelta(days=2), n_days=372)
    daily = window(zone, at)
    clock, end = START, START + timedelta(days=366)
    day, begins = daily.after(clock)
    runs: list[tuple[date, datetime]] = []
    while begins < end:
        runs.append((day, begins))
        day, begins = daily.after(begins)
    days = [one for one, _ in runs]
    assert days == sorted(set(days))
    assert len(days) in (365, 366)
    assert (days[-1] - days[0]).days == len(days) - 1  # no date is left out
    for day, begins in runs:
        assert truth[day] == begins, day


def test_the_nights_of_paris() -> None:
    paris = ZoneInfo("Europe/Paris")
    spring = moment(date(2026, 3, 29), time(2, 30), zone=paris)
    assert spring == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00, the first after the gap
    autumn = moment(date(2026, 10, 25), time(2, 30), zone=paris)
    assert autumn == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_leap_day_and_the_end_of_a_year_are_days() -> None:
    daily = window("Europe/Paris")
    assert daily.after(datetime(2028, 2, 28, 12, tzinfo=UTC))[0] == date(2028, 2, 29)
    assert daily.after(datetime(2026, 12, 31, 12, tzinfo=UTC))[0] == date(2027, 1, 1)


def test_a_date_that_a_zone_never_had_has_no_run() -> None:
    apia = window("Pacific/Apia", "12:00")
    assert not exists(date(2011, 12, 30), zone=apia.zone)
    day, begins = apia.after(datetime(2011, 12, 29, 0, tzinfo=UTC))
    assert day == date(2011, 12, 29)
    following, later = apia.after(begins)
    assert following == date(2011, 12, 31)
    assert later - begins == timedelta(days=1)


def test_a_window_that_ends_at_a_time_begins_so_many_hours_before() -> None:
    daily = window("Europe/Paris", "07:00", ends=True)
    day, begins = daily.after(datetime(2026, 7, 1, tzinfo=UTC))
    assert (day, begins) == (date(2026, 7, 1), datetime(2026, 7, 1, 1, tzinfo=UTC))
    assert daily.closes(day) == datetime(2026, 7, 1, 5, tzinfo=UTC)


def test_days_of_an_outage_are_listed() -> None:
    daily = window("Europe/Paris")
    now = datetime(2026, 3, 31, 12, tzinfo=UTC)
    assert daily.between(date(2026, 3, 28), now) == [date(2026, 3, d) for d in (28, 29, 30, 31)]
    assert daily.between(date(2026, 4, 1), now) == []


def test_the_next_times_and_a_note_are_told() -> None:
    daily = window("Europe/Paris")
    times = daily.next_times(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert [one.isoformat()[:16] for one in times] == [
        "2026-10-25T00:30",
        "2026-10-26T01:30",
        "2026-10-27T01:30",
    ]
    assert "2026-10-25" in str(daily.note(START))
    assert window("Europe/Paris", "04:00").note(START) is None
    assert window("Asia/Kolkata").note(START) is None


@pytest.mark.parametrize("name", ["Mars/X", "", "../etc/passwd", "localtime", "Europe", "\0"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(DataError) as caught:
        time_zone(name)
    assert caught.value.code == "unknown_time_zone"
