"""Parquet files of tables in place: a file or an object, opened for some of its row groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from automl.errors import DataError
from automl.relations.objects import File, ObjectFile, told

TEXTS = pa.dictionary(pa.int32(), pa.string())
FROM_STORAGE = "AWS Error"  # in what the storage is said to have answered


@contextmanager
def opened(path: File, *, schema: pa.Schema | None = None) -> Iterator[pq.ParquetFile]:
    """A Parquet file; texts of the schema are read as dictionaries.

    Of an object only the ranges are asked for that are read, neighbours in one request.

    Raises
    ------
    DataError
        ``corrupt_parquet``; of an object also what `ObjectFile.at_random` and `told` raise.
    """
    if not isinstance(path, ObjectFile):
        with _parquet_file(path, path.name, schema, ahead=False) as file:
            yield file
        return
    with (
        path.at_random() as found,
        told(path.uri),
        _parquet_file(found, path.name, schema, ahead=True) as file,
    ):
        yield file


def _parquet_file(
    source: Path | pa.NativeFile, name: str, schema: pa.Schema | None, *, ahead: bool
) -> pq.ParquetFile:
    texts = [one.name for one in schema if pa.types.is_string(one.type)] if schema else []
    try:
        return pq.ParquetFile(
            source,
            read_dictionary=texts,
            buffer_size=0 if ahead else 2**20,
            pre_buffer=ahead,
            thrift_string_size_limit=2**26,
            thrift_container_size_limit=2**22,
            arrow_extensions_enabled=False,
        )
    except (pa.ArrowException, OSError, EOFError) as error:
        if FROM_STORAGE in str(error):
            raise
        raise DataError(
            f"the Parquet file '{name}' is damaged or cut short", code="corrupt_parquet"
        ) from None


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with the types of a schema; texts may stay dictionaries."""
    columns = []
    for field in schema:
        column = table[field.name]
        if pa.types.is_dictionary(column.type) and pa.types.is_string(field.type):
            columns.append(column if column.type == TEXTS else column.cast(TEXTS))
            continue
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("us"))
        columns.append(column if column.type == field.type else column.cast(field.type, safe=False))
    return pa.table(columns, names=schema.names)
