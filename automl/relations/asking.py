"""Rows to predict with their tables, put together like those that were learnt from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from automl.errors import DataError
from automl.relations.around import Around
from automl.relations.came import refuse_absent
from automl.relations.cut_offs import cut_offs
from automl.relations.reading import fitted
from automl.relations.relating import related
from automl.relations.spec import Spec
from automl.relations.tables import Relations


def request_relations(
    spec: Spec,
    rows: pa.Table,
    tables: Mapping[str, pa.Table],
    *,
    about: Mapping[str, Any],
    needed: Mapping[str, Iterable[str]] | None = None,
    now: datetime | None = None,
) -> Relations:
    """Rows to predict with their tables, in the order in which they came.

    Parameters
    ----------
    spec : as `Assembled.spec`
    rows : entity rows, without a target; columns that are missing have no values
    tables : by name; a table that is missing has no rows, a row of nobody's is left out
    about : of the relations that were learnt from, as JSON has it
    needed : by table, the columns that its rows have to bring, as `needed_columns` finds them
    now : aware datetime, optional
        The cut-off, where the spec has one for all rows ("now"), instead of the one that was then.

    Returns
    -------
    Relations
        Its `about` is the one given and, as ``counts``, what became of each table's rows.

    Raises
    ------
    DataError
        ``unknown_table``, ``missing_columns``, ``column_not_found``, ``column_type``, ``cut_off``,
        ``duplicate_key``.
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
    if needed is not None:
        refuse_absent(spec, {**tables, spec.entities: rows}, needed)
    types = about["columns"]
    read: dict[str, pa.Table] = {}
    for name, one in spec.tables.items():
        if name == spec.entities:
            continue
        roles = [*one.link.columns, *filter(None, [one.time])] if name in tables else []
        read[name] = fitted(tables.get(name), types[name], needed=roles, table_name=name)
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
    relations = related(around, ends, leave=spec.target, now=None)
    return replace(relations, about={**about, "counts": around.report})
