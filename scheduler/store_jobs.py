"""Jobs: submitted, claimed under a lease, ended once; every move leaves its event."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, func, insert, or_, select, update

from scheduler.errors import Conflict, Gone, QueueFull
from scheduler.records import FINAL, DatasetState, Job, JobState, Json, Model
from scheduler.store_access import sha256_text
from scheduler.store_engine import Database
from scheduler.store_rows import (
    known_id,
    lost,
    move_job,
    older_than,
    page,
    to_job,
    unknown,
)
from scheduler.tables import datasets, events, idempotency_keys, jobs, models, projects

# A job that took so many workers with it is not tried again.
MOST_DEATHS = 3
WAITING = (JobState.SUBMITTED, JobState.PLANNED)
_OPEN = (JobState.SUBMITTED, JobState.PLANNED, JobState.PAUSED)
_QUARANTINE: Json = {
    "code": "quarantined",
    "detail": f"{MOST_DEATHS} workers died while they ran this job; it is not tried again",
}


class JobStore(Database):
    """The life of a job, for its client (by project) and for its worker (by epoch)."""

    def add_job(self, job: Job, *, idempotency_key: str | None = None, max_queued: int) -> Job:
        """Submit a job, and tie the reserved Idempotency-Key to it, in one transaction.

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
            if not _lock_project(connection, job.project_id):
                raise unknown("project")
            if idempotency_key is not None:
                earlier = _job_of_key(connection, job.project_id, idempotency_key)
                if earlier is not None:
                    return earlier
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
                    state=JobState.SUBMITTED,
                    submitted_at=job.submitted_at,
                    cancel_requested=False,
                    last_event=1,
                )
            )
            connection.execute(
                insert(events).values(
                    job_id=job.id,
                    seq=1,
                    at=job.submitted_at,
                    kind="state",
                    data={"state": JobState.SUBMITTED},
                )
            )
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

    def claim_job(self, *, owner: str, lease_seconds: float, now: datetime) -> Job | None:
        """The oldest job that nobody works on, now RUNNING under a new epoch; None when idle.

        A job whose worker let its lease run out counts a death and is claimed again; after the
        third death it is QUARANTINED instead.
        """
        due = _due(now)
        with self.read() as connection:  # an idle service takes no lock and writes nothing
            if connection.execute(due.with_only_columns(jobs.c.id)).first() is None:
                return None
        with self.write() as connection:
            while True:
                row = connection.execute(due.with_for_update(skip_locked=True)).first()
                if row is None:
                    return None
                job = to_job(row)
                deaths = job.deaths + (job.state is JobState.RUNNING)
                mine = (jobs.c.state == job.state, jobs.c.epoch == job.epoch)
                if deaths >= MOST_DEATHS:
                    _quarantine(connection, job.id, *mine, deaths=deaths, now=now)
                    continue
                epoch = job.epoch + 1
                claimed = move_job(
                    connection,
                    job.id,
                    *mine,
                    kind="state",
                    data={"state": JobState.RUNNING, "epoch": epoch, "deaths": deaths},
                    now=now,
                    state=JobState.RUNNING,
                    owner=owner,
                    lease_until=now + timedelta(seconds=lease_seconds),
                    epoch=epoch,
                    deaths=deaths,
                    started_at=job.started_at or now,
                )
                if claimed is not None:
                    return claimed

    def heartbeat(self, job_id: str, *, epoch: int, lease_seconds: float, now: datetime) -> Job:
        """Keep a running job; the record that comes back says whether it should stop.

        Raises LostLease when the job ended or is somebody else's now.
        """
        with self.write() as connection:
            row = connection.execute(
                update(jobs)
                .where(*_held(job_id, epoch))
                .values(lease_until=now + timedelta(seconds=lease_seconds))
                .returning(*jobs.c)
            ).first()
            if row is None:
                raise lost(job_id, epoch)
            return to_job(row)

    def release_job(self, job_id: str, *, epoch: int, now: datetime, died: bool = True) -> Job:
        """Give a running job back: its worker died, or (`died=False`) the service is stopping.

        Back to SUBMITTED, or to QUARANTINED after the third death. A job whose cancellation was
        asked for meanwhile is claimed once more, to keep its best so far. Raises LostLease.
        """
        with self.write() as connection:
            held = _held(job_id, epoch)
            row = connection.execute(select(jobs).where(*held).with_for_update()).first()
            if row is None:
                raise lost(job_id, epoch)
            deaths = row._mapping[jobs.c.deaths] + died
            if deaths >= MOST_DEATHS:
                moved = _quarantine(connection, job_id, *held, deaths=deaths, now=now)
            else:
                moved = move_job(
                    connection,
                    job_id,
                    *held,
                    kind="state",
                    data={"state": JobState.SUBMITTED, "deaths": deaths},
                    now=now,
                    state=JobState.SUBMITTED,
                    owner=None,
                    lease_until=None,
                    deaths=deaths,
                )
            if moved is None:
                raise lost(job_id, epoch)
            return moved

    def finish_job(
        self,
        job_id: str,
        *,
        epoch: int,
        state: JobState,
        now: datetime,
        stop_reason: str | None = None,
        result: Json | None = None,
        receipt: Json | None = None,
        problem: Json | None = None,
        model: Model | None = None,
    ) -> Job:
        """RUNNING -> a final state, with its champion as the next version of its name.

        When the data were deleted meanwhile the job is CANCELLED with the problem `data_deleted`
        and registers no model, whatever is asked for: the caller compares and deletes its artifact.

        Raises LostLease; ValueError when `state` is not final.
        """
        if state not in FINAL:
            raise ValueError(f"{state} is not a final state")
        job = self.job(job_id)
        with self.write() as connection:
            if model is not None:
                # Locked before the job's row, as in `add_job`: versions are given out in turn.
                _lock_project(connection, job.project_id)
            held = _held(job_id, epoch)
            row = connection.execute(select(jobs).where(*held).with_for_update()).first()
            if row is None:
                raise lost(job_id, epoch)
            job = to_job(row)
            if job.problem is not None and job.problem.get("code") == "data_deleted":
                state, model, problem, result = JobState.CANCELLED, None, job.problem, None
            version = None if model is None else _add_model(connection, model, now=now)
            data = {"state": state, "stop_reason": stop_reason, "problem": problem}
            if model is not None:
                data["model"] = {"name": model.name, "version": version}
            finished = move_job(
                connection,
                job_id,
                *held,
                kind="end",
                data=data,
                now=now,
                state=state,
                stop_reason=stop_reason,
                result=None if result is None else dict(result),
                receipt=None if receipt is None else dict(receipt),
                problem=None if problem is None else dict(problem),
                finished_at=now,
                owner=None,
                lease_until=None,
            )
            if finished is None:
                raise lost(job_id, epoch)
            return finished

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


def _held(job_id: str, epoch: int) -> tuple[Any, ...]:
    return jobs.c.id == job_id, jobs.c.epoch == epoch, jobs.c.state == JobState.RUNNING


def _due(now: datetime) -> Select[Any]:
    """The oldest job to claim: waiting, or running under a lease that ended."""
    expired = (jobs.c.state == JobState.RUNNING) & (jobs.c.lease_until <= now)
    return (
        select(jobs)
        .where(or_(jobs.c.state.in_(WAITING), expired))
        .order_by(jobs.c.submitted_at, jobs.c.id)
        .limit(1)
    )


def _quarantine(
    connection: Connection, job_id: str, *conditions: Any, deaths: int, now: datetime
) -> Job | None:
    return move_job(
        connection,
        job_id,
        *conditions,
        kind="end",
        data={"state": JobState.QUARANTINED, "problem": dict(_QUARANTINE), "deaths": deaths},
        now=now,
        state=JobState.QUARANTINED,
        problem=dict(_QUARANTINE),
        deaths=deaths,
        finished_at=now,
        owner=None,
        lease_until=None,
    )


def _lock_project(connection: Connection, project_id: str) -> bool:
    found = select(projects.c.id).where(projects.c.id == project_id).with_for_update()
    return connection.scalar(found) is not None


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


def _add_model(connection: Connection, model: Model, *, now: datetime) -> int:
    latest = connection.scalar(
        select(func.max(models.c.version)).where(
            models.c.project_id == model.project_id, models.c.name == model.name
        )
    )
    version = (latest or 0) + 1
    connection.execute(
        insert(models).values(
            id=model.id,
            project_id=model.project_id,
            name=model.name,
            version=version,
            job_id=model.job_id,
            dataset_id=model.dataset_id,
            created_at=now,
            artifact=model.artifact,
            sha256=model.sha256,
            card=dict(model.card),
        )
    )
    return version
