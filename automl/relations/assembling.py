"""Tables and a spec to entity rows with sorted event tables around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from automl.data.series import to_series
from automl.errors import DataError
from automl.relations.audit import audit_events, refuse_duplicates, refuse_missing, warning
from automl.relations.cut_offs import CutOffs, after_first, cut_offs
from automl.relations.events import (
    event_rows,
    in_order,
    refuse_times,
    require,
    selected,
)
from automl.relations.hashing import row_hashes
from automl.relations.keys import KeyIndex
from automl.relations.paths import (
    Found,
    Route,
    direct_route,
    is_unique,
    look_up,
    route_over,
    shared_route,
)
from automl.relations.reading import read_table
from automl.relations.spec import Spec
from automl.relations.tables import EventTable, Integers, Relations
from automl.relations.times import read_times


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What a spec and its tables make.

    Entity rows are in the order of a hash of their key, so that the first of them are a sample of
    all; the rows of one entity stand together, in the order of their cut-offs.

    Parameters
    ----------
    relations : Relations
    table : Arrow table of n_entities rows
        The entity table with what was looked up, and its key, cut-off and target columns.
    target : Arrow array of n_entities values, typed as it is, or None
    key : array of shape (n_entities,), int64, ascending
        Which entity each row is of.
    order : array of shape (n_entities,), int64
        The row of the entity table, as it came, that each row was.
    routes : by table
        How rows of a table find their subjects, for tables that are read in pieces.
    roles : key, cut_off and target columns of `table`
    report : JSON values
        `n_entities`, `n_rows`, `tables` (what became of each one's rows), and `warnings`.
    """

    relations: Relations
    table: pa.Table
    target: pa.Array | None
    key: Integers
    order: Integers
    routes: Mapping[str, Route]
    roles: Mapping[str, tuple[str, ...]]
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class _Work:
    """What assembling knows so far."""

    spec: Spec
    tables: dict[str, pa.Table]
    n_entities: int
    kinds: dict[str, str]
    target: str | None = None
    routes: dict[str, Route] = field(default_factory=dict)
    founds: dict[str, Found] = field(default_factory=dict)
    indexes: dict[tuple[str, tuple[str, ...]], KeyIndex] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


def assemble(
    spec: Spec,
    tables: Mapping[str, pa.Table | Path],
    *,
    target: str | None = None,
    now: datetime | None = None,
    streamed: Sequence[str] = (),
) -> Assembled:
    """Put the tables of a data set together.

    Parameters
    ----------
    tables : by the names of the spec; Arrow tables, or files that are read as uploads are
    target : instead of the spec's
    now : aware datetime, optional
        Events at or after it are of the future; more than 1 % of them are refused.
    streamed : names of event tables that the caller reads in pieces by `routes`

    Raises
    ------
    DataError
        ``column_not_found``, ``cut_off``, ``duplicate_entity``, ``key_type_mismatch``,
        ``orphan_events``, ``future_events``, ``join_too_large``, ``time_format``.
    """
    assert spec.entities is not None
    missing = [name for name in spec.tables if name not in tables and name not in streamed]
    if missing:
        raise DataError(
            f"no rows came for the table '{missing[0]}'",
            code="missing_table",
            table=missing[0],
            details={"tables": missing},
        )
    read = {
        name: read_table(tables[name], spec.tables[name]) for name in spec.tables if name in tables
    }
    rows = read[spec.entities]
    about = spec.tables[spec.entities]
    chosen = selected(rows, about)
    input_rows = np.arange(rows.num_rows) if chosen is None else np.flatnonzero(chosen)
    rows = rows if chosen is None else rows.take(pa.array(input_rows))
    wanted = target if target is not None else spec.target
    require(rows, [*spec.key, *filter(None, [wanted])], about)
    ends = cut_offs(spec.cut_off, rows, table=spec.entities, now=None)
    if spec.key:
        key = KeyIndex(
            [rows.column(name) for name in spec.key], names=spec.key, table=spec.entities
        )
        refuse_missing(key, names=spec.key, table=spec.entities)
        refuse_duplicates(key, ends.values, names=spec.key, table=spec.entities)
    order = _hash_order(rows, spec.key, ends, leave=wanted)
    rows = rows.take(pa.array(order))
    ends = CutOffs(values=ends.values[order], dated=ends.dated)
    work = _Work(
        spec=spec,
        tables={**read, spec.entities: rows},
        n_entities=rows.num_rows,
        kinds={},
        target=wanted,
    )
    relations = _relate(work, ends, streamed=streamed, now=now, strict=True)
    codes = (
        work.indexes[spec.entities, spec.key].codes
        if (spec.entities, spec.key) in work.indexes
        else _codes(rows, spec)
    )
    table = work.tables[spec.entities]
    return Assembled(
        relations=relations,
        table=table,
        target=None if wanted is None else table.column(wanted).combine_chunks(),
        key=codes,
        order=input_rows[order],
        routes=work.routes,
        roles={
            "key": spec.key,
            "cut_off": tuple(filter(None, [spec.cut_off.column])),
            "target": tuple(filter(None, [wanted])),
        },
        report={
            "n_rows": rows.num_rows,
            "n_entities": int(codes.max(initial=-1)) + 1,
            "tables": work.about,
            "warnings": work.warnings,
        },
    )


def _relate(
    work: _Work, ends: CutOffs, *, streamed: Sequence[str], now: datetime | None, strict: bool
) -> Relations:
    """Look up what is looked up, and sort what is summed up."""
    spec = work.spec
    for name in _inwards(spec):
        if _is_lookup(work, name, streamed=streamed):
            _look_up(work, name)
    moment = None if now is None else now.timestamp()
    events: dict[str, EventTable] = {}
    for name in reversed(_inwards(spec)):
        about = spec.tables[name]
        work.routes[name] = _route(work, name)
        if name in streamed or work.kinds.get(name) == "lookup":
            continue
        rows = event_rows(work.tables[name], about, work.routes[name], now=moment)
        if strict:
            refuse_times(rows.counts, about)
            work.warnings += audit_events(
                rows.counts, about, points_to=about.link.table or spec.entities or ""
            )
        events[name] = in_order(rows, about)
        work.kinds[name] = "events" if about.is_timed else "child"
        work.about[name] = {"kind": work.kinds[name], **asdict(rows.counts)}
    subjects = {name: work.routes[name].of_entities for name in events}
    if spec.cut_off.after_first is not None:
        first = spec.cut_off.table
        if first not in events:
            raise DataError(
                f"the cut-off is counted from the first row of '{first}', which is no table of "
                "events",
                code="cut_off",
                table=first,
            )
        ends = after_first(spec.cut_off, events[first], subjects[first])
    elif ends.dated is None and strict:
        work.warnings.append(
            warning("no_cut_off", "no cut-off is declared: everything in the tables is used")
        )
    for name, table in events.items():
        if ends.dated is not None and spec.tables[name].is_timed and table.dated != ends.dated:
            raise DataError(
                f"times of '{name}' and the cut-off are not in the same units",
                code="cut_off",
                table=name,
                column=spec.tables[name].time,
            )
    return Relations(
        rows=_features(work),
        subjects=subjects,
        cut_off=ends.values,
        tables=events,
        gap=spec.cut_off.gap,
        about={"kinds": dict(work.kinds)},
    )


def _inwards(spec: Spec) -> list[str]:
    """All tables but the entities, those furthest from them first."""

    def steps(name: str) -> int:
        link = spec.tables[name].link
        if spec.tables[name].role == "entities" or link.table is None:
            return 0
        return 1 + steps(link.table)

    names = [name for name, table in spec.tables.items() if table.role != "entities"]
    return sorted(names, key=lambda name: -steps(name))


def _is_lookup(work: _Work, name: str, *, streamed: Sequence[str]) -> bool:
    about = work.spec.tables[name]
    if name in work.kinds:
        return work.kinds[name] == "lookup"
    if about.role != "static" or about.is_timed or about.link.table is None or name in streamed:
        return False
    chosen = selected(work.tables[name], about)
    if chosen is not None:
        work.tables[name] = work.tables[name].filter(pa.array(chosen))
    if is_unique(_index(work, name, about.link.columns)):
        return True
    plain = _without_copies(work.tables[name])
    if plain.num_rows < work.tables[name].num_rows:
        n_copies = work.tables[name].num_rows - plain.num_rows
        work.tables[name] = plain
        work.indexes.pop((name, about.link.columns))
        work.warnings.append(
            warning(
                "identical_rows",
                f"{n_copies:,} rows of '{name}' repeat another and count once",
                table=name,
            )
        )
    return is_unique(_index(work, name, about.link.columns))


def _look_up(work: _Work, name: str) -> None:
    about = work.spec.tables[name]
    into, link = about.link.table, about.link
    assert into is not None
    work.kinds[name] = "lookup"
    rows, looked = work.tables[into], work.tables[name]
    require(rows, list(link.to), work.spec.tables[into])
    index = _index(work, name, link.columns)
    codes = index.find([rows.column(one) for one in link.to], names=link.to, table=into)
    place = np.full(index.n_keys + 1, -1, dtype=np.int64)
    place[index.codes] = np.arange(len(index.codes))
    place[-1] = -1
    found = place[codes]
    kept = [one for one in looked.column_names if one not in {*link.columns, *about.exclude}]
    work.tables[into] = look_up(rows, link.to, name, found, looked.select(kept))
    work.about[name] = {
        "kind": "lookup",
        "rows": looked.num_rows,
        "not_found": int((found < 0).sum()),
    }


def _route(work: _Work, name: str) -> Route:
    """How a table's rows find their subjects; routes of the tables on the way are there."""
    spec = work.spec
    link = spec.tables[name].link
    if link.table is None:
        return shared_route(name, n_entities=work.n_entities)
    index = _index(work, link.table, link.to)
    if link.table == spec.entities:
        return direct_route(name, link.columns, index)
    about, rows = spec.tables[link.table], work.tables[link.table]
    of = work.routes[link.table]
    between = of.find([rows.column(one) for one in of.columns], n_rows=rows.num_rows)
    times = None
    dated = of.dated
    if about.is_timed:
        column = None if about.time is None else rows.column(about.time)
        read = read_times(column, about.time_format, n_rows=rows.num_rows)
        times, dated = read.values, read.dated
    return route_over(name, link.columns, index, between, of=of, times=times, dated=dated)


def _index(work: _Work, name: str, columns: tuple[str, ...]) -> KeyIndex:
    if (name, columns) not in work.indexes:
        rows = work.tables[name]
        require(rows, list(columns), work.spec.tables[name])
        work.indexes[name, columns] = KeyIndex(
            [rows.column(one) for one in columns], names=columns, table=name
        )
    return work.indexes[name, columns]


def _features(work: _Work) -> pd.DataFrame:
    """The entity table with what was looked up, without roles, as models take it."""
    spec = work.spec
    assert spec.entities is not None
    table = work.tables[spec.entities]
    roles = {*spec.key, spec.cut_off.column, work.target, *spec.tables[spec.entities].exclude}
    names = [name for name in table.column_names if name not in roles]
    series = {name: to_series(table.column(name).combine_chunks()) for name in names}
    return pd.DataFrame(series, index=pd.RangeIndex(table.num_rows), copy=False)


def _hash_order(
    rows: pa.Table, key: tuple[str, ...], ends: CutOffs, *, leave: str | None
) -> Integers:
    names = key or tuple(name for name in rows.column_names if name != leave)
    hashes = row_hashes([rows.column(name) for name in names], n_rows=rows.num_rows)
    return np.lexsort((ends.values, hashes)).astype(np.int64)


def _codes(rows: pa.Table, spec: Spec) -> Integers:
    """Which entity each row is of; rows of one entity stand together."""
    if not spec.key:
        return np.arange(rows.num_rows, dtype=np.int64)
    assert spec.entities is not None
    return KeyIndex(
        [rows.column(name) for name in spec.key], names=spec.key, table=spec.entities
    ).codes


def _without_copies(table: pa.Table) -> pa.Table:
    """Rows that are alike in all columns, once."""
    hashes = row_hashes([table.column(name) for name in table.column_names], n_rows=table.num_rows)
    _, first = np.unique(hashes, return_index=True)
    return table.take(pa.array(np.sort(first)))
