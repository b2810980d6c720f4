"""Bytes to lines: Arrow strings with the number of each line, in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.errors import DataError

Integers = npt.NDArray[np.int64]

BLOCK_BYTES = 4 * 2**20
NEWLINE, RETURN = 10, 13


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Some lines of a file without their ends.

    Parameters
    ----------
    texts : Arrow strings of n_lines
    first : number in the file of the first of them, from 1
    starts : array of shape (n_lines + 1,), int64: where each begins in `data`, and the end
    """

    texts: pa.Array
    first: int
    starts: Integers
    data: bytes


def split(data: bytes, *, first: int, max_bytes: int) -> Lines:
    r"""Whole lines of UTF-8; the last may lack its end.

    >>> split(b"a b\r\n\nc\n", first=1, max_bytes=99).texts.to_pylist()
    ['a b', '', 'c']

    Raises
    ------
    DataError
        ``encoding, nul_byte, cell_too_long`` with the line.
    """
    if data and not data.endswith(b"\n"):
        data += b"\n"
    values = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(values == NEWLINE)
    starts = np.concatenate(([0], ends + 1)).astype(np.int64)
    longest = np.diff(starts).max(initial=0) - 1
    if longest > max_bytes:
        row = first + int(np.argmax(np.diff(starts) - 1 > max_bytes))
        raise too_long(row, max_bytes)
    nul = data.find(b"\0")
    if nul >= 0:
        row = first + int(np.searchsorted(ends, nul))
        raise DataError(f"line {row:,} has a NUL byte", code="nul_byte", row=row)
    # The ends of lines are taken out, so that the rest is one buffer with offsets.
    returns = (values[np.maximum(ends - 1, 0)] == RETURN) & (ends > starts[:-1])
    kept = values != NEWLINE
    kept[ends[returns] - 1] = False
    kept_until = ends - np.arange(len(ends)) - np.cumsum(returns)
    offsets = np.concatenate(([0], kept_until)).astype(np.int32)
    texts = pa.Array.from_buffers(
        pa.string(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(values[kept])]
    )
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        raise _not_utf8(data, ends, first=first) from None
    return Lines(texts=texts, first=first, starts=starts, data=data)


def after(texts: pa.Array, n_bytes: Integers) -> pa.Array:
    """What follows the first so many bytes of each text.

    >>> after(pa.array(["key: value", "x"]), np.array([5, 1])).to_pylist()
    ['value', '']
    """
    if not len(texts):
        return texts
    _, at, held = texts.buffers()
    offsets = np.frombuffer(at, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(held, dtype=np.uint8)[offsets[0] : offsets[-1]]
    rest = np.diff(offsets) - n_bytes
    lengths = np.column_stack([n_bytes, rest]).ravel()
    kept = np.repeat(np.tile([False, True], len(texts)), lengths)
    ends = np.concatenate(([0], np.cumsum(rest))).astype(np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(texts), [None, pa.py_buffer(ends), pa.py_buffer(data[kept])]
    )


def too_long(row: int, max_bytes: int) -> DataError:
    """The error of a line that is longer than a cell may be."""
    return DataError(
        f"line {row:,} is longer than {max_bytes:,} bytes",
        code="cell_too_long",
        row=row,
        details={"limit_bytes": max_bytes},
    )


def _not_utf8(data: bytes, ends: Integers, *, first: int) -> DataError:
    row = first
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = first + int(np.searchsorted(ends, error.start))
    return DataError(f"line {row:,} is not utf-8; declare the encoding", code="encoding", row=row)


def blocks(chunks: Iterable[bytes], *, max_bytes: int) -> Iterator[bytes]:
    """Chunks of a file as blocks of whole lines of about 4 MiB.

    Raises
    ------
    DataError
        ``cell_too_long`` where a line does not end.
    """
    held: list[bytes] = []
    n_held = n_lines = 0
    for chunk in chunks:
        held.append(chunk)
        n_held += len(chunk)
        if n_held < BLOCK_BYTES:
            continue
        whole = b"".join(held)
        end = whole.rfind(b"\n") + 1
        if len(whole) - end > max_bytes:
            raise too_long(n_lines + whole.count(b"\n") + 1, max_bytes)
        if end:
            n_lines += whole.count(b"\n", 0, end)
            yield whole[:end]
        held, n_held = [whole[end:]], len(whole) - end
    rest = b"".join(held)
    if rest:
        yield rest
