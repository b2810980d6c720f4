"""Files that come in pieces: kept until all are there, then read in as one upload."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.errors import Conflict, TooLarge, UnknownRecord
from scheduler.records import StoredDataset
from scheduler.records_uploads import MOST_CHUNK_BYTES, Chunk, Upload, chunk_key, pieces_key
from scheduler.store import Store

log = logging.getLogger(__name__)

MOST_CHUNKS = 65_536
NAMED = 100  # missing pieces that are named
READ_BYTES = 2**18


class Reader(Protocol):
    """What reads a stream of bytes in as a data set: `Ingestor.accept`."""

    def __call__(
        self,
        project_id: str,
        *,
        stream_chunks: Iterable[bytes],
        name: str,
        options: Mapping[str, Any],
        now: datetime,
    ) -> tuple[StoredDataset, bool]: ...


@dataclass(frozen=True, kw_only=True)
class Uploads:
    """Takes pieces in any order and any number of times; what is there survives a restart.

    A piece is a file of its own, whole or not there. Their bytes are read as one stream, in order,
    by the same path as those of an upload in one request.
    """

    store: Store
    artifacts: ArtifactStore
    settings: Settings

    def begin(
        self,
        project_id: str,
        *,
        name: str,
        size: int,
        sha256: str | None,
        chunk_bytes: int | None,
        options: Mapping[str, Any],
        now: datetime,
    ) -> Upload:
        """Make room for a file of `size` bytes.

        Raises
        ------
        TooLarge
            ``upload_too_large``.
        DataError
            ``too_many_chunks``: pieces are too small.
        Conflict
            ``too_many_uploads``.
        """
        most = self.settings.max_upload_bytes
        if size > min(most, MOST_CHUNKS * MOST_CHUNK_BYTES):
            raise TooLarge(
                f"the file has {size} bytes; {most} are allowed", code="upload_too_large"
            )
        each = min(chunk_bytes or MOST_CHUNK_BYTES, most)
        upload = Upload(
            id=uuid.uuid4().hex,
            project_id=project_id,
            name=name,
            size=size,
            chunk_bytes=each,
            state="OPEN",
            created_at=now,
            expires_at=self._expiry(now),
            sha256=sha256,
            options=dict(options),
        )
        if upload.n_chunks > MOST_CHUNKS:
            raise DataError(
                f"{size} bytes in pieces of {each} are {upload.n_chunks} pieces; at most "
                f"{MOST_CHUNKS} are kept",
                code="too_many_chunks",
                details={"field": "chunk_bytes"},
            )
        return self.store.add_upload(
            upload, most=self.settings.max_uploads, most_bytes=most, now=now
        )

    def put(
        self, upload: Upload, number: int, chunks: Iterable[bytes], *, sha256: str, now: datetime
    ) -> Chunk:
        """Keep a piece, in place of one of its number that came before.

        Raises
        ------
        DataError
            ``chunk_out_of_range``, ``wrong_chunk_size``, ``digest_mismatch``; nothing is kept.
        TooLarge
            More bytes came than a piece has.
        UnknownRecord, Gone, Conflict
            The upload is not open any more.
        """
        if upload.state != "OPEN":
            raise Conflict("the upload is complete", code="upload_complete")
        if not 0 <= number < upload.n_chunks:
            raise DataError(
                f"pieces of this upload are numbered 0 to {upload.n_chunks - 1}",
                code="chunk_out_of_range",
                details={"field": "number"},
            )
        key, digest, n_bytes = chunk_key(upload.id, number), hashlib.sha256(), 0

        def checked() -> Iterator[bytes]:
            nonlocal n_bytes
            for chunk in chunks:
                digest.update(chunk)
                n_bytes += len(chunk)
                yield chunk
            if n_bytes != upload.bytes_of(number):
                raise DataError(
                    f"piece {number} has {n_bytes} bytes; {upload.bytes_of(number)} belong there",
                    code="wrong_chunk_size",
                )
            if digest.hexdigest() != sha256:
                raise DataError(
                    f"the bytes of piece {number} are not those of its SHA-256",
                    code="digest_mismatch",
                )

        self.artifacts.put_stream(key, checked(), max_bytes=upload.chunk_bytes)
        chunk = Chunk(number=number, n_bytes=n_bytes, sha256=sha256)
        try:
            self.store.add_chunk(upload.id, chunk, expires_at=self._expiry(now), now=now)
        except Exception:
            # Completed or given up meanwhile: nobody asks for the piece any more. Where the store
            # is away it comes again, or the sweep finds it.
            self.artifacts.delete(key)
            raise
        return chunk

    def complete(
        self, upload: Upload, *, accept: Reader, now: datetime
    ) -> tuple[StoredDataset, bool]:
        """Read the file in as an upload in one request is; a second time finds the same data set.

        Raises
        ------
        DataError
            ``chunks_missing`` (a conflict) names them; ``digest_mismatch``: it is not the file
            whose SHA-256 was said. Otherwise as `Ingestor.accept`, and the pieces stay.
        """
        if upload.dataset_id is not None:
            return self.store.get_dataset(upload.project_id, upload.dataset_id), False
        received = {one.number: one for one in self.store.chunks(upload.id)}
        missing = upload.missing(received)
        if missing:
            raise _missing(missing)
        try:
            dataset, created = accept(
                upload.project_id,
                stream_chunks=self._stream(upload, [received[n] for n in sorted(received)]),
                name=upload.name,
                options=dict(upload.options),
                now=now,
            )
        except DataError as error:
            if error.code != "chunks_missing":
                raise
            # Another request may have completed it, and the pieces went while they were read.
            again = self.store.get_upload(upload.project_id, upload.id, now=now)
            if again.dataset_id is None:
                raise
            return self.store.get_dataset(upload.project_id, again.dataset_id), False
        self.store.complete_upload(upload.id, dataset.id, expires_at=self._expiry(now))
        self.artifacts.delete(pieces_key(upload.id))
        log.info("upload %s: complete, data set %s", upload.id, dataset.id)
        return dataset, created

    def abandon(self, project_id: str, upload_id: str) -> None:
        """Forget an upload and its pieces; a data set made of it stays. Raises UnknownRecord."""
        self.store.delete_upload(project_id, upload_id)
        self.artifacts.delete(pieces_key(upload_id))

    def expire(self, now: datetime) -> int:
        """Forget what was not completed in time; how many those were."""
        ids = self.store.expire_uploads(now)
        for upload_id in ids:
            self.artifacts.delete(pieces_key(upload_id))
            log.info("upload %s: not completed in time, forgotten", upload_id)
        return len(ids)

    def _expiry(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.settings.upload_seconds)

    def _stream(self, upload: Upload, received: list[Chunk]) -> Iterator[bytes]:
        """The whole file; what is not on the disk as it came is missing again."""
        whole = hashlib.sha256()
        for chunk in received:
            digest = hashlib.sha256()
            try:
                with self.artifacts.open(chunk_key(upload.id, chunk.number)) as file:
                    while piece := file.read(READ_BYTES):
                        digest.update(piece)
                        whole.update(piece)
                        yield piece
            except UnknownRecord:
                pass
            if digest.hexdigest() != chunk.sha256:
                self.store.drop_chunk(upload.id, chunk)
                raise _missing([chunk.number])
        if upload.sha256 is not None and whole.hexdigest() != upload.sha256:
            raise DataError(
                "the file is not the one whose SHA-256 was said", code="digest_mismatch"
            )


def _missing(numbers: list[int]) -> DataError:
    named = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
    return DataError(
        f"{len(numbers)} piece(s) are missing: {named}",
        code="chunks_missing",
        details={"n_missing": len(numbers), "missing": numbers[:NAMED]},
    )
