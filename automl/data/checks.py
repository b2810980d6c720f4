"""What every typed column must fulfil, whatever format it came from."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.data.columns import LARGEST_EXACT, ColumnPlan, Widening, misfit_error, wider
from automl.data.options import ReadingLimits, ReadingOptions
from automl.errors import DataError

# Times outside are placeholders (0001, 9999) or milliseconds read as seconds, not events.
EARLIEST = datetime(1800, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def check(
    array: pa.Array,
    plan: ColumnPlan,
    *,
    before: int,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> pa.Array:
    """The array itself, NaN made null; `before` is the number of rows that came earlier.

    Raises
    ------
    Widening
        Integers above 2^53: the column must be read as text.
    DataError
        ``non_finite, date_range, cell_too_long, nul_byte`` or ``type_conflict``, with column
        and row.
    """
    if pa.types.is_int64(array.type):
        return _integers(array, plan, before=before)
    if pa.types.is_float64(array.type):
        return _numbers(array, plan, before=before, options=options)
    if pa.types.is_timestamp(array.type):
        low, high = (_moment(edge, array.type) for edge in (EARLIEST, LATEST))
        span = pc.min_max(array)
        if span["min"].is_valid and (
            pc.less(span["min"], low).as_py() or pc.greater_equal(span["max"], high).as_py()
        ):
            outside = pc.or_(pc.less(array, low), pc.greater_equal(array, high))
            raise misfit_error(plan, "date_range", row=before + first_true(outside) + 1)
        return array
    if pa.types.is_string(array.type):
        _texts(array, plan, before=before, limits=limits)
    return array


def _moment(edge: datetime, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(edge, pa.timestamp("us", "UTC")).cast(kind)


def first_true(mask: pa.Array) -> int:
    """Index of the first true of a mask, -1 without one; null counts as false."""
    return int(pc.index(mask, pa.scalar(True)).as_py())


def _integers(array: pa.Array, plan: ColumnPlan, *, before: int) -> pa.Array:
    span = pc.min_max(array)
    low, high = span["min"].as_py(), span["max"].as_py()
    if low is None or (low >= -LARGEST_EXACT and high <= LARGEST_EXACT):
        return array
    mask = pc.or_(pc.greater(array, LARGEST_EXACT), pc.less(array, -LARGEST_EXACT))
    row = before + first_true(mask) + 1
    plan_wider = wider(plan, "big")
    if plan_wider is None:
        raise misfit_error(plan, "big", row=row)
    raise Widening(plan_wider, row)


def _numbers(
    array: pa.Array, plan: ColumnPlan, *, before: int, options: ReadingOptions
) -> pa.Array:
    # Arrow leaves zeros under the nulls of a parsed column, so one look at the buffer is enough.
    raw = np.frombuffer(array.buffers()[1], dtype=np.float64) if len(array) else np.empty(0)
    if np.isfinite(raw[array.offset : array.offset + len(array)]).all():
        return array
    nan = pc.is_nan(array)
    if pc.any(nan, min_count=0).as_py():
        array = pc.if_else(nan, pa.scalar(None, pa.float64()), array)
    infinite = pc.is_inf(array)
    index = first_true(infinite)
    if index < 0:
        return array
    if options.non_finite == "error":
        raise misfit_error(plan, "non_finite", row=before + index + 1)
    return pc.if_else(infinite, pa.scalar(None, pa.float64()), array)


def _texts(array: pa.Array, plan: ColumnPlan, *, before: int, limits: ReadingLimits) -> None:
    longest = pc.max(pc.binary_length(array)).as_py() or 0
    if longest > limits.max_cell_bytes:
        row = before + first_true(pc.greater(pc.binary_length(array), limits.max_cell_bytes)) + 1
        raise DataError(
            f"row {row:,} of column '{plan.name}' is longer than {limits.max_cell_bytes:,} bytes",
            code="cell_too_long",
            column=plan.name,
            row=row,
            details={"limit_bytes": limits.max_cell_bytes},
        )
