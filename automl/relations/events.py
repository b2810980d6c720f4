"""Rows of a long table to sorted events of subjects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.data.target import matches
from automl.errors import DataError
from automl.relations.key_columns import Bools
from automl.relations.order import sorting, taken
from automl.relations.paths import Route
from automl.relations.spec import TableSpec
from automl.relations.tables import EventTable, Floats, Integers
from automl.relations.times import Times, is_dated, read_times


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of the rows of a table; adds up over its pieces.

    Parameters
    ----------
    rows : read
    kept : rows of subjects with a time; more than were read where one row has several subjects
    orphans : rows whose key is not in the table that they point to
    unrelated : rows whose key is there, but does not lead to an entity
    without_time, unreadable : rows left out for an empty time, or one in another format
    first_unreadable : row counted from 0
    future : rows at or after `now`
    """

    rows: int = 0
    kept: int = 0
    orphans: int = 0
    unrelated: int = 0
    without_time: int = 0
    unreadable: int = 0
    first_unreadable: int | None = None
    future: int = 0

    def __add__(self, other: Counts) -> Counts:
        first = self.first_unreadable
        return Counts(
            rows=self.rows + other.rows,
            kept=self.kept + other.kept,
            orphans=self.orphans + other.orphans,
            unrelated=self.unrelated + other.unrelated,
            without_time=self.without_time + other.without_time,
            unreadable=self.unreadable + other.unreadable,
            first_unreadable=other.first_unreadable if first is None else first,
            future=self.future + other.future,
        )


@dataclass(frozen=True, kw_only=True)
class EventRows:
    """Events in the order in which they were read: `subject`, `time` and `columns` of each."""

    subject: Integers
    time: Floats
    columns: pa.Table
    dated: bool
    counts: Counts = field(default_factory=Counts)


def event_rows(
    table: pa.Table,
    spec: TableSpec,
    route: Route,
    *,
    from_row: int = 0,
    now: float | None = None,
) -> EventRows:
    """The events among these rows of a table: those with a subject and a time.

    Parameters
    ----------
    table : rows in the order of the file; those that `spec.where` does not want are left out
    from_row : position in the file of the first of them
    now : seconds since 1970; events at or after it are counted, not left out
    """
    chosen = selected(table, spec)
    at_file = None if chosen is None else np.flatnonzero(chosen)
    if at_file is not None:
        table = table.take(pa.array(at_file))
    times = _times(table, spec, from_row=from_row, at_file=at_file)
    require(table, [*route.columns, *filter(None, [spec.message])], spec)
    found = route.find([table.column(name) for name in route.columns], n_rows=table.num_rows)
    time = times.values if found.rows is None else times.values[found.rows]
    dated = times.dated
    if found.known_from is not None:
        if spec.is_timed and route.dated != dated:
            raise DataError(
                f"'{spec.name}' is reached by a table whose times are in other units",
                code="time_format",
                table=spec.name,
                column=spec.time,
            )
        dated = route.dated
        # what is known of a row by way of another is known only when the other one is
        time = np.maximum(time, found.known_from)
    kept = (found.subject >= 0) & ~np.isnan(time)
    at = np.flatnonzero(kept) if not kept.all() else None
    subject, source = found.subject, found.rows
    if at is not None:
        subject, time = subject[at], time[at]
        source = at if source is None else source[at]
    dropped = {*route.columns, spec.time}
    columns = table.select([name for name in table.column_names if name not in dropped])
    nothing = np.isnan(times.values)
    counts = Counts(
        rows=table.num_rows,
        kept=len(subject),
        orphans=found.n_orphans,
        unrelated=found.n_unrelated,
        without_time=int(nothing.sum()) - times.n_unreadable,
        unreadable=times.n_unreadable,
        first_unreadable=times.first_unreadable,
        future=int((time >= now).sum()) if now is not None and dated else 0,
    )
    return EventRows(
        subject=subject,
        time=time,
        columns=columns if source is None else columns.take(pa.array(source)),
        dated=dated,
        counts=counts,
    )


def selected(table: pa.Table, spec: TableSpec) -> Bools | None:
    """Which rows `spec.where` wants; None is all of them."""
    chosen = None
    for name, value in spec.where.items():
        require(table, [name], spec)
        coded = pc.dictionary_encode(table.column(name).combine_chunks())
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.combine_chunks()
        wanted = np.append(matches(coded.dictionary, [value]), False)
        these = wanted[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
        chosen = these if chosen is None else chosen & these
    return chosen


def require(table: pa.Table, names: list[str], spec: TableSpec) -> None:
    """Raise ``column_not_found`` where a column that the spec names is not in its table."""
    for name in names:
        if name not in table.column_names:
            raise DataError(
                f"table '{spec.name}' has no column '{name}'",
                code="column_not_found",
                table=spec.name,
                column=name,
                details={"columns": table.column_names[:50]},
            )


def in_order(rows: EventRows, spec: TableSpec) -> EventTable:
    """Sort events by subject, time, and what is in them; leave out what is not to be learnt from.

    Rows of one subject and time are in the order of their first column, then of the second, and so
    on: an ascending id keeps them as they came.
    """
    order = sorting(rows.subject, rows.time, rows.columns)
    subject, time = rows.subject[order], rows.time[order]
    if spec.first is not None:
        rank = np.arange(len(subject)) - np.searchsorted(subject, subject, side="left")
        early = rank < spec.first
        order, subject, time = order[early], subject[early], time[early]
    kept = [name for name in rows.columns.column_names if name not in spec.exclude]
    columns = {name: taken(rows.columns.column(name), order) for name in kept}
    # rows without a time of their own have one where a table in between has times
    role = (
        "events" if spec.role == "static" and len(time) and np.isfinite(time).any() else spec.role
    )
    return EventTable(
        name=spec.name,
        role=role,
        subject=subject,
        time=time,
        columns=pa.table(columns),
        dated=rows.dated,
        message=spec.message,
    )


def _times(table: pa.Table, spec: TableSpec, *, from_row: int, at_file: Integers | None) -> Times:
    n_rows = table.num_rows
    if not spec.is_timed:
        return Times(values=np.full(n_rows, -np.inf), dated=is_dated(spec.time_format))
    if spec.time_format == "order":
        times = read_times(None, "order", n_rows=n_rows, from_row=from_row)
        return (
            times
            if at_file is None
            else replace(times, values=(at_file + from_row).astype(np.float64))
        )
    assert spec.time is not None
    require(table, [spec.time], spec)
    times = read_times(table.column(spec.time), spec.time_format, n_rows=n_rows, name=spec.time)
    first = times.first_unreadable
    if first is not None:
        first = from_row + (first if at_file is None else int(at_file[first]))
    return replace(times, first_unreadable=first)
