"""A hash of texts that is the same on every machine, in every version: the order of entities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

# The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
# OOPSLA 2014), here over words of eight bytes.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(values: Hashes) -> Hashes:
    """Spread every bit over all others; one to one.

    >>> mix(np.array([1], dtype=np.uint64)).tolist()
    [6238072747940578789]
    """
    values = (values ^ (values >> np.uint64(30))) * FIRST
    values = (values ^ (values >> np.uint64(27))) * SECOND
    return values ^ (values >> np.uint64(31))


def row_hashes(columns: Sequence[pa.Array], *, n_rows: int) -> Hashes:
    """One hash for each row of these columns, by the texts of its values.

    >>> numbers = row_hashes([pa.array([7, 8])], n_rows=2)
    >>> (numbers == row_hashes([pa.array(["7", "8"])], n_rows=2)).all(), numbers.tolist()
    (np.True_, [16199064288760778370, 13269250559445419645])
    """
    found = np.zeros(n_rows, dtype=np.uint64)
    for column in columns:
        found = mix(found * GOLDEN + text_hashes(as_text(column)) + GOLDEN)
    return found


def as_text(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as texts; a number that is whole is written without a point, a time as its µs."""
    array = whole(column)
    kind = array.type
    if pa.types.is_large_string(kind):
        return array
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        array = array.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    elif pa.types.is_floating(kind):
        values = array.cast(pa.float64())
        integers = pc.and_(pc.equal(values, pc.round(values)), pc.less(pc.abs(values), 2.0**53))
        if pc.all(integers).as_py():
            array = values.cast(pa.int64())
    return array.cast(pa.large_string())


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece, not coded as a dictionary."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        # more than 2 GiB of text do not fit into one array of `string`
        array = array.cast(pa.large_string()).combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    return array


def text_hashes(texts: pa.Array) -> Hashes:
    """Hashes of `large_string` texts, 0 where one is missing."""
    n_rows = len(texts)
    if n_rows == 0:
        return np.zeros(0, dtype=np.uint64)
    _, offsets_buffer, bytes_buffer = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype="<i8")[texts.offset : texts.offset + n_rows + 1]
    n_bytes = int(offsets[-1] - offsets[0])
    padded = np.zeros(n_bytes + 8, dtype=np.uint8)
    if n_bytes:
        padded[:n_bytes] = np.frombuffer(bytes_buffer, dtype=np.uint8)[offsets[0] : offsets[-1]]
    # every eight bytes from any byte on, without copying
    words = np.ndarray(shape=(n_bytes + 1,), dtype="<u8", buffer=padded, strides=(1,))
    start, length = offsets[:-1] - offsets[0], np.diff(offsets)
    found = mix(length.astype(np.uint64) * GOLDEN + FIRST)
    at, left = np.arange(n_rows), length
    while True:
        more = left > 0
        if not more.all():
            at, start, left = at[more], start[more], left[more]
        if not len(at):
            break
        word = words[start]
        short = left < 8
        if short.any():
            word = np.where(short, word & _masks(np.minimum(left, 7)), word)
        found[at] = mix(found[at] ^ word) + GOLDEN
        start, left = start + 8, left - 8
    if texts.null_count:
        found[pc.is_null(texts).to_numpy(zero_copy_only=False)] = 0
    return found


def _masks(n_bytes: npt.NDArray[np.int64]) -> Hashes:
    """The low bytes of a word."""
    return (np.uint64(1) << (n_bytes.astype(np.uint64) * np.uint64(8))) - np.uint64(1)
