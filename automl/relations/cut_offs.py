"""When each entity row is to be predicted: nothing at or after it may be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from automl.errors import DataError
from automl.relations.spec import CutOff
from automl.relations.tables import SECONDS_PER_DAY, EventTable, Floats, Integers
from automl.relations.times import is_dated, read_times


@dataclass(frozen=True, kw_only=True)
class CutOffs:
    """Cut-offs of entity rows.

    Parameters
    ----------
    values : array of shape (n_entities,), float64; inf where everything is known
    dated : bool or None
        Whether they are seconds since 1970; None where there are none.
    """

    values: Floats
    dated: bool | None


def cut_offs(cut_off: CutOff, rows: pa.Table, *, table: str, now: datetime | None) -> CutOffs:
    """The cut-offs that the entity table and the spec tell; inf for those that events tell.

    Parameters
    ----------
    now : aware datetime, optional
        Stands in for the spec's own `now`: the moment of a prediction.

    Raises
    ------
    DataError
        ``cut_off``: no such column, or a row without a time in it.
    """
    n_rows = rows.num_rows
    if cut_off.column is not None:
        return _of_column(cut_off, rows, table=table)
    if cut_off.now is None:
        return CutOffs(values=np.full(n_rows, np.inf), dated=None)
    if isinstance(cut_off.now, (int, float)):
        return CutOffs(values=np.full(n_rows, float(cut_off.now)), dated=False)
    seconds = now.timestamp() if now is not None else seconds_of(cut_off.now)
    return CutOffs(values=np.full(n_rows, seconds), dated=True)


def seconds_of(text: str) -> float:
    """An ISO date and time as seconds since 1970; "now" itself is for whoever has a clock.

    >>> seconds_of("1970-01-02")
    86400.0
    """
    read = read_times(pa.array([text]), "iso", n_rows=1).values[0]
    if np.isnan(read):
        raise DataError(
            "the cut-off 'now' of the spec is no date and time; write it like 2026-01-31T12:00Z",
            code="cut_off",
            details={"field": "cut_off.now"},
        )
    return float(read)


def after_first(cut_off: CutOff, first: Floats, *, dated: bool) -> CutOffs:
    """So long after each entity's first event: days for dates, else units of the time.

    Parameters
    ----------
    first : array of shape (n_entities,), float64; inf where there is no event

    An entity without any event has no first one, and nothing is known of it: minus infinity.
    """
    assert cut_off.after_first is not None
    length = cut_off.after_first * (SECONDS_PER_DAY if dated else 1.0)
    values = np.where(np.isfinite(first), first + length, -np.inf)
    return CutOffs(values=values, dated=dated)


def first_times(events: EventTable, subjects: Integers) -> Floats:
    """The time of each entity's first event; inf where there is none."""
    start, end = events.starts(subjects), events.ends(subjects)
    found = np.append(events.time, np.inf)[np.minimum(start, len(events.time))]
    return np.where(start < end, found, np.inf)


def _of_column(cut_off: CutOff, rows: pa.Table, *, table: str) -> CutOffs:
    name = cut_off.column
    assert name is not None
    if name not in rows.column_names:
        raise DataError(
            f"table '{table}' has no column '{name}' to take the cut-off from",
            code="cut_off",
            table=table,
            column=name,
        )
    times = read_times(rows.column(name), cut_off.time_format, n_rows=rows.num_rows, name=name)
    nothing = np.flatnonzero(np.isnan(times.values))
    if len(nothing):
        raise DataError(
            f"{len(nothing):,} of {rows.num_rows:,} rows have no cut-off in '{table}.{name}' that "
            f"can be read as {cut_off.time_format}, the first in row {nothing[0] + 1}",
            code="cut_off",
            table=table,
            column=name,
            row=int(nothing[0]) + 1,
            details={"time_format": cut_off.time_format, "n_rows": len(nothing)},
        )
    return CutOffs(values=times.values, dated=times.dated if len(times.values) else is_dated("iso"))
