"""Tables in buckets on disk: only the files, row groups and columns that are asked for are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from automl.relations.buckets import write_table
from automl.relations.entities import Entities, write_entities
from automl.relations.layout import (
    EMPTY_FILE,
    SUBJECT,
    TIME,
    Layout,
    Part,
    TableLayout,
)
from automl.relations.order import combined
from automl.relations.partial import check_sources, check_subjects, write_subjects
from automl.relations.sidecar import PLACE, no_rows, rows_at
from automl.relations.spill import Rows
from automl.relations.tables import EventTable, Floats, Integers, Relations

BLOCK_ROWS = 10_000


class Stored:
    """The tables around the entities of a data set, on disk.

    Parameters
    ----------
    folder : where `Layout.write` and `write_entities` wrote

    Attributes
    ----------
    layout : Layout
    bytes_read : by table, of the files read so far, as they lie on disk

    Raises
    ------
    FileNotFoundError
        The folder has no layout.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout.read(folder)
        self.bytes_read: Counter[str] = Counter()
        self._held: dict[str, tuple[tuple[object, ...], pa.Table]] = {}
        self._entities = Entities(folder)
        self._asked_for: set[str] = set()  # tables whose objects were looked at once

    def cut_off(self, positions: Integers) -> Floats:
        """Cut-offs of entity rows, shape (n_positions,); inf where everything is known."""
        return self._entities.cut_off(positions)

    def subjects(self, name: str, positions: Integers) -> Integers:
        """Subjects of entity rows in a table, shape (n_positions,); -1 where there is none."""
        if name in self.layout.own:
            return positions
        return self._entities.subjects(name, positions)

    def relations(
        self,
        positions: Integers | int,
        *,
        columns: Mapping[str, Sequence[str]] | None = None,
        rows: pd.DataFrame | None = None,
    ) -> Relations:
        """Entity rows with the tables around them, of those entities only.

        Parameters
        ----------
        positions : rows of the entity table, in any order; a number is that many first ones
        columns : by table, which are read; None reads all, a table that is left out none
        rows : entity rows at these positions, in their order; without them the frame is empty
        """
        if isinstance(positions, int):
            positions = np.arange(min(positions, self.layout.n_entities), dtype=np.int64)
        positions = np.asarray(positions, dtype=np.int64)
        if rows is None:
            rows = pd.DataFrame(index=pd.RangeIndex(len(positions)))
        tables, subjects = {}, {}
        for name, table in self.layout.tables.items():
            if columns is not None and name not in columns:
                continue
            subjects[name] = self.subjects(name, positions)
            tables[name] = self._events(
                table, subjects[name], table.columns if columns is None else columns[name]
            )
        return Relations(
            rows=rows,
            subjects=subjects,
            cut_off=self.cut_off(positions),
            tables=tables,
            gap=self.layout.gap,
            about=self.layout.about,
        )

    def blocks(
        self,
        n_rows: int = BLOCK_ROWS,
        *,
        columns: Mapping[str, Sequence[str]] | None = None,
        start: int = 0,
    ) -> Iterator[tuple[Integers, Relations]]:
        """All entity rows in order, so many at a time, each with its positions.

        Memory does not grow with the number of entities; each row group is read once.
        """
        for first in range(start, self.layout.n_entities, n_rows):
            at = np.arange(first, min(first + n_rows, self.layout.n_entities), dtype=np.int64)
            yield at, self.relations(at, columns=columns)
        self._held.clear()

    def keep(
        self,
        positions: Integers,
        folder: Path,
        *,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> Stored:
        """Read the events of some entities in one pass and keep them in a folder of their own.

        What is kept answers for these positions as this does, from fewer bytes; others are refused
        (``not_indexed``).
        """
        positions = np.unique(positions)
        layout = Layout(
            n_entities=self.layout.n_entities,
            own=self.layout.own,
            gap=self.layout.gap,
            about=self.layout.about,
        )
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.layout.tables.items():
            if columns is not None and name not in columns:
                continue
            read = table.columns if columns is None else tuple(columns[name])
            wanted = np.unique(self.subjects(name, positions))
            written = write_table(
                folder,
                map(_rows, self._pieces_or_none(table, wanted[wanted >= 0], read)),
                table=TableLayout(
                    name=name,
                    role=table.role,
                    dated=table.dated,
                    message=table.message,
                    n_subjects=table.n_subjects,
                    columns=read,
                ),
                expected_rows=int(table.n_rows * len(wanted) / max(table.n_subjects, 1)),
                is_sorted=True,
            )
            layout = layout.having(write_subjects(folder, written, wanted[wanted >= 0]))
        layout.write(folder)
        everybody = np.arange(layout.n_entities, dtype=np.int64)
        write_entities(
            folder,
            cut_off=self.cut_off(everybody),
            subjects={
                name: self.subjects(name, everybody)
                for name in layout.tables
                if name not in layout.own
            },
        )
        return Stored(folder)

    def storage(self) -> dict[str, int]:
        """Bytes before and after storing, and read so far."""
        return {**self.layout.storage(), "bytes_read": sum(self.bytes_read.values())}

    def _events(self, table: TableLayout, subjects: Integers, columns: Sequence[str]) -> EventTable:
        wanted = np.unique(subjects)
        pieces = list(self._pieces(table, wanted[wanted >= 0], columns))
        whole = _joined(pieces) if pieces else self._empty(table, columns)
        return EventTable(
            name=table.name,
            role=table.role,
            subject=combined(whole[SUBJECT]).to_numpy().astype(np.int64),
            time=combined(whole[TIME]).to_numpy(),
            columns=whole.select(list(columns)),
            dated=table.dated,
            message=table.message,
        )

    def _pieces_or_none(
        self, table: TableLayout, wanted: Integers, columns: Sequence[str]
    ) -> Iterator[pa.Table]:
        """Begins with a table without rows, so that there is one."""
        yield self._empty(table, columns)
        yield from self._pieces(table, wanted, columns)

    def _pieces(
        self, table: TableLayout, wanted: Integers, columns: Sequence[str]
    ) -> Iterator[pa.Table]:
        """The rows of ascending subjects, row group by row group."""
        if table.sources:
            check_sources(table, objects=table.name not in self._asked_for)
            self._asked_for.add(table.name)
        if table.is_partial:
            check_subjects(self.folder, table, wanted)
        if not len(wanted):
            return
        if table.is_index:
            yield self._in_place(table, wanted, columns)
            return
        yield from self._of_files(table, wanted, columns)

    def _in_place(self, table: TableLayout, wanted: Integers, columns: Sequence[str]) -> pa.Table:
        """Rows that lie in files elsewhere."""
        found = list(self._of_files(table, wanted, PLACE))
        if not found:
            return self._empty(table, columns)
        places = _joined(found)
        if not columns:  # when each was is known here: nothing of its files is read
            return places.select([SUBJECT, TIME])
        rows, n_bytes = rows_at(table, places, columns)
        self.bytes_read[table.name] += n_bytes
        for name in reversed((SUBJECT, TIME)):
            rows = rows.add_column(0, name, places[name])
        return rows

    def _of_files(
        self, table: TableLayout, wanted: Integers, columns: Sequence[str]
    ) -> Iterator[pa.Table]:
        for part in table.parts:
            if not _any_between(wanted, part.first, part.last):
                continue
            at = [n for n, (low, high) in enumerate(part.groups) if _any_between(wanted, low, high)]
            if at:
                yield from self._of_file(table, part, at, wanted, columns)

    def _of_file(
        self,
        table: TableLayout,
        part: Part,
        groups: list[int],
        wanted: Integers,
        columns: Sequence[str],
    ) -> Iterator[pa.Table]:
        names = [SUBJECT, TIME, *columns]
        with pq.ParquetFile(self.folder / part.file, pre_buffer=False) as file:
            order = [file.schema_arrow.names.index(name) for name in names]
            for number in groups:
                key = (part.file, number, *columns)
                held = self._held.get(table.name)
                if held is not None and held[0] == key:
                    rows = held[1]
                else:
                    rows = file.read_row_group(number, columns=names, use_threads=False)
                    group = file.metadata.row_group(number)
                    self.bytes_read[table.name] += sum(
                        group.column(index).total_compressed_size for index in order
                    )
                self._held[table.name] = key, rows
                yield _only(rows, wanted)

    def _empty(self, table: TableLayout, columns: Sequence[str]) -> pa.Table:
        ends = [pa.field(SUBJECT, pa.int64()), pa.field(TIME, pa.float64())]
        if table.is_index:
            return pa.schema([*ends, *no_rows(table, columns).schema]).empty_table()
        file = table.parts[0].file if table.parts else f"{table.name}/{EMPTY_FILE}"
        known = pq.read_schema(self.folder / file)
        return pa.schema([*ends, *(known.field(name) for name in columns)]).empty_table()


def _any_between(wanted: Integers, low: int, high: int) -> bool:
    at = int(np.searchsorted(wanted, low))
    return at < len(wanted) and int(wanted[at]) <= high


def _only(rows: pa.Table, wanted: Integers) -> pa.Table:
    """The rows of wanted subjects; both ascend."""
    subject = combined(rows[SUBJECT]).to_numpy()
    low, high = np.searchsorted(wanted, subject[[0, -1]], side="left")
    inside = wanted[low : high + 1]
    start = np.searchsorted(subject, inside, side="left")
    end = np.searchsorted(subject, inside, side="right")
    start, end = start[end > start], end[end > start]
    if len(start) and bool((start[1:] == end[:-1]).all()):
        return rows.slice(int(start[0]), int(end[-1] - start[0]))
    lengths = end - start
    offsets = np.cumsum(lengths) - lengths
    at = np.repeat(start - offsets, lengths) + np.arange(int(lengths.sum()))
    return rows.take(pa.array(at))


def _joined(pieces: list[pa.Table]) -> pa.Table:
    # Columns stay in the pieces in which they were read: whoever needs one whole copies it then.
    return pa.concat_tables(pieces).unify_dictionaries()


def _rows(piece: pa.Table) -> Rows:
    return Rows(
        subject=combined(piece[SUBJECT]).to_numpy().astype(np.int64),
        time=combined(piece[TIME]).to_numpy(),
        columns=piece.drop_columns([SUBJECT, TIME]),
    )
