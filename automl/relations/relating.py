"""Tables around entity rows: which are looked up, and how the others find their entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from automl.errors import DataError
from automl.relations.audit import audit_events, refuse_times, warning
from automl.relations.events import EventRows, event_rows, in_order, require, selected
from automl.relations.hashing import row_hashes
from automl.relations.keys import KeyIndex
from automl.relations.paths import (
    Lookup,
    Route,
    direct_route,
    is_unique,
    route_over,
    shared_route,
)
from automl.relations.reading import plain
from automl.relations.spec import Spec, TableSpec
from automl.relations.tables import EventTable
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


@dataclass(kw_only=True)
class Around:
    """What is known while the tables around entity rows are put together.

    Parameters
    ----------
    spec : Spec
    tables : by name, what is read so far; lookups are joined to them as they are found
    n_entities : rows of the entity table
    streamed : tables whose rows the caller reads
    kinds : lookup, child or events, by table; what is told beforehand stays
    strict : refuse what is wrong with the data; a request's rows are taken as they are
    """

    spec: Spec
    tables: dict[str, pa.Table]
    n_entities: int
    streamed: Sequence[str] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    strict: bool = True
    routes: dict[str, Route] = field(default_factory=dict)
    lookups: dict[str, list[Lookup]] = field(default_factory=dict)
    indexes: dict[tuple[str, tuple[str, ...]], KeyIndex] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, dict[str, Any]] = field(default_factory=dict)

    def index(self, name: str, columns: tuple[str, ...]) -> KeyIndex:
        """The distinct keys of a table's columns."""
        if (name, columns) not in self.indexes:
            rows = self.tables[name]
            require(rows, list(columns), self.spec.tables[name])
            self.indexes[name, columns] = KeyIndex(
                [rows.column(one) for one in columns], names=columns, table=name
            )
        return self.indexes[name, columns]

    def forget(self, name: str) -> None:
        """Keys of a table whose rows have changed."""
        self.indexes = {at: one for at, one in self.indexes.items() if at[0] != name}


def join_lookups(around: Around) -> None:
    """Join every table that has one row for each key to the table that it points to.

    Those furthest from the entities first, so that what they looked up comes along.
    """
    for name in inwards(around.spec):
        about = around.spec.tables[name]
        if name not in around.streamed:
            chosen = selected(around.tables[name], about)
            if chosen is not None and about.time_format != "order":
                around.tables[name] = around.tables[name].filter(pa.array(chosen))
        if not _is_lookup(around, name):
            continue
        around.kinds[name] = "lookup"
        link, looked = about.link, around.tables[name]
        assert link.table is not None
        kept = [one for one in looked.column_names if one not in {*link.columns, *about.exclude}]
        lookup = Lookup(
            table=name,
            columns=link.to,
            index=around.index(name, link.columns),
            looked=looked.select(kept),
        )
        around.lookups.setdefault(link.table, []).append(lookup)
        around.report[name] = {"kind": "lookup", "rows": looked.num_rows}
        if link.table not in around.streamed:
            require(around.tables[link.table], list(link.to), around.spec.tables[link.table])
            joined, n_missing = lookup.join(around.tables[link.table], into=link.table)
            around.tables[link.table] = joined
            around.report[name]["not_found"] = n_missing


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


def inwards(spec: Spec) -> list[str]:
    """All tables but the entities, those furthest from them first."""

    def steps(name: str) -> int:
        link = spec.tables[name].link
        if spec.tables[name].role == "entities" or link.table is None:
            return 0
        return 1 + steps(link.table)

    names = [name for name, table in spec.tables.items() if table.role != "entities"]
    return sorted(names, key=lambda name: -steps(name))


def _is_lookup(around: Around, name: str) -> bool:
    about = around.spec.tables[name]
    key = about.link.columns
    told = around.kinds.get(name)
    if told is not None and told != "lookup":
        return False
    if about.role != "static" or about.is_timed or about.link.table is None:
        return False
    if name in around.streamed:
        return False
    if is_unique(around.index(name, key)):
        return True
    rows = around.tables[name]
    if about.link.table not in around.streamed:
        # rows that nothing points to may repeat what they like
        asked = around.index(about.link.table, about.link.to)
        keys = [rows.column(one) for one in key]
        rows = rows.filter(pa.array(asked.find(keys, names=key, table=name) >= 0))
    once = _without_copies(rows)
    index = KeyIndex([once.column(one) for one in key], names=key, table=name)
    if is_unique(index):
        if once.num_rows < rows.num_rows:
            n_copies = rows.num_rows - once.num_rows
            detail = f"{n_copies:,} rows of '{name}' repeat another and count once"
            around.warnings.append(warning("identical_rows", detail, table=name))
        around.tables[name] = once
        around.forget(name)
        return True
    n_again = int((index.codes >= 0).sum()) - index.n_keys
    detail = f"{n_again:,} rows of '{name}' repeat a key"
    if told == "lookup":
        raise DataError(
            f"{detail}; it is looked up, so that each key is there once",
            code="duplicate_key",
            table=name,
            column=key[0],
        )
    detail += " with other values: it is summed up, not looked up"
    around.warnings.append(warning("repeated_keys", detail, table=name, column=key[0]))
    return False


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


def _without_copies(table: pa.Table) -> pa.Table:
    """Rows that are alike in all columns, once."""
    columns = [table.column(name) for name in table.column_names]
    _, first = np.unique(row_hashes(columns, n_rows=table.num_rows), return_index=True)
    return table.take(pa.array(np.sort(first)))
