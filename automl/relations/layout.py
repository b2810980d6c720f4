"""How event tables lie on disk: buckets of positions, and what is known of each file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

LAYOUT_FILE, ENTITIES_FILE = "layout.json", "entities.parquet"
EMPTY_FILE = "empty.parquet"  # the columns of a table without a row
SUBJECTS_FILE = "subjects.parquet"  # of whom rows are there, where they are not everybody's
SUBJECT, TIME, CUT_OFF = "__subject", "__time", "__cut_off"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Part:
    """One Parquet file of a table: the rows of a range of subjects, sorted.

    Parameters
    ----------
    file : relative to the layout's folder
    n_rows, n_bytes : of the file
    groups : for each row group, its first and last subject
    times : by column, the earliest and latest in seconds or units; `__time` is the row's own
    nulls : by column, how many rows have no value; columns without any are left out
    """

    file: str
    n_rows: int
    n_bytes: int
    groups: tuple[tuple[int, int], ...]
    times: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    nulls: Mapping[str, int] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """The first subject that has rows here."""
        return self.groups[0][0]

    @property
    def last(self) -> int:
        """The last subject that has rows here."""
        return self.groups[-1][1]


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file that stays where it is, as it was when it was scanned.

    Parameters
    ----------
    path : absolute, or the URI of an object
    modified : nanoseconds since 1970
    etag : of an object's content
    """

    path: str
    n_bytes: int
    modified: int
    etag: str = ""


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """One event table on disk.

    Parameters
    ----------
    n_subjects : how many positions its subjects may have
    columns : names, in order, without key and time
    parts : in order of subjects
    bytes_before : of the files that it was read from
    n_orphans : rows left out, since their key is no entity's
    is_partial : only the rows of the subjects in `SUBJECTS_FILE` are there
    sources : files that stay where they are
    is_index : the parts say where rows lie in the sources; else they are the rows
    types : by column of the sources
    """

    name: str
    role: str
    dated: bool = True
    message: str | None = None
    n_subjects: int
    columns: tuple[str, ...]
    parts: tuple[Part, ...] = ()
    bytes_before: int = 0
    n_orphans: int = 0
    is_partial: bool = False
    sources: tuple[SourceFile, ...] = ()
    is_index: bool = False
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        return sum(part.n_rows for part in self.parts)

    @property
    def n_bytes(self) -> int:
        return sum(part.n_bytes for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All tables around the entities of a data set, as a folder has them.

    Parameters
    ----------
    n_entities : rows of the entity table
    own : tables whose subject of an entity row is the row's own position
    gap : kept free before a cut-off, in days where times are dates
    tables : by name
    about : what the user is told (orphans, events of the future)
    """

    n_entities: int
    own: tuple[str, ...] = ()
    gap: float = 0.0
    tables: Mapping[str, TableLayout] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def having(self, table: TableLayout) -> Self:
        """The same with one table more, or another of its name."""
        return replace(self, tables={**self.tables, table.name: table})

    def storage(self) -> dict[str, int]:
        """Bytes before and after, of all event tables."""
        tables = self.tables.values()
        return {
            "bytes_before": sum(table.bytes_before for table in tables),
            "bytes_after": sum(table.n_bytes for table in tables),
        }

    def write(self, folder: Path) -> None:
        """Write `layout.json`, all of it or nothing."""
        part = folder / f"{LAYOUT_FILE}.part"
        with part.open("w", encoding="utf-8") as file:
            json.dump({"version": VERSION, **asdict(self)}, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / LAYOUT_FILE)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` wrote.

        Raises
        ------
        FileNotFoundError
            The folder has no layout.
        """
        data = json.loads((folder / LAYOUT_FILE).read_text(encoding="utf-8"))
        if data.pop("version") != VERSION:
            raise ValueError(f"{LAYOUT_FILE} is of another version than {VERSION}")
        tables = {name: _table(one) for name, one in data.pop("tables").items()}
        return cls(**{**data, "own": tuple(data["own"])}, tables=tables)


def _table(data: dict[str, Any]) -> TableLayout:
    parts = tuple(
        Part(
            **{
                **part,
                "groups": tuple((first, last) for first, last in part["groups"]),
                "times": {name: (low, high) for name, (low, high) in part["times"].items()},
            }
        )
        for part in data.pop("parts")
    )
    sources = tuple(SourceFile(**one) for one in data.pop("sources", ()))
    columns = tuple(data.pop("columns"))
    return TableLayout(**data, columns=columns, parts=parts, sources=sources)
