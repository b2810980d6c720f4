"""Columns as keys compare: by what they say, not by how they are stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.relations.hashing import as_text, whole
from automl.relations.tables import Integers

Bools = npt.NDArray[np.bool_]

PLAIN_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
DIGITS = r"^[0-9]{1,18}$"


@dataclass(frozen=True, kw_only=True)
class KeyColumn:
    """A column as keys compare: its family, and integers or texts.

    `family` is integer, float (some with a fraction; the bits of a float64), time or text.
    """

    family: str
    values: Integers | None
    texts: pa.Array | None
    valid: Bools

    @property
    def is_plain(self) -> bool:
        """Whether all texts are integers as one writes them, without leading zeros."""
        return self.texts is not None and all_match(self.texts, PLAIN_INTEGER)


def key_column(column: pa.Array | pa.ChunkedArray) -> KeyColumn:
    """A column as keys compare."""
    array = whole(column)
    kind = array.type
    valid = _valid(array)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return KeyColumn(family="text", values=None, texts=as_text(array), valid=valid)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros = array.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return KeyColumn(family="time", values=_integers(micros), texts=None, valid=valid)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        if pa.types.is_uint64(kind):
            array = array.view(pa.int64())
        return KeyColumn(family="integer", values=_integers(array), texts=None, valid=valid)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = array.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        valid = valid & np.isfinite(numbers)
        is_whole = (numbers == np.rint(numbers)) & (np.abs(numbers) <= 2.0**53)
        if is_whole[valid].all():
            values = np.where(valid, numbers, 0.0).astype(np.int64)
            return KeyColumn(family="integer", values=values, texts=None, valid=valid)
        bits = (numbers + 0.0).view(np.int64)  # minus zero is zero
        return KeyColumn(family="float", values=bits, texts=None, valid=valid)
    return KeyColumn(family="text", values=None, texts=as_text(array), valid=valid)


def all_match(texts: pa.Array, pattern: str) -> bool:
    """Whether all texts that are there match."""
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def _valid(array: pa.Array) -> Bools:
    if not array.null_count:
        return np.ones(len(array), dtype=bool)
    found: Bools = pc.is_valid(array).to_numpy(zero_copy_only=False)
    return found


def _integers(array: pa.Array) -> Integers:
    values: Integers = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return values
