"""The one order of event rows: by subject, then time, then what is in them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.relations.tables import Floats, Integers


def sorting(subject: Integers, time: Floats, columns: pa.Table) -> Integers:
    """Positions that sort rows by subject, time and content.

    Content is compared column by column, in their order, until no two rows are alike that are not
    the same in everything: the sorted rows are the same bytes however they came.

    >>> rows = pa.table({"kind": ["b", "a", "c"]})
    >>> sorting(np.array([1, 1, 0]), np.array([5.0, 5.0, 9.0]), rows).tolist()
    [2, 1, 0]
    """
    order = _by_time(subject, time)
    subject, time = subject[order], time[order]
    first = np.ones(len(order), dtype=bool)  # whether a row differs from the one before
    np.logical_or(subject[1:] != subject[:-1], time[1:] != time[:-1], out=first[1:])
    run = np.cumsum(first)
    for name in columns.column_names:
        tied = ~first
        tied[:-1] |= tied[1:]
        at = np.flatnonzero(tied)
        if not len(at):
            break
        values, missing = comparable(columns[name], order[at])
        inner = np.lexsort((values, missing, run[at]) if missing.any() else (values, run[at]))
        order[at] = order[at][inner]
        values, missing = values[inner], missing[inner]
        differs = (values[1:] != values[:-1]) | (missing[1:] != missing[:-1])
        first[at[1:]] |= differs
        run = np.cumsum(first)
    return order


def _by_time(subject: Integers, time: Floats) -> Integers:
    """Positions by subject and time; rows alike in both in any order."""
    if bool((time[1:] >= time[:-1]).all()):
        order = np.arange(len(time), dtype=np.int64)
    else:
        order = np.argsort(time).astype(np.int64, copy=False)
    low = int(subject.min(initial=0))
    if int(subject.max(initial=0)) - low < 2**16:  # sorted by counting
        subjects: npt.NDArray[np.integer] = (subject - low).astype(np.uint16)
    else:
        subjects = subject
    later = subjects[order]
    if bool((later[1:] >= later[:-1]).all()):
        return order
    return order[np.argsort(later, kind="stable")]


def comparable(column: pa.ChunkedArray, at: Integers) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Rows of a column as integers in the order of their values, and which have none."""
    taken_ = combined(column).take(pa.array(at))
    missing = np.asarray(taken_.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    kind = taken_.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        encoded = taken_ if pa.types.is_dictionary(kind) else taken_.dictionary_encode()
        words = encoded.dictionary.cast(pa.large_binary())
        rank = np.empty(len(words), dtype=np.int64)
        rank[pc.sort_indices(words).to_numpy()] = np.arange(len(words))
        if len(words):
            return rank[encoded.indices.fill_null(0).to_numpy()], missing
        return np.zeros(len(missing), dtype=np.int64), missing
    if pa.types.is_floating(kind):
        floats = taken_.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        # Minus zero is zero, and one NaN is another.
        floats = np.where(np.isnan(floats), np.nan, floats + 0.0)
        bits = floats.view(np.int64)
        # The bits of negative numbers go up as the number goes down.
        return bits ^ ((bits >> 63) & np.int64(2**63 - 1)), missing
    if pa.types.is_boolean(kind):
        taken_ = taken_.cast(pa.int8())
    whole = taken_.cast(pa.int64()).fill_null(0)
    return whole.to_numpy(zero_copy_only=False), missing


def taken(column: pa.ChunkedArray | pa.Array, order: Integers | None) -> pa.Array:
    """Rows of a column, in an order; numbers without gaps are taken by NumPy, which is faster."""
    array = combined(column)
    if order is None:
        return array
    kind = array.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if numeric and not array.null_count:
        return pa.array(array.to_numpy()[order], kind)
    if pa.types.is_timestamp(kind) and not array.null_count:
        return pa.array(array.view(pa.int64()).to_numpy()[order]).view(kind)
    return array.take(pa.array(order))


def combined(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks > 1 and pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column
