"""A hash of texts that is the same on every machine, in every version: the order of entities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

# The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
# OOPSLA 2014), here over words of eight bytes.
BLOCK_ROWS = 16_384  # what is worked on stays in the processor's cache
TEXT_ROWS = 2**20  # so many values are written out as texts at a time
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
    (np.True_, [17861026597438362998, 4578539908059004321])
    """
    found = np.zeros(n_rows, dtype=np.uint64)
    for column in columns:
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        for first in range(0, n_rows, TEXT_ROWS):
            part = found[first : first + TEXT_ROWS]
            texts = as_text(array.slice(first, TEXT_ROWS))
            part[:] = mix(part * GOLDEN + text_hashes(texts)[0] + GOLDEN)
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
        numbers = array.cast(pa.float64())
        is_whole = pc.and_(pc.equal(numbers, pc.round(numbers)), pc.less(pc.abs(numbers), 2.0**53))
        integers = pc.if_else(is_whole, numbers, 0.0).cast(pa.int64())
        written = [one.cast(pa.large_string()) for one in (integers, numbers)]
        return pc.if_else(is_whole, *written)
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


def text_hashes(texts: pa.Array, *, n_lanes: int = 1) -> list[Hashes]:
    """Hashes of `large_string` texts, 0 where one is missing; lanes are independent of another."""
    n_rows = len(texts)
    lanes = [np.zeros(n_rows, dtype=np.uint64) for _ in range(n_lanes)]
    if n_rows == 0:
        return lanes
    _, offsets_buffer, bytes_buffer = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype="<i8")[texts.offset : texts.offset + n_rows + 1]
    n_bytes = int(offsets[-1] - offsets[0])
    data = np.frombuffer(bytes_buffer or b"", dtype=np.uint8)
    data = data[offsets[0] : offsets[0] + n_bytes]
    for first in range(0, n_rows, BLOCK_ROWS):
        block = offsets[first : first + BLOCK_ROWS + 1] - offsets[0]
        part = [lane[first : first + BLOCK_ROWS] for lane in lanes]
        _hash_block(data[block[0] : block[-1]], block - block[0], part)
    if texts.null_count:
        missing = pc.is_null(texts).to_numpy(zero_copy_only=False)
        for lane in lanes:
            lane[missing] = 0
    return lanes


def _hash_block(data: npt.NDArray[np.uint8], offsets: Integers, lanes: list[Hashes]) -> None:
    """Fill the lanes: all texts at once, eight bytes after eight bytes."""
    padded = np.zeros(len(data) + 8, dtype=np.uint8)
    padded[: len(data)] = data
    # every eight bytes from any byte on, without copying
    words = np.ndarray(shape=(len(data) + 1,), dtype="<u8", buffer=padded, strides=(1,))
    start, left = offsets[:-1], np.diff(offsets)
    steps = [GOLDEN, SECOND][: len(lanes)]
    for lane, step in zip(lanes, steps, strict=True):
        lane[:] = mix(left.astype(np.uint64) * step + FIRST)
    at: npt.NDArray[np.intp] | slice = slice(None)
    while True:
        more = left > 0
        if not more.all():
            rows = np.arange(len(more)) if isinstance(at, slice) else at
            at, start, left = rows[more], start[more], left[more]
        if not len(left):
            return
        word = words[start]
        short = left < 8
        if short.any():
            word = np.where(short, word & _masks(np.minimum(left, 7)), word)
        for lane, step in zip(lanes, steps, strict=True):
            lane[at] = mix(lane[at] ^ word) * step + GOLDEN
        start, left = start + 8, left - 8


def _masks(n_bytes: Integers) -> Hashes:
    """The low bytes of a word."""
    return (np.uint64(1) << (n_bytes.astype(np.uint64) * np.uint64(8))) - np.uint64(1)
