"""Event files that stay where they are, with an index of the rows of some subjects beside them.

Of Parquet, key and time are scanned once, and where the rows of sampled subjects lie is kept: only
their row groups are read later. CSV has no such places and is parsed whole either way; of it the
sampled rows themselves are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.data.columns import Widening
from automl.relations.buckets import write_table
from automl.relations.events import Counts, EventRows, event_rows
from automl.relations.layout import TableLayout
from automl.relations.order import combined, sorting
from automl.relations.parquet import TEXTS, conformed, opened
from automl.relations.partial import file_at, sources_of, write_subjects
from automl.relations.relating import Pieces
from automl.relations.sources import EventFiles
from automl.relations.spill import Rows
from automl.relations.tables import Integers

Bools = npt.NDArray[np.bool_]

FILE, GROUP, ROW = "__file", "__group", "__row"
PLACE = (FILE, GROUP, ROW)


def write_index(
    folder: Path,
    files: EventFiles,
    pieces: Pieces,
    *,
    table: TableLayout,
    subjects: Integers,
    now: datetime | None = None,
) -> tuple[TableLayout, Counts]:
    """Write under ``folder/NAME`` where the rows of some subjects lie in files that stay.

    Where two rows of a subject have the same time, what else is in them decides their order, and
    their row groups are read whole, once.

    Parameters
    ----------
    table : its layout without files
    subjects : those whose rows can be read later
    """
    wanted = np.zeros(table.n_subjects + 1, dtype=bool)  # the last one is nobody's
    wanted[subjects[subjects >= 0]] = True
    share = float(wanted.mean())
    table = replace(table, sources=sources_of(files.paths), types=files.types())
    if files.is_parquet and not pieces.lookups:
        found, counts = _places(files, pieces, wanted, now=now)
        names = [one for one in files.schema.names if one not in _dropped(pieces)]
        columns = tuple(one for one in names if one not in pieces.spec.exclude)
        written = write_table(
            folder,
            [found],
            table=table,
            expected_rows=len(found.subject),
            is_sorted=True,
        )
        written = replace(written, columns=columns, is_index=True)
    else:
        written, counts = _rows_themselves(
            folder, files, pieces, wanted, table=table, share=share, now=now
        )
    written = write_subjects(folder, written, np.flatnonzero(wanted[:-1]))
    return replace(written, n_orphans=counts.orphans), counts


def rows_at(table: TableLayout, places: pa.Table, columns: Sequence[str]) -> tuple[pa.Table, int]:
    """The rows of places, in their order, and how many bytes were read for them.

    Parameters
    ----------
    places : its columns are `PLACE`
    """
    files, groups, rows = (combined(places[name]).to_numpy() for name in PLACE)
    where = files * (2**32) + groups
    order = np.argsort(where, kind="stable")
    cuts = np.flatnonzero(np.diff(where[order])) + 1
    pieces, n_bytes, schema = [], 0, _schema(columns, table.types)
    found = np.split(order, cuts) if len(order) else []
    for number, of_file in groupby(found, key=lambda at: int(files[at[0]])):
        with opened(file_at(table.sources[number]), schema=schema) as file:
            for at in of_file:
                piece, read = _of_group(file, int(groups[at[0]]), schema)
                pieces.append(piece.take(pa.array(rows[at])))
                n_bytes += read
    if not pieces:
        return no_rows(table, columns), 0
    inverse = np.empty(len(order), dtype=np.int64)
    inverse[order] = np.arange(len(order))
    whole = pa.concat_tables(pieces).unify_dictionaries().combine_chunks()
    return whole.take(pa.array(inverse)), n_bytes


def no_rows(table: TableLayout, columns: Sequence[str]) -> pa.Table:
    """What `rows_at` gives of no places."""
    kinds = [arrow_type(table.types[name]) for name in columns]
    fields = [
        pa.field(name, TEXTS if pa.types.is_string(kind) else kind)
        for name, kind in zip(columns, kinds, strict=True)
    ]
    return pa.schema(fields).empty_table()


def _of_group(file: pq.ParquetFile, group: int, schema: pa.Schema) -> tuple[pa.Table, int]:
    table = file.read_row_group(group, columns=schema.names, use_threads=False)
    about, names = file.metadata.row_group(group), file.schema_arrow.names
    n_bytes = sum(about.column(names.index(one)).total_compressed_size for one in schema.names)
    return conformed(table, schema), n_bytes


def _schema(columns: Sequence[str], types: Mapping[str, str]) -> pa.Schema:
    return pa.schema([pa.field(name, arrow_type(types[name])) for name in columns])


def arrow_type(text: str) -> pa.DataType:
    """The type that was written as text."""
    time = pa.timestamp("us", "UTC")
    return time if text == str(time) else pa.type_for_alias(text)


def _dropped(pieces: Pieces) -> set[str | None]:
    return {*pieces.route.columns, pieces.spec.time}


def _places(
    files: EventFiles, pieces: Pieces, wanted: Bools, *, now: datetime | None
) -> tuple[Rows, Counts]:
    """Where the rows of wanted subjects lie, in the order of subject, time and content."""
    spec, moment = pieces.spec, None if now is None else now.timestamp()
    read = [
        name
        for name in files.schema.names
        if name in {*pieces.route.columns, spec.time, *spec.where}
    ]
    found, counts, n_rows = [], Counts(), 0
    for file, group, table in files.groups(read):
        place = pa.table(
            {
                FILE: pa.array(np.full(table.num_rows, file)),
                GROUP: pa.array(np.full(table.num_rows, group)),
                ROW: pa.array(np.arange(table.num_rows)),
            }
        )
        for name in PLACE:
            table = table.append_column(name, place[name])
        events = event_rows(table, spec, pieces.route, from_row=n_rows, now=moment)
        n_rows += table.num_rows
        counts = counts + events.counts
        found.append(_only_wanted(events, wanted, names=PLACE))
    rows = Rows(
        subject=np.concatenate([one.subject for one in found]),
        time=np.concatenate([one.time for one in found]),
        columns=pa.concat_tables([one.columns for one in found]),
    )
    order = np.lexsort((rows.time, rows.subject))
    rows = _taken(rows, order)
    tied = _tied(rows)
    if len(tied):
        rows = _by_content(files, pieces, rows, tied)
    if spec.first is not None:
        rank = np.arange(len(rows.subject)) - np.searchsorted(rows.subject, rows.subject)
        rows = _taken(rows, np.flatnonzero(rank < spec.first))
    return rows, counts


def _by_content(files: EventFiles, pieces: Pieces, rows: Rows, tied: Integers) -> Rows:
    """Put rows alike in subject and time in the order of what is in them."""
    names = [one for one in files.schema.names if one not in _dropped(pieces)]
    types = files.types()
    about = TableLayout(
        name=pieces.spec.name,
        role=pieces.spec.role,
        n_subjects=0,
        columns=(),
        types=types,
        sources=sources_of(files.paths),
    )
    content, _ = rows_at(about, rows.columns.take(pa.array(tied)), names)
    inner = sorting(rows.subject[tied], rows.time[tied], content)
    order = np.arange(len(rows.subject))
    order[tied] = tied[inner]
    return _taken(rows, order)


def _tied(rows: Rows) -> Integers:
    same = (rows.subject[1:] == rows.subject[:-1]) & (rows.time[1:] == rows.time[:-1])
    tied = np.zeros(len(rows.subject), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    return np.flatnonzero(tied)


def _only_wanted(rows: EventRows, wanted: Bools, *, names: Sequence[str] | None = None) -> Rows:
    at = np.flatnonzero(wanted[rows.subject])
    columns = rows.columns if names is None else rows.columns.select(list(names))
    return Rows(subject=rows.subject[at], time=rows.time[at], columns=columns.take(pa.array(at)))


def _taken(rows: Rows, order: Integers) -> Rows:
    return Rows(
        subject=rows.subject[order],
        time=rows.time[order],
        columns=rows.columns.take(pa.array(order)),
    )


def _rows_themselves(
    folder: Path,
    files: EventFiles,
    pieces: Pieces,
    wanted: Bools,
    *,
    table: TableLayout,
    share: float,
    now: datetime | None,
) -> tuple[TableLayout, Counts]:
    counts = Counts()

    def rows() -> Iterator[Rows]:
        nonlocal counts
        counts = Counts()
        for batch in files.batches():
            found = pieces.events(batch.table, from_row=batch.from_row, now=now)
            counts = counts + found.counts
            yield _only_wanted(found, wanted)

    while True:
        try:
            written = write_table(
                folder,
                rows(),
                table=table,
                expected_rows=int(files.expected_rows * share),
                expected_bytes=int(files.expected_bytes * share),
                first=pieces.spec.first,
                exclude=pieces.spec.exclude,
            )
        except Widening as widening:
            files.widen(widening)
        else:
            return written, counts
