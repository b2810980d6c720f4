"""What features can do with a column of events, by its type, and its values as numbers or codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.relations.tables import EventTable, Floats

# Larger numbers count as missing, so that a sum of 10^8 of them is still a float32.
LARGEST = 1e30

Codes = npt.NDArray[np.int32]

# A code is a whole number, which is a number as well.
Sort = Literal["number", "date", "text", "code", "other"]


def sort_of(column: pa.DataType) -> Sort:
    """Whether a type is a number (truth values too), a date, a text, or nothing to compute with.

    >>> sort_of(pa.bool_()), sort_of(pa.date32()), sort_of(pa.list_(pa.int8()))
    ('number', 'date', 'other')
    """
    types = pa.types
    if types.is_dictionary(column):
        return "text" if sort_of(column.value_type) == "text" else "other"
    if types.is_boolean(column) or types.is_integer(column) or types.is_floating(column):
        return "number"
    if types.is_decimal(column):
        return "number"
    if types.is_date(column) or types.is_timestamp(column):
        return "date"
    if types.is_string(column) or types.is_large_string(column) or types.is_string_view(column):
        return "text"
    return "other"


def names_of(table: EventTable, *sorts: Sort) -> list[str]:
    """The columns of a table of some sorts, in order; never the text of a log."""
    return [
        one.name
        for one in table.columns.schema
        if one.name != table.message
        and (sort_of(one.type) in sorts or ("code" in sorts and pa.types.is_integer(one.type)))
    ]


def numbers(values: pa.Array) -> Floats:
    """Numbers as float64, dates as seconds since 1970; NaN is missing, infinite or absurd.

    >>> numbers(pa.array([True, None])).tolist()
    [1.0, nan]
    """
    types = pa.types
    if sort_of(values.type) == "date":
        micros = pc.cast(pc.cast(values, pa.timestamp("us")), pa.int64())
        values = pc.divide(pc.cast(micros, pa.float64()), 1e6)
    elif types.is_boolean(values.type):
        values = pc.cast(values, pa.uint8())
    elif sort_of(values.type) != "number" and not types.is_null(values.type):
        raise TypeError(f"{values.type} where numbers are needed")
    found = np.asarray(
        pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64
    )
    finite = np.abs(found) <= LARGEST
    # -0.0 + 0.0 is 0.0: which of the two a minimum returns would depend on where they lie.
    return found + 0.0 if finite.all() else np.where(finite, found + 0.0, np.nan)


def codes(values: pa.Array, levels: Sequence[str | int]) -> Codes:
    """Levels as their positions; `len(levels)` is any other, -1 missing.

    >>> codes(pa.array(["b", "z", None]), ["a", "b"]).tolist()
    [1, 2, -1]
    """
    types = pa.types
    if types.is_null(values.type):
        return np.full(len(values), -1, dtype=np.int32)
    if types.is_dictionary(values.type):
        words = codes(values.dictionary, levels)
        at = values.indices
        known = np.asarray(at.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)
        found = words[known] if len(words) else np.full(len(known), -1, dtype=np.int32)
        return np.where(_missing(at), np.int32(-1), found)
    if not isinstance(levels[0] if levels else "", str) and sort_of(values.type) != "number":
        raise TypeError(f"{values.type} where whole numbers are needed")
    if isinstance(levels[0] if levels else 0, str) and sort_of(values.type) != "text":
        raise TypeError(f"{values.type} where texts are needed")
    at = pc.index_in(values, value_set=pa.array(levels, type=values.type))
    found = np.asarray(at.fill_null(len(levels)).to_numpy(zero_copy_only=False), dtype=np.int32)
    return np.where(_missing(values), np.int32(-1), found) if values.null_count else found


def _missing(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(values.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
