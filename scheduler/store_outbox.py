"""Calls to the outside: written with the change they tell of, sent later, at least once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, exc, insert, select, update

from scheduler.records import Job, JobState, Json
from scheduler.store_engine import Database
from scheduler.tables import outbox


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What to tell whom; `id` goes along with it, so that who hears it twice can tell."""

    project_id: str
    url: str
    payload: Json
    id: str = ""
    created_at: datetime | None = None
    attempts: int = 0


FAILURES = {JobState.FAILED: "job.failed", JobState.QUARANTINED: "job.quarantined"}
DIRTIER = "job.dirtier_than_planned"
_EVENTS = uuid.UUID("6f1d7d0a-6b0f-4c1e-9f3e-2f5b8a4f7c11")  # a namespace of our own


def calls_of(job: Job, *, settled: bool = False) -> list[Call]:
    """What the webhook of a job's request is told of its end; mostly nothing.

    It is told of a job that failed or is quarantined, and of one whose wait, which was planned to
    save, emitted more than a start at once would have. The latter is told as soon as the bill is
    for good: at the end of the job, or when it is `settled`.
    """
    url = job.request.get("webhook")
    if not url:
        return []
    told = []
    if not settled and job.state in FAILURES:
        told.append(FAILURES[job.state])
    later = ((job.receipt or {}).get("levers") or {}).get("later") or {}
    promised = (later.get("planned_saving_gco2e") or 0) > 0
    if promised and later.get("dirtier") and not later.get("provisional"):
        told.append(DIRTIER)
    about = {
        "job": job.id,
        "dataset": job.dataset_id,
        "model": job.model_name,
        "schedule": job.schedule_id,
        "state": job.state.value,
        "stop_reason": job.stop_reason,
        "problem": None if job.problem is None else dict(job.problem),
        "later": dict(later) or None,
    }
    return [
        Call(
            # The same whoever tells it: of two services that settle one bill, one writes it.
            id=uuid.uuid5(_EVENTS, f"{job.id} {event}").hex,
            project_id=job.project_id,
            url=str(url),
            payload={"event": event, **about},
        )
        for event in told
    ]


def insert_calls(connection: Connection, calls: Sequence[Call], *, now: datetime) -> None:
    """Write calls within the transaction of what they tell of; they are due at once.

    One whose id is there already was told of before, and nothing is written.
    """
    for call in calls:
        new = insert(outbox).values(
            id=call.id or uuid.uuid4().hex,
            project_id=call.project_id,
            created_at=now,
            url=call.url,
            payload=dict(call.payload),
            next_at=now,
        )
        with suppress(exc.IntegrityError), connection.begin_nested():
            connection.execute(new)


class OutboxStore(Database):
    """The calls that wait; whoever sends them takes them for a while, and says what came of it."""

    def add_calls(self, calls: Sequence[Call], *, now: datetime) -> None:
        """Write calls that belong to no other change."""
        with self.write() as connection:
            insert_calls(connection, calls, now=now)

    def take_calls(self, *, now: datetime, seconds: float, limit: int) -> list[Call]:
        """Calls that are due, counted as tried; not due again for so long, lest two send them."""
        due = (
            select(outbox.c.id)
            .where(outbox.c.next_at <= now)
            .order_by(outbox.c.next_at, outbox.c.id)
            .limit(limit)
        )
        with self.read() as connection:  # with nothing to send, no lock is taken
            ids = connection.scalars(due).all()
        if not ids:
            return []
        taken = (
            update(outbox)
            .where(outbox.c.id.in_(ids), outbox.c.next_at <= now)
            .values(next_at=now + timedelta(seconds=seconds), attempts=outbox.c.attempts + 1)
            .returning(*outbox.c)
        )
        with self.write() as connection:
            rows = connection.execute(taken).all()
        return sorted((_call(row) for row in rows), key=lambda one: ids.index(one.id))

    def end_call(self, call_id: str, *, now: datetime) -> None:
        """It was heard."""
        self._set(call_id, delivered_at=now, next_at=None, problem=None)

    def postpone_call(self, call_id: str, *, until: datetime | None, problem: Json) -> None:
        """It was not heard: to be tried again then, or (None) given up."""
        self._set(call_id, next_at=until, problem=dict(problem))

    def _set(self, call_id: str, **values: Any) -> None:
        with self.write() as connection:
            connection.execute(update(outbox).where(outbox.c.id == call_id).values(**values))

    def calls(self, project_id: str, *, limit: int) -> list[dict[str, Any]]:
        """The newest calls of a project and what became of them, without what they say."""
        columns = [c for c in outbox.c if c.name not in ("project_id", "payload")]
        query = (
            select(*columns)
            .where(outbox.c.project_id == project_id)
            .order_by(outbox.c.created_at.desc(), outbox.c.id)
            .limit(limit)
        )
        with self.read() as connection:
            return [row._asdict() for row in connection.execute(query)]


def _call(row: Any) -> Call:
    return Call(
        id=row.id,
        project_id=row.project_id,
        url=row.url,
        payload=row.payload,
        created_at=row.created_at,
        attempts=row.attempts,
    )
