"""Files that stay where they are: which of them a URI names, under the operator's folders."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from automl.errors import DataError

MOST_FILES = 10_000
ENDINGS = (".parquet", ".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".gz", ".log")


def files_at(uri: str, roots: Collection[Path], *, field: str) -> list[Path]:
    """The file that a URI names, or the data files of a folder in the order of their names.

    Links are followed as far as they stay under the allowed folders; hidden files are left out.

    Parameters
    ----------
    uri : ``file:///folder/``
    field : of the request, for errors

    Raises
    ------
    DataError
        ``uri_not_supported``, ``uri_not_allowed``; below an allowed folder also
        ``uri_not_found`` and ``too_many_files``.
    """
    path = _path(uri, field)
    known = [root.resolve() for root in roots]
    try:
        real = path.resolve()
    except (OSError, ValueError, RuntimeError):  # a name too long, a circle of links
        raise _not_allowed(field) from None
    if not _below(real, known):
        raise _not_allowed(field)
    try:
        mode = real.stat().st_mode
        if stat.S_ISREG(mode):
            return [real]
        found = _files_in(real, known) if stat.S_ISDIR(mode) else []
    except OSError:
        found = []
    if not found:
        raise DataError(
            "there is no such file, or the folder has no Parquet, CSV or JSON Lines file",
            code="uri_not_found",
            details={"field": field},
        )
    if len(found) > MOST_FILES:
        raise DataError(
            f"the folder has more than {MOST_FILES} files",
            code="too_many_files",
            details={"field": field},
        )
    return found


def state_of(files: Sequence[Path]) -> str:
    """A checksum of the names, lengths and times of files: another one where they changed."""
    lines = []
    for path in files:
        about = path.stat()
        lines.append(f"{path}\0{about.st_size}\0{about.st_mtime_ns}\n")
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def bytes_of(files: Sequence[Path]) -> int:
    """Bytes of files."""
    return sum(path.stat().st_size for path in files)


def _path(uri: str, field: str) -> Path:
    try:
        parts = urlsplit(uri)
        text = unquote(parts.path, errors="strict")
    except ValueError:
        raise _not_allowed(field) from None
    if parts.scheme != "file":
        raise DataError(
            "file:///folder/ or s3://bucket/prefix is needed; other storage cannot be read in "
            "place: mount it under a folder of FRUGAL_FEED_ROOTS, or upload the files",
            code="uri_not_supported",
            details={"field": field},
        )
    plain = parts.netloc in ("", "localhost") and not parts.query and not parts.fragment
    if not plain or "\0" in text or not text.startswith("/") or ".." in text.split("/"):
        raise _not_allowed(field)
    return Path(text)


def _not_allowed(field: str) -> DataError:
    return DataError(
        "the URI is not under a folder of FRUGAL_FEED_ROOTS",
        code="uri_not_allowed",
        details={"field": field},
    )


def _below(real: Path, roots: Sequence[Path]) -> bool:
    return any(real == root or root in real.parents for root in roots)


def _files_in(folder: Path, roots: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one[0] not in "._")
        for name in names:
            if not name.endswith(ENDINGS) or name[0] in "._":
                continue
            real = (Path(at) / name).resolve()
            if real.is_file() and _below(real, roots):
                found.append(real)
        if len(found) > MOST_FILES:
            break
    return sorted(set(found))
