"""Tables as they come, Arrow or a file of any kind, to plain Arrow columns."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.tables import ingest
from automl.relations.spec import TableSpec

MAGIC = b"PAR1"
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
        return pa.timestamp("us", "UTC")
    if pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return kind
    if pa.types.is_null(kind):
        return pa.float64()
    return None
