"""Tables of which not everything is there: whose rows are, and files that must not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from automl.errors import DataError
from automl.relations.layout import SUBJECTS_FILE, SourceFile, TableLayout
from automl.relations.objects import SCHEME, File, ObjectFile, as_they_are, changed
from automl.relations.parquet import with_checksum
from automl.relations.tables import Integers


def sources_of(paths: Sequence[File]) -> tuple[SourceFile, ...]:
    """Files as they are now; objects as they were when they were listed."""
    found = []
    for path in paths:
        if isinstance(path, ObjectFile):
            known = path if path.etag else with_checksum(path)
            found.append(
                SourceFile(
                    path=known.uri,
                    n_bytes=known.n_bytes,
                    modified=known.modified,
                    etag=known.etag,
                )
            )
            continue
        about = path.stat()
        found.append(
            SourceFile(path=str(path.resolve()), n_bytes=about.st_size, modified=about.st_mtime_ns)
        )
    return tuple(found)


def file_at(source: SourceFile) -> File:
    """The file that a layout knows of."""
    if not source.path.startswith(SCHEME):
        return Path(source.path)
    return ObjectFile(
        uri=source.path, n_bytes=source.n_bytes, modified=source.modified, etag=source.etag
    )


def check_sources(table: TableLayout, *, objects: bool = True) -> None:
    """Raise ``source_changed`` where a file is not as it was when it was scanned.

    All `objects` are asked for at once; that each has the content that it had is seen when it is
    opened.
    """
    remote = [one for one in table.sources if objects and one.path.startswith(SCHEME)]
    for source, now in zip(remote, as_they_are([one.path for one in remote]), strict=True):
        if now is None or (now.n_bytes, now.modified) != (source.n_bytes, source.modified):
            raise changed(source.path, table=table.name)
    for source in table.sources:
        if source.path.startswith(SCHEME):
            continue
        path = Path(source.path)
        try:
            about = path.stat()
            same = (about.st_size, about.st_mtime_ns) == (source.n_bytes, source.modified)
        except FileNotFoundError:
            same = False
        if not same:
            raise changed(source.path, table=table.name)


def write_subjects(folder: Path, table: TableLayout, subjects: Integers) -> TableLayout:
    """Write whose rows are there; the layout that says so."""
    pq.write_table(
        pa.table({"subject": subjects}),
        folder / table.name / SUBJECTS_FILE,
        column_encoding={"subject": "DELTA_BINARY_PACKED"},
        use_dictionary=False,
        compression="zstd",
    )
    return replace(table, is_partial=True)


def check_subjects(folder: Path, table: TableLayout, wanted: Integers) -> None:
    """Raise ``not_indexed`` where rows of a subject were not looked for."""
    there = pq.read_table(folder / table.name / SUBJECTS_FILE, use_threads=False)["subject"]
    n_missing = int((~np.isin(wanted, there.to_numpy())).sum())
    if n_missing:
        raise DataError(
            f"{n_missing:,} of {len(wanted):,} entities are not among those whose rows of "
            f"'{table.name}' were looked for beforehand; put the data set together once more",
            code="not_indexed",
            table=table.name,
            details={"n_missing": n_missing, "n_indexed": len(there)},
        )
