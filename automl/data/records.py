"""Records of a delimited text: where they end, quotes considered, without parsing the cells."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from automl.data.dialect import Dialect
from automl.data.formats import Readable, utf8_chunks
from automl.data.options import ReadingLimits
from automl.errors import DataError

BLOCK_BYTES = 4 * 2**20
NEWLINE, RETURN = 10, 13


def record_blocks(source: Readable, dialect: Dialect, *, limits: ReadingLimits) -> Iterator[bytes]:
    """UTF-8 bytes of whole records, the header left out, about 4 MiB at a time."""
    parts: list[bytes] = []
    size = 0
    skip = dialect.header_bytes
    n_rows = 0
    allowed = BLOCK_BYTES
    for chunk in utf8_chunks(
        source, compressed=dialect.compressed, encoding=dialect.encoding, limits=limits
    ):
        piece = chunk
        if dialect.carriage_returns:
            piece = piece.replace(b"\r", b"\n")
        if skip:
            dropped = min(skip, len(piece))
            piece, skip = piece[dropped:], skip - dropped
        parts.append(piece)
        size += len(piece)
        if size < allowed:
            continue
        data = b"".join(parts)
        cut = last_record_end(data, dialect)
        if cut:
            yield data[:cut]
            n_rows = 0
            parts, size, allowed = [data[cut:]], len(data) - cut, BLOCK_BYTES
        elif size >= 4 * BLOCK_BYTES or not _open_quote(data, dialect):
            raise _endless(data, dialect, row=n_rows + 1, limits=limits)
        else:
            parts, allowed = [data], 2 * size
    data = b"".join(parts)
    if data.strip(b"\r\n"):
        yield data


def _open_quote(data: bytes, dialect: Dialect) -> bool:
    return bool(dialect.quote) and data.count(dialect.quote.encode()) % 2 == 1


def _endless(data: bytes, dialect: Dialect, *, row: int, limits: ReadingLimits) -> DataError:
    if _open_quote(data, dialect):
        return DataError("a quote is opened and never closed", code="quote")
    return DataError(
        f"a record is longer than {len(data):,} bytes",
        code="cell_too_long",
        details={"limit_bytes": limits.max_cell_bytes},
    )


def last_record_end(data: bytes, dialect: Dialect) -> int:
    """How many of the bytes are whole records."""
    if not dialect.quote or dialect.quote.encode() not in data:
        return data.rfind(b"\n") + 1
    ends = record_ends(data, dialect)
    return int(ends[-1]) + 1 if len(ends) else 0


def record_ends(data: bytes, dialect: Dialect) -> npt.NDArray[np.intp]:
    """Positions of the line feeds that end a record, those inside quotes left out."""
    values = np.frombuffer(data, dtype=np.uint8)
    feeds = np.flatnonzero(values == NEWLINE)
    if not dialect.quote:
        return feeds
    quotes = np.flatnonzero(values == ord(dialect.quote))
    if not len(quotes):
        return feeds
    if not _regular(values, quotes, dialect):
        return _lex(data, dialect)
    ends: npt.NDArray[np.intp] = feeds[np.searchsorted(quotes, feeds) % 2 == 0]
    return ends


def _regular(values: npt.NDArray[np.uint8], quotes: npt.NDArray[np.intp], dialect: Dialect) -> bool:
    """Whether each quote opens at the start of a cell, closes at its end, or is doubled."""
    table = np.zeros(256, dtype=bool)
    table[[NEWLINE, RETURN, ord(dialect.delimiter)]] = True
    opening, closing = quotes[::2], quotes[1::2]
    after_closing = np.zeros(len(opening), dtype=bool)
    after_closing[1:] = opening[1:] == closing[: len(opening) - 1] + 1
    before = (opening == 0) | table[values[opening - 1]] | after_closing
    if not before.all():
        return False
    doubled = np.zeros(len(closing), dtype=bool)
    n_next = min(len(closing), len(opening) - 1)
    doubled[:n_next] = after_closing[1 : n_next + 1]
    last = closing == len(values) - 1
    behind = np.minimum(closing + 1, len(values) - 1)
    return bool((last | table[values[behind]] | doubled).all())


def _lex(data: bytes, dialect: Dialect) -> npt.NDArray[np.intp]:
    """Ends of records where quotes also stand inside cells, which Arrow takes literally."""
    cell = _cell(dialect)
    ends = []
    position = 0
    while position < len(data):
        match = cell.match(data, position)
        if match is None or match[1] is not None:
            break
        if match[3] == b"\n":
            ends.append(match.end() - 1)
        position = match.end()
    return np.array(ends, dtype=np.intp)


def _cell(dialect: Dialect) -> re.Pattern[bytes]:
    """One cell and what ends it: group 1 matches where a quote is never closed, group 2 what
    stands behind a closing quote, group 3 the delimiter or line feed."""
    quote, mark = re.escape(dialect.quote.encode()), re.escape(dialect.delimiter.encode())
    return re.compile(
        rb"(?:%b(?:[^%b]|%b%b)*+(?:%b|(\Z))([^%b\n]*)|[^%b\n]*)(%b|\n|\Z)"
        % (quote, quote, quote, quote, quote, mark, mark, mark)
    )


def row_at(data: bytes, offset: int, dialect: Dialect) -> int:
    """The record, counted from 1 and without blank lines, that holds a byte."""
    ends = record_ends(data, dialect)
    starts = np.concatenate(([0], ends + 1))
    lengths = np.append(ends, len(data)) - starts
    index = int(np.searchsorted(ends, offset))
    blank = (lengths <= 1) & np.array(
        [not data[s : s + n].strip(b"\r") for s, n in zip(starts, lengths, strict=True)]
        if (lengths <= 1).any()
        else [False] * len(lengths)
    )
    return index + 1 - int(blank[:index].sum())


def quote_fault(data: bytes, dialect: Dialect) -> int | None:
    """Where a quoted cell begins that does not end as one does; None when all do.

    A quote inside a cell that does not begin with one is text, as in ``5" pipe``.
    """
    if not dialect.quote or dialect.quote.encode() not in data:
        return None
    values = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(values == ord(dialect.quote))
    if len(quotes) % 2 == 0 and _regular(values, quotes, dialect):
        return None
    position = 0
    cell = _cell(dialect)
    while position < len(data):
        match = cell.match(data, position)
        if match is None or match[1] is not None or (match[2] or b"").strip(b" \r"):
            return position
        position = match.end()
    return None
