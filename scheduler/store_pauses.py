"""Jobs that wait on purpose: paused by their user or for a cleaner hour, planned anew, resumed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import Connection, delete, select

from scheduler.errors import Conflict
from scheduler.planner import MARGIN
from scheduler.records import Deadline, Job, JobState, Json
from scheduler.store_engine import Database
from scheduler.store_rows import known_id, lost, move_job, to_job, unknown
from scheduler.tables import jobs, trials

# Of a job that took longer than was expected, this is still expected.
LEAST_SHARE = 0.1
OPEN_STATES = (JobState.SUBMITTED, JobState.PLANNED, JobState.PAUSED, JobState.RUNNING)


class PauseStore(Database):
    """The moves into and out of PAUSED and PLANNED; each leaves its event."""

    def request_pause(self, project_id: str, job_id: str, *, now: datetime) -> Job:
        """Pause a waiting job at once; ask a running one to pause after its current trial.

        It then waits until it is resumed, past its deadline if need be. A second time changes
        nothing. Raises UnknownRecord; Conflict `job_finished` when it ended.
        """
        with self.write() as connection:
            job = _owned(connection, project_id, job_id)
            if _held_by_user(job) or (job.state is JobState.RUNNING and job.pause_requested):
                return job
            if job.state is JobState.RUNNING:
                if job.cancel_requested:
                    raise Conflict("the job is being cancelled", code="job_cancelled")
                return _moved(
                    connection,
                    job,
                    data={"state": JobState.RUNNING, "pause_requested": True},
                    now=now,
                    pause_requested=True,
                )
            return _moved(
                connection,
                job,
                data={"state": JobState.PAUSED, "reason": "paused by the user"},
                now=now,
                state=JobState.PAUSED,
                start_at=None,
            )

    def resume(
        self, project_id: str, job_id: str, *, now: datetime, plan: Json | None = None
    ) -> Job:
        """Let a paused job go on, as soon as a worker is free, under another plan if one is given.

        A pause that was only asked for is taken back. Raises UnknownRecord; Conflict
        `job_finished` when it ended, `not_paused` when it is neither paused nor about to be.
        """
        with self.write() as connection:
            job = _owned(connection, project_id, job_id)
            if job.state is JobState.RUNNING and job.pause_requested:
                return _moved(
                    connection,
                    job,
                    data={"state": JobState.RUNNING, "pause_requested": False},
                    now=now,
                    pause_requested=False,
                )
            if job.state is not JobState.PAUSED:
                raise Conflict(f"the job is {job.state}, not PAUSED", code="not_paused")
            return _moved(
                connection,
                job,
                data={"state": JobState.SUBMITTED, "reason": "resumed by the user"},
                now=now,
                state=JobState.SUBMITTED,
                start_at=now,
                **({} if plan is None else {"plan": dict(plan)}),
            )

    def pause_job(
        self, job_id: str, *, epoch: int, now: datetime, reason: str, until: datetime | None
    ) -> Job:
        """RUNNING -> PAUSED until a time, or (None) until its user resumes it.

        A job that is to be cancelled goes back to SUBMITTED instead, so that its best so far is
        kept. The trial under way, if any, is forgotten and tried again. Raises LostLease.
        """
        with self.write() as connection:
            held = (
                jobs.c.id == job_id,
                jobs.c.epoch == epoch,
                jobs.c.state == JobState.RUNNING,
            )
            row = connection.execute(select(jobs).where(*held).with_for_update()).first()
            if row is None:
                raise lost(job_id, epoch)
            connection.execute(
                delete(trials).where(trials.c.job_id == job_id, trials.c.finished_at.is_(None))
            )
            job = to_job(row)
            state = JobState.PAUSED
            if job.cancel_requested:
                state, until, reason = JobState.SUBMITTED, now, "cancelled while it paused"
            moved = move_job(
                connection,
                job_id,
                *held,
                kind="state",
                data={
                    "state": state,
                    "reason": reason,
                    "start_at": None if until is None else until.isoformat(),
                },
                now=now,
                state=state,
                start_at=until,
                pause_requested=False,
                yield_requested=False,
                expected_seconds=_left(job, now=now),
                owner=None,
                lease_until=None,
            )
            if moved is None:
                raise lost(job_id, epoch)
            return moved

    def waiting(self, *, after: datetime, limit: int) -> list[Job]:
        """Jobs that are PLANNED to start after a time, those that start first ahead."""
        query = (
            select(jobs)
            .where(jobs.c.state == JobState.PLANNED, jobs.c.start_at > after)
            .order_by(jobs.c.start_at, jobs.c.id)
            .limit(limit)
        )
        with self.read() as connection:
            return [to_job(row) for row in connection.execute(query)]

    def hasten(self, job_ids: Collection[str], *, now: datetime, reason: str) -> int:
        """Let waiting jobs start now, whatever their windows; how many there were."""
        n_hastened = 0
        with self.write() as connection:
            for job_id, state in product(sorted(job_ids), (JobState.PLANNED, JobState.PAUSED)):
                moved = move_job(
                    connection,
                    job_id,
                    jobs.c.state == state,
                    jobs.c.start_at > now,
                    kind="state",
                    data={"state": state, "start_at": now.isoformat(), "reason": reason},
                    now=now,
                    start_at=now,
                )
                n_hastened += moved is not None
        return n_hastened

    def request_yield(self, job_id: str, *, now: datetime) -> bool:
        """Ask a running job to make way after its current trial; whether it was asked just now."""
        with self.write() as connection:
            moved = move_job(
                connection,
                job_id,
                jobs.c.state == JobState.RUNNING,
                jobs.c.yield_requested.is_(False),
                kind="state",
                data={"state": JobState.RUNNING, "yield_requested": True},
                now=now,
                yield_requested=True,
            )
            return moved is not None

    def deadlines(self) -> list[Deadline]:
        """Jobs that have a deadline and have not ended, the nearest deadline first.

        Those that their users paused are left out.
        """
        columns = (
            jobs.c.id,
            jobs.c.state,
            jobs.c.start_at,
            jobs.c.finish_by,
            jobs.c.expected_seconds,
            jobs.c.claimed_at,
        )
        query = (
            select(*columns)
            .where(
                jobs.c.state.in_(OPEN_STATES),
                jobs.c.finish_by.is_not(None),
                jobs.c.start_at.is_not(None),
            )
            .order_by(jobs.c.finish_by, jobs.c.submitted_at, jobs.c.id)
        )
        with self.read() as connection:
            return [Deadline(**row._asdict()) for row in connection.execute(query)]

    def replan(self, job: Job, *, plan: Json, start_at: datetime, now: datetime) -> Job | None:
        """Give a job that still waits under its plan another one; None when it waits no more."""
        with self.write() as connection:
            return move_job(
                connection,
                job.id,
                jobs.c.state == JobState.PLANNED,
                jobs.c.start_at == job.start_at,
                kind="state",
                data={
                    "state": JobState.PLANNED,
                    "start_at": start_at.isoformat(),
                    "reason": plan.get("reason"),
                },
                now=now,
                plan=dict(plan),
                start_at=start_at,
            )


def _owned(connection: Connection, project_id: str, job_id: str) -> Job:
    """A job of the project that has not ended, locked. Raises UnknownRecord and Conflict."""
    known_id(job_id, noun="job")
    row = connection.execute(
        select(jobs).where(jobs.c.id == job_id, jobs.c.project_id == project_id).with_for_update()
    ).first()
    if row is None:
        raise unknown("job")
    job = to_job(row)
    if job.state.is_final:
        raise Conflict(f"the job is {job.state} already", code="job_finished")
    return job


def _left(job: Job, *, now: datetime) -> float | None:
    """Expected seconds of what a job has still to do; never nothing, as it has not ended."""
    if job.expected_seconds is None or job.claimed_at is None:
        return job.expected_seconds
    # With its margin this is the margin of the whole less what was done: work that takes longer
    # than was expected does so in all its parts, and the deadline is kept for all of it.
    done = (now - job.claimed_at).total_seconds() / MARGIN
    return max(job.expected_seconds - done, LEAST_SHARE * job.expected_seconds)


def _held_by_user(job: Job) -> bool:
    return job.state is JobState.PAUSED and job.start_at is None


def _moved(
    connection: Connection, job: Job, *, data: dict[str, Any], now: datetime, **values: Any
) -> Job:
    moved = move_job(
        connection, job.id, jobs.c.state == job.state, kind="state", data=data, now=now, **values
    )
    if moved is None:
        raise Conflict("the job moved at this very moment; ask again")
    return moved
