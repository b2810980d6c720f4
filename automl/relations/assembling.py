"""A spec and its tables to entity rows with sorted event tables around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from automl.data.series import to_series
from automl.errors import DataError
from automl.relations.audit import refuse_duplicates, refuse_missing, warning
from automl.relations.cut_offs import CutOffs, after_first, cut_offs, first_times
from automl.relations.events import require, selected
from automl.relations.hashing import row_hashes
from automl.relations.keys import KeyIndex
from automl.relations.making import make_entities
from automl.relations.reading import described, fitted, read_table
from automl.relations.relating import Around, Pieces, find_routes, join_lookups, sort_events
from automl.relations.spec import Spec
from automl.relations.tables import Integers, Relations


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What a spec and its tables make.

    Entity rows are in the order of a hash of their key, so that the first of them are a sample of
    all; the rows of one entity stand together, in the order of their cut-offs.

    Parameters
    ----------
    spec : the spec as given, or where it has windows, with the entity table that they make
    relations : Relations
        Its `about` is JSON: what `request_relations` needs to take more rows the same way.
    table : Arrow table of n_rows rows
        The entity table with what was looked up, and its key, cut-off and target columns.
    target : Arrow array of n_rows values, typed as it is, or None
    key : array of shape (n_rows,), int64, ascending from 0
        Which entity each row is of.
    order : array of shape (n_rows,), int64
        Which row of the entity table, as it came, each row was.
    pieces : by table, those that the caller reads in pieces
    roles : key, cut_off and target columns of `table`, and columns of it not to be learnt from
    report : JSON values
        `n_rows`, `n_entities`, `tables` (what became of each one's rows), and `warnings`.
    """

    spec: Spec
    relations: Relations
    table: pa.Table
    target: pa.Array | None
    key: Integers
    order: Integers
    pieces: Mapping[str, Pieces]
    roles: Mapping[str, tuple[str, ...]]
    report: dict[str, Any] = field(default_factory=dict)


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
    streamed : event tables that the caller reads batch by batch with `pieces`
        A cut-off that counts from their first events is left at infinity.

    Raises
    ------
    DataError
        ``missing_table``, ``column_not_found``, ``cut_off``, ``missing_key``,
        ``duplicate_entity``, ``key_type_mismatch``, ``orphan_events``, ``future_events``,
        ``join_too_large``, ``time_format``.

    >>> spec = Spec.from_json({"key": "id", "cut_off": {"now": 3}, "tables": {
    ...     "people": {"role": "entities"},
    ...     "visits": {"role": "events", "key": "id", "to": "people", "time": "t",
    ...                "time_format": "number"}}})
    >>> made = assemble(spec, {"people": pa.table({"id": [7, 8]}),
    ...                        "visits": pa.table({"id": [8, 8, 7], "t": [1, 3, 2]})})
    >>> spans = made.relations.spans("visits")
    >>> made.table["id"].to_pylist(), (spans.end - spans.start).tolist()
    ([8, 7], [1, 1])
    """
    if now is not None and now.tzinfo is None:
        raise ValueError("now has no time zone")
    missing = [name for name in spec.tables if name not in tables and name not in streamed]
    if missing:
        raise DataError(
            f"no rows came for the table '{missing[0]}'",
            code="missing_table",
            table=missing[0],
            details={"tables": missing},
        )
    read: Mapping[str, pa.Table] = {
        name: read_table(tables[name], about)
        for name, about in spec.tables.items()
        if name not in streamed
    }
    windows = spec.windows
    spec, read = make_entities(spec, read)
    about: dict[str, Any] = {"columns": {name: described(table) for name, table in read.items()}}
    rows, came = _entity_rows(spec, read)
    assert spec.entities is not None
    wanted = target if target is not None else spec.target
    require(rows, [*spec.key, *filter(None, [wanted])], spec.tables[spec.entities])
    ends = cut_offs(spec.cut_off, rows, table=spec.entities, now=None)
    if spec.key:
        key = _key(spec, rows)
        refuse_missing(key, names=spec.key, table=spec.entities)
        refuse_duplicates(key, ends.values, names=spec.key, table=spec.entities)
    order = _hash_order(rows, spec.key, ends, leave=wanted)
    rows = rows.take(pa.array(order))
    ends = CutOffs(values=ends.values[order], dated=ends.dated)
    around = Around(
        spec=spec,
        tables={**read, spec.entities: rows},
        n_entities=rows.num_rows,
        streamed=streamed,
    )
    relations = _related(around, ends, leave=wanted, now=now)
    if windows is not None:
        about["windows"] = {name: getattr(windows, name) for name in ("table", "length", "by_time")}
    relations = replace(relations, about={**relations.about, **about})
    codes = _key(spec, rows).codes if spec.key else np.arange(rows.num_rows, dtype=np.int64)
    excluded = spec.tables[spec.entities].exclude
    return Assembled(
        spec=spec,
        relations=relations,
        table=around.tables[spec.entities],
        target=None
        if wanted is None
        else around.tables[spec.entities].column(wanted).combine_chunks(),
        key=codes,
        order=came[order],
        pieces={
            name: Pieces(
                spec=spec.tables[name],
                route=around.routes[name],
                lookups=tuple(around.lookups.get(name, ())),
            )
            for name in streamed
        },
        roles={
            "key": spec.key,
            "cut_off": tuple(filter(None, [spec.cut_off.column])),
            "target": tuple(filter(None, [wanted])),
            "excluded": tuple(name for name in excluded if name in rows.column_names),
        },
        report={
            "n_rows": rows.num_rows,
            "n_entities": int(codes.max(initial=-1)) + 1,
            "tables": around.report,
            "warnings": around.warnings,
        },
    )


def request_relations(
    spec: Spec,
    rows: pa.Table,
    tables: Mapping[str, pa.Table],
    *,
    about: Mapping[str, Any],
    now: datetime | None = None,
) -> Relations:
    """Rows to predict with their tables, in the order in which they came.

    Parameters
    ----------
    spec : as `Assembled.spec`
    rows : entity rows, without a target; columns that are missing have no values
    tables : by name; a table that is missing has no rows, a row of nobody's is left out
    about : of the relations that were learnt from, as JSON has it
    now : aware datetime, optional
        The cut-off, where the spec has one for all rows ("now"), instead of the one that was then.

    Raises
    ------
    DataError
        ``unknown_table``, ``column_not_found``, ``column_type``, ``cut_off``, ``duplicate_key``.
    """
    assert spec.entities is not None
    unknown = [name for name in tables if name not in spec.tables]
    if unknown:
        raise DataError(
            f"'{unknown[0]}' is no table of this data set",
            code="unknown_table",
            table=unknown[0],
            details={"tables": list(spec.tables)},
        )
    types = about["columns"]
    read: dict[str, pa.Table] = {}
    for name, one in spec.tables.items():
        if name == spec.entities:
            continue
        needed = [*one.link.columns, *filter(None, [one.time])] if name in tables else []
        read[name] = fitted(tables.get(name), types[name], needed=needed, table_name=name)
    ends_in = [*filter(None, [spec.cut_off.column])]
    read[spec.entities] = fitted(
        rows, types[spec.entities], needed=ends_in, table_name=spec.entities
    )
    rows = read[spec.entities]
    ends = cut_offs(spec.cut_off, rows, table=spec.entities, now=now)
    around = Around(
        spec=spec,
        tables=read,
        n_entities=rows.num_rows,
        kinds=dict(about["kinds"]),
        strict=False,
    )
    relations = _related(around, ends, leave=spec.target, now=None)
    return replace(relations, about=about)


def _related(
    around: Around, ends: CutOffs, *, leave: str | None, now: datetime | None
) -> Relations:
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


def _entity_rows(spec: Spec, read: Mapping[str, pa.Table]) -> tuple[pa.Table, Integers]:
    """The entity table's rows that the spec wants, and where each stood in it."""
    assert spec.entities is not None
    rows = read[spec.entities]
    chosen = selected(rows, spec.tables[spec.entities])
    if chosen is None:
        return rows, np.arange(rows.num_rows, dtype=np.int64)
    came = np.flatnonzero(chosen).astype(np.int64)
    return rows.take(pa.array(came)), came


def _key(spec: Spec, rows: pa.Table) -> KeyIndex:
    assert spec.entities is not None
    columns = [rows.column(name) for name in spec.key]
    return KeyIndex(columns, names=spec.key, table=spec.entities)


def _hash_order(
    rows: pa.Table, key: tuple[str, ...], ends: CutOffs, *, leave: str | None
) -> Integers:
    """Without a key, each row is an entity of its own, known by all its values."""
    names = key or tuple(name for name in rows.column_names if name != leave)
    hashes = row_hashes([rows.column(name) for name in names], n_rows=rows.num_rows)
    return np.lexsort((ends.values, hashes)).astype(np.int64)


def _features(around: Around, *, leave: str | None) -> pd.DataFrame:
    """The entity table with what was looked up, without roles, as models take it."""
    spec = around.spec
    assert spec.entities is not None
    table = around.tables[spec.entities]
    roles = {*spec.key, spec.cut_off.column, leave, *spec.tables[spec.entities].exclude}
    names = [name for name in table.column_names if name not in roles]
    series = {name: to_series(table.column(name).combine_chunks()) for name in names}
    return pd.DataFrame(series, index=pd.RangeIndex(table.num_rows), copy=False)
