"""Times however they are written, against datetime."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.relations.times import is_dated, read_times, refuse_unreadable


def seconds(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp()


def read(values, time_format, kind=None):
    return read_times(pa.array(values, kind), time_format, n_rows=len(values))


@settings(max_examples=60)
@given(st.lists(st.dates(date(1930, 1, 1), date(2029, 12, 31)), min_size=1, max_size=20))
def test_six_digits_are_the_day_that_they_name(days):
    wanted = [seconds(day.year, day.month, day.day) for day in days]
    texts = [day.strftime("%y%m%d") for day in days]
    assert read(texts, "yymmdd").values.tolist() == wanted
    assert read([f"{text} 06:30:15" for text in texts], "yymmdd").values.tolist() == [
        one + 6 * 3600 + 30 * 60 + 15 for one in wanted
    ]
    assert read([int(text) for text in texts], "yymmdd").values.tolist() == wanted
    eight = [day.strftime("%Y%m%d") for day in days]
    assert read(eight, "yyyymmdd").values.tolist() == wanted
    assert read([float(text) for text in eight], "yyyymmdd").values.tolist() == wanted


@settings(max_examples=40)
@given(st.integers(0, 999_999))
def test_six_digits_that_are_no_day_are_no_time(number):
    try:
        year = number // 10_000
        wanted = seconds(year + (2000 if year < 30 else 1900), number // 100 % 100, number % 100)
    except ValueError:
        wanted = np.nan
    assert read([number], "yymmdd").values.tolist() == pytest.approx([wanted], nan_ok=True)


@settings(max_examples=40)
@given(
    st.lists(
        st.integers(-(2**31), 2**32).map(
            lambda one: datetime.fromtimestamp(one, UTC).replace(tzinfo=None)
        ),
        min_size=1,
        max_size=9,
    )
)
def test_dates_are_read_in_every_way_they_are_stored(times):
    wanted = [time.replace(tzinfo=UTC).timestamp() for time in times]
    assert read([time.isoformat() for time in times], "iso").values.tolist() == wanted
    assert read([time.isoformat(" ") + "Z" for time in times], "iso").values.tolist() == wanted
    for unit in ("s", "ms", "us", "ns"):
        assert read(times, "iso", pa.timestamp(unit)).values.tolist() == wanted
    zone = timezone(timedelta(hours=2))
    local = [time.replace(tzinfo=UTC).astimezone(zone).isoformat() for time in times]
    assert read(local, "iso").values.tolist() == wanted
    for name, factor in (("epoch_s", 1), ("epoch_ms", 1e3), ("epoch_us", 1e6)):
        assert read([one * factor for one in wanted], name).values.tolist() == wanted


def test_other_dates_are_read_where_there_is_no_doubt():
    assert read(["8/29/2011", "9/1/2011"], "iso").values.tolist() == [
        seconds(2011, 8, 29),
        seconds(2011, 9, 1),
    ]
    with pytest.raises(DataError) as caught:
        read_times(pa.array(["8/9/2011"]), "iso", n_rows=1, name="Date")
    assert (caught.value.code, caught.value.column) == ("ambiguous_date", "Date")


def test_numbers_keep_their_units():
    assert read([-3, 0, None], "month_number").values[:2].tolist() == [-3.0, 0.0]
    assert read(["2.5", "x"], "number").n_unreadable == 1
    assert not is_dated("month_number")
    assert is_dated("epoch_us")


def test_the_order_of_a_file_needs_no_column():
    times = read_times(None, "order", n_rows=3, from_row=10)
    assert times.values.tolist() == [10.0, 11.0, 12.0]
    assert not times.dated


def test_what_cannot_be_read_is_counted_apart_from_what_is_missing():
    times = read(["970401", None, "97-04-01", "971301", "970401 25:00:00"], "yymmdd")
    assert np.isfinite(times.values).tolist() == [True, False, False, False, False]
    assert (times.n_missing, times.n_unreadable, times.first_unreadable) == (1, 3, 2)


def test_a_date_is_no_number():
    assert read([0], "number", pa.timestamp("us")).n_unreadable == 1
    assert read([20200101], "iso").n_unreadable == 1


def test_infinity_is_no_time():
    assert np.isnan(read([np.inf, -np.inf, np.nan], "number").values).all()


def test_more_than_a_few_that_cannot_be_read_are_a_wrong_format():
    about = {"time_format": "yymmdd", "table": "card", "column": "issued", "first": 6}
    refuse_unreadable(n_unreadable=5, n_rows=100, **about)
    with pytest.raises(DataError) as caught:
        refuse_unreadable(n_unreadable=6, n_rows=100, **about)
    assert caught.value.code == "time_format"
    assert (caught.value.table, caught.value.column, caught.value.row) == ("card", "issued", 7)
