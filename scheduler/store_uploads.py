"""Uploads in pieces: OPEN, then COMPLETE or EXPIRED."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from scheduler.errors import Conflict, Gone
from scheduler.records_uploads import Chunk, Upload
from scheduler.store_engine import Database
from scheduler.store_rows import known_id, lock_project, older_than, page, unknown
from scheduler.tables import upload_chunks, uploads

# So long is told what became of an upload that is no longer open.
REMEMBERED = timedelta(days=7)


class UploadStore(Database):
    """Files that come in pieces, and which pieces are there."""

    def add_upload(self, upload: Upload, *, most: int, most_bytes: int, now: datetime) -> Upload:
        """Store an upload that begins.

        Raises Conflict ``too_many_uploads`` where a project has `most` unfinished ones, or with
        this one they would have more than `most_bytes` together.
        """
        values = {column.name: getattr(upload, column.name) for column in uploads.c}
        values["options"] = dict(upload.options)
        with self.write() as connection:
            if not lock_project(connection, upload.project_id):  # two at once are counted in turn
                raise unknown("project")
            n_open, n_bytes = connection.execute(
                select(func.count(), func.coalesce(func.sum(uploads.c.size), 0)).where(
                    uploads.c.project_id == upload.project_id,
                    uploads.c.state == "OPEN",
                    uploads.c.expires_at > now,
                )
            ).one()
            if n_open >= most or int(n_bytes) + upload.size > most_bytes:
                raise Conflict(
                    f"{n_open} unfinished uploads of {int(n_bytes)} bytes are open; a project may "
                    f"have {most} of {most_bytes} bytes together: complete or delete some",
                    code="too_many_uploads",
                )
            row = connection.execute(insert(uploads).values(values).returning(*uploads.c)).one()
        return _to_upload(row)

    def get_upload(self, project_id: str, upload_id: str, *, now: datetime) -> Upload:
        """One of this project that is OPEN or COMPLETE. Raises UnknownRecord, and Gone."""
        known_id(upload_id, noun="upload")
        with self.read() as connection:
            row = connection.execute(
                select(uploads).where(uploads.c.id == upload_id, uploads.c.project_id == project_id)
            ).first()
        if row is None:
            raise unknown("upload")
        return _alive(_to_upload(row), now)

    def list_uploads(
        self, project_id: str, *, limit: int, now: datetime, after: str | None = None
    ) -> tuple[list[Upload], str | None]:
        """A page of the project's unfinished uploads, newest first."""
        query = select(uploads).where(
            uploads.c.project_id == project_id,
            uploads.c.state == "OPEN",
            uploads.c.expires_at > now,
        )
        with self.read() as connection:
            if after is not None:
                query = query.where(
                    older_than(
                        connection, uploads, uploads.c.created_at, after, project_id=project_id
                    )
                )
            query = query.order_by(uploads.c.created_at.desc(), uploads.c.id.desc())
            rows = connection.execute(query.limit(limit + 1)).all()
        items, more = page([_to_upload(row) for row in rows], limit=limit)
        return items, items[-1].id if more else None

    def chunks(self, upload_id: str) -> list[Chunk]:
        """The pieces that are there, in order."""
        query = select(upload_chunks).where(upload_chunks.c.upload_id == upload_id)
        with self.read() as connection:
            rows = connection.execute(query.order_by(upload_chunks.c.number))
            return [
                Chunk(number=one.number, n_bytes=one.n_bytes, sha256=one.sha256) for one in rows
            ]

    def add_chunk(
        self, upload_id: str, chunk: Chunk, *, expires_at: datetime, now: datetime
    ) -> None:
        """Note that a piece is there; one of its number that came before is replaced.

        Raises UnknownRecord, Gone, and Conflict ``upload_complete``.
        """
        with self.write() as connection:
            _open(connection, upload_id, now=now, expires_at=expires_at)
            _drop(connection, upload_id, chunk)
            connection.execute(
                insert(upload_chunks).values(
                    upload_id=upload_id,
                    number=chunk.number,
                    n_bytes=chunk.n_bytes,
                    sha256=chunk.sha256,
                )
            )

    def drop_chunk(self, upload_id: str, chunk: Chunk) -> None:
        """Note that a piece is not there after all, unless it came again meanwhile."""
        with self.write() as connection:
            _drop(connection, upload_id, chunk, upload_chunks.c.sha256 == chunk.sha256)

    def complete_upload(self, upload_id: str, dataset_id: str, *, expires_at: datetime) -> None:
        """OPEN -> COMPLETE, whose pieces the caller deletes. A second time changes nothing."""
        with self.write() as connection:
            connection.execute(
                update(uploads)
                .where(uploads.c.id == upload_id, uploads.c.state == "OPEN")
                .values(state="COMPLETE", dataset_id=dataset_id, options={}, expires_at=expires_at)
            )
            connection.execute(delete(upload_chunks).where(upload_chunks.c.upload_id == upload_id))

    def delete_upload(self, project_id: str, upload_id: str) -> None:
        """Forget an upload, whose pieces the caller deletes. Raises UnknownRecord."""
        known_id(upload_id, noun="upload")
        mine = (uploads.c.id == upload_id, uploads.c.project_id == project_id)
        with self.write() as connection:
            if (
                connection.execute(select(uploads.c.id).where(*mine).with_for_update()).first()
                is None
            ):
                raise unknown("upload")
            connection.execute(delete(upload_chunks).where(upload_chunks.c.upload_id == upload_id))
            connection.execute(delete(uploads).where(*mine))

    def expire_uploads(self, now: datetime) -> list[str]:
        """OPEN -> EXPIRED of those whose time is over; their ids, whose pieces the caller deletes.

        What is no longer open is forgotten after a week.
        """
        late = (uploads.c.state == "OPEN", uploads.c.expires_at <= now)
        old = (uploads.c.state != "OPEN", uploads.c.expires_at <= now - REMEMBERED)
        with self.read() as connection:  # nearly always there is nothing to write
            if not any(
                connection.execute(select(uploads.c.id).where(*one).limit(1)).first()
                for one in (late, old)
            ):
                return []
        with self.write() as connection:
            connection.execute(delete(uploads).where(*old))
            ids = list(
                connection.scalars(
                    update(uploads)
                    .where(*late)
                    .values(state="EXPIRED", options={})
                    .returning(uploads.c.id)
                )
            )
            connection.execute(delete(upload_chunks).where(upload_chunks.c.upload_id.in_(ids)))
        return sorted(ids)


def _open(connection: Connection, upload_id: str, *, now: datetime, expires_at: datetime) -> None:
    """Hold an upload's row until the transaction ends, and let it live longer."""
    row = connection.execute(
        select(uploads).where(uploads.c.id == upload_id).with_for_update()
    ).first()
    if row is None:
        raise unknown("upload")
    if _alive(_to_upload(row), now).state != "OPEN":
        raise Conflict("the upload is complete", code="upload_complete")
    connection.execute(
        update(uploads).where(uploads.c.id == upload_id).values(expires_at=expires_at)
    )


def _drop(connection: Connection, upload_id: str, chunk: Chunk, *conditions: Any) -> None:
    connection.execute(
        delete(upload_chunks).where(
            upload_chunks.c.upload_id == upload_id,
            upload_chunks.c.number == chunk.number,
            *conditions,
        )
    )


def _alive(upload: Upload, now: datetime) -> Upload:
    if upload.state == "EXPIRED" or (upload.state == "OPEN" and upload.expires_at <= now):
        raise Gone("the upload was not completed in time and is forgotten", code="upload_expired")
    return upload


def _to_upload(row: Row[Any]) -> Upload:
    return Upload(**row._asdict())
