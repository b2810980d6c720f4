"""A spec and its tables to entity rows with sorted event tables around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from automl.errors import DataError
from automl.relations.around import Around
from automl.relations.audit import audit_columns, refuse_duplicates, refuse_missing
from automl.relations.cut_offs import CutOffs, cut_offs
from automl.relations.events import require, selected
from automl.relations.hashing import row_hashes
from automl.relations.making import make_entities
from automl.relations.reading import described, read_table
from automl.relations.relating import Pieces, related
from automl.relations.spec import Spec
from automl.relations.tables import Integers, Relations


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What a spec and its tables make.

    Entity rows are in the order of a hash of their key, so that the first of them are a sample of
    all; the rows of one entity stand together, in the order of their cut-offs.

    Parameters
    ----------
    spec : the spec as given with its target, and the entity table that its windows make
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
    del tables  # whoever does not need what came need not hold it: entities are put in order here
    windows = spec.windows
    spec, read = make_entities(spec, read)
    spec = spec if target is None else replace(spec, target=target)
    about: dict[str, Any] = {"columns": {name: described(table) for name, table in read.items()}}
    rows, came = _entity_rows(spec, read)
    assert spec.entities is not None
    wanted = spec.target
    require(rows, [*spec.key, *filter(None, [wanted])], spec.tables[spec.entities])
    ends = cut_offs(spec.cut_off, rows, table=spec.entities, now=None)
    order = _hash_order(rows, spec.key, ends, leave=wanted)
    rows, came = rows.take(pa.array(order)), came[order]
    ends = CutOffs(values=ends.values[order], dated=ends.dated)
    read = {**read, spec.entities: rows}
    around = Around(spec=spec, tables=dict(read), n_entities=rows.num_rows, streamed=streamed)
    codes = np.arange(rows.num_rows, dtype=np.int64)
    if spec.key:
        key, names = around.index(spec.entities, spec.key), spec.key
        refuse_missing(key, names=names, table=spec.entities, came=came)
        refuse_duplicates(key, ends.values, names=names, table=spec.entities, came=came)
        codes = key.codes
    for name, columns in about["columns"].items():
        around.warnings += audit_columns(list(columns), spec.tables[name])
    relations = related(around, ends, leave=wanted, now=now)
    if windows is not None:
        about["windows"] = {name: getattr(windows, name) for name in ("table", "length", "by_time")}
    relations = replace(relations, about={**relations.about, **about})
    excluded = spec.tables[spec.entities].exclude
    return Assembled(
        spec=spec,
        relations=relations,
        table=around.tables[spec.entities],
        target=None
        if wanted is None
        else around.tables[spec.entities].column(wanted).combine_chunks(),
        key=codes,
        order=came,
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


def _entity_rows(spec: Spec, read: Mapping[str, pa.Table]) -> tuple[pa.Table, Integers]:
    """The entity table's rows that the spec wants, and where each stood in it."""
    assert spec.entities is not None
    rows = read[spec.entities]
    chosen = selected(rows, spec.tables[spec.entities])
    if chosen is None:
        return rows, np.arange(rows.num_rows, dtype=np.int64)
    came = np.flatnonzero(chosen).astype(np.int64)
    return rows.take(pa.array(came)), came


def _hash_order(
    rows: pa.Table, key: tuple[str, ...], ends: CutOffs, *, leave: str | None
) -> Integers:
    """Without a key, each row is an entity of its own, known by all its values."""
    names = key or tuple(name for name in rows.column_names if name != leave)
    hashes = row_hashes([rows.column(name) for name in names], n_rows=rows.num_rows)
    return np.lexsort((ends.values, hashes)).astype(np.int64)
