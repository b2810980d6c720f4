"""Which entities a message names: its words that begin with a prefix, such as `blk_`."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Integers = npt.NDArray[np.int64]

PREFIX = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:#@/-]{0,31}")
# An entity's name ends at one of these, or at the end of the message.
_ENDS = np.zeros(256, dtype=np.bool_)
_ENDS[list(b" \t\r\n\v\f\0,;\"'`()[]{}<>=|&?!")] = True
# A sentence's mark after a name is not part of it.
_MARKS = np.zeros(256, dtype=np.bool_)
_MARKS[list(b".:/-")] = True


@dataclass(frozen=True, kw_only=True)
class Named:
    """The entities that messages name, each once per message, in the order of the messages.

    Parameters
    ----------
    row : array of shape (n_named,), int64: which message
    key : Arrow strings of n_named: the whole name, prefix included
    """

    row: Integers
    key: pa.Array


def named(messages: pa.Array, prefix: str) -> Named:
    """Find the words of messages that begin with a prefix; a word ends at a space or a bracket.

    >>> found = named(pa.array(["got blk_1, blk_-2", "none", "blk_1 again: blk_1."]), "blk_")
    >>> found.row.tolist(), found.key.to_pylist()
    ([0, 0, 2], ['blk_1', 'blk_-2', 'blk_1'])
    """
    offsets, data = _bytes(messages)
    wanted = np.frombuffer(prefix.encode(), dtype=np.uint8)
    starts = _places(data, wanted)
    row = np.searchsorted(offsets, starts, side="right") - 1
    # A word begins where its message does, or after what ends another; and lies in one message.
    begins = (starts == offsets[row]) | _ENDS[data[np.maximum(starts - 1, 0)]]
    begins &= starts + len(wanted) <= offsets[row + 1]
    starts, row = starts[begins], row[begins]
    stops = np.flatnonzero(_ENDS[data])
    following = np.append(stops, len(data))[np.searchsorted(stops, starts)]
    ends = np.minimum(following, offsets[row + 1])
    for _ in range(3):
        ends = np.where((ends > starts + len(wanted)) & _MARKS[data[ends - 1]], ends - 1, ends)
    some = ends > starts + len(wanted)
    starts, ends, row = starts[some], ends[some], row[some]
    keys = _slices(data, starts, ends)
    if len(row) < 2:
        return Named(row=row, key=keys)
    codes = keys.dictionary_encode().indices.to_numpy()
    _, first = np.unique(row * (int(codes.max()) + 1) + codes, return_index=True)
    first.sort()
    return Named(row=row[first], key=keys.take(pa.array(first)))


def _bytes(texts: pa.Array) -> tuple[Integers, npt.NDArray[np.uint8]]:
    """Offsets and bytes of strings; null is empty."""
    filled = texts.fill_null("") if texts.null_count else texts
    if not len(filled):
        return np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    _, at, held = filled.buffers()
    offsets = np.frombuffer(at, dtype=np.int32)[filled.offset : filled.offset + len(filled) + 1]
    data = np.frombuffer(held, dtype=np.uint8) if held is not None else np.empty(0, dtype=np.uint8)
    return offsets.astype(np.int64) - int(offsets[0]), data[offsets[0] : offsets[-1]]


def _places(data: npt.NDArray[np.uint8], wanted: npt.NDArray[np.uint8]) -> Integers:
    """Where a text begins in another."""
    starts = np.flatnonzero(data[: max(len(data) - len(wanted) + 1, 0)] == wanted[0])
    for at in range(1, len(wanted)):
        starts = starts[data[starts + at] == wanted[at]]
    return starts.astype(np.int64)


def _slices(data: npt.NDArray[np.uint8], starts: Integers, ends: Integers) -> pa.Array:
    length = ends - starts
    stop = np.cumsum(length)
    total = int(stop[-1]) if len(stop) else 0
    at = np.arange(total) + np.repeat(starts - stop + length, length)
    offsets = np.concatenate(([0], stop)).astype(np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data[at])]
    )
