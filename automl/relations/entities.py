"""What is stored of each entity row: its cut-off, and its subject in tables not by its own key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.relations.layout import CUT_OFF, ENTITIES_FILE
from automl.relations.order import combined
from automl.relations.tables import Floats, Integers

GROUP_ROWS = 65_536
# More row groups than this are read at once.
FEW_GROUPS = 8


class Entities:
    """Columns of all entity rows, of which only the parts asked for are read.

    Parameters
    ----------
    folder : where `write_entities` wrote
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ENTITIES_FILE
        about = pq.read_metadata(self._path)
        n_rows = [about.row_group(at).num_rows for at in range(about.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(n_rows)]).astype(np.int64)
        self._read: dict[tuple[str, int | None], npt.NDArray[Any]] = {}

    def cut_off(self, positions: Integers) -> Floats:
        """Cut-offs of entity rows, shape (n_positions,)."""
        return self._take(CUT_OFF, positions)

    def subjects(self, table: str, positions: Integers) -> Integers:
        """Subjects of entity rows in a table, shape (n_positions,)."""
        return self._take(table, positions)

    def _take(self, name: str, positions: Integers) -> npt.NDArray[Any]:
        group = np.searchsorted(self._starts, positions, side="right") - 1
        groups = np.unique(group)
        if (name, None) in self._read or len(groups) > FEW_GROUPS:
            whole: npt.NDArray[Any] = self._column(name, None)[positions]
            return whole
        if len(groups) == 1:
            number = int(groups[0])
            one: npt.NDArray[Any] = self._column(name, number)[positions - self._starts[number]]
            return one
        found = np.zeros(len(positions), dtype=np.float64 if name == CUT_OFF else np.int64)
        for number in groups.tolist():
            at = group == number
            found[at] = self._column(name, number)[positions[at] - self._starts[number]]
        return found

    def _column(self, name: str, group: int | None) -> npt.NDArray[Any]:
        """A row group's values, or all."""
        if (name, group) not in self._read:
            with pq.ParquetFile(self._path) as file:
                read = file.read if group is None else file.read_row_groups
                rest = () if group is None else ([group],)
                column = read(*rest, columns=[name], use_threads=False)[name]
            self._read[name, group] = combined(column).to_numpy()
        return self._read[name, group]


def write_entities(folder: Path, *, cut_off: Floats, subjects: Mapping[str, Integers]) -> None:
    """Write each entity row's cut-off and its subject in the tables where that is not itself."""
    table = pa.table({CUT_OFF: cut_off, **subjects})
    pq.write_table(table, folder / ENTITIES_FILE, compression="zstd", row_group_size=GROUP_ROWS)
