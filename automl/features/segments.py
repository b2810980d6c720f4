"""Reductions over stretches of an array, each of which depends on nothing but its own values.

Differences of running sums are cheap but not used for anything but whole numbers: their rounding
depends on all that lies before a stretch, so that the same customer would get other bytes in other
company. `ufunc.reduceat` over interleaved starts and ends sees a stretch's own values only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.errors import DataError
from automl.features.values import Codes, codes, numbers
from automl.relations.tables import EventTable, Floats, Integers

Booleans = npt.NDArray[np.bool_]

# Events worked on at once: some arrays of this length fit the processor's cache, and a block of
# overlapping stretches stays a few MiB however often they overlap.
BLOCK = 1 << 18
# A gather pays where less than this share of the rows between first and last belongs to a stretch.
DENSE = 0.5


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """Stretches `start <= at < end` of an array, ascending and apart from each other.

    Parameters
    ----------
    start, end : arrays of shape (n_stretches,), int64; equal where there is nothing
    size : length of the array
    """

    start: Integers
    end: Integers
    size: int

    @property
    def count(self) -> Integers:
        return self.end - self.start

    def sum(self, values: Floats) -> Floats:
        """Sum of each stretch; 0 of an empty one.

        >>> of = Stretches(start=np.array([0, 2]), end=np.array([2, 2]), size=3)
        >>> of.sum(np.array([1.0, 2, 4])).tolist()
        [3.0, 0.0]
        """
        return self._reduced(np.add, values, 0.0)

    def min(self, values: Floats) -> Floats:
        return self._reduced(np.minimum, values, np.nan)

    def max(self, values: Floats) -> Floats:
        return self._reduced(np.maximum, values, np.nan)

    def first(self, values: npt.NDArray[Any]) -> Floats:
        return self._at(values, self.start)

    def last(self, values: npt.NDArray[Any]) -> Floats:
        return self._at(values, self.end - 1)

    def spread(self, values: Floats) -> Floats:
        """One value per stretch -> one per row of the array; 0 between stretches."""
        bounds = np.empty(2 * len(self.start) + 2, dtype=np.int64)
        bounds[0], bounds[1:-1:2], bounds[2:-1:2], bounds[-1] = 0, self.start, self.end, self.size
        spread = np.zeros(len(bounds) - 1)
        spread[1::2] = values
        return np.repeat(spread, np.diff(bounds))

    def mark(self) -> Booleans:
        """Which rows of the array belong to a stretch."""
        marked: Booleans = self.spread(np.ones(len(self.start))) > 0
        return marked

    def kept(self, before: Integers) -> Stretches:
        """The same stretches among kept rows only (`before`: see `kept_before`)."""
        return Stretches(start=before[self.start], end=before[self.end], size=int(before[-1]))

    def total(self, before: Integers) -> Integers:
        """How many rows of each stretch are among the kept: exact, for they are whole numbers."""
        total: Integers = before[self.end] - before[self.start]
        return total

    def _at(self, values: npt.NDArray[Any], at: Integers) -> Floats:
        found = np.full(len(self.start), np.nan)
        some = self.start < self.end
        found[some] = values[at[some]]
        return found

    def _reduced(self, reduction: np.ufunc, values: Floats, empty: float) -> Floats:
        reduced = np.full(len(self.start), empty)
        some = self.start < self.end
        start, end = self.start[some], self.end[some]
        if len(start) == 0:
            return reduced
        bounds = np.empty(2 * len(start), dtype=np.intp)
        bounds[::2], bounds[1::2] = start, end
        if end[-1] == len(values):
            bounds = bounds[:-1]
        reduced[some] = reduction.reduceat(values, bounds)[::2]
        return reduced


def kept_before(keep: Booleans) -> Integers:
    """How many rows are kept before each position, shape (n_rows + 1,).

    >>> kept_before(np.array([True, False, True])).tolist()
    [0, 1, 1, 2]
    """
    before = np.zeros(len(keep) + 1, dtype=np.int64)
    np.cumsum(keep, out=before[1:])
    return before


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some entity rows and their events, laid side by side.

    Parameters
    ----------
    rows : array of shape (n_stretches,), int64: which entity rows, none of them without events
    whole : Stretches of everything they may see
    low, high : the rows of the table that it comes from
    at : which of these, where stretches overlap or lie far apart; None: all of them
    """

    rows: Integers
    whole: Stretches
    low: int
    high: int
    at: Integers | None

    def take(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Of an array over the table's rows, those of the block."""
        part = values[self.low : self.high]
        return part if self.at is None else part[self.at]

    def time(self, table: EventTable) -> Floats:
        """Times of the rows; NaN where a table has none (it is minus infinity there)."""
        time: Floats = self.take(table.time)
        finite = np.isfinite(time)
        return time if finite.all() else np.where(finite, time, np.nan)

    def arrow(self, column: pa.ChunkedArray) -> pa.Array:
        """Of a column of the table, the rows of the block."""
        part = column.slice(self.low, self.high - self.low)
        if self.at is not None:
            part = part.take(pa.array(self.at))
        if isinstance(part, pa.ChunkedArray):
            part = part.chunk(0) if part.num_chunks == 1 else part.combine_chunks()
        return part

    def numbers(self, table: EventTable, name: str) -> Floats:
        """A column as float64 with NaN for missing; dates in seconds since 1970.

        Raises
        ------
        DataError
            ``wrong_type`` where it has something else than when the features were decided.
        """
        try:
            return numbers(self.arrow(table.columns.column(name)))
        except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise _wrong_type(table, name, "numbers or dates") from None

    def codes(self, table: EventTable, name: str, levels: Sequence[str | int]) -> Codes:
        """A column as positions in `levels` (`len(levels)`: another, -1: missing).

        Raises
        ------
        DataError
            ``wrong_type`` as for `numbers`.
        """
        try:
            return codes(self.arrow(table.columns.column(name)), levels)
        except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise _wrong_type(table, name, "levels") from None

    def since(self, start: Integers) -> Stretches:
        """The last part of each stretch, from these rows of the table (shape (n_entities,)) on."""
        later = np.maximum(start[self.rows] - self._start, 0)
        return Stretches(
            start=np.minimum(self.whole.start + later, self.whole.end),
            end=self.whole.end,
            size=self.whole.size,
        )

    @property
    def _start(self) -> Integers:
        """First row of the table of each stretch."""
        first = self.whole.start if self.at is None else self.at[self.whole.start]
        return first + self.low


def _wrong_type(table: EventTable, name: str, wanted: str) -> DataError:
    found = table.columns.schema.field(name).type
    return DataError(
        f"column {name!r} of table {table.name!r} has the type {found}; the features were decided "
        f"on {wanted}",
        code="wrong_type",
        column=name,
        details={"table": table.name, "type": str(found)},
    )


def blocks(start: Integers, end: Integers, *, size: int = BLOCK) -> Iterator[Block]:
    """Cut stretches [start, end) of one array, in any order, into blocks of about `size` rows.

    A stretch is never cut. Rows that see nothing are in no block. Where stretches lie side by side
    a block is a part of the array; where they overlap or lie far apart their rows are gathered.

    >>> [one.rows.tolist() for one in blocks(np.array([4, 0, 2]), np.array([6, 3, 2]), size=3)]
    [[1], [0]]
    """
    rows = np.flatnonzero(start < end)
    rows = rows[np.argsort(start[rows], kind="stable")]
    if len(rows) == 0:
        return
    start, end = start[rows], end[rows]
    total = np.cumsum(end - start)
    number = (total - 1) // size
    cuts = np.flatnonzero(np.diff(number)) + 1
    for first, last in zip(
        np.concatenate(([0], cuts)), np.concatenate((cuts, [len(rows)])), strict=True
    ):
        yield _block(rows[first:last], start[first:last], end[first:last])


def _block(rows: Integers, start: Integers, end: Integers) -> Block:
    low, high = int(start[0]), int(end.max())
    length = end - start
    n_events = int(length.sum())
    apart = bool((start[1:] >= end[:-1]).all())
    if apart and n_events >= DENSE * (high - low):
        whole = Stretches(start=start - low, end=end - low, size=high - low)
        return Block(rows=rows, whole=whole, low=low, high=high, at=None)
    stop = np.cumsum(length)
    whole = Stretches(start=stop - length, end=stop, size=n_events)
    at = np.arange(n_events) + np.repeat(start - low - whole.start, length)
    return Block(rows=rows, whole=whole, low=low, high=high, at=at)
