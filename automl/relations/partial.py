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
from automl.relations.tables import Integers


def sources_of(paths: Sequence[Path]) -> tuple[SourceFile, ...]:
    """Files as they are now."""
    found = []
    for path in paths:
        about = path.stat()
        found.append(
            SourceFile(path=str(path.resolve()), n_bytes=about.st_size, modified=about.st_mtime_ns)
        )
    return tuple(found)


def check_sources(table: TableLayout) -> None:
    """Raise ``source_changed`` where a file is not as it was when it was scanned."""
    for source in table.sources:
        path = Path(source.path)
        try:
            about = path.stat()
            same = (about.st_size, about.st_mtime_ns) == (source.n_bytes, source.modified)
        except FileNotFoundError:
            same = False
        if not same:
            raise DataError(
                f"the file '{path.name}' of '{table.name}' has changed since it was registered; "
                "register the folder again",
                code="source_changed",
                table=table.name,
                details={"file": path.name},
            )


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
            f"'{table.name}' were looked for beforehand",
            code="not_indexed",
            table=table.name,
            details={"n_missing": n_missing, "n_indexed": len(there)},
        )
