"""The queue as people see it: which jobs wait and in which order they are claimed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from scheduler.records import JobState
from scheduler.store_engine import Database
from scheduler.tables import jobs

WAITING = (JobState.SUBMITTED, JobState.PLANNED, JobState.PAUSED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A job that waits; `start_at` None of a PAUSED one: until its user resumes it."""

    id: str
    project_id: str
    state: str
    submitted_at: datetime
    start_at: datetime | None = None
    finish_by: datetime | None = None
    reason: str | None = None  # of its plan, in one sentence

    def is_due(self, now: datetime) -> bool:
        """Whether it only waits for a process; as `claim_job` decides it."""
        if self.state == JobState.SUBMITTED:
            return True
        return self.start_at is not None and self.start_at <= now


class WaitingStore(Database):
    """What the queue holds, without claiming any of it."""

    def queue(self, project_id: str, *, now: datetime) -> tuple[list[Waiting], int]:
        """Jobs of all projects that wait, and how many run; reasons of one project's only.

        Those that are due come first in the order of `claim_job`: the nearest deadline, then those
        without one by their submission. Then what waits for its time, the earliest first, and last
        what its user paused.
        """
        columns = (
            jobs.c.id,
            jobs.c.project_id,
            jobs.c.state,
            jobs.c.submitted_at,
            jobs.c.start_at,
            jobs.c.finish_by,
        )
        waits = jobs.c.state.in_(WAITING)
        planned = select(jobs.c.id, jobs.c.plan).where(
            waits, jobs.c.project_id == project_id, jobs.c.start_at > now
        )
        running = select(func.count()).select_from(jobs).where(jobs.c.state == JobState.RUNNING)
        with self.read() as connection:
            rows = connection.execute(select(*columns).where(waits)).all()
            reasons = {
                row.id: (row.plan or {}).get("reason") for row in connection.execute(planned)
            }
            n_running = connection.scalar(running) or 0
        found = [Waiting(**row._asdict(), reason=reasons.get(row.id)) for row in rows]
        return sorted(found, key=lambda one: _turn(one, now=now)), n_running


def _turn(one: Waiting, *, now: datetime) -> tuple[Any, ...]:
    if one.is_due(now):
        last = one.finish_by is None
        return 0, last, one.submitted_at if last else one.finish_by, one.submitted_at, one.id
    if one.start_at is not None:
        return 1, False, one.start_at, one.submitted_at, one.id
    return 2, False, one.submitted_at, one.submitted_at, one.id
