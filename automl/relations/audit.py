"""What is wrong between tables, found before anything is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from automl.errors import DataError
from automl.relations.events import Counts
from automl.relations.keys import KeyIndex
from automl.relations.spec import TableSpec
from automl.relations.tables import EventTable, Floats, Integers, Relations
from automl.relations.times import refuse_unreadable

MOST_ORPHANS = 0.05
MOST_FUTURE = 0.01


def warning(
    code: str, detail: str, *, table: str | None = None, column: str | None = None
) -> dict[str, Any]:
    """Something that a user should know, and that stops nothing."""
    return {"code": code, "detail": detail, "table": table, "column": column}


def audit_events(counts: Counts, spec: TableSpec, *, points_to: str) -> list[dict[str, Any]]:
    """Warnings about a table's rows.

    Raises
    ------
    DataError
        ``orphan_events`` above 5 % of the rows, unless the spec says to drop them;
        ``future_events`` above 1 %; ``time_format`` where more than 5 % of the times are not
        written as the spec says.
    """
    refuse_times(counts, spec)
    told = []
    name, rows = spec.name, counts.rows
    if counts.orphans:
        detail = (
            f"{counts.orphans:,} of {rows:,} rows of '{name}' belong to nothing in '{points_to}'"
        )
        if counts.orphans > MOST_ORPHANS * rows and spec.orphans == "refuse":
            raise DataError(
                f'{detail}; if that table is meant to be a part, say "orphans": "drop"',
                code="orphan_events",
                table=name,
                column=spec.link.columns[0],
                details={"n_orphans": counts.orphans, "n_rows": rows},
            )
        told.append(warning("orphan_events", f"{detail} and are left out", table=name))
    if counts.future > MOST_FUTURE * rows:
        raise DataError(
            f"{counts.future:,} of {rows:,} rows of '{name}' are dated after now",
            code="future_events",
            table=name,
            column=spec.time,
            details={"n_future": counts.future, "n_rows": rows},
        )
    if counts.future:
        told.append(
            warning(
                "future_events",
                f"{counts.future:,} of {rows:,} rows of '{name}' are dated after now",
                table=name,
                column=spec.time,
            )
        )
    without = counts.without_time + counts.unreadable
    if without:
        told.append(
            warning(
                "events_without_time",
                f"{without:,} of {rows:,} rows of '{name}' have no time that can be read and are "
                "left out",
                table=name,
                column=spec.time,
            )
        )
    return told


def audit_columns(names: Sequence[str], spec: TableSpec) -> list[dict[str, Any]]:
    """A warning for each column that is not to be learnt from, and that is not there."""
    return [
        warning(
            "unknown_column",
            f"'{spec.name}' has no column '{name}' that could be excluded",
            table=spec.name,
            column=name,
        )
        for name in spec.exclude
        if name not in names
    ]


def refuse_times(counts: Counts, spec: TableSpec) -> None:
    """Raise ``time_format`` where more than 5 % of the times are not written as the spec says."""
    if spec.time is not None:
        refuse_unreadable(
            n_unreadable=counts.unreadable,
            n_rows=counts.rows,
            first=counts.first_unreadable,
            time_format=spec.time_format,
            table=spec.name,
            column=spec.time,
        )


def refuse_duplicates(
    key: KeyIndex, cut_off: Floats, *, names: tuple[str, ...], table: str, came: Integers
) -> None:
    """Raise ``duplicate_entity`` where a key comes twice with the same cut-off.

    Rows are as they are stored; `came` is the place of each in the file.
    """
    if key.n_keys == len(key.codes):
        return
    order = np.lexsort((cut_off, key.codes))
    codes, times = key.codes[order], cut_off[order]
    again = np.flatnonzero((codes[1:] == codes[:-1]) & (times[1:] == times[:-1]))
    if len(again):
        row = int(came[order[again + 1]].min()) + 1
        raise DataError(
            f"{len(again):,} of {len(codes):,} rows of '{table}' repeat the key "
            f"{', '.join(names)} with the same cut-off, the first in row {row}",
            code="duplicate_entity",
            table=table,
            column=names[0],
            row=row,
            details={"columns": list(names), "n_rows": len(again)},
        )


def refuse_missing(key: KeyIndex, *, names: tuple[str, ...], table: str, came: Integers) -> None:
    """Raise ``missing_key`` where an entity row has no key; `came` as above."""
    missing = np.flatnonzero(key.codes < 0)
    if len(missing):
        row = int(came[missing].min()) + 1
        raise DataError(
            f"{len(missing):,} rows of '{table}' have no {', '.join(names)}, the first is row "
            f"{row}",
            code="missing_key",
            table=table,
            column=names[0],
            row=row,
            details={"columns": list(names), "n_rows": len(missing)},
        )


def n_unseen(relations: Relations, name: str) -> int:
    """Events of a table that no entity row may see: those at or after all of their cut-offs."""
    table: EventTable = relations.tables[name]
    spans, subjects = relations.spans(name), relations.subjects[name]
    known = subjects >= 0
    seen: Integers = np.zeros(int(subjects.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(seen, subjects[known], (spans.end - spans.start)[known])
    return table.n_rows - int(seen.sum())
