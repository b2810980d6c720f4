"""Where a schedule's new rows come from: the newest version, or files under allowed folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from automl.errors import DataError

# A file that was written to a moment ago may not be whole yet.
SETTLED = timedelta(seconds=60)
CHUNK_BYTES = 2**20
MOST_FILES = 1000


@dataclass(frozen=True, kw_only=True)
class FeedFile:
    """A file to append; `name`, its path under the allowed folder, tells it apart in its series."""

    path: Path
    name: str


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
    for path in sorted(real.iterdir()):
        name = _name(path, roots)
        if name in known or path.name.startswith(".") or path.suffix in (".part", ".tmp"):
            continue
        about = path.lstat()
        written = datetime.fromtimestamp(about.st_mtime, UTC)
        if stat.S_ISREG(about.st_mode) and now - written >= SETTLED:
            found.append(FeedFile(path=path, name=name))
    return found[:MOST_FILES]


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
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk
