"""What came with rows to predict, against what was learnt from: refused, counted, or warned of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from automl.errors import DataError
from automl.relations.audit import warning
from automl.relations.spec import Spec
from automl.relations.tables import Relations


def needed_columns(
    spec: Spec,
    reads: Mapping[str, Iterable[str]],
    *,
    own: Iterable[str],
    columns: Mapping[str, Iterable[str]],
) -> dict[str, set[str]]:
    """By table, the columns that its rows have to bring where any come.

    Parameters
    ----------
    reads : by table, the columns that features are computed of; a looked-up one is `table.column`
    own : columns of the entity rows that are learnt from, looked-up ones among them
    columns : by table, those that were learnt from, before anything was looked up

    A value that is not known is sent as null: a column that is left out of all rows would be taken
    for that, and nobody told.
    """
    assert spec.entities is not None
    found: dict[str, set[str]] = {name: set() for name in spec.tables}
    for table, names in {**reads, spec.entities: own}.items():
        known = set(columns.get(table, ()))
        for name in names:
            looked, _, column = name.partition(".")
            if name in known:
                found[table].add(name)
            elif looked in found and column:
                found[looked].add(column)
    for name, one in spec.tables.items():
        found[name] |= {*one.link.columns, *filter(None, [one.time]), *one.where}
    return found


def refuse_absent(
    spec: Spec, tables: Mapping[str, pa.Table], needed: Mapping[str, Iterable[str]]
) -> None:
    """Raise ``missing_columns`` where the rows of a table lack columns that are needed.

    Parameters
    ----------
    tables : by name, those that came with rows; the entity rows among them
    """
    for name, rows in tables.items():
        wanted = set(needed.get(name, ()))
        for other in spec.tables.values():
            if other.link.table == name and other.name in tables:
                wanted |= set(other.link.to)
        absent = sorted(wanted - set(rows.column_names))
        if absent:
            raise DataError(
                f"the rows of '{name}' lack {len(absent)} column(s) that the model needs, first "
                f"{absent[0]!r}; send null where a value is not known",
                code="missing_columns",
                table=name,
                column=absent[0],
                details={"columns": absent},
            )


def refuse_strangers(
    spec: Spec, counts: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, Mapping[str, str]]
) -> None:
    """Raise ``key_type_mismatch`` where no row of a table finds another and key types differ.

    Parameters
    ----------
    counts : by table, what became of its rows
    kinds : by table and key column, text or number, as it was sent; mixed ones are left out
    """
    for name, one in counts.items():
        link = spec.tables[name].link
        if link.table is None or not one["rows"] or one.get("orphans", 0) < one["rows"]:
            continue
        for mine, theirs in zip(link.columns, link.to, strict=True):
            here = kinds.get(name, {}).get(mine)
            there = kinds.get(link.table, {}).get(theirs)
            if None not in (here, there) and here != there:
                raise DataError(
                    f"no row of '{name}' belongs to any of '{link.table}': '{name}.{mine}' was "
                    f"sent as {here} and '{link.table}.{theirs}' as {there}; send both as the "
                    "model was trained on",
                    code="key_type_mismatch",
                    table=name,
                    column=mine,
                    details={"columns": [f"{name}.{mine}", f"{link.table}.{theirs}"]},
                )


def warned(relations: Relations, counts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a user should know of rows that came and are not used, by table."""
    told = []
    for name, one in counts.items():
        n_rows = one["rows"]
        strangers = one.get("orphans", 0) + one.get("unrelated", 0)
        if strangers:
            detail = f"{strangers:,} of {n_rows:,} rows of '{name}' belong to none of the rows sent"
            told.append(warning("orphan_events", f"{detail} and are not used", table=name))
        undated = one.get("without_time", 0) + one.get("unreadable", 0)
        if undated:
            detail = f"{undated:,} of {n_rows:,} rows of '{name}' have no time that can be read"
            told.append(warning("events_without_time", f"{detail} and are not used", table=name))
        if n_rows and one.get("not_found"):
            detail = f"{one['not_found']:,} rows that point to '{name}' find nothing there"
            told.append(warning("lookup_not_found", detail, table=name))
        n_blind = unseeing(relations, name) if name in relations.tables else 0
        if n_blind:
            detail = (
                f"{n_blind:,} of {relations.n_rows:,} rows have their cut-off before all their "
                f"rows of '{name}': none of those is used"
            )
            told.append(warning("nothing_before_cut_off", detail, table=name))
    return [{key: value for key, value in one.items() if value is not None} for one in told]


def unseeing(relations: Relations, name: str) -> int:
    """How many entity rows have rows in a table, and may see none of them."""
    table, subjects = relations.tables[name], relations.subjects[name]
    spans = relations.spans(name)
    some = table.ends(subjects) > table.starts(subjects)
    return int(np.count_nonzero(some & (spans.end <= spans.start)))
