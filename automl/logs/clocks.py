"""Times as logs write them, to microseconds; a time that no calendar has is none."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

SECOND = 1_000_000
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTH_OF = {int.from_bytes(name.encode(), "big"): n + 1 for n, name in enumerate(MONTHS)}
# Two digits of a year from 69 on are of the last century, as in POSIX.
PIVOT = 69
REST = re.compile(r"(?:[.,](\d+))? ?(?:(Z)|([+-])(\d\d):?(\d\d))?")
# Seconds until the year 2242 are below, milliseconds above.
MILLISECONDS = 2**33

# How a clock's text looks, for the formats that choose it by a sample.
PATTERNS = {
    "iso": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[+-]\d\d:?\d\d|Z)?",
    "epoch": r"\d{9,10}(?:\.\d{1,9})?|\d{12,13}",
    "yymmdd": r"\d{6} \d{6}",
    "apache": r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "asctime": r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})? \d{4}",
    "bgl": r"\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d\.\d{1,9}",
    "syslog": r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d",
}


@dataclass(frozen=True, kw_only=True)
class Times:
    """Microseconds since 1970, of UTC where `aware`, else of an unnamed place's wall clock.

    Parameters
    ----------
    values, valid, aware : arrays of shape (n_times,), int64 and twice bool
    """

    values: Integers
    valid: Booleans
    aware: Booleans


def parse(texts: pa.Array, clock: str) -> Times:
    """Texts that look as `PATTERNS[clock]` says, to times; the syslog's are of the year 2000.

    >>> times = parse(pa.array(["2024-02-29T10:00:00Z", "2023-02-29T10:00:00Z"]), "iso")
    >>> times.values[:1].astype("datetime64[us]").tolist(), times.valid.tolist()
    ([datetime.datetime(2024, 2, 29, 10, 0)], [True, False])
    """
    if len(texts) == 0:
        none = np.empty(0, dtype=np.bool_)
        return Times(values=np.empty(0, dtype=np.int64), valid=none, aware=none)
    return _PARSERS[clock](texts)


def with_years(values: Integers, *, year: int, last_month: int | None) -> tuple[Integers, int, int]:
    """Times of the year 2000 in the year that they are of, as lines go on; the last year and month.

    A month that is more than half a year before that of the line before is of the next year.
    """
    months = values.astype("datetime64[us]").astype("datetime64[M]")
    of_year = months.astype(np.int64) % 12 + 1
    step = np.diff(of_year, prepend=of_year[0] if last_month is None else last_month)
    years = year + np.cumsum((step < -6).astype(np.int64) - (step > 6))
    first = months.astype("datetime64[us]").astype(np.int64)
    moved = (months + (years - 2000) * 12).astype("datetime64[us]").astype(np.int64)
    return moved + values - first, int(years[-1]), int(of_year[-1])


def _matrix(texts: pa.Array, width: int) -> Bytes:
    """The first `width` bytes of ASCII texts that are at least as long, shape (n, width)."""
    cut = pc.utf8_slice_codeunits(texts, 0, width)
    if isinstance(cut, pa.ChunkedArray):
        cut = cut.combine_chunks()
    offsets = np.frombuffer(cut.buffers()[1], dtype=np.int32)[
        cut.offset : cut.offset + len(cut) + 1
    ]
    data = np.frombuffer(cut.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
    return data.reshape(len(cut), width)


def _number(matrix: Bytes, first: int, width: int) -> Integers:
    """Digits to a number; a space counts as 0."""
    number = np.zeros(len(matrix), dtype=np.int64)
    for at in range(first, first + width):
        digit = matrix[:, at].astype(np.int64) - 48
        number = number * 10 + np.where(digit < 0, 0, digit)
    return number


def _month(matrix: Bytes, first: int) -> Integers:
    """A month's name to 1..12; 0 is none."""
    letters = matrix[:, first : first + 3].astype(np.int64)
    codes = letters[:, 0] << 16 | letters[:, 1] << 8 | letters[:, 2]
    distinct, places = np.unique(codes, return_inverse=True)
    return np.array([_MONTH_OF.get(int(one), 0) for one in distinct], dtype=np.int64)[places]


def _civil(
    year: Integers, month: Integers, day: Integers, clock: Integers
) -> tuple[Integers, Booleans]:
    """Microseconds of a date and seconds of its day; whether the calendar knows the date."""
    known = (month >= 1) & (month <= 12)
    since = (year - 1970) * 12 + np.where(known, month, 1) - 1
    date = since.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    known &= (day >= 1) & (date.astype("datetime64[M]").astype(np.int64) == since) & (clock >= 0)
    return date.astype(np.int64) * 86_400 * SECOND + clock * SECOND, known


def _clock(matrix: Bytes, first: int, *, step: int = 3) -> Integers:
    """hh:mm:ss (or hhmmss with step 2) as seconds of the day; -1 where there is no such time."""
    hour, minute, second = (_number(matrix, first + step * n, 2) for n in range(3))
    known = (hour < 24) & (minute < 60) & (second <= 60)  # 60: a leap second
    return np.where(known, hour * 3600 + minute * 60 + second, -1)


def _plain(values: Integers, valid: Booleans, *, aware: bool = False) -> Times:
    return Times(values=values, valid=valid, aware=np.full(len(values), aware))


def _iso(texts: pa.Array) -> Times:
    short = pc.match_substring_regex(texts, r"^.{16}(?:[^:\d]|$)")
    if pc.any(short).as_py():
        filled = pc.replace_substring_regex(texts, r"^(.{16})", r"\1:00")
        texts = pc.if_else(short, filled, texts)
    return _dated(texts, step=3)


def _bgl(texts: pa.Array) -> Times:
    return _dated(texts, step=3)


def _dated(texts: pa.Array, *, step: int) -> Times:
    """Year-month-day, some mark, and a clock, then a fraction and an offset."""
    matrix = _matrix(texts, 19)
    values, valid = _civil(
        _number(matrix, 0, 4),
        _number(matrix, 5, 2),
        _number(matrix, 8, 2),
        _clock(matrix, 11, step=step),
    )
    rest = pc.utf8_slice_codeunits(texts, 19, None).dictionary_encode()
    parts = [_rest(one) for one in rest.dictionary.to_pylist()]
    add, aware = np.array([one[0] for one in parts]), np.array([one[1] for one in parts])
    places = rest.indices.to_numpy()
    return Times(values=values + add[places], valid=valid, aware=aware[places])


def _rest(text: str) -> tuple[int, bool]:
    """Microseconds to add for a fraction and an offset, and whether there is an offset."""
    found = REST.fullmatch(text)
    if found is None:
        return 0, False
    fraction, zulu, sign, hours, minutes = found.groups()
    add = int((fraction or "0")[:6].ljust(6, "0"))
    if sign is not None:
        offset = (int(hours) * 60 + int(minutes)) * 60 * SECOND
        add += -offset if sign == "+" else offset
    return add, zulu is not None or sign is not None


def _epoch(texts: pa.Array) -> Times:
    values = texts.cast(pa.float64()).to_numpy()
    whole = pc.replace_substring_regex(texts, r"\..*", "").cast(pa.int64()).to_numpy()
    millis = whole >= MILLISECONDS
    micros = np.where(millis, whole * 1_000, whole * SECOND)
    micros = micros + np.where(millis, 0, np.round((values - whole) * 1e6)).astype(np.int64)
    return _plain(micros, np.ones(len(micros), dtype=np.bool_), aware=True)


def _yymmdd(texts: pa.Array) -> Times:
    matrix = _matrix(texts, 13)
    year = _number(matrix, 0, 2)
    year += np.where(year < PIVOT, 2000, 1900)
    return _plain(
        *_civil(year, _number(matrix, 2, 2), _number(matrix, 4, 2), _clock(matrix, 7, step=2))
    )


def _apache(texts: pa.Array) -> Times:
    matrix = _matrix(texts, 26)
    values, valid = _civil(
        _number(matrix, 7, 4), _month(matrix, 3), _number(matrix, 0, 2), _clock(matrix, 12)
    )
    offset = (_number(matrix, 22, 2) * 60 + _number(matrix, 24, 2)) * 60 * SECOND
    east = matrix[:, 21] == ord("+")
    return _plain(values + np.where(east, -offset, offset), valid, aware=True)


def _asctime(texts: pa.Array) -> Times:
    fraction = pc.replace_substring_regex(texts, r"^.{19}(?:\.(\d+))? .*$", r"\1")
    micros = pc.utf8_rpad(fraction, 6, "0").cast(pa.int64()).to_numpy()
    matrix = _matrix(texts, 19)
    year = pc.utf8_slice_codeunits(texts, -4, None).cast(pa.int64()).to_numpy()
    values, valid = _civil(year, _month(matrix, 4), _number(matrix, 8, 2), _clock(matrix, 11))
    return _plain(values + micros, valid)


def _syslog(texts: pa.Array) -> Times:
    matrix = _matrix(texts, 15)
    year = np.full(len(matrix), 2000, dtype=np.int64)  # a leap year: 29 February is known
    return _plain(*_civil(year, _month(matrix, 0), _number(matrix, 4, 2), _clock(matrix, 7)))


_PARSERS = {
    "iso": _iso,
    "epoch": _epoch,
    "yymmdd": _yymmdd,
    "apache": _apache,
    "asctime": _asctime,
    "bgl": _bgl,
    "syslog": _syslog,
}
