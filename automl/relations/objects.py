"""Files in object storage, read where they are: ranges of an object, and what went wrong."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
from pyarrow import fs

from automl.errors import DataError
from automl.relations.kept import Identity, Kept

SCHEME = "s3://"
# A server that is silent for so long is asked again, and given up after so many times; whoever
# asks only what there is waits in front of it, and is told sooner.
CONNECT_SECONDS, SILENT_SECONDS, ATTEMPTS = 5.0, 10.0, 3
LIST_SECONDS, LIST_ATTEMPTS = 5.0, 2
# Bytes of the first request where a file is read from its beginning, and of the largest: each is
# for three times as many as came before, so that a look at the first line takes no more than that.
FIRST_BYTES, STREAM_BYTES = 2**16, 8 * 2**20
# Its format, its columns and how many rows it may have are each read from its first bytes.
BEGINNING_BYTES = 4 * 2**20
BEGINNINGS = Kept[bytes](most_bytes=16 * BEGINNING_BYTES)
# As the AWS tools have them; the library reads the names of key and region by itself, not these.
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
# What the library calls an answer of the storage, in its errors.
CALLED = re.compile(r"AWS Error ([A-Z_]+(?: \(HTTP status \d{3}\))?) during ")
DENIED = re.compile("ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|CREDENTIAL|HTTP status 40[13]")
GONE = re.compile("NO_SUCH|NOT_FOUND|HTTP status 404")


@dataclass(frozen=True, kw_only=True)
class ObjectFile:
    """An object as a list or its own head told of it; opened like a path.

    Parameters
    ----------
    uri : ``s3://bucket/key``, the key as it is, nothing of it coded
    n_bytes : int
    modified : nanoseconds since 1970
    etag : of its content, where it was asked for
    """

    uri: str
    n_bytes: int
    modified: int
    etag: str = ""

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.uri.rpartition("/")[2]

    @property
    def identity(self) -> Identity:
        """What tells it from others, as far as a list knows."""
        return self.uri, self.n_bytes, self.modified

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """Its bytes from the first on. Raises DataError as `told` does."""
        return io.BufferedReader(_Bytes(self))

    def at_random(self) -> pa.NativeFile:
        """Its bytes at any place; a context manager.

        Raises
        ------
        DataError
            As `told` does, and ``source_changed`` where it is not the object that was meant.
        """
        with told(self.uri):
            file = storage().open_input_file(self.uri.removeprefix(SCHEME))
            head = file.metadata()
        if file.size() != self.n_bytes or (self.etag and etag_of(head) != self.etag):
            file.close()
            raise changed(self.uri)
        return file

    def known_better(self) -> ObjectFile:
        """The same with the checksum of its content. Raises DataError as `at_random`."""
        with self.at_random() as file:
            return replace(self, etag=etag_of(file.metadata()))

    def to_json(self) -> dict[str, Any]:
        return {"uri": self.uri, "n_bytes": self.n_bytes, "modified": self.modified}


File: TypeAlias = Path | ObjectFile


def file_of(about: str | dict[str, Any]) -> File:
    """A file as JSON has it: the path of one, or what is known of an object.

    >>> file_of({"uri": "s3://bank/balances/1.parquet", "n_bytes": 5, "modified": 0}).name
    '1.parquet'
    """
    return Path(about) if isinstance(about, str) else ObjectFile(**about)


def n_bytes_of(file: File) -> int:
    """How many bytes a file has."""
    return file.n_bytes if isinstance(file, ObjectFile) else file.stat().st_size


def objects_below(uri: str, *, most: int) -> list[ObjectFile]:
    """The object that a URI names, or all below it in the order of their keys.

    None: there is no such object, prefix or bucket.

    Raises
    ------
    DataError
        ``uri_denied``, ``uri_unreachable``; ``too_many_files`` above `most`.
    """
    path = uri.removeprefix(SCHEME).rstrip("/")
    with told(uri):
        if "/" in path:
            own = storage(listing=True).get_file_info(path)
            if own.type is fs.FileType.File:
                return [_object(own)]
        below = fs.FileSelector(path, recursive=True, allow_not_found=True)
        found = storage(listing=True).get_file_info(below)
    objects = [_object(one) for one in found if one.type is fs.FileType.File]
    if len(objects) > most:
        raise DataError(
            f"there are more than {most:,} files below '{uri}'",
            code="too_many_files",
            details={"uri": uri},
        )
    return sorted(objects, key=lambda one: one.uri)


def as_they_are(uris: list[str]) -> list[ObjectFile | None]:
    """Objects as they are now; None of one that is gone. Raises DataError as `told` does."""
    paths = [one.removeprefix(SCHEME) for one in uris]
    with told(uris[0] if uris else SCHEME):
        found = storage(listing=True).get_file_info(paths)
    return [_object(one) if one.type is fs.FileType.File else None for one in found]


@contextmanager
def told(uri: str) -> Iterator[None]:
    """Faults of the storage as errors that name the URI, and nothing that the storage says.

    Its own words may have the name of a key of access in them.

    Raises
    ------
    DataError
        ``uri_denied``, ``uri_not_found``, ``uri_unreachable``.
    """
    try:
        yield
    except OSError as error:
        found = CALLED.search(str(error))
        answer = found[1] if found else ""
        if isinstance(error, FileNotFoundError) or GONE.search(answer):
            said, code = "is not there", "uri_not_found"
        elif DENIED.search(answer):
            said, code = "may not be read with the service's access to the storage", "uri_denied"
        else:
            said, code = (
                "cannot be read: the storage does not answer as it should",
                "uri_unreachable",
            )
        raise DataError(f"'{uri}' {said}", code=code, details={"uri": uri}) from None


def changed(uri: str, *, table: str | None = None) -> DataError:
    """What is told of a file that is not as it was when it was registered."""
    name = uri.rpartition("/")[2]
    of = f" of '{table}'" if table else ""
    details: dict[str, object] = {"file": name, **({"uri": uri} if uri.startswith(SCHEME) else {})}
    return DataError(
        f"the file '{name}'{of} has changed since it was registered; register the folder again",
        code="source_changed",
        table=table,
        details=details,
    )


def storage(*, listing: bool = False) -> fs.S3FileSystem:
    """This process's access to the storage, by the AWS variables of its environment."""
    endpoint = next((one for name in ENDPOINTS if (one := os.environ.get(name))), "")
    return _access(endpoint, listing)


@cache
def _access(endpoint: str, listing: bool) -> fs.S3FileSystem:
    scheme, _, host = endpoint.rpartition("://")
    with suppress(pa.ArrowInvalid):  # begun already, with a level of its own
        fs.initialize_s3(fs.S3LogLevel.Off)
    return fs.S3FileSystem(
        scheme=scheme or "https",
        endpoint_override=host.rstrip("/") or None,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=LIST_SECONDS if listing else SILENT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(
            max_attempts=LIST_ATTEMPTS if listing else ATTEMPTS
        ),
    )


def _object(info: fs.FileInfo) -> ObjectFile:
    return ObjectFile(
        uri=SCHEME + info.path, n_bytes=int(info.size or 0), modified=int(info.mtime_ns or 0)
    )


def etag_of(head: Any) -> str:
    """The checksum of an object's content, as the answer to its head names it."""
    value = (head or {}).get("ETag", b"")
    return value.decode() if isinstance(value, bytes) else str(value)


class _Bytes(io.RawIOBase):
    """The bytes of an object, asked for as they are read; its beginning only once."""

    def __init__(self, file: ObjectFile) -> None:
        self._of, self._file = file, file.at_random()
        self._etag = etag_of(self._file.metadata())
        known = BEGINNINGS.of(file.identity, etag=self._etag) if self._etag else None
        self._begun = b"" if known is None else known[1]
        self._came, self._n_bytes = memoryview(self._begun), len(self._begun)
        self._file.seek(self._n_bytes)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._came:
            self._came = memoryview(self._more())
        n = min(len(buffer), len(self._came))
        buffer[:n], self._came = self._came[:n], self._came[n:]
        return n

    def _more(self) -> bytes:
        if self._n_bytes == self._of.n_bytes:
            return b""
        with told(self._of.uri):
            came: bytes = self._file.read(min(max(3 * self._n_bytes, FIRST_BYTES), STREAM_BYTES))
        self._n_bytes += len(came)
        if self._n_bytes <= BEGINNING_BYTES and self._etag:
            self._begun += came
            identity = self._of.identity
            BEGINNINGS.keep(identity, self._etag, self._begun, n_bytes=self._n_bytes)
        return came

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
