from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.logs import clocks

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WRITTEN = {
    "iso": lambda t: t.isoformat(timespec="microseconds"),
    "yymmdd": lambda t: t.strftime("%y%m%d %H%M%S"),
    "apache": lambda t: t.strftime("%d/%b/%Y:%H:%M:%S %z"),
    "asctime": lambda t: t.strftime("%a %b %d %H:%M:%S.%f %Y"),
    "bgl": lambda t: t.strftime("%Y-%m-%d-%H.%M.%S.%f"),
    "epoch": lambda t: str(int((t - EPOCH).total_seconds())),
}
FRACTIONS = ("iso", "asctime", "bgl")
AWARE = ("iso", "apache", "epoch")


@pytest.mark.parametrize("clock", WRITTEN)
@given(
    times=st.lists(
        st.datetimes(datetime(1970, 1, 2), datetime(2068, 12, 31)),  # noqa: DTZ001
        min_size=1,
        max_size=5,
    ),
    offset=st.integers(-12, 14),
)
@settings(max_examples=25)
def test_what_python_writes_is_read_back(clock, times, offset):
    zone = timezone(timedelta(hours=offset)) if clock in ("iso", "apache") else UTC
    times = [one.replace(tzinfo=zone) for one in times]
    if clock == "epoch":
        times = [max(one, datetime(1980, 1, 1, tzinfo=UTC)) for one in times]
    if clock not in FRACTIONS:
        times = [one.replace(microsecond=0) for one in times]
    found = clocks.parse(pa.array([WRITTEN[clock](one) for one in times]), clock)
    expected = [(one - EPOCH) // timedelta(microseconds=1) for one in times]
    assert found.values.tolist() == expected
    assert found.valid.all()
    assert (found.aware == (clock in AWARE)).all()


@pytest.mark.parametrize(
    ("clock", "text"),
    [
        ("iso", "2023-02-29T10:00:00"),
        ("iso", "2023-02-20T24:00:00"),
        ("yymmdd", "081131 203615"),
        ("yymmdd", "081109 206015"),
        ("apache", "31/Apr/2000:13:55:36 -0700"),
        ("apache", "10/Okt/2000:13:55:36 -0700"),
        ("asctime", "Sun Feb 30 04:47:44 2005"),
        ("bgl", "2005-13-03-15.42.50.675872"),
        ("syslog", "Feb 30 04:47:44"),
    ],
)
def test_a_time_that_no_calendar_has_is_none(clock, text):
    assert not clocks.parse(pa.array([text]), clock).valid[0]


def test_iso_without_seconds_and_with_a_comma_before_the_fraction():
    texts = [
        "2024-01-02 03:04",
        "2024-01-02T03:04Z",
        "2024-01-02 03:04:05,678",
        "2024-01-02 03:04+0130",
    ]
    found = clocks.parse(pa.array(texts), "iso")
    at = [np.datetime64(int(one), "us").astype(datetime) for one in found.values]
    assert [one.strftime("%H:%M:%S.%f") for one in at] == [
        "03:04:00.000000",
        "03:04:00.000000",
        "03:04:05.678000",
        "01:34:00.000000",
    ]
    assert found.aware.tolist() == [False, True, False, True]


def test_milliseconds_since_1970_are_told_from_seconds():
    found = clocks.parse(pa.array(["1117838570", "1117838570123", "1117838570.25"]), "epoch")
    assert (found.values - 1117838570 * 10**6).tolist() == [0, 123_000, 250_000]


def test_a_syslog_goes_over_new_year_and_a_late_line_goes_back():
    texts = [
        "Dec 30 10:00:00",
        "Dec 31 23:59:59",
        "Jan  1 00:00:01",
        "Dec 31 23:59:59",
        "Jan  2 00:00:00",
    ]
    plain = clocks.parse(pa.array(texts), "syslog")
    first, year, month = clocks.with_years(plain.values[:2], year=2023, last_month=None)
    rest, year, month = clocks.with_years(plain.values[2:], year=year, last_month=month)
    days = (
        np.concatenate([first, rest]).astype("datetime64[us]").astype("datetime64[D]").astype(str)
    )
    assert days.tolist() == ["2023-12-30", "2023-12-31", "2024-01-01", "2023-12-31", "2024-01-02"]
    assert (year, month) == (2024, 1)
