"""Tables around entities in memory, and the one place that says what was known at a cut-off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class EventTable:
    """A long table: rows of subjects in order of time; a series, or a log with a message column.

    Rows are sorted by subject, then time, then what is in them, so that what is computed from a
    subject's rows does not depend on how they came.

    Parameters
    ----------
    subject : array of shape (n_rows,), int64, ascending
        Which subject a row belongs to: a position that `Relations.subjects` refers to.
    time : array of shape (n_rows,), float64, ascending within a subject
        Seconds since 1970 in UTC where it is a date, else in its own units; the position in the
        file where only the order is known.
    columns : Arrow table of n_rows
        Without key and time.
    dated : bool
        Whether times are seconds.
    message : str, optional
        The column of a log's text.
    """

    name: str
    role: str
    subject: Integers
    time: Floats
    columns: pa.Table
    dated: bool = True
    message: str | None = None

    @property
    def n_rows(self) -> int:
        return len(self.subject)

    def starts(self, subjects: Integers) -> Integers:
        """First row of each of these subjects, shape (n_subjects,)."""
        return np.searchsorted(self.subject, subjects, side="left").astype(np.int64)

    def ends(self, subjects: Integers) -> Integers:
        """One past the last row of each of these subjects, shape (n_subjects,)."""
        return np.searchsorted(self.subject, subjects, side="right").astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Spans:
    """Which rows of a table each entity row may see: `start <= at < end`, all before its cut-off.

    Parameters
    ----------
    start, end : arrays of shape (n_entities,), int64; equal where there are none
    cut_off : array of shape (n_entities,), float64, in the units of the table's time; inf: none
    """

    start: Integers
    end: Integers
    cut_off: Floats

    def since(self, table: EventTable, length: float) -> Spans:
        """Only the rows of the last `length` units of time before each cut-off."""
        first = first_at(table.time, self.start, self.end, self.cut_off - length)
        return replace(self, start=first)

    def last(self, n_rows: int) -> Spans:
        """Only the last `n_rows` rows of each."""
        return replace(self, start=np.maximum(self.start, self.end - n_rows))


@dataclass(frozen=True, kw_only=True)
class Relations:
    """Entity rows and the tables around them, of the same entities.

    Parameters
    ----------
    rows : DataFrame of shape (n_entities, n_columns)
        The entity table with what was looked up, without roles (key, target, cut-off).
    subjects : by table, array of shape (n_entities,), int64
        The subject of each entity row in that table; -1 where it has none.
    cut_off : array of shape (n_entities,), float64; inf where everything is known
    gap : float
        Kept free before the cut-off, in days where times are dates, else in their units.
    tables : by name
    """

    rows: pd.DataFrame
    subjects: Mapping[str, Integers]
    cut_off: Floats
    tables: Mapping[str, EventTable]
    gap: float = 0.0
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    def take(self, at: Integers) -> Self:
        """Some entity rows, by position; tables are shared."""
        return replace(
            self,
            rows=self.rows.iloc[at],
            subjects={name: one[at] for name, one in self.subjects.items()},
            cut_off=self.cut_off[at],
        )

    def spans(self, name: str) -> Spans:
        """Which rows of a table each entity row may see. Nothing else may look at events.

        What is at or after the cut-off, or within the gap before it, is not among them.
        """
        table, subjects = self.tables[name], self.subjects[name]
        gap = self.gap * (SECONDS_PER_DAY if table.dated else 1.0)
        cut_off = self.cut_off - gap
        start, end = table.starts(subjects), table.ends(subjects)
        return Spans(start=start, end=first_at(table.time, start, end, cut_off), cut_off=cut_off)


def first_at(values: Floats, start: Integers, end: Integers, bound: Floats) -> Integers:
    """First position in [start, end) whose value is at or above the bound, else `end`.

    `values` ascend within each stretch. A binary search of all stretches at once.

    >>> at = first_at(np.array([1.0, 2, 3, 1, 5]), np.array([0, 3]), np.array([3, 5]),
    ...               np.array([2.0, 9]))
    >>> at.tolist()
    [1, 5]
    """
    low, high = start.copy(), end.copy()
    last = max(len(values) - 1, 0)
    while (open_ := low < high).any():
        middle = (low + high) // 2
        below = open_ & (values[np.minimum(middle, last)] < bound)
        low = np.where(below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    return low
