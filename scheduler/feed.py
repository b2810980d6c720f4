"""Where a schedule's new rows come from: the newest version, or files under allowed folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from automl.errors import DataError

# A file that was written to a moment ago may not be whole yet.
SETTLED = timedelta(seconds=60)
CHUNK_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class FeedFile:
    """A file to append; `name`, its path under the allowed folder, tells it apart in its series."""

    path: Path
    name: str


@dataclass(frozen=True, kw_only=True)
class ByTable:
    """Files to append by table, in the order of their names; and how many may not be whole yet."""

    files: Mapping[str, list[FeedFile]]
    n_unsettled: int


def allowed(text: str, roots: Collection[Path]) -> Path:
    """The real path of a file or folder that the operator allows to be read.

    Raises
    ------
    DataError
        ``feed_not_allowed``: outside the allowed folders, also through a link, or not there;
        the message does not say which.
    """
    try:
        path = Path(text)
        if not path.is_absolute() or ".." in path.parts or "\0" in text:
            raise ValueError
        real = path.resolve(strict=True)
        known = [root.resolve() for root in roots]
        if not any(real == root or root in real.parents for root in known):
            raise ValueError
    except (OSError, ValueError, RuntimeError):
        raise DataError(
            "the folder or file is not there, or not under a folder of FRUGAL_FEED_ROOTS",
            code="feed_not_allowed",
            details={"field": "feed.folder"},
        ) from None
    return real


def new_files(
    text: str, roots: Collection[Path], *, known: Collection[str], now: datetime
) -> list[FeedFile]:
    """The files of a folder that were not appended yet, by name; or the one file.

    Left for the next time: links, hidden files, and those written to within the last minute.
    `known` are the names of those that were appended. Raises DataError as `allowed`.
    """
    real = allowed(text, roots)
    if real.is_file():
        return [FeedFile(path=real, name=_name(real, roots))]
    found = []
    for path in _in_it(real):
        name = _name(path, roots)
        if name not in known and _is_file(path) and _settled(path, now=now):
            found.append(FeedFile(path=path, name=name))
    return found


def files_by_table(
    text: str,
    roots: Collection[Path],
    *,
    known: Mapping[str, Collection[str]],
    in_place: Collection[str],
    now: datetime,
) -> ByTable:
    """The files of a folder that were not appended yet, by the table that they are of.

    A table has a folder of its name, or files of its name up to the first dot: ``balances/1.csv``,
    ``balances.csv``, ``balances.2026-11-23.csv``. What `new_files` leaves out is left out here.

    Parameters
    ----------
    known : by table that rows can be appended to, the names of the files that were
    in_place : tables whose rows stay in folders of their own

    Raises
    ------
    DataError
        As `allowed`; ``not_a_folder``; ``unknown_table`` and ``table_in_place`` with the table: the
        folder has files that are not of a table that rows can be appended to.
    """
    real = allowed(text, roots)
    if not real.is_dir():
        raise DataError(
            "the data set is of several tables: name a folder that has a folder for each of them, "
            "not one file",
            code="not_a_folder",
            details={"field": "feed.folder"},
        )
    found: dict[str, list[FeedFile]] = {}
    n_unsettled = 0
    for path in _in_it(real):
        is_folder = path.is_dir() and not path.is_symlink()
        if not is_folder and not _is_file(path):
            continue
        table = path.name if is_folder else path.name.partition(".")[0]
        if table not in known:
            raise _no_such(table, known, in_place, is_folder=is_folder)
        for file in filter(_is_file, _in_it(path)) if is_folder else [path]:
            name = _name(file, roots)
            if name in known[table]:
                continue
            if _settled(file, now=now):
                found.setdefault(table, []).append(FeedFile(path=file, name=name))
            else:
                n_unsettled += 1
    return ByTable(files=found, n_unsettled=n_unsettled)


def _no_such(
    table: str, known: Collection[str], in_place: Collection[str], *, is_folder: bool
) -> DataError:
    what = f"the feed's folder has {'a folder' if is_folder else 'a file'} for {table!r}"
    if table in in_place:
        text = f"{what}, whose rows are read where its uri says: put its files there"
        return DataError(text, code="table_in_place", table=table, details={"field": "feed.folder"})
    return DataError(
        f"{what}, and the data set has no such table: rows can be appended to {', '.join(known)}",
        code="unknown_table",
        table=table,
        details={"field": "feed.folder", "tables": list(known)},
    )


def _in_it(folder: Path) -> list[Path]:
    """What is in a folder by name, without what is hidden or called unfinished.

    Raises DataError ``feed_not_allowed`` where the service may not look into it.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError:
        raise DataError(
            f"the folder {folder.name!r} cannot be read",
            code="feed_not_allowed",
            details={"field": "feed.folder"},
        ) from None
    return [
        path
        for path in found
        if not path.name.startswith(".") and path.suffix not in (".part", ".tmp")
    ]


def _is_file(path: Path) -> bool:
    """Whether it is a file itself, and no link to one; one that went meanwhile is none."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _settled(path: Path, *, now: datetime) -> bool:
    try:
        return now - datetime.fromtimestamp(path.lstat().st_mtime, UTC) >= SETTLED
    except FileNotFoundError:
        return False


def _name(path: Path, roots: Collection[Path]) -> str:
    """The path under the allowed folder, the outermost one: two leaves of one name differ by it."""
    parents = {root.resolve() for root in roots}.intersection(path.parents)
    if not parents:  # the file itself is what the operator named
        return path.name
    return path.relative_to(min(parents, key=lambda one: len(one.parts))).as_posix()


def chunks(file: FeedFile) -> Iterator[bytes]:
    """The bytes of a file, which is not read through a link put in its place.

    Raises DataError ``feed_not_allowed``.
    """
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise DataError("the file cannot be read", code="feed_not_allowed") from None
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataError("the file cannot be read", code="feed_not_allowed")
        while chunk := _next_of(opened):
            yield chunk


def _next_of(opened: BinaryIO) -> bytes:
    try:
        return opened.read(CHUNK_BYTES)
    except OSError:
        raise DataError("the file cannot be read to its end", code="feed_not_allowed") from None
