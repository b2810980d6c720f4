"""Tables of which only some subjects' rows were looked for, written out or indexed for others.

Files that stay where they are have an index of the rows of those that a search reads. Whoever is to
predict everybody would go through them once for each block of entities: they are read once
instead, and put in buckets for the time that it takes. Whoever is to learn from others as well,
such as entities whose labels came later, has them looked for in an index of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from automl.data.options import ReadingLimits
from automl.errors import DataError
from automl.relations.assembling import assemble
from automl.relations.layout import ENTITIES_FILE, SUBJECTS_FILE, TableLayout
from automl.relations.partial import check_sources, file_at
from automl.relations.relating import Pieces
from automl.relations.sidecar import write_index
from automl.relations.sources import EventFiles
from automl.relations.spec import Spec
from automl.relations.stored import BLOCK_ROWS, Stored
from automl.relations.storing import (
    Source,
    in_memory,
    opened_for,
    without_files,
    write_streamed,
)
from automl.relations.tables import Integers

# An index leads to all files again for each block: of more than so many, one pass is less.
MOST_BLOCKS = 4


def not_for_all(stored: Stored, names: Sequence[str]) -> list[str]:
    """Which of these tables have to be written out before everybody is read."""
    return [name for name in names if _is_short(stored, stored.layout.tables[name])]


def _is_short(stored: Stored, table: TableLayout) -> bool:
    if not table.is_partial:
        return False
    if table.is_index and stored.layout.n_entities > MOST_BLOCKS * BLOCK_ROWS:
        return True
    there = pq.read_metadata(stored.folder / table.name / SUBJECTS_FILE).num_rows
    return int(there) < table.n_subjects


def written_out(
    stored: Stored,
    spec: Spec,
    tables: Mapping[str, Source],
    folder: Path,
    *,
    columns: Mapping[str, Sequence[str]],
    limits: ReadingLimits | None = None,
) -> Stored:
    """The same tables with the rows of everybody, in a folder of their own.

    Memory does not grow with the files; on disk is what is read of them.

    Parameters
    ----------
    stored : the tables as they were put together
    spec, tables : what they were put together from
        Files that stay are those that were seen then, whatever is beside them now.
    columns : by table, which will be read; others are left out

    Raises
    ------
    DataError
        ``source_changed``, and as `store` does.
    """

    def write(name: str, files: EventFiles, pieces: Pieces) -> TableLayout:
        left = [one for one in stored.layout.tables[name].columns if one not in columns[name]]
        return write_streamed(folder, files, pieces, now=None, leave=left)[0]

    names = not_for_all(stored, list(columns))
    return _again(stored, spec, tables, folder, names, of=list(columns), write=write, limits=limits)


def not_looked_for(stored: Stored, positions: Integers) -> list[str]:
    """The tables of which rows of these entities were not looked for."""
    found = []
    for name, table in stored.layout.tables.items():
        if table.is_partial:
            subjects = stored.subjects(name, positions)
            if not np.isin(subjects[subjects >= 0], _subjects(stored, table)).all():
                found.append(name)
    return found


def looked_for(
    stored: Stored,
    spec: Spec,
    tables: Mapping[str, Source],
    folder: Path,
    *,
    positions: Integers,
    limits: ReadingLimits | None = None,
) -> Stored:
    """The same tables with an index of these entities' rows as well, in a folder of their own.

    Of Parquet key and time are read once more; other files are read whole.

    Parameters
    ----------
    stored, spec, tables : as `written_out` has them
    positions : entity rows whose events are to be read

    Raises
    ------
    DataError
        ``source_changed``, and as `store` does.
    """

    def write(name: str, files: EventFiles, pieces: Pieces) -> TableLayout:
        wanted = [_subjects(stored, stored.layout.tables[name]), stored.subjects(name, positions)]
        found, _ = write_index(
            folder,
            files,
            pieces,
            table=without_files(files, pieces),
            subjects=np.unique(np.concatenate(wanted)),
        )
        return found

    names = not_looked_for(stored, positions)
    of = list(stored.layout.tables)
    return _again(stored, spec, tables, folder, names, of=of, write=write, limits=limits)


def _subjects(stored: Stored, table: TableLayout) -> Integers:
    """Those whose rows of a table were looked for."""
    file = pq.read_table(stored.folder / table.name / SUBJECTS_FILE, use_threads=False)
    return np.asarray(file["subject"].to_numpy(), dtype=np.int64)


def _again(
    stored: Stored,
    spec: Spec,
    tables: Mapping[str, Source],
    folder: Path,
    names: Sequence[str],
    *,
    of: Sequence[str],
    write: Callable[[str, EventFiles, Pieces], TableLayout],
    limits: ReadingLimits | None,
) -> Stored:
    """Write some tables once more beside links to the others `of` these."""
    layout = stored.layout
    for name in names:
        check_sources(layout.tables[name])
    known = {name: [file_at(one) for one in layout.tables[name].sources] for name in names}
    held, streamed = opened_for(spec, {**tables, **known}, limits=limits)
    done = assemble(spec, in_memory(held, streamed), streamed=streamed)
    everybody = np.arange(layout.n_entities, dtype=np.int64)
    folder.mkdir(parents=True, exist_ok=True)
    made = replace(layout, tables={name: layout.tables[name] for name in of})
    for name in names:
        files, pieces = held[name], done.pieces[name]
        of_entities = pieces.route.of_entities
        if not np.array_equal(of_entities, stored.subjects(name, everybody)):
            raise DataError(
                f"the entities of '{name}' are not those that were put together: a file has "
                "changed since; register the folder again",
                code="source_changed",
                table=name,
            )
        assert isinstance(files, EventFiles)
        made = made.having(write(name, files, pieces))
        check_sources(layout.tables[name])
    made.write(folder)
    (folder / ENTITIES_FILE).symlink_to((stored.folder / ENTITIES_FILE).resolve())
    for name in made.tables:
        if name not in names:
            (folder / name).symlink_to((stored.folder / name).resolve())
    found = Stored(folder)
    for name in names:
        found.bytes_read[name] += layout.tables[name].bytes_before
    return found
