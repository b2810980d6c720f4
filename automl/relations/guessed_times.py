"""Whether a column is a time, and how it is written."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

HEAD = 200  # values of a text column that are looked at


def time_format(name: str, column: pa.Array) -> str | None:
    """How a column is written if it is a time, else None."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "iso"
    values = column.drop_null()
    if not len(values):
        return None
    if pa.types.is_integer(kind):
        return _integer_times(name, values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        head = values.slice(0, HEAD)
        if pc.all(pc.match_substring_regex(head, r"^\d{6}( 00:00:00)?$")).as_py():
            return (
                "yymmdd"
                if _is_calendar(pc.cast(pc.utf8_slice_codeunits(head, 0, 6), pa.int64()))
                else None
            )
        iso = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
        return "iso" if pc.all(pc.match_substring_regex(head, iso)).as_py() else None
    return None


def _integer_times(name: str, values: pa.Array) -> str | None:
    low, high = (pc.min_max(values)[at].as_py() for at in ("min", "max"))
    numbers = pc.cast(values, pa.int64())
    if low >= 19000101 and high <= 21001231 and _is_calendar(numbers):
        return "yyyymmdd"
    dated = re.search(r"date|day|time|issued|opened|closed", name, re.I)
    if dated and low >= 10101 and high <= 991231 and _is_calendar(numbers):
        return "yymmdd"
    if low >= 10**9 and high < 2.2 * 10**9 and dated:
        return "epoch_s"
    if low >= 10**12 and high < 2.2 * 10**12 and dated:
        return "epoch_ms"
    stepped = re.fullmatch(r"(month|months|week|day|cycle|step|period|t)([_ ].*)?", name, re.I)
    return "number" if stepped else None


def _is_calendar(numbers: pa.Array) -> bool:
    """Whether the last four digits are a month and a day."""
    # Without a remainder function in Arrow: what is left of a division by 100.
    days = pc.subtract(numbers, pc.multiply(pc.divide(numbers, 100), 100))
    rest = pc.divide(numbers, 100)
    months = pc.subtract(rest, pc.multiply(pc.divide(rest, 100), 100))
    found = [pc.min_max(days), pc.min_max(months)]
    bounds = [(one["min"].as_py(), one["max"].as_py()) for one in found]
    (first, last), (january, december) = bounds
    return bool(first >= 1 and last <= 31 and january >= 1 and december <= 12)
