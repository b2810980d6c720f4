"""The audit of a project: lines are only ever added, each chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from scheduler.columns import clean, dump_json
from scheduler.records import Json
from scheduler.records_schedules import AuditLine
from scheduler.store_engine import Database
from scheduler.store_rows import AnyRow, lock_project, page
from scheduler.tables import audit

# What the first line is chained to.
NOTHING = "0" * 64
_BLOCK = 1000


class AuditStore(Database):
    """What was done that cannot be undone, or that others must be able to ask about."""

    def add_audit(
        self,
        project_id: str,
        *,
        actor: str,
        action: str,
        subject: str,
        details: Json,
        now: datetime,
    ) -> None:
        """Add a line about something that no other method of the store does."""
        with self.write() as connection:
            append_audit(
                connection,
                project_id,
                actor=actor,
                action=action,
                subject=subject,
                details=details,
                now=now,
            )

    def audit_lines(
        self, project_id: str, *, limit: int, after: int = 0
    ) -> tuple[list[AuditLine], int | None]:
        """A page of the lines from number `after` on, oldest first, and the next page's cursor."""
        query = (
            select(audit)
            .where(audit.c.project_id == project_id, audit.c.seq > after)
            .order_by(audit.c.seq)
            .limit(limit + 1)
        )
        with self.read() as connection:
            lines = [_line(row) for row in connection.execute(query)]
        items, more = page(lines, limit=limit)
        return items, items[-1].seq if more else None

    def verify_audit(self, project_id: str) -> int | None:
        """The number of the first line that was altered, or that follows one that is gone.

        None when every line is as it was written. That the newest lines were cut off cannot be
        seen from the lines alone: who must know keeps the last hash elsewhere.
        """
        expected, before = 1, NOTHING
        with self.read() as connection:
            while True:
                query = (
                    select(audit)
                    .where(audit.c.project_id == project_id, audit.c.seq >= expected)
                    .order_by(audit.c.seq)
                    .limit(_BLOCK)
                )
                lines = [_line(row) for row in connection.execute(query)]
                for line in lines:
                    if line.seq != expected or line.sha256 != _sealed(line, before):
                        return min(line.seq, expected)
                    expected, before = expected + 1, line.sha256
                if len(lines) < _BLOCK:
                    return None


def append_audit(
    connection: Connection,
    project_id: str,
    *,
    actor: str,
    action: str,
    subject: str,
    details: Json,
    now: datetime,
) -> None:
    """Add a line in the transaction of what it tells of."""
    lock_project(connection, project_id)  # lines are chained one after the other
    last = connection.execute(
        select(audit.c.seq, audit.c.sha256)
        .where(audit.c.project_id == project_id)
        .order_by(audit.c.seq.desc())
        .limit(1)
    ).first()
    seq, before = (1, NOTHING) if last is None else (last.seq + 1, last.sha256)
    line = AuditLine(
        project_id=project_id,
        seq=seq,
        at=now,
        actor=clean(actor),
        action=action,
        subject=clean(subject),
        details=json.loads(dump_json(dict(details))),
        sha256="",
    )
    connection.execute(
        insert(audit).values(
            project_id=project_id,
            seq=seq,
            at=now,
            actor=line.actor,
            action=action,
            subject=line.subject,
            details=dict(line.details),
            sha256=_sealed(line, before),
        )
    )


def _line(row: AnyRow) -> AuditLine:
    return AuditLine(**row._asdict())


def _sealed(line: AuditLine, before: str) -> str:
    """SHA-256 of the hash of the line before and all that this line says."""
    at = line.at.astimezone(UTC).isoformat(timespec="microseconds")
    said = [
        before,
        line.project_id,
        line.seq,
        at,
        line.actor,
        line.action,
        line.subject,
        dict(line.details),
    ]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
