"""Which rows a champion has seen: a digest that never forgets one.

A score is honest on rows that nothing of the model was fitted to. A model that goes on from an
older one keeps that one's trees, so its own folds are not enough: the older model has seen rows
that validate today. The champion therefore keeps a Bloom filter of the rows of its data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]

# Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 1970: 10 bits and 4
# positions a row take about 1 % of unseen rows for seen ones.
BITS_PER_ROW = 10
N_POSITIONS = 4
# 4 MB, enough for 3.3 million rows; beyond, more unseen rows are taken for seen ones.
MOST_BITS = 2**25
LEAST_BITS = 2**10
BLOCK_ROWS = 65_536  # marked at a time

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The encoded rows of one data set: whoever asks for one of them is told it was seen.

    It errs on the honest side only: an unseen row may be called seen (about 1 in 100), and so is
    a new row that is alike in every encoded cell; a seen row never passes for new. Rows go by
    their features, so a label that came later does not make a row new. A digest answers for
    whole rows: who has all cells of a row can ask whether it was among them, and nobody can read
    a row out of it.

    >>> rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    >>> seen = Seen.of(hashes(rows[:2]))
    >>> seen.holds(hashes(rows)).tolist()
    [True, True, False]
    """

    bits: npt.NDArray[np.uint8]  # packed; their number is a power of two
    n_rows: int
    checksum: int  # sum of the rows' hashes, modulo 2^64

    @classmethod
    def of(cls, hashed: Hashes) -> Seen:
        """The digest of rows by their hashes, shape (n_rows,)."""
        wanted = max(LEAST_BITS, BITS_PER_ROW * len(hashed))
        n_bits = min(1 << (wanted - 1).bit_length(), MOST_BITS)
        marked = np.zeros(n_bits, dtype=bool)
        for start in range(0, len(hashed), BLOCK_ROWS):
            for position in _positions(hashed[start : start + BLOCK_ROWS], n_bits):
                marked[position] = True
        return cls(bits=np.packbits(marked), n_rows=len(hashed), checksum=_sum(hashed))

    def holds(self, hashed: Hashes) -> npt.NDArray[np.bool_]:
        """Which rows may have been seen, shape (n_rows,)."""
        found = np.ones(len(hashed), dtype=bool)
        for position in _positions(hashed, 8 * len(self.bits)):
            byte = self.bits[position >> np.uint64(3)]
            found &= (byte >> (np.uint8(7) - (position & np.uint64(7)).astype(np.uint8))) & 1 == 1
        return found

    def is_within(self, hashed: Hashes) -> bool:
        """Whether all of its rows are surely among these: in front, or found one by one.

        A table that was only ever appended to has them in front. False says nothing.
        """
        if self.n_rows > len(hashed):
            return False
        if _sum(hashed[: self.n_rows]) == self.checksum:
            return True
        held = hashed[self.holds(hashed)]
        return len(held) == self.n_rows and _sum(held) == self.checksum


def hashes(matrix: Matrix) -> Hashes:
    """A 64-bit hash of each encoded row; all missing cells are alike, and so are 0 and -0."""
    found = np.full(len(matrix), _PRIME, dtype=np.uint64)
    for column in matrix.T:  # one at a time: a plain copy of all would be a second table
        plain = np.where(np.isnan(column), np.float32(np.nan), column + np.float32(0.0))
        found ^= np.ascontiguousarray(plain, dtype=np.float32).view(np.uint32)
        found *= _PRIME
        found ^= found >> np.uint64(31)
        found *= _MIX
        found ^= found >> np.uint64(29)
    return found


def _positions(hashed: Hashes, n_bits: int) -> Iterator[Hashes]:
    """Kirsch & Mitzenmacher, ESA 2006: two hashes make as many as are needed."""
    first, step = hashed & np.uint64(0xFFFFFFFF), (hashed >> np.uint64(32)) | np.uint64(1)
    for i in range(N_POSITIONS):
        yield (first + np.uint64(i) * step) & np.uint64(n_bits - 1)


def _sum(hashed: Hashes) -> int:
    return int(hashed.sum(dtype=np.uint64)) if len(hashed) else 0
