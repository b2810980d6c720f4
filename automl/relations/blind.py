"""Entities that nothing speaks for: no event of theirs lies before their cut-off, in any table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from automl.relations.audit import warning
from automl.relations.layout import SUBJECT, TIME, TableLayout
from automl.relations.stored import Stored
from automl.relations.tables import SECONDS_PER_DAY, Floats, Integers

# The first entity rows are a sample of all: their order is that of a hash of the key.
SAMPLED = 20_000


def blind(stored: Stored, *, n_rows: int = SAMPLED) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Count entity rows without an event before their cut-off; tables without times are left out.

    Of each table only whose rows they are and when are read, of so many first entities.

    Returns
    -------
    (dict, list)
        By table, the rows that may see none of its events; and warnings ``nothing_before_cut_off``
        of rows that see none in any table, and of a table of which no row sees any.
    """
    layout = stored.layout
    names = [name for name, kind in layout.about["kinds"].items() if kind == "events"]
    names = [name for name in names if name in layout.tables]
    positions = np.arange(min(n_rows, layout.n_entities), dtype=np.int64)
    if not names or not len(positions):
        return {}, []
    cut_off = stored.cut_off(positions)
    counts, told = {}, []
    nowhere = np.ones(len(positions), dtype=bool)
    for name in names:
        table = layout.tables[name]
        gap = layout.gap * (SECONDS_PER_DAY if table.dated else 1.0)
        seen = _first(stored, table, positions) < cut_off - gap
        nowhere &= ~seen
        counts[name] = int((~seen).sum())
        if not seen.any() and table.n_rows > 0:
            detail = (
                f"no row of '{name}' lies before the cut-off of its entity: look at the times of "
                "the table and at the cut-off"
            )
            told.append(warning("nothing_before_cut_off", detail, table=name))
    if nowhere.any():
        told.append(warning("nothing_before_cut_off", _said(nowhere, layout.n_entities)))
    return counts, told


def _said(nowhere: npt.NDArray[np.bool_], n_entities: int) -> str:
    of = f"{len(nowhere):,}" if len(nowhere) == n_entities else f"the first {len(nowhere):,}"
    return (
        f"{int(nowhere.sum()):,} of {of} entities have no event before their cut-off in any table: "
        "only their own columns and what is looked up speak for them"
    )


def _first(stored: Stored, table: TableLayout, positions: Integers) -> Floats:
    """When the first event of each entity row is, inf where it has none; shape (n_positions,)."""
    subjects = stored.subjects(table.name, positions)
    wanted = np.unique(subjects[subjects >= 0])
    if not len(wanted):
        return np.full(len(subjects), np.inf)
    first = np.full(len(wanted), np.inf)
    for part in table.parts:
        groups = [
            at
            for at, (low, high) in enumerate(part.groups)
            if np.searchsorted(wanted, low) < np.searchsorted(wanted, high, side="right")
        ]
        if not groups:
            continue
        with pq.ParquetFile(stored.folder / part.file) as file:
            rows = file.read_row_groups(groups, columns=[SUBJECT, TIME], use_threads=False)
        own = rows[SUBJECT].to_numpy()
        at = np.minimum(np.searchsorted(wanted, own), len(wanted) - 1)
        mine = wanted[at] == own
        np.minimum.at(first, at[mine], rows[TIME].to_numpy()[mine])
    places = np.searchsorted(wanted, np.maximum(subjects, wanted[0]))
    return np.where(subjects >= 0, first[places], np.inf)
