"""How a table's rows find their entities, over as many tables as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from automl.errors import DataError
from automl.relations.keys import KeyIndex
from automl.relations.tables import Floats, Integers

# A join that would make more rows than this is refused by its estimate, before it is run.
MOST_TIMES_LARGER = 20
MOST_ROWS = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Found:
    """Subjects of rows.

    Parameters
    ----------
    rows : int64 array, or None
        Which of the rows asked about each one is; None: all of them, once each, in order.
    subject : int64 array; -1 where there is none
    known_from : float64 array, or None
        When it was known that the row belongs to the subject.
    n_orphans : rows whose key is not in the table that they point to
    n_unrelated : rows whose key is there, but leads to no entity
    """

    rows: Integers | None
    subject: Integers
    known_from: Floats | None
    n_orphans: int
    n_unrelated: int


@dataclass(frozen=True, kw_only=True)
class Route:
    """From a table's rows to subjects; rows may come in any number of batches.

    Parameters
    ----------
    table : whose rows these are
    columns : of its own, by which they are found; none where they belong to everyone
    index : the keys they are found in; None where they belong to everyone
    of_entities : array of shape (n_entities,), int64
        The subject of each entity row.
    n_subjects : int
    start, subject : int64 arrays, or None
        Key number k leads to the subjects `subject[start[k]:start[k + 1]]`; None: to subject k.
    known_from : float64 array of the shape of `subject`, or None
        When each of these links became known, where a table in between has times.
    dated : bool
        Whether those are dates.
    """

    table: str
    columns: tuple[str, ...]
    index: KeyIndex | None
    of_entities: Integers
    n_subjects: int
    start: Integers | None = None
    subject: Integers | None = None
    known_from: Floats | None = None
    dated: bool = True

    def find(self, columns: Sequence[pa.Array | pa.ChunkedArray], *, n_rows: int) -> Found:
        """The subjects of rows with these keys.

        Raises
        ------
        DataError
            ``key_type_mismatch``; ``join_too_large``, before anything is joined.
        """
        if self.index is None:
            shared = np.zeros(n_rows, dtype=np.int64)
            return Found(rows=None, subject=shared, known_from=None, n_orphans=0, n_unrelated=0)
        codes = self.index.find(columns, names=self.columns, table=self.table)
        n_orphans = int((codes < 0).sum())
        if self.start is None or self.subject is None:
            return Found(
                rows=None, subject=codes, known_from=None, n_orphans=n_orphans, n_unrelated=0
            )
        counts = np.append(np.diff(self.start), 0)[codes]
        n_unrelated = int((counts == 0).sum()) - n_orphans
        rows = None
        if (counts <= 1).all():
            at = np.where(counts == 1, self.start[codes], len(self.subject))
        else:
            self._refuse_explosion(int(counts.sum()), n_rows=n_rows)
            rows = np.repeat(np.arange(n_rows), counts)
            within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
            at = self.start[codes[rows]] + within
        known_from = None
        if self.known_from is not None:
            known_from = np.append(self.known_from, np.inf)[at]
        return Found(
            rows=rows,
            subject=np.append(self.subject, -1)[at],
            known_from=known_from,
            n_orphans=n_orphans,
            n_unrelated=n_unrelated,
        )

    def _refuse_explosion(self, n_joined: int, *, n_rows: int) -> None:
        assert self.index is not None
        larger = max(n_rows, len(self.index.codes), 1)
        if n_joined <= MOST_TIMES_LARGER * larger and n_joined <= max(MOST_ROWS, n_rows):
            return
        raise DataError(
            f"joining '{self.table}' by {', '.join(self.columns)} would make {n_joined:,} rows of "
            f"{n_rows:,}: neither side of the link is unique",
            code="join_too_large",
            table=self.table,
            column=self.columns[0],
            details={"n_rows": n_rows, "n_joined": n_joined},
        )


def shared_route(table: str, *, n_entities: int) -> Route:
    """The route of rows that belong to every entity."""
    return Route(
        table=table,
        columns=(),
        index=None,
        of_entities=np.zeros(n_entities, dtype=np.int64),
        n_subjects=1,
    )


def direct_route(table: str, columns: Sequence[str], index: KeyIndex) -> Route:
    """The route of rows whose key is in the entity table.

    Subjects are the entity table's distinct keys, numbered as they first come.
    """
    return Route(
        table=table,
        columns=tuple(columns),
        index=index,
        of_entities=index.codes,
        n_subjects=index.n_keys,
    )


def route_over(
    table: str,
    columns: Sequence[str],
    index: KeyIndex,
    between: Found,
    *,
    of: Route,
    times: Floats | None,
    dated: bool,
) -> Route:
    """The route of rows whose key is in another table, which has a route of its own.

    Parameters
    ----------
    index : keys of the table in between
    between : the subjects of its rows
    of : its route
    times : when each of its rows happened; None where they are of all time
    """
    rows = np.arange(len(between.subject)) if between.rows is None else between.rows
    code, subject = index.codes[rows], between.subject
    known = between.known_from
    if times is not None:
        known = times[rows] if known is None else np.maximum(known, times[rows])
        known = np.where(np.isnan(known), np.inf, known)
    linked = np.flatnonzero((code >= 0) & (subject >= 0))
    code, subject = code[linked], subject[linked]
    # the same link twice is one link, known from the earlier on
    keys = (subject, code) if known is None else (known[linked], subject, code)
    order = np.lexsort(keys)
    code, subject = code[order], subject[order]
    once = np.ones(len(code), dtype=bool)
    once[1:] = (code[1:] != code[:-1]) | (subject[1:] != subject[:-1])
    code, subject = code[once], subject[once]
    return Route(
        table=table,
        columns=tuple(columns),
        index=index,
        of_entities=of.of_entities,
        n_subjects=of.n_subjects,
        start=np.searchsorted(code, np.arange(index.n_keys + 1)).astype(np.int64),
        subject=subject,
        known_from=None if known is None else known[linked][order][once],
        dated=dated,
    )


def is_unique(index: KeyIndex) -> bool:
    """Whether no key comes twice."""
    return index.n_keys == int((index.codes >= 0).sum())


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A table with one row for each key, whose columns are joined to another's rows.

    Parameters
    ----------
    table : its name; its columns are called `table.column`
    columns : of the other table, by which its rows are found
    index : of its own keys
    looked : its columns without the key; what it looked up itself keeps its name
    """

    table: str
    columns: tuple[str, ...]
    index: KeyIndex
    looked: pa.Table

    def join(self, rows: pa.Table, *, into: str) -> tuple[pa.Table, int]:
        """Rows with these columns beside their own, and how many found nothing: no values.

        Raises
        ------
        DataError
            ``key_type_mismatch``.
        """
        keys = [rows.column(name) for name in self.columns]
        codes = self.index.find(keys, names=self.columns, table=into)
        place = np.full(self.index.n_keys + 1, -1, dtype=np.int64)
        place[self.index.codes] = np.arange(len(self.index.codes))
        place[-1] = -1
        found = place[codes]
        at = pa.array(found, mask=found < 0)
        for name in self.looked.column_names:
            called = name if "." in name else f"{self.table}.{name}"
            rows = rows.append_column(called, self.looked.column(name).take(at))
        return rows, int((found < 0).sum())
