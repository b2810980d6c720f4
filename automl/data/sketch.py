"""Bounded counting: 64-bit hashes of cells and rows, and how many of them are distinct."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
# Odd constants of the SplitMix64 finalizer (Steele, Lea, Flood 2014).
FIRST, SECOND, GOLDEN = (
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
    np.uint64(0x9E3779B97F4A7C15),
)
NULL = np.uint64(0x8F14E45FCEEA167A)
# Bytes to random 64-bit words, so that the polynomial below has no weak low bits.
WORDS: Hashes = np.random.default_rng(20260101).integers(0, 2**64, size=256, dtype=np.uint64)
RADIX = np.uint64(0xD1342543DE82EF95)


def mix(values: Hashes) -> Hashes:
    """SplitMix64's finalizer: one bit of input changes half of the output."""
    mixed = values + GOLDEN
    mixed ^= mixed >> np.uint64(30)
    mixed *= FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def hash_texts(texts: pa.Array) -> Hashes:
    """A 64-bit hash of each text: a polynomial in its bytes, by prefix sums."""
    if not len(texts):
        return np.empty(0, dtype=np.uint64)
    texts = texts.cast(pa.large_string()) if not pa.types.is_large_string(texts.type) else texts
    _, offsets_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[
        texts.offset : texts.offset + len(texts) + 1
    ]
    start, end = int(offsets[0]), int(offsets[-1])
    lengths = np.diff(offsets)
    if end == start:
        return mix(lengths.astype(np.uint64))
    data = np.frombuffer(data_buffer, dtype=np.uint8)[start:end]
    # position within the text, so that equal texts have equal hashes wherever they stand
    position = np.arange(end - start, dtype=np.int64) - np.repeat(offsets[:-1] - start, lengths)
    longest = int(lengths.max())
    powers = np.cumprod(np.full(longest, RADIX, dtype=np.uint64))
    sums = np.zeros(len(data) + 1, dtype=np.uint64)
    np.cumsum(WORDS[data] * powers[position], out=sums[1:])
    totals = sums[offsets[1:] - start] - sums[offsets[:-1] - start]
    return mix(totals ^ mix(lengths.astype(np.uint64)))


def hash_values(array: pa.Array) -> Hashes:
    """A 64-bit hash of each value; 1 and 1.0 have the same, null has its own."""
    kind = array.type
    if pa.types.is_string(kind):
        hashes = hash_texts(array.fill_null(""))
    elif pa.types.is_timestamp(kind):
        hashes = mix(array.cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64))
    else:
        numbers = (
            array.cast(pa.float64(), safe=False)
            if not pa.types.is_boolean(kind)
            else (array.cast(pa.int8()).cast(pa.float64()))
        )
        # adding zero makes -0.0 the same as 0.0
        hashes = mix((numbers.fill_null(0.0).to_numpy(zero_copy_only=False) + 0.0).view(np.uint64))
    if array.null_count:
        hashes = np.where(array.is_null().to_numpy(zero_copy_only=False), NULL, hashes)
    return hashes


def distinct(hashes: Hashes) -> Hashes:
    """Sorted distinct values; by sorting, which is several times faster than `np.unique` here."""
    ordered = np.sort(hashes)
    if not len(ordered):
        return ordered
    kept: Hashes = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return kept


class DistinctSketch:
    """The `size` smallest of all hashes seen: exact below `size`, an estimate above.

    Bar-Yossef et al. 2002, "Counting distinct elements in a data stream": with k values kept the
    relative error is about 1 / sqrt(k).
    """

    def __init__(self, size: int = 4096) -> None:
        self.size = size
        self.kept: Hashes = np.empty(0, dtype=np.uint64)
        self._threshold = np.uint64(2**64 - 1)

    def update(self, hashes: Hashes) -> None:
        """Add hashes, repeats included."""
        if self.full:
            hashes = hashes[hashes < self._threshold]
        if len(self.kept) and len(hashes):
            places = np.minimum(np.searchsorted(self.kept, hashes), len(self.kept) - 1)
            hashes = hashes[self.kept[places] != hashes]
        if len(hashes):
            self.kept = distinct(np.concatenate([self.kept, hashes]))[: self.size]
            if self.full:
                self._threshold = self.kept[-1]

    @property
    def full(self) -> bool:
        return len(self.kept) >= self.size

    def count(self) -> int:
        """How many distinct hashes there were."""
        if not self.full:
            return len(self.kept)
        return round((self.size - 1) / (float(self.kept[-1]) / 2.0**64))


class RepeatCounter:
    """How many hashes repeat an earlier one, in bounded memory.

    Exact up to `size` distinct hashes; then only a random part of the hash space is followed
    and the count scaled up.
    """

    def __init__(self, size: int = 2**21) -> None:
        self.size = size
        self.exact = True
        self._share = 1.0
        self._pending: list[Hashes] = []
        self._n_pending = 0
        self._kept: Hashes = np.empty(0, dtype=np.uint64)
        self._n_seen = 0

    def update(self, hashes: Hashes) -> None:
        """Add hashes."""
        if not self.exact:
            hashes = hashes[hashes < self._limit()]
        self._n_seen += len(hashes)
        self._pending.append(hashes)
        self._n_pending += len(hashes)
        if self._n_pending >= self.size:
            self._merge()

    def _limit(self) -> np.uint64:
        return np.uint64(min(2**64 - 1, int(self._share * 2.0**64)))

    def _merge(self) -> None:
        self._kept = distinct(np.concatenate([self._kept, *self._pending]))
        self._pending, self._n_pending = [], 0
        while len(self._kept) > self.size:
            self._share /= 2
            inside = self._kept < self._limit()
            # what is dropped takes its share of the seen ones with it
            self._n_seen = round(self._n_seen * inside.mean())
            self._kept = self._kept[inside]
            self.exact = False

    def repeats(self) -> int:
        """Hashes seen less distinct ones."""
        self._merge()
        return max(0, round((self._n_seen - len(self._kept)) / self._share))


class LevelCounter:
    """Counts per value while there are few values; gives up beyond `size`."""

    def __init__(self, size: int = 20) -> None:
        self.size = size
        self.counts: dict[Any, int] | None = {}

    def update(self, values: pa.Array, counts: npt.NDArray[np.int64]) -> None:
        """Add distinct values with their counts."""
        if self.counts is None:
            return
        if len(values) > self.size:
            self.counts = None
            return
        for value, count in zip(values.to_pylist(), counts.tolist(), strict=True):
            self.counts[value] = self.counts.get(value, 0) + count
        if len(self.counts) > self.size:
            self.counts = None


def encode(array: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Distinct values, their counts, and the place of each row's value (-1 where null)."""
    coded = pc.dictionary_encode(array)
    places = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
    counts = np.bincount(places + 1, minlength=len(coded.dictionary) + 1)[1:]
    return coded.dictionary, counts, places
