"""Jobs as their clients see them: submitted, read, cancelled."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

from scheduler.errors import Conflict, Gone, QueueFull
from scheduler.records import DatasetState, Job, JobState
from scheduler.store_access import sha256_text
from scheduler.store_audit import append_audit
from scheduler.store_engine import Database
from scheduler.store_rows import (
    known_id,
    lock_project,
    move_job,
    older_than,
    page,
    to_job,
    unknown,
)
from scheduler.tables import datasets, events, idempotency_keys, jobs

_OPEN = (JobState.SUBMITTED, JobState.PLANNED, JobState.PAUSED)


class JobStore(Database):
    """Jobs of a project; every move leaves its event."""

    def add_job(
        self,
        job: Job,
        *,
        idempotency_key: str | None = None,
        max_queued: int,
        actor: str = "service",
    ) -> Job:
        """Submit a job, and tie the reserved Idempotency-Key to it, in one transaction.

        It is SUBMITTED, or PLANNED with its plan when it waits for its window. That it accepts a
        leaking column goes to the audit, under the name of the `actor`.

        Returns
        -------
        Job
            The job as stored, or the one that the same key made before.

        Raises
        ------
        QueueFull
            As many jobs of the project as allowed are waiting already.
        UnknownRecord, Gone, Conflict
            The data set is another project's, deleted (`deleted`), not READY
            (`dataset_not_ready`), or the key is no longer reserved (`request_in_progress`).
        """
        known_id(job.project_id, noun="project")
        with self.write() as connection:
            # Locked, so that two submissions count the queue one after the other.
            if not lock_project(connection, job.project_id):
                raise unknown("project")
            if idempotency_key is not None:
                earlier = _job_of_key(connection, job.project_id, idempotency_key)
                if earlier is not None:
                    return earlier
            insert_job(connection, job, max_queued=max_queued, actor=actor)
            if idempotency_key is not None:
                connection.execute(
                    update(idempotency_keys)
                    .where(*_key(job.project_id, idempotency_key))
                    .values(job_id=job.id)
                )
            return _job(connection, job.id)

    def get_job(self, project_id: str, job_id: str) -> Job:
        """A job of this project. Raises UnknownRecord."""
        known_id(job_id, noun="job")
        return self._one(select(jobs).where(jobs.c.id == job_id, jobs.c.project_id == project_id))

    def job(self, job_id: str) -> Job:
        """A job of whatever project, for workers only. Raises UnknownRecord."""
        known_id(job_id, noun="job")
        return self._one(select(jobs).where(jobs.c.id == job_id))

    def _one(self, query: Select[Any]) -> Job:
        with self.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise unknown("job")
        return to_job(row)

    def list_jobs(
        self,
        project_id: str,
        *,
        limit: int,
        state: JobState | None = None,
        after: str | None = None,
    ) -> tuple[list[Job], str | None]:
        """A page of the project's jobs, newest first, and the cursor of the next page.

        Raises DataError `invalid_cursor`.
        """
        query = select(jobs).where(jobs.c.project_id == project_id)
        if state is not None:
            query = query.where(jobs.c.state == state)
        with self.read() as connection:
            if after is not None:
                query = query.where(
                    older_than(connection, jobs, jobs.c.submitted_at, after, project_id=project_id)
                )
            query = query.order_by(jobs.c.submitted_at.desc(), jobs.c.id.desc())
            rows = connection.execute(query.limit(limit + 1)).all()
        items, more = page([to_job(row) for row in rows], limit=limit)
        return items, items[-1].id if more else None

    def count_jobs(self) -> dict[JobState, int]:
        """How many jobs of all projects are in each state, for the service's metrics."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with self.read() as connection:
            found = {JobState(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in JobState}

    def request_cancel(self, project_id: str, job_id: str, *, now: datetime) -> Job:
        """Cancel a waiting job at once; ask a running one to stop and keep its best so far.

        A second time changes nothing. Raises UnknownRecord; Conflict `job_finished` when it ended
        otherwise.
        """
        known_id(job_id, noun="job")
        with self.write() as connection:
            row = connection.execute(
                select(jobs)
                .where(jobs.c.id == job_id, jobs.c.project_id == project_id)
                .with_for_update()
            ).first()
            if row is None:
                raise unknown("job")
            job = to_job(row)
            if job.state is JobState.CANCELLED or (
                job.state is JobState.RUNNING and job.cancel_requested
            ):
                return job
            if job.state.is_final:
                raise Conflict(f"the job is {job.state} already", code="job_finished")
            if job.state is JobState.RUNNING:
                moved = move_job(
                    connection,
                    job_id,
                    jobs.c.state == JobState.RUNNING,
                    kind="state",
                    data={"state": JobState.RUNNING, "cancel_requested": True},
                    now=now,
                    cancel_requested=True,
                )
            else:
                moved = move_job(
                    connection,
                    job_id,
                    jobs.c.state == job.state,
                    kind="end",
                    data={"state": JobState.CANCELLED, "stop_reason": "cancelled by the user"},
                    now=now,
                    state=JobState.CANCELLED,
                    cancel_requested=True,
                    stop_reason="cancelled by the user",
                    finished_at=now,
                )
            if moved is None:
                raise Conflict("the job moved at this very moment; ask again")
            return moved


def insert_job(
    connection: Connection, job: Job, *, max_queued: int, actor: str = "service"
) -> None:
    """Put a job into the queue under the project's lock; raises as `add_job` does."""
    _check_dataset(connection, job)
    waiting = connection.scalar(
        select(func.count())
        .select_from(jobs)
        .where(jobs.c.project_id == job.project_id, jobs.c.state.in_(_OPEN))
    )
    if waiting is not None and waiting >= max_queued:
        raise QueueFull(f"{waiting} jobs of this project are waiting; at most {max_queued}")
    connection.execute(
        insert(jobs).values(
            id=job.id,
            project_id=job.project_id,
            dataset_id=job.dataset_id,
            model_name=job.model_name,
            request=dict(job.request),
            warnings=[dict(warning) for warning in job.warnings],
            state=job.state,
            submitted_at=job.submitted_at,
            cancel_requested=False,
            last_event=1,
            plan=None if job.plan is None else dict(job.plan),
            start_at=job.start_at or job.submitted_at,
            finish_by=job.finish_by,
            expected_seconds=job.expected_seconds,
            schedule_id=job.schedule_id,
        )
    )
    connection.execute(
        insert(events).values(
            job_id=job.id,
            seq=1,
            at=job.submitted_at,
            kind="state",
            data={"state": job.state} | _told(job),
        )
    )
    accepted = list(job.request.get("accept_leakage") or ())
    if accepted:
        append_audit(
            connection,
            job.project_id,
            actor=actor,
            action="job.accept_leakage",
            subject=f"job {job.id}",
            details={"columns": accepted, "dataset": job.dataset_id, "model": job.model_name},
            now=job.submitted_at,
        )


def _told(job: Job) -> dict[str, Any]:
    """What the first event says of a plan: when, and the sentence that says why."""
    if job.plan is None:
        return {}
    return {"start_at": job.plan.get("start_at"), "reason": job.plan.get("reason")}


def _job(connection: Connection, job_id: str) -> Job:
    return to_job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())


def _key(project_id: str, key: str) -> tuple[Any, ...]:
    return (
        idempotency_keys.c.project_id == project_id,
        idempotency_keys.c.key_sha256 == sha256_text(key),
    )


def _job_of_key(connection: Connection, project_id: str, key: str) -> Job | None:
    row = connection.execute(
        select(idempotency_keys).where(*_key(project_id, key)).with_for_update()
    ).first()
    if row is None:
        raise Conflict("the Idempotency-Key is not reserved any more", code="request_in_progress")
    return None if row.job_id is None else _job(connection, row.job_id)


def _check_dataset(connection: Connection, job: Job) -> None:
    known_id(job.dataset_id, noun="data set")
    state = connection.scalar(
        select(datasets.c.state)
        .where(datasets.c.id == job.dataset_id, datasets.c.project_id == job.project_id)
        .with_for_update()
    )
    if state is None:
        raise unknown("data set")
    if state == DatasetState.DELETED:
        raise Gone("the data set was deleted")
    if state != DatasetState.READY:
        raise Conflict(f"the data set is {state}, not READY", code="dataset_not_ready")
