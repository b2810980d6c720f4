"""Dates and times written as text: which format, and their UTC microseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from automl.data.options import ReadingOptions
from automl.errors import DataError

UTC = pa.timestamp("us", "UTC")
NAIVE = pa.timestamp("us")
OFFSET = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
CLOCK = r"([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?)?"
ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}" + CLOCK + r" ?(Z|[+-][0-9]{2}:?[0-9]{2})?$"
# Formats that are rewritten to ISO 8601 by regular expression, because Arrow's ISO parser checks
# the calendar and C's strptime does not.
SIMPLE = re.compile(r"%([dmY])([/.\-])%([dmY])\2%([dmY])(([T ])%H:%M(:%S)?)?")


class DateConflict(Exception):
    """Cell `index` is no such date; `code` is bad, date_range or mixed_timezones."""

    def __init__(self, code: str, index: int) -> None:
        super().__init__(code)
        self.code, self.index = code, index


@dataclass(frozen=True)
class DateGuess:
    """A date format (None: ISO 8601), and whether times carry an offset."""

    format: str | None
    aware: bool
    why: str


def guess_dates(name: str, seen: pa.Array, *, options: ReadingOptions) -> DateGuess | None:
    """The date format of a sample of distinct, trimmed texts; None when they are no dates.

    Raises
    ------
    DataError
        ``ambiguous_date`` when day and month cannot be told apart.
    """
    if not len(seen):
        return None
    if _all(seen, ISO):
        aware = bool(pc.any(pc.match_substring_regex(seen, "[0-9]" + OFFSET)).as_py())
        # a date alone ends in "-02", which is no offset
        aware = aware and _any(seen, r":[0-9.,]+ ?" + OFFSET)
        if not _all(_valid_days(seen), "1"):
            return None
        return DateGuess(None, aware, "ISO 8601 in the sample")
    if options.date_format is not None:
        try:
            parse_dates(seen, format=options.date_format, aware=False, options=options)
        except DateConflict as conflict:
            return None if conflict.code == "bad" else DateGuess(options.date_format, False, "")
        return DateGuess(options.date_format, False, "declared date format")
    for mark in "/.-":
        shape = rf"^[0-9]{{1,2}}\{mark}[0-9]{{1,2}}\{mark}[0-9]{{4}}"
        if _all(seen, shape + CLOCK + "$"):
            return _day_or_month(name, seen, mark)
        if _all(seen, rf"^[0-9]{{4}}\{mark}[0-9]{{1,2}}\{mark}[0-9]{{1,2}}" + CLOCK + "$"):
            return DateGuess(f"%Y{mark}%m{mark}%d", False, "year first in the sample")
    return None


def _valid_days(seen: pa.Array) -> pa.Array:
    """ "1" for each text: kept as a check that the calendar knows the days of the sample."""
    try:
        pc.utf8_slice_codeunits(seen, 0, 10).cast(pa.date32())
    except pa.ArrowInvalid:
        return pa.array(["0"])
    return pa.array(["1"])


def _day_or_month(name: str, seen: pa.Array, mark: str) -> DateGuess | None:
    parts = pc.extract_regex(seen, rf"^(?P<a>[0-9]{{1,2}})\{mark}(?P<b>[0-9]{{1,2}})\{mark}")
    first = pc.max(parts.field("a").cast(pa.int32())).as_py()
    second = pc.max(parts.field("b").cast(pa.int32())).as_py()
    if max(first, second) > 31 or min(first, second) > 12:
        return None
    if first > 12:
        return DateGuess(f"%d{mark}%m{mark}%Y", False, "day first: some are above 12")
    if second > 12:
        return DateGuess(f"%m{mark}%d{mark}%Y", False, "month first: some days are above 12")
    if mark == ".":  # nobody writes month.day.year
        return DateGuess("%d.%m.%Y", False, "day first, as is usual with points")
    raise DataError(
        f"in column '{name}' day and month cannot be told apart; declare date_format",
        code="ambiguous_date",
        column=name,
        details={"options": [f"%d{mark}%m{mark}%Y", f"%m{mark}%d{mark}%Y"]},
    )


def parse_dates(
    texts: pa.Array, *, format: str | None, aware: bool, options: ReadingOptions
) -> pa.Array:
    """Trimmed texts to UTC microseconds.

    Raises
    ------
    DateConflict
        At the first text that is no such date, or has an offset where others have none.
    """
    iso = _to_iso(texts, format)
    if iso is None:
        assert format is not None
        return localize(_by_strptime(texts, format), options=options)
    bad = _first(pc.invert(pc.match_substring_regex(iso, ISO)))
    if bad >= 0:
        raise DateConflict("bad", bad)
    iso = pc.replace_substring(iso, ",", ".")
    iso = pc.replace_substring_regex(iso, r"(\.[0-9]{6})[0-9]+", r"\1")
    iso = pc.replace_substring_regex(iso, r"([T ])([0-9]):", r"\g<1>0\2:".replace(r"\g<1>", r"\1"))
    iso = (
        pc.replace_substring_regex(iso, " ?" + OFFSET.replace("(Z|", "(Z|"), r"\1")
        if aware
        else iso
    )
    offset = pc.match_substring_regex(iso, r":[0-9.]+ ?" + OFFSET)
    return _zoned(iso, offset, aware=aware, options=options)


def _zoned(iso: pa.Array, offset: pa.Array, *, aware: bool, options: ReadingOptions) -> pa.Array:
    """Texts with or without offset to UTC; both in one column only when a timezone is declared."""
    if options.timezone is None:
        odd = _first(pc.invert(offset) if aware else offset)
        if odd >= 0:
            raise DateConflict("mixed_timezones", odd)
        return _cast(iso, UTC) if aware else localize(_cast(iso, NAIVE), options=options)
    none = pa.scalar(None, pa.string())
    with_offset = _cast(pc.if_else(offset, pc.replace_substring(iso, " +", "+"), none), UTC)
    without = localize(_cast(pc.if_else(offset, none, iso), NAIVE), options=options)
    return pc.coalesce(with_offset, without)


def localize(times: pa.Array, *, options: ReadingOptions) -> pa.Array:
    """Times without offset to UTC, by the declared timezone or as UTC.

    An hour that a zone has twice in autumn is the first one; one that it skips in spring is the
    instant of the change.
    """
    return pc.assume_timezone(
        times.cast(NAIVE),
        options.timezone or "UTC",
        ambiguous="earliest",
        nonexistent="latest",
    ).cast(UTC)


def n_folded(times: pa.Array, *, timezone: str) -> int:
    """How many UTC times of a zone fall into an hour that it has twice."""
    local = pc.local_timestamp(times.cast(pa.timestamp("us", timezone)))
    early = pc.assume_timezone(local, timezone, ambiguous="earliest", nonexistent="latest")
    late = pc.assume_timezone(local, timezone, ambiguous="latest", nonexistent="latest")
    return int(pc.sum(pc.not_equal(early, late), min_count=0).as_py())


def _to_iso(texts: pa.Array, format: str | None) -> pa.Array | None:
    """Texts of a simple format as ISO 8601; None when the format is not simple."""
    if format is None:
        return texts
    simple = SIMPLE.fullmatch(format)
    if simple is None or {simple[1], simple[3], simple[4]} != set("dmY"):
        return None
    order = [simple[1], simple[3], simple[4]]
    groups = {"d": "([0-9]{1,2})", "m": "([0-9]{1,2})", "Y": "([0-9]{4})"}
    pattern = "^" + rf"\{simple[2]}".join(groups[one] for one in order) + "(.*)$"
    place = {one: rf"\{index + 1}" for index, one in enumerate(order)}
    iso = pc.replace_substring_regex(texts, pattern, f"{place['Y']}-{place['m']}-{place['d']}\\4")
    iso = pc.replace_substring_regex(iso, r"^([0-9]{4})-([0-9])-", r"\1-0\2-")
    return pc.replace_substring_regex(iso, r"^([0-9]{4}-[0-9]{2})-([0-9])([T ]|$)", r"\1-0\2\3")


def _by_strptime(texts: pa.Array, format: str) -> pa.Array:
    times = pc.strptime(texts, format=format, unit="us", error_is_null=True)
    bad = _first(pc.and_(pc.is_valid(texts), pc.is_null(times)))
    if bad >= 0:
        raise DateConflict("bad", bad)
    if "%d" in format:
        pattern = "".join(
            "(?P<d>[0-9]{1,2})" if part == "%d" else r"\S+?" if part[0] == "%" else re.escape(part)
            for part in re.findall(r"%.|[^%]+", format)
        )
        written = pc.extract_regex(texts, "^" + pattern + "$").field("d").cast(pa.int64())
        bad = _first(pc.not_equal(written, pc.day(times)))
        if bad >= 0:  # strptime reads 31/02 as 2 March
            raise DateConflict("bad", bad)
    return times


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        pass
    lower, upper = 0, len(texts)  # the first bad one by bisection: Arrow names values, not rows
    while upper - lower > 1:
        middle = (lower + upper) // 2
        try:
            texts.slice(lower, middle - lower).cast(kind)
            lower = middle
        except pa.ArrowInvalid:
            upper = middle
    raise DateConflict("bad", lower)


def _all(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def _any(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def _first(mask: pa.Array) -> int:
    return int(pc.index(mask, pa.scalar(True)).as_py())
