"""Tables of a spec written as they are read later: entities in order, events in buckets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from automl.data.columns import Widening
from automl.data.options import ReadingLimits, ReadingOptions
from automl.errors import DataError
from automl.relations.assembling import Assembled, assemble
from automl.relations.audit import audit_columns, audit_events
from automl.relations.buckets import BUCKET_ROWS, write_table
from automl.relations.cut_offs import cut_offs
from automl.relations.entities import write_entities
from automl.relations.events import Counts, require
from automl.relations.keys import KeyIndex
from automl.relations.layout import Layout, TableLayout
from automl.relations.objects import File
from automl.relations.paths import is_unique
from automl.relations.relating import Pieces
from automl.relations.sidecar import write_index
from automl.relations.sources import EventFiles
from automl.relations.spec import Spec, TableSpec
from automl.relations.spill import Rows
from automl.relations.tables import EventTable, Integers
from automl.relations.times import is_dated

Source: TypeAlias = pa.Table | File | Sequence[File]
LONG = ("events", "series", "log")


def store(
    spec: Spec,
    tables: Mapping[str, Source],
    folder: Path,
    *,
    target: str | None = None,
    now: datetime | None = None,
    limits: ReadingLimits | None = None,
    sample: Callable[[Assembled], Integers] | None = None,
    in_place: Collection[str] | None = None,
    bucket_rows: int = BUCKET_ROWS,
) -> Assembled:
    """Write a data set's tables into a folder that `Stored` reads.

    Long tables that nothing else hangs on are streamed from their files; all others are put
    together in memory. The entity table is in what is returned, for the caller to write.

    Parameters
    ----------
    tables : by the names of the spec; Arrow tables, files, folders, or lists of files
    target, now : as `assemble` has them
    sample : which entity rows' events can be read later, such as `sampled.first_and_positive`
        With it, files that could be streamed stay where they are, with an index beside them.
    in_place : of which tables that holds; None: of all

    Returns
    -------
    Assembled
        Without the events that were streamed; its report also has `storage`.

    Raises
    ------
    DataError
        As `assemble` does, and ``different_columns`` where files of a table are not alike.
    """
    held, streamed = opened_for(spec, tables, limits=limits)
    done = assemble(spec, in_memory(held, streamed), target=target, now=now, streamed=streamed)
    folder.mkdir(parents=True, exist_ok=True)
    n_entities = done.relations.n_rows
    layout = Layout(n_entities=n_entities, gap=spec.cut_off.gap)
    subjects = dict(done.relations.subjects)
    report, told = dict(done.report), dict(done.relations.about)
    for events in done.relations.tables.values():
        layout = layout.having(_write_held(folder, events, bucket_rows=bucket_rows))
    for name in streamed:
        about, pieces, files = spec.tables[name], done.pieces[name], held[name]
        assert isinstance(files, EventFiles)
        _check_units(done, about)
        if sample is None or (in_place is not None and name not in in_place):
            written, counts = write_streamed(
                folder, files, pieces, now=now, bucket_rows=bucket_rows
            )
        else:
            written, counts = write_index(
                folder,
                files,
                pieces,
                table=without_files(files, pieces),
                subjects=pieces.route.of_entities[sample(done)],
                now=now,
            )
        points_to = about.link.table or spec.entities or ""
        report["warnings"] = [
            *report["warnings"],
            *audit_events(counts, about, points_to=points_to),
            *audit_columns(list(files.types()), about),
        ]
        report["tables"] = {**report["tables"], name: {"kind": "events", **asdict(counts)}}
        layout = layout.having(written)
        subjects[name] = pieces.route.of_entities
        told["columns"] = {**told.get("columns", {}), name: files.types()}
        told["kinds"] = {**told.get("kinds", {}), name: "events"}
    own = np.arange(n_entities)
    layout = replace(
        layout,
        own=tuple(name for name, one in subjects.items() if np.array_equal(one, own)),
        about=told,
    )
    write_entities(
        folder,
        cut_off=done.relations.cut_off,
        subjects={name: one for name, one in subjects.items() if name not in layout.own},
    )
    layout.write(folder)
    report["storage"] = layout.storage()
    return replace(done, relations=replace(done.relations, about=told), report=report)


def opened_for(
    spec: Spec, tables: Mapping[str, Source], *, limits: ReadingLimits | None
) -> tuple[dict[str, pa.Table | EventFiles], list[str]]:
    """The tables of a spec as they can be read, and which of them can be read in pieces."""
    held = {
        name: one if isinstance(one, pa.Table) else _files(spec.tables[name], one, limits=limits)
        for name, one in tables.items()
        if name in spec.tables
    }
    return held, [name for name in held if _may_stream(spec, name, held)]


def in_memory(
    held: Mapping[str, pa.Table | EventFiles], streamed: Sequence[str]
) -> dict[str, pa.Table]:
    """The tables that are not read in pieces, whole."""
    return {
        name: one.table() if isinstance(one, EventFiles) else one
        for name, one in held.items()
        if name not in streamed
    }


def _files(
    about: TableSpec, source: File | Sequence[File], *, limits: ReadingLimits | None
) -> EventFiles:
    options = ReadingOptions.from_json(about.reading)
    return EventFiles(source, table=about.name, options=options, limits=limits)


def _may_stream(spec: Spec, name: str, held: Mapping[str, pa.Table | EventFiles]) -> bool:
    """Whether a table's rows are needed once only, one after the other."""
    about = spec.tables[name]
    windows = spec.windows.table if spec.windows is not None else None
    if not isinstance(held[name], EventFiles) or about.role not in LONG:
        return False
    if name in (windows, spec.cut_off.table):
        return False
    return all(
        _is_lookup(other, held.get(other.name))
        for other in spec.tables.values()
        if other.link.table == name
    )


def _is_lookup(about: TableSpec, source: pa.Table | EventFiles | None) -> bool:
    """Whether a table has one row for each key."""
    if about.role != "static" or about.is_timed or source is None:
        return False
    rows = source.table() if isinstance(source, EventFiles) else source
    require(rows, list(about.link.columns), about)
    columns = [rows.column(one) for one in about.link.columns]
    return is_unique(KeyIndex(columns, names=about.link.columns, table=about.name))


def _check_units(done: Assembled, about: TableSpec) -> None:
    """Raise where times and the cut-off are not in the same units."""
    spec = done.spec
    assert spec.entities is not None
    if spec.cut_off.after_first is not None and spec.cut_off.table is not None:
        dated: bool | None = done.relations.tables[spec.cut_off.table].dated
    else:
        dated = cut_offs(spec.cut_off, done.table, table=spec.entities, now=None).dated
    if dated is not None and about.is_timed and dated != is_dated(about.time_format):
        raise DataError(
            f"times of '{about.name}' and the cut-off are not in the same units",
            code="cut_off",
            table=about.name,
            column=about.time,
        )


def _write_held(folder: Path, events: EventTable, *, bucket_rows: int) -> TableLayout:
    rows = Rows(subject=events.subject, time=events.time, columns=events.columns)
    return write_table(
        folder,
        [rows],
        table=TableLayout(
            name=events.name,
            role=events.role,
            dated=events.dated,
            message=events.message,
            n_subjects=int(events.subject.max(initial=0)) + 1,
            columns=(),
            bytes_before=events.columns.nbytes,
        ),
        expected_rows=events.n_rows,
        expected_bytes=events.columns.nbytes,
        is_sorted=True,
        bucket_rows=bucket_rows,
    )


def without_files(files: EventFiles, pieces: Pieces) -> TableLayout:
    """A streamed table's layout before anything of it is written."""
    about = pieces.spec
    return TableLayout(
        name=about.name,
        role=about.role,
        dated=is_dated(about.time_format),
        message=about.message,
        n_subjects=pieces.route.n_subjects,
        columns=(),
        bytes_before=files.n_bytes,
    )


def write_streamed(
    folder: Path,
    files: EventFiles,
    pieces: Pieces,
    *,
    now: datetime | None,
    leave: Sequence[str] = (),
    bucket_rows: int = BUCKET_ROWS,
) -> tuple[TableLayout, Counts]:
    """Write all rows of files in buckets, read batch by batch.

    Parameters
    ----------
    leave : columns that rows are sorted by, but that nobody will read
    """
    about, counts = pieces.spec, Counts()

    def rows() -> Iterator[Rows]:
        nonlocal counts
        counts = Counts()
        for batch in files.batches():
            found = pieces.events(batch.table, from_row=batch.from_row, now=now)
            counts = counts + found.counts
            yield Rows(subject=found.subject, time=found.time, columns=found.columns)

    table = without_files(files, pieces)
    while True:
        try:
            written = write_table(
                folder,
                rows(),
                table=table,
                expected_rows=files.expected_rows,
                expected_bytes=files.expected_bytes,
                first=about.first,
                exclude=(*about.exclude, *leave),
                bucket_rows=bucket_rows,
            )
        except Widening as widening:
            files.widen(widening)
        else:
            return replace(written, n_orphans=counts.orphans), counts
