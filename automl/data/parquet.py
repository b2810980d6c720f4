"""Parquet: which columns we can hold, and their rows in batches under a counter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from automl.data.checks import check, first_true
from automl.data.columns import (
    ARROW,
    LARGEST_EXACT,
    ColumnPlan,
    Misfit,
    Widening,
    convert,
    epochs,
    misfit_error,
    wider,
)
from automl.data.dates import localize
from automl.data.dialect import Dialect, check_names
from automl.data.formats import Format
from automl.data.options import ReadingLimits, ReadingOptions
from automl.errors import DataError

BATCH_ROWS = 65_536
DAMAGED = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, OSError, EOFError)


def _open(source: Path, *, texts: list[str] | None = None) -> pq.ParquetFile:
    """Raises DataError ``corrupt_parquet``, and never passes Arrow's words on."""
    try:
        return pq.ParquetFile(
            source,
            read_dictionary=texts,
            buffer_size=2**20,
            pre_buffer=False,
            thrift_string_size_limit=2**26,
            thrift_container_size_limit=2**22,
            arrow_extensions_enabled=False,
        )
    except pa.ArrowException as error:
        if "ncrypt" in str(error):
            raise DataError("the Parquet file is encrypted", code="unsupported_type") from None
        raise _corrupt() from None
    except (OSError, EOFError):
        raise _corrupt() from None


def _corrupt() -> DataError:
    return DataError("the Parquet file is damaged or cut short", code="corrupt_parquet")


def examine(
    source: Path, form: Format, *, options: ReadingOptions, limits: ReadingLimits
) -> tuple[Dialect, list[ColumnPlan]]:
    """Names and column plans from the footer.

    Raises
    ------
    DataError
        ``corrupt_parquet, unsupported_type, too_many_columns, duplicate_columns, no_rows,
        no_columns, only_one_column``.
    """
    with _open(source) as file:
        n_columns = file.metadata.num_columns
        if n_columns > limits.max_columns:
            raise DataError(
                f"the table has {n_columns:,} columns; {limits.max_columns:,} are the limit",
                code="too_many_columns",
                details={"n_columns": n_columns, "limit": limits.max_columns},
            )
        try:
            schema = file.schema_arrow
        except DAMAGED:
            raise _corrupt() from None
        n_rows = file.metadata.num_rows
    names = [name or f"column_{index + 1}" for index, name in enumerate(schema.names)]
    check_names(names)
    if not names:
        raise DataError("the table has no columns", code="no_columns")
    unsupported = [
        name for name, field in zip(names, schema, strict=True) if _type(field.type) is None
    ]
    if unsupported:
        raise DataError(
            f"{len(unsupported):,} column(s), the first {unsupported[0]!r}, are of a type that is "
            "not supported: nested, binary, extension, duration or time of day",
            code="unsupported_type",
            column=unsupported[0],
            details={"columns": unsupported[:50]},
        )
    if len(names) < limits.min_columns and options.key is None:
        raise DataError("the table has one column", code="only_one_column")
    if n_rows <= 0:
        raise DataError("the table has no rows", code="no_rows")
    plans = [_plan(name, field.type, options) for name, field in zip(names, schema, strict=True)]
    dialect = Dialect(format="parquet", compressed=form.compressed, names=tuple(names))
    return dialect, plans


def _type(kind: pa.DataType) -> str | None:
    """Our type of an Arrow type; None when there is none."""
    types = pa.types
    if types.is_dictionary(kind):
        return _type(kind.value_type)
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "integer"
    if types.is_floating(kind):
        return "number"
    if types.is_decimal(kind):
        return "number" if kind.precision <= 38 else None
    if types.is_timestamp(kind) or types.is_date(kind):
        return "timestamp"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind):
        return "string"
    return None


def _plan(name: str, kind: pa.DataType, options: ReadingOptions) -> ColumnPlan:
    stored = _type(kind)
    assert stored is not None
    declared = options.types.get(name)
    if declared is not None and declared != stored:
        return ColumnPlan(
            name=name,
            type=declared,
            declared=True,
            why="declared",
            format="epoch" if declared == "timestamp" and stored == "integer" else None,
        )
    return ColumnPlan(name=name, type=stored, declared=declared is not None, why="as stored")


def read(
    source: Path,
    dialect: Dialect,
    plans: list[ColumnPlan],
    *,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> Iterator[pa.Table]:
    """The rows of a file, typed by the plans, batch by batch.

    Texts are read as dictionaries, so that a dictionary bomb is counted before it is decoded.

    Raises
    ------
    Widening, DataError
        As in `delimited.read`; ``decoded_too_large``, ``corrupt_parquet``.
    """
    with _open(source) as file:
        texts = [f.name for f in file.schema_arrow if _type(f.type) == "string"]
    n_rows = n_bytes = 0
    with _open(source, texts=texts) as file:
        batches = file.iter_batches(
            batch_size=max(1024, BATCH_ROWS * 16 // max(16, len(plans))), use_threads=False
        )
        while True:
            try:
                batch = next(batches, None)
                if batch is not None:
                    batch.validate(full=True)
            except DAMAGED as error:
                if "UTF8" in str(error):
                    raise DataError("a text is not UTF-8", code="encoding") from None
                raise _corrupt() from None
            if batch is None:
                return
            n_bytes += sum(_decoded_bytes(column) for column in batch.columns)
            if n_bytes > limits.max_decoded_bytes:
                raise DataError(
                    f"the data is larger than {limits.max_decoded_bytes:,} bytes when decoded",
                    code="decoded_too_large",
                    details={"limit_bytes": limits.max_decoded_bytes},
                )
            arrays = [
                _column(array, plan, before=n_rows, options=options, limits=limits)
                for array, plan in zip(batch.columns, plans, strict=True)
            ]
            yield pa.table(arrays, names=[plan.name for plan in plans])
            n_rows += batch.num_rows


def _decoded_bytes(array: pa.Array) -> int:
    """Bytes that the values take once written out, a dictionary's repeats counted."""
    if pa.types.is_dictionary(array.type) and len(array.dictionary):
        if _type(array.type) != "string":
            return len(array) * 8
        lengths = pc.binary_length(array.dictionary).cast(pa.int64())
        return int(pc.sum(lengths.take(array.indices), min_count=0).as_py()) + 4 * len(array)
    return int(array.get_total_buffer_size() if array.offset == 0 else array.nbytes)


def _column(
    array: pa.Array,
    plan: ColumnPlan,
    *,
    before: int,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        if _type(array.type) == "string":
            values = array.dictionary.cast(pa.string())
            check(values, plan, before=before, options=options, limits=limits)
            if pc.any(pc.match_substring(values, "\0"), min_count=0).as_py():
                holds = pc.match_substring(values, "\0").take(array.indices)
                row = before + first_true(holds) + 1
                raise DataError(
                    f"row {row:,} of column '{plan.name}' has a NUL byte",
                    code="nul_byte",
                    column=plan.name,
                    row=row,
                )
            array = values.take(array.indices)
        else:
            array = array.dictionary_decode()
    try:
        typed = _cast(array, plan, options)
    except Misfit as misfit:
        row = before + misfit.index + 1
        plan_wider = wider(plan, misfit.kind)
        if plan_wider is not None:
            raise Widening(plan_wider, row) from None
        raise misfit_error(plan, misfit.kind, row=row) from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise misfit_error(plan, "bad", row=before + 1) from None
    return check(typed, plan, before=before, options=options, limits=limits)


def _cast(array: pa.Array, plan: ColumnPlan, options: ReadingOptions) -> pa.Array:
    """An array of any supported Arrow type as the plan's type."""
    kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(array), ARROW[plan.type])
    stored = _type(kind)
    if stored == "string":
        return convert(array.cast(pa.string()), plan, options=options)
    if stored == "timestamp":
        if plan.type != "timestamp":
            raise Misfit("bad", 0)
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            return array.cast(pa.timestamp("us", "UTC"), safe=False)
        return localize(array.cast(pa.timestamp("us"), safe=False), options=options)
    if plan.type == "timestamp":
        return epochs(array.cast(pa.int64()))
    if pa.types.is_uint64(kind) and plan.type == "integer":
        big = first_true(pc.greater(array, pa.scalar(LARGEST_EXACT, pa.uint64())))
        if big >= 0:
            raise Misfit("big", big)
    return array.cast(ARROW[plan.type])
