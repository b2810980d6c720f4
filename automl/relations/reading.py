"""Tables as they come, Arrow or a file of any kind, to plain Arrow columns."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.tables import ingest
from automl.errors import DataError
from automl.relations.spec import TableSpec

MAGIC = b"PAR1"
TIMESTAMP = pa.timestamp("us", "UTC")
# Longer texts than this need offsets of 64 bits.
MOST_TEXT_BYTES = 2**30


def read_table(source: pa.Table | Path, spec: TableSpec) -> pa.Table:
    """One table with columns of plain types.

    A file is read as an upload is, by the options in the spec; Parquet as it is.
    """
    if isinstance(source, pa.Table):
        return plain(source)
    with source.open("rb") as file:
        is_parquet = file.read(len(MAGIC)) == MAGIC
    if is_parquet:
        return plain(pq.read_table(source))
    with tempfile.TemporaryDirectory() as folder:
        ingest(
            source,
            Path(folder),
            options=ReadingOptions.from_json(spec.reading),
            limits=ReadingLimits(),
        )
        return plain(pq.read_table(Path(folder) / "rows.parquet"))


def plain(table: pa.Table) -> pa.Table:
    """Dates as UTC microseconds, decimals as float64, texts not coded; nested columns left out."""
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        kind = plain_type(column.type, n_bytes=column.nbytes)
        if kind is None:
            continue
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("us"))
        columns[name] = column if column.type == kind else column.cast(kind, safe=False)
    return pa.table(columns) if columns else table.select([])


def plain_type(kind: pa.DataType, *, n_bytes: int = 0) -> pa.DataType | None:
    """The type that a column of some type is kept as; None where nothing can be learnt from it."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type, n_bytes=n_bytes)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string() if n_bytes > MOST_TEXT_BYTES else pa.string()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return TIMESTAMP
    if pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return kind
    if pa.types.is_null(kind):
        return pa.float64()
    return None


def described(table: pa.Table) -> dict[str, str]:
    """Columns and their types, as JSON has them."""
    return {one.name: str(one.type) for one in table.schema}


def fitted(
    table: pa.Table | None, types: Mapping[str, str], *, needed: Sequence[str], table_name: str
) -> pa.Table:
    """A table with these columns of these types; those that are missing have no values.

    Parameters
    ----------
    table : None has no rows
    types : as `described` tells them
    needed : columns that must be there

    Raises
    ------
    DataError
        ``column_not_found``; ``column_type`` where a value cannot be of the type.
    """
    came = pa.table({}) if table is None else plain(table)
    columns = {}
    for name, text in types.items():
        kind = TIMESTAMP if text == str(TIMESTAMP) else pa.type_for_alias(text)
        if name in came.column_names:
            given = came.column(name).type
            if pa.types.is_temporal(kind) and not _may_be_time(given):
                # As a number of microseconds it would silently be a day of 1970.
                raise DataError(
                    f"'{table_name}.{name}' has numbers where dates were learnt from; send them "
                    "as text, e.g. 2024-06-30",
                    code="column_type",
                    table=table_name,
                    column=name,
                )
            try:
                columns[name] = came.column(name).cast(kind)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise DataError(
                    f"'{table_name}.{name}' has values that are no {text}",
                    code="column_type",
                    table=table_name,
                    column=name,
                ) from error
        elif name in needed:
            raise DataError(
                f"table '{table_name}' has no column '{name}'",
                code="column_not_found",
                table=table_name,
                column=name,
            )
        else:
            columns[name] = pa.chunked_array([pa.nulls(came.num_rows, kind)])
    return pa.table(columns)


def _may_be_time(kind: pa.DataType) -> bool:
    return not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )
