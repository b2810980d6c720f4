"""Which format an upload is in, by its bytes, and its decoded bytes under a counter."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Literal, Protocol, Self, cast

from automl.data.options import ReadingLimits
from automl.errors import DataError

SAMPLE_BYTES = 4 * 2**20  # the bounded look of `inspect`
CHUNK_BYTES = 2**20
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
# First bytes of what people upload by mistake; the extension and the declared type prove nothing.
FOREIGN = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"ARROW1", "an Arrow IPC or Feather file"),
    (b"FEA1", "a Feather file"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"%PDF", "a PDF"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
)


@dataclass(frozen=True, kw_only=True)
class Format:
    """What the bytes say: csv, parquet or jsonl, and whether gzip is around it."""

    name: str
    compressed: bool


class Readable(Protocol):
    """A file by its bytes: a path, or an object elsewhere."""

    @property
    def name(self) -> str: ...

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """Its bytes from the first on."""


class DecodedStream:
    """The decoded bytes of a file, counted; a context manager.

    Raises
    ------
    DataError
        ``decoded_too_large`` once more than `max_bytes` came out, ``corrupt_gzip``.
    """

    def __init__(self, source: Readable, *, compressed: bool, max_bytes: int) -> None:
        self._raw = source.open("rb")
        opened = gzip.GzipFile(fileobj=self._raw) if compressed else self._raw
        self._file = cast(IO[bytes], opened)
        self._max_bytes = max_bytes
        self.n_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._raw.close()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end."""
        try:
            chunk = self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError("the gzip data is damaged or cut short", code="corrupt_gzip") from error
        self.n_bytes += len(chunk)
        if self.n_bytes > self._max_bytes:
            raise DataError(
                f"the data is larger than {self._max_bytes:,} bytes when decoded",
                code="decoded_too_large",
                details={"limit_bytes": self._max_bytes},
            )
        return chunk


def head(source: Readable, *, compressed: bool, n_bytes: int, limits: ReadingLimits) -> bytes:
    """The first `n_bytes` decoded bytes."""
    with DecodedStream(source, compressed=compressed, max_bytes=limits.max_decoded_bytes) as stream:
        return stream.read(n_bytes)


def detect(source: Readable, *, declared: str | None, limits: ReadingLimits) -> Format:
    """The format of a file by its first bytes.

    Raises
    ------
    DataError
        ``empty_file``; ``unsupported_format`` for anything but CSV, Parquet, JSON Lines and gzip
        of these, and for a declared format that the bytes contradict; ``corrupt_parquet``.
    """
    with source.open("rb") as file:
        first = file.read(512)
    if not first:
        raise DataError("the file is empty", code="empty_file")
    compressed = first.startswith(GZIP)
    if compressed:
        first = head(source, compressed=True, n_bytes=512, limits=limits)
        if not first:
            raise DataError("the file is empty inside its gzip", code="empty_file")
    if first.startswith(GZIP):
        raise DataError("the file is gzip inside gzip", code="unsupported_format")
    for magic, what in FOREIGN:
        if first.startswith(magic):
            raise DataError(f"the file is {what}", code="unsupported_format")
    if first[257:262] == b"ustar":
        raise DataError("the file is a tar archive", code="unsupported_format")
    if first.startswith(PARQUET):
        if declared not in (None, "parquet"):
            raise DataError("the file is Parquet, not as declared", code="unsupported_format")
        return Format(name="parquet", compressed=compressed)
    if declared == "parquet":
        raise DataError("the file does not begin as Parquet does", code="corrupt_parquet")
    if declared is not None:
        return Format(name=declared, compressed=compressed)
    return Format(name="jsonl" if _is_json(first) else "csv", compressed=compressed)


def _is_json(first: bytes) -> bool:
    text = first.removeprefix(codecs.BOM_UTF8).lstrip()
    # A JSON array is sent to the JSON Lines reader too: its error says what to do instead.
    return (
        text[:1] == b"{"
        or text[:2] == b"[{"
        or (text[:1] == b"[" and text[1:].lstrip()[:1] in b"{[]")
    )


def utf8_chunks(
    source: Readable, *, compressed: bool, encoding: str, limits: ReadingLimits
) -> Iterator[bytes]:
    """The text of a file as UTF-8 in chunks without a byte order mark.

    UTF-8 itself is passed through unchecked: whoever parses it checks it.

    Raises
    ------
    DataError
        ``encoding`` with the line, when the bytes are not in that encoding.
    """
    utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")
    decoder = codecs.getincrementaldecoder(encoding)()
    n_lines = 0
    first = True
    with DecodedStream(source, compressed=compressed, max_bytes=limits.max_decoded_bytes) as stream:
        while True:
            raw = stream.read(CHUNK_BYTES)
            if utf8:
                chunk = raw
            else:
                try:
                    text = decoder.decode(raw, final=not raw)
                except UnicodeDecodeError as error:
                    before = raw[: error.start].count(b"\n")
                    raise DataError(
                        f"the bytes near line {n_lines + before + 1:,} are not {encoding}",
                        code="encoding",
                        row=max(1, n_lines + before),
                    ) from None
                chunk = text.encode("utf-8", "surrogatepass")
                n_lines += chunk.count(b"\n")
            if first and chunk:
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
                first = False
            if chunk:
                yield chunk
            if not raw:
                return
