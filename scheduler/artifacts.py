"""Bytes by key: written under a temporary name, synced, renamed; never half there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from automl.errors import FrugalError
from scheduler.errors import Corrupt, StorageFull, TooLarge, UnknownRecord

# Keys are made by the service from ids and fixed words, so this refuses mistakes, not users.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,7}")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TEMPORARY = "tmp"
# What is younger may belong to somebody who has not yet written the row that makes it visible.
GRACE_SECONDS = 3600.0


class UnsupportedScheme(FrugalError):
    """The artifacts' URL names a kind of storage that this version cannot use."""

    code = "unsupported_artifacts_url"


class ArtifactStore:
    """Files and folders by key under one local folder.

    A key is relative words joined by `/`, made from ids. What has a key is whole: it was written
    beside, synced to the disk, and renamed. Contents never change under a key that a record points
    at. Threads and processes may share the folder.

    Parameters
    ----------
    url : str or Path
        A folder, as a path or as `file:///path`. Raises UnsupportedScheme for any other scheme.
    """

    def __init__(self, url: str | Path) -> None:
        self.root = _local_folder(str(url))
        self._temporary = self.root / _TEMPORARY
        with full_disk():
            self._temporary.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put_stream(
        self, key: str, chunks: Iterable[bytes], *, max_bytes: int | None = None
    ) -> tuple[int, str]:
        """Store the bytes of a stream under a key; the number of them and their SHA-256.

        Raises
        ------
        TooLarge
            More than `max_bytes` came. Nothing is kept, as for any error of the stream itself.
        StorageFull
            The disk or the quota is full. Nothing is kept.
        """
        target = self.path(key)
        part = self._part()
        digest, count = hashlib.sha256(), 0
        try:
            with full_disk():
                with part.open("xb") as file:
                    for chunk in chunks:
                        count += len(chunk)
                        if max_bytes is not None and count > max_bytes:
                            raise TooLarge(f"more than the {max_bytes} bytes allowed came")
                        digest.update(chunk)
                        file.write(chunk)
                    file.flush()
                    os.utime(part)  # the grace of `sweep` counts from here
                    os.fsync(file.fileno())
                self._publish(part, target)
        finally:
            part.unlink(missing_ok=True)
        return count, digest.hexdigest()

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder on the same disk to fill before `put_folder`; removed afterwards."""
        folder = self._part()
        with full_disk():
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put_folder(self, key: str, folder: Path) -> str:
        """Store a folder under a key; its SHA-256, as `folder_sha256` defines it.

        One that `staging` gave is moved; any other is copied. Raises StorageFull, and then nothing
        is kept; ValueError when it holds anything but files and folders.
        """
        target = self.path(key)
        part = folder
        try:
            with full_disk():
                if folder.parent != self._temporary:
                    part = self._part()
                    shutil.copytree(folder, part, symlinks=True)
                digest = folder_sha256(part)
                for path in (part, *part.rglob("*")):
                    os.utime(path)  # the grace of `sweep` counts from here
                    sync(path)
                self._publish(part, target)
        finally:
            if part != folder:
                shutil.rmtree(part, ignore_errors=True)
        return digest

    def open(self, key: str) -> BinaryIO:
        """The file under a key, to read. Raises UnknownRecord."""
        try:
            return self.path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError):
            raise UnknownRecord(f"there is no artifact {key}") from None

    def path(self, key: str) -> Path:
        """Where the key is, or would be, on this machine; ValueError for what is no key."""
        if not _KEY.fullmatch(key) or key.split("/")[0] == _TEMPORARY:
            raise ValueError(f"{key!r} is not a key")
        return self.root / key

    def exists(self, key: str) -> bool:
        """Whether there is a file or a folder under the key."""
        return self.path(key).exists()

    def verify(self, key: str, sha256: str) -> None:
        """Compare what is stored with its checksum. Raises Corrupt or UnknownRecord."""
        path = self.path(key)
        if not path.exists():
            raise UnknownRecord(f"there is no artifact {key}")
        found = folder_sha256(path) if path.is_dir() else file_sha256(path)
        if found != sha256:
            raise Corrupt(f"artifact {key} does not match its checksum")

    def delete(self, key: str) -> None:
        """Remove what is under a key, at once for every reader; nothing there is no error."""
        path, gone = self.path(key), self._part()
        try:
            path.rename(gone)
        except FileNotFoundError:
            return
        sync(path.parent)
        _remove(gone)

    def free_bytes(self) -> int:
        """Bytes that may still be written to the disk."""
        return shutil.disk_usage(self.root).free

    def names(self) -> list[str]:
        """The path from the root of every stored file, in order: a key, or below a key."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if path.is_file() and self._temporary not in path.parents
        )

    def sweep(
        self, keep: Collection[str], *, now: datetime, grace_seconds: float = GRACE_SECONDS
    ) -> list[str]:
        """Remove what no record points at: files left by a process that died, temporary ones too.

        Parameters
        ----------
        keep : collection of str
            Keys in use (`Store.artifact_keys`), read from the store just before; whatever is
            below a kept key is kept.
        grace_seconds : float
            What changed so recently stays: its row may be about to be written.

        Returns
        -------
        list of str
            Paths that were removed, from the root.
        """
        before, removed = now.timestamp() - grace_seconds, []
        for entry in self._temporary.iterdir():
            if _newest_change(entry) < before:
                _remove(entry)
                removed.append(entry.relative_to(self.root).as_posix())
        kept = set(keep)
        for name in self.names():
            parts = name.split("/")
            if any("/".join(parts[:n]) in kept for n in range(1, len(parts) + 1)):
                continue
            path = self.root / name
            if _newest_change(path) < before:
                path.unlink(missing_ok=True)
                removed.append(name)
        for folder in sorted(self.root.rglob("*"), reverse=True):
            if folder.is_dir() and folder != self._temporary and _newest_change(folder) < before:
                try:
                    folder.rmdir()  # only when empty
                except OSError:
                    continue
        return removed

    def _part(self) -> Path:
        return self._temporary / f"{uuid.uuid4().hex}.part"

    def _publish(self, part: Path, target: Path) -> None:
        """Give the finished file or folder its name, and make the name itself durable."""
        _make_folders(target.parent, below=self.root)
        if part.is_dir() and target.exists():  # a folder cannot be renamed over another one
            old = self._part()
            target.rename(old)
            part.rename(target)
            _remove(old)
        else:
            part.replace(target)
        sync(target.parent)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(folder: Path) -> str:
    """SHA-256 over the lines `sha256  name` of a folder's files in order of name.

    Raises ValueError when something in it is neither a file nor a folder (links are not followed).
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError("an artifact holds files and folders only")
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            digest.update(f"{file_sha256(path)}  {name}\n".encode())
    return digest.hexdigest()


@contextmanager
def full_disk() -> Iterator[None]:
    """A full disk in our own words; it says so for the whole block, whatever was half done."""
    try:
        yield
    except shutil.Error as error:  # an OSError too, in which copytree collects what went wrong
        if any(f"[Errno {number}]" in str(error) for number in _FULL):
            raise StorageFull("the disk of the artifacts is full") from None
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("the disk of the artifacts is full") from None
        raise


def _local_folder(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path)).absolute()
    if "://" in url:
        raise UnsupportedScheme(
            f"artifacts on {parts.scheme}:// are not supported; give a folder, or file:///folder"
        )
    return Path(url).absolute()


def _make_folders(folder: Path, *, below: Path) -> None:
    """Make the folders of a key, each durable before anything is put into it."""
    if folder == below or folder.is_dir():
        return
    _make_folders(folder.parent, below=below)
    folder.mkdir(exist_ok=True, mode=0o700)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _newest_change(path: Path) -> float:
    """When the file, or anything in the folder, changed last; the future when it just went."""
    try:
        times = [path.stat().st_mtime]
        if path.is_dir():
            times += [inner.stat().st_mtime for inner in path.rglob("*")]
    except FileNotFoundError:
        return float("inf")
    return max(times)
