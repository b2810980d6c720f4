"""Tables with one row for each key, joined to the rows of the table that they point to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from automl.errors import DataError
from automl.relations.around import Around, inwards
from automl.relations.audit import warning
from automl.relations.events import require, selected
from automl.relations.hashing import row_hashes
from automl.relations.keys import KeyIndex
from automl.relations.paths import Lookup, is_unique


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


def _without_copies(table: pa.Table) -> pa.Table:
    """Rows that are alike in all columns, once."""
    columns = [table.column(name) for name in table.column_names]
    _, first = np.unique(row_hashes(columns, n_rows=table.num_rows), return_index=True)
    return table.take(pa.array(np.sort(first)))
