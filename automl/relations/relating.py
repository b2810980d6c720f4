"""How the tables around entity rows find them, and the events that they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from automl.data.series import to_series
from automl.errors import DataError
from automl.relations.around import Around, inwards
from automl.relations.audit import audit_events, refuse_times, warning
from automl.relations.cut_offs import CutOffs, after_first, first_times
from automl.relations.events import EventRows, event_rows, in_order
from automl.relations.lookups import join_lookups
from automl.relations.paths import Lookup, Route, direct_route, route_over, shared_route
from automl.relations.reading import plain
from automl.relations.spec import TableSpec
from automl.relations.tables import EventTable, Relations
from automl.relations.times import read_times


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """How a table that is too large for memory becomes events, batch by batch.

    Parameters
    ----------
    spec : TableSpec
    route : Route
    lookups : tables that are joined to its rows
    """

    spec: TableSpec
    route: Route
    lookups: tuple[Lookup, ...] = ()

    def events(
        self, batch: pa.Table | pa.RecordBatch, *, from_row: int = 0, now: datetime | None = None
    ) -> EventRows:
        """The events of a batch, in its order; `audit_events` judges the sum of their counts.

        Parameters
        ----------
        from_row : position in the file of the first row
        now : as `assemble` takes it
        """
        rows = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        rows = plain(rows)
        for one in self.lookups:
            rows, _ = one.join(rows, into=self.spec.name)
        moment = None if now is None else now.timestamp()
        return event_rows(rows, self.spec, self.route, from_row=from_row, now=moment)


def related(around: Around, ends: CutOffs, *, leave: str | None, now: datetime | None) -> Relations:
    """Entity rows with the tables around them.

    Parameters
    ----------
    ends : cut-offs of the entity rows; where events tell them, those are taken instead
    leave : the target
    now : events at or after it are counted
    """
    spec = around.spec
    join_lookups(around)
    find_routes(around)
    first = spec.cut_off.table
    counted = spec.cut_off.after_first is not None
    tables = sort_events(around, now=now)
    subjects = {name: around.routes[name].of_entities for name in tables}
    if counted and first in tables:
        began = first_times(tables[first], subjects[first])
        ends = after_first(spec.cut_off, began, dated=tables[first].dated)
        n_none = int(np.isneginf(ends.values).sum())
        if n_none and around.strict:
            detail = f"{n_none:,} entities have no row in '{first}' to count their cut-off from"
            around.warnings.append(warning("no_first_event", detail, table=first))
    elif counted and first not in around.streamed:
        raise DataError(
            f"the cut-off is counted from the first row of '{first}', which has no times",
            code="cut_off",
            table=first,
        )
    elif ends.dated is None and not counted and around.strict:
        detail = "no cut-off is declared: everything in the tables is used"
        around.warnings.append(warning("no_cut_off", detail))
    for name, table in tables.items():
        if ends.dated not in (None, table.dated) and around.kinds[name] == "events":
            raise DataError(
                f"times of '{name}' and the cut-off are not in the same units",
                code="cut_off",
                table=name,
                column=spec.tables[name].time,
            )
    return Relations(
        rows=_features(around, leave=leave),
        subjects=subjects,
        cut_off=ends.values,
        tables=tables,
        gap=spec.cut_off.gap,
        about={"kinds": dict(around.kinds)},
    )


def find_routes(around: Around) -> None:
    """How the rows of each table find their subjects; those next to the entities first."""
    for name in reversed(inwards(around.spec)):
        points_to = around.spec.tables[name].link.table
        if points_to not in around.streamed or around.kinds.get(name) != "lookup":
            around.routes[name] = _route(around, name)


def sort_events(around: Around, *, now: datetime | None = None) -> dict[str, EventTable]:
    """The events of all tables that are not looked up or streamed."""
    moment = None if now is None else now.timestamp()
    found = {}
    for name in reversed(inwards(around.spec)):
        about = around.spec.tables[name]
        if name in around.streamed or around.kinds.get(name) == "lookup":
            continue
        rows = event_rows(around.tables[name], about, around.routes[name], now=moment)
        if around.strict:
            points_to = about.link.table or around.spec.entities or ""
            around.warnings += audit_events(rows.counts, about, points_to=points_to)
        else:
            refuse_times(rows.counts, about)
        found[name] = in_order(rows, about)
        timed = about.is_timed or around.routes[name].known_from is not None
        around.kinds[name] = "events" if timed else "child"
        around.report[name] = {"kind": around.kinds[name], **asdict(rows.counts)}
    return found


def _route(around: Around, name: str) -> Route:
    spec, link = around.spec, around.spec.tables[name].link
    if link.table is None:
        return shared_route(name, n_entities=around.n_entities)
    if link.table in around.streamed:
        raise DataError(
            f"'{name}' points to '{link.table}', which is read in pieces; only tables with one row "
            "for each key can do so",
            code="bad_spec",
            table=name,
            details={"field": f"tables.{name}.to"},
        )
    index = around.index(link.table, link.to)
    if link.table == spec.entities:
        return direct_route(name, link.columns, index)
    about, rows = spec.tables[link.table], around.tables[link.table]
    of = around.routes[link.table]
    between = of.find([rows.column(one) for one in of.columns], n_rows=rows.num_rows)
    times, dated = None, of.dated
    if about.is_timed:
        column = None if about.time is None else rows.column(about.time)
        read = read_times(column, about.time_format, n_rows=rows.num_rows)
        times, dated = read.values, read.dated
    return route_over(name, link.columns, index, between, of=of, times=times, dated=dated)


def _features(around: Around, *, leave: str | None) -> pd.DataFrame:
    """The entity table with what was looked up, without roles, as models take it."""
    spec = around.spec
    assert spec.entities is not None
    table = around.tables[spec.entities]
    roles = {*spec.key, spec.cut_off.column, leave, *spec.tables[spec.entities].exclude}
    names = [name for name in table.column_names if name not in roles]
    series = {name: to_series(table.column(name).combine_chunks()) for name in names}
    return pd.DataFrame(series, index=pd.RangeIndex(table.num_rows), copy=False)
