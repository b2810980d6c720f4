"""A file of rows in pieces that one request may hold, each a file of its own."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from api.client_datasets import CONTENT_TYPES
from api.client_frames import blocks, to_parquet
from automl.errors import DataError

JSON = "application/json"
CSV, JSONL, PARQUET = (CONTENT_TYPES[kind] for kind in (".csv", ".jsonl", ".parquet"))
# Half of what the service takes, unless its operator said otherwise.
PIECE_ROWS = 50_000
PIECE_BYTES = 8 * 2**20
GZIP_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some rows as a file."""

    content: bytes
    content_type: str


def pieces_of(path: str) -> Iterator[Piece]:
    """The rows of a file, or with ``-`` of CSV on stdin, in their order.

    What the file is, its first bytes say, and its name whether it is JSON Lines.

    Raises
    ------
    DataError
        ``empty_file``, ``bad_gzip``, ``bad_parquet``.
    """
    if path == "-":
        yield from _pieces(io.BytesIO(sys.stdin.buffer.read()), "stdin.csv")
        return
    with Path(path).open("rb") as opened:
        file = opened if opened.seekable() else io.BytesIO(opened.read())  # a pipe is not
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        if not packed:
            yield from _pieces(file, path)
            return
        try:
            with gzip.GzipFile(fileobj=file) as plain:
                yield from _pieces(io.BytesIO(plain.read()), path.removesuffix(".gz"))
        except (OSError, EOFError) as error:
            raise DataError(f"{path} is no whole gzip file", code="bad_gzip") from error


def _pieces(file: IO[bytes], name: str) -> Iterator[Piece]:
    start = file.read(4)
    file.seek(0)
    if not start:
        raise DataError(f"{name} is empty", code="empty_file")
    if start == PARQUET_MAGIC:
        yield from _parquet(file, name)
    elif start[:2] in UTF_16:  # whose lines do not end in a byte
        yield Piece(content=file.read(), content_type=CSV)
    elif name.endswith(".json"):  # a whole body, with tables beside the rows
        yield Piece(content=file.read(), content_type=JSON)
    elif name.endswith((".jsonl", ".ndjson")):
        for lines in _batches(file):
            yield Piece(content=b"".join(lines), content_type=JSONL)
    else:
        yield from csv_pieces(file)


def csv_pieces(file: Iterable[bytes]) -> Iterator[Piece]:
    """The rows of a CSV, each piece with its header; a cell may hold line ends in quotes.

    >>> [one.content for one in csv_pieces([b"a,b\\n", b'1,"x\\n', b'y"\\n'])]
    [b'a,b\\n1,"x\\ny"\\n']
    """
    records = _records(file)
    header = next(records, b"")
    if not header.endswith(b"\n"):
        header += b"\n"
    empty = True
    for lines in _batches(records):
        empty = False
        yield Piece(content=header + b"".join(lines), content_type=CSV)
    if empty:
        yield Piece(content=header, content_type=CSV)


def _records(file: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, those of one quoted cell together."""
    open_cell: list[bytes] = []
    is_open = False
    for line in file:
        is_open ^= line.count(b'"') % 2 == 1
        open_cell.append(line)
        if not is_open:
            yield b"".join(open_cell)
            open_cell = []
    if open_cell:
        yield b"".join(open_cell)


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """So many lines together as a piece may have."""
    batch: list[bytes] = []
    n_bytes = 0
    for line in lines:
        if batch and (len(batch) == PIECE_ROWS or n_bytes + len(line) > PIECE_BYTES):
            yield batch
            batch, n_bytes = [], 0
        batch.append(line)
        n_bytes += len(line)
    if batch:
        yield batch


def _parquet(file: IO[bytes], name: str) -> Iterator[Piece]:
    import narwhals

    try:
        table = narwhals.read_parquet(file, backend="pyarrow")
    except Exception as error:
        raise DataError(f"{name} is no Parquet file", code="bad_parquet") from error
    for block in blocks(table, PIECE_ROWS):
        yield Piece(content=to_parquet(block), content_type=PARQUET)


def joined_parquet(contents: Sequence[bytes]) -> bytes:
    """Parquet files under each other as one."""
    import narwhals

    tables = [narwhals.read_parquet(io.BytesIO(one), backend="pyarrow") for one in contents]
    return to_parquet(narwhals.concat(tables))
