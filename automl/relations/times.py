"""Time columns however they are written, as float64: seconds since 1970, or their own units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from automl.data.dates import guess_dates
from automl.data.options import ReadingOptions
from automl.errors import DataError
from automl.relations.hashing import whole
from automl.relations.tables import SECONDS_PER_DAY, Floats

# Two digits of a year: 00 to 29 are 2000 to 2029, the others 1930 to 1999.
CENTURY_TURNS = 30
UNITS_PER_SECOND = {"epoch_s": 1.0, "epoch_ms": 1e3, "epoch_us": 1e6}
PLAIN = ("month_number", "number", "order")
# More times than this that cannot be read are a mistake in the declaration, not in the data.
MOST_UNREADABLE = 0.05
DIGITS = {"yymmdd": 6, "yyyymmdd": 8}
SAMPLE = 1_000


@dataclass(frozen=True, kw_only=True)
class Times:
    """Times of rows.

    Parameters
    ----------
    values : array of shape (n_rows,), float64; NaN where there is none
    dated : bool
        Whether they are seconds since 1970 in UTC.
    n_missing, n_unreadable : int
        Empty cells, and cells that are not written in the format.
    first_unreadable : int or None
        Row counted from 0.
    """

    values: Floats
    dated: bool
    n_missing: int = 0
    n_unreadable: int = 0
    first_unreadable: int | None = None


def is_dated(time_format: str) -> bool:
    """Whether times of this format are dates, so that lengths of time are days."""
    return time_format not in PLAIN


def read_times(
    column: pa.Array | pa.ChunkedArray | None,
    time_format: str,
    *,
    n_rows: int,
    from_row: int = 0,
    name: str = "",
) -> Times:
    """Read a time column.

    `iso` also takes columns that are dates or timestamps already, and texts in any one date
    format that can be told without doubt. `yymmdd` and `yyyymmdd` are integers or texts, with a
    clock behind them or not ("970401 00:00:00"); years 00 to 29 are of the 2000s. `month_number`
    and `number` are numbers whose unit only their user knows. `order` needs no column.

    Parameters
    ----------
    from_row : int
        The position in its file of the first of these rows, for `order`.
    name : what the column is called, for errors

    Raises
    ------
    DataError
        ``ambiguous_date`` where texts do not tell day and month apart.

    >>> read_times(pa.array([970401, None, 991301]), "yymmdd", n_rows=3).values
    array([8.598528e+08,           nan,           nan])
    """
    if time_format == "order":
        return Times(values=np.arange(from_row, from_row + n_rows, dtype=np.float64), dated=False)
    assert column is not None
    array = whole(column)
    dated = is_dated(time_format)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        # a date is no number of anything
        values = _seconds(array) if dated else np.full(n_rows, np.nan)
    elif time_format == "iso":
        values = _written_dates(array, name)
    elif time_format in DIGITS:
        values = _calendar(array, time_format)
    else:
        values = _numbers(array) / UNITS_PER_SECOND.get(time_format, 1.0)
    values = np.where(np.isfinite(values), values, np.nan)
    nothing = np.isnan(values)
    if not nothing.any():
        return Times(values=values, dated=dated)
    missing = pc.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
    bad = np.flatnonzero(nothing & ~missing)
    return Times(
        values=values,
        dated=dated,
        n_missing=int(missing.sum()),
        n_unreadable=len(bad),
        first_unreadable=int(bad[0]) if len(bad) else None,
    )


def refuse_unreadable(
    *, n_unreadable: int, n_rows: int, first: int | None, time_format: str, table: str, column: str
) -> None:
    """Raise ``time_format`` where more than 5 % of the times are not written in the format."""
    if n_unreadable <= MOST_UNREADABLE * n_rows:
        return
    row = None if first is None else first + 1
    raise DataError(
        f"{n_unreadable:,} of {n_rows:,} times in '{table}.{column}' are not written as "
        f"{time_format}, the first in row {row}",
        code="time_format",
        table=table,
        column=column,
        row=row,
        details={"time_format": time_format, "n_unreadable": n_unreadable, "n_rows": n_rows},
    )


def _seconds(array: pa.Array) -> Floats:
    micros = array.cast(pa.timestamp("us"), safe=False) if _is_naive(array) else array
    micros = micros.cast(pa.timestamp("us", "UTC"), safe=False)
    return _floats(micros.cast(pa.int64())) / 1e6


def _is_naive(array: pa.Array) -> bool:
    return not pa.types.is_timestamp(array.type) or array.type.tz is None


def _written_dates(array: pa.Array, name: str) -> Floats:
    """Texts, each distinct one read once."""
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return np.full(len(array), np.nan)
    coded = array.dictionary_encode()
    texts = pc.utf8_trim_whitespace(coded.dictionary.cast(pa.string()))
    seconds = _arrow_dates(texts)
    if seconds is None:
        read = pd.to_datetime(
            pd.Series(texts.to_pylist(), dtype=object), errors="coerce", utc=True, format="ISO8601"
        )
        if read.isna().mean() > MOST_UNREADABLE:
            read = _guessed_dates(texts, read, name)
        seconds = _seconds(pa.array(read.dt.as_unit("us"), type=pa.timestamp("us", "UTC")))
    at = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    values: Floats = np.append(seconds, np.nan)[at]
    return values


def _arrow_dates(texts: pa.Array) -> Floats | None:
    """Where all are ISO 8601, all with an offset or none: ten times as fast as one by one."""
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return _seconds(texts.cast(kind))
        except pa.ArrowInvalid:
            continue
    return None


def _guessed_dates(texts: pa.Array, iso: pd.Series, name: str) -> pd.Series:
    """In the one format that all of a sample have; what was read as ISO 8601 if there is none."""
    options = ReadingOptions()
    guess = guess_dates(name, texts.slice(0, SAMPLE), options=options)
    if guess is None or guess.format is None:
        return iso
    written = pd.Series(texts.to_pylist(), dtype=object)
    return pd.to_datetime(written, errors="coerce", utc=True, format=guess.format)


def _calendar(array: pa.Array, time_format: str) -> Floats:
    """Digits of year, month and day; a clock behind them may follow a blank or a T."""
    n_digits = DIGITS[time_format]
    clock: Floats | float = 0.0
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        parts = pc.extract_regex(
            pc.utf8_trim_whitespace(array),
            rf"^(?P<day>[0-9]{{{n_digits}}})"
            r"(?:[ T](?P<h>[0-9]{2}):(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2}))?)?$",
        )
        day = _digits(parts, "day")
        clock = sum(
            _digits(parts, name) * seconds
            for name, seconds in (("h", 3600.0), ("m", 60.0), ("s", 1.0))
        )
        clock = np.where(clock < SECONDS_PER_DAY, clock, np.nan)
        day = np.where(_nothing(parts), np.nan, day)
    else:
        day = _numbers(array)
    whole_day = np.isfinite(day) & (day == np.rint(day)) & (day >= 0) & (day < 10.0**n_digits)
    number = np.where(whole_day, day, 0).astype(np.int64)
    year, month, date = number // 10_000, number // 100 % 100, number % 100
    if time_format == "yymmdd":
        year = year + np.where(year < CENTURY_TURNS, 2000, 1900)
    fits = whole_day & (month >= 1) & (month <= 12) & (date >= 1) & (year >= 1)
    months = (np.where(fits, year, 1970) - 1970) * 12 + np.where(fits, month, 1) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    fits &= date <= after - first
    return np.where(fits, (first + date - 1) * SECONDS_PER_DAY + clock, np.nan)


def _digits(parts: pa.Array, name: str) -> Floats:
    """A part of texts that were taken apart; 0 where there is nothing."""
    texts = pc.struct_field(parts, name)
    empty = pc.equal(texts, "").fill_null(True)
    return _floats(pc.if_else(empty, "0", texts).cast(pa.float64()))


def _numbers(array: pa.Array) -> Floats:
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return np.asarray(
            pd.to_numeric(pd.Series(array.to_pylist(), dtype=object), errors="coerce"),
            dtype=np.float64,
        )
    return _floats(array)


def _floats(array: pa.Array) -> Floats:
    values: Floats = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _nothing(array: pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.is_null(array).to_numpy(zero_copy_only=False)
    return found
