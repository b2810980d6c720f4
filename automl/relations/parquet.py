"""Parquet files of tables in place: a file or an object, opened for some of its row groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from automl.errors import DataError
from automl.relations.kept import Kept
from automl.relations.objects import File, ObjectFile, changed, etag_of, told

TEXTS = pa.dictionary(pa.int32(), pa.string())
FROM_STORAGE = "AWS Error"  # in what the storage is said to have answered
FOOTER_BYTES = 64 * 2**20  # of objects' footers that are kept, so that each is asked for once


# By object, what it says of itself at its end.
FOOTERS = Kept[pq.FileMetaData](most_bytes=FOOTER_BYTES)


def said_by(path: File) -> tuple[pa.Schema, pq.FileMetaData]:
    """What a Parquet file says of itself; of an object that was opened before, nothing is asked.

    Raises
    ------
    DataError
        As `opened` does.
    """
    known = FOOTERS.of(path.identity, etag=path.etag) if isinstance(path, ObjectFile) else None
    if known is None:
        with opened(path) as file:
            return file.schema_arrow, file.metadata
    nothing = pa.BufferReader(b"")  # all that is read is the footer
    with _parquet_file(nothing, path.name, None, ahead=False, footer=known[1]) as file:
        return file.schema_arrow, file.metadata


def with_checksum(path: ObjectFile) -> ObjectFile:
    """The same object with the checksum of the content that its footer was read from.

    Raises
    ------
    DataError
        As `opened` does.
    """
    known = FOOTERS.of(path.identity)
    return path.known_better() if known is None else replace(path, etag=known[0])


@contextmanager
def opened(path: File, *, schema: pa.Schema | None = None) -> Iterator[pq.ParquetFile]:
    """A Parquet file; texts of the schema are read as dictionaries.

    Of an object only the ranges are asked for that are read, neighbours in one request, and its
    end once: what it says of itself is kept as long as it has the same content.

    Raises
    ------
    DataError
        ``corrupt_parquet``; of an object also what `ObjectFile.at_random` and `told` raise, and
        ``source_changed`` where it was opened before and had another content.
    """
    if not isinstance(path, ObjectFile):
        with _parquet_file(path, path.name, schema, ahead=False) as file:
            yield file
        return
    with path.at_random() as found, told(path.uri):
        known, etag = FOOTERS.of(path.identity), etag_of(found.metadata())
        if known is not None and known[0] != etag:
            FOOTERS.forget(path.identity)
            raise changed(path.uri)
        footer = None if known is None else known[1]
        with _parquet_file(found, path.name, schema, ahead=True, footer=footer) as file:
            if known is None and etag:
                about = file.metadata
                FOOTERS.keep(path.identity, etag, about, n_bytes=about.serialized_size)
            yield file


def _parquet_file(
    source: Path | pa.NativeFile,
    name: str,
    schema: pa.Schema | None,
    *,
    ahead: bool,
    footer: pq.FileMetaData | None = None,
) -> pq.ParquetFile:
    texts = [one.name for one in schema if pa.types.is_string(one.type)] if schema else []
    try:
        return pq.ParquetFile(
            source,
            metadata=footer,
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
