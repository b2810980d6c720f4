"""Jobs as their workers see them: claimed under a lease, written under an epoch, ended once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from scheduler.ledger import LedgerLine
from scheduler.records import FINAL, Job, JobState, Json, Model
from scheduler.store_engine import Database
from scheduler.store_ledger import insert_lines
from scheduler.store_outbox import calls_of, insert_calls
from scheduler.store_rows import known_id, lock_project, lost, move_job, to_job, unknown
from scheduler.tables import jobs, models, trials

# A job that took so many workers with it is not tried again.
MOST_DEATHS = 3
_WAITING = (JobState.PLANNED, JobState.PAUSED)
_QUARANTINE: Json = {
    "code": "quarantined",
    "detail": f"{MOST_DEATHS} workers died while they ran this job; it is not tried again",
}


class QueueStore(Database):
    """The moves of a job that need its epoch; each leaves its event."""

    def claim_job(self, *, owner: str, lease_seconds: float, now: datetime) -> Job | None:
        """The next job that is due and nobody works on, RUNNING under a new epoch; None when idle.

        A SUBMITTED job is due, a PLANNED or PAUSED one from its `start_at` on. The nearest deadline
        comes first, then those without one in the order of their submission.

        A job whose worker let its lease run out counts a death and is claimed again; after the
        third death it is QUARANTINED instead.
        """
        with self.read() as connection:  # an idle service takes no lock and writes nothing
            if _next_due(connection, now=now, lock=False) is None:
                return None
        with self.write() as connection:
            while True:
                job = _next_due(connection, now=now, lock=True)
                if job is None:
                    return None
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
                    claimed_at=now,
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
        asked for meanwhile is claimed once more, to keep its best so far. Without a death the
        trial under way was not at fault: it is forgotten, so that it is tried again. Raises
        LostLease.
        """
        with self.write() as connection:
            held = _held(job_id, epoch)
            row = connection.execute(select(jobs).where(*held).with_for_update()).first()
            if row is None:
                raise lost(job_id, epoch)
            if not died:
                connection.execute(
                    delete(trials).where(trials.c.job_id == job_id, trials.c.finished_at.is_(None))
                )
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
        ledger: Sequence[LedgerLine] = (),
        settle_at: datetime | None = None,
    ) -> Job:
        """RUNNING -> a final state, with its champion as the next version of its name.

        Its lines of the ledger, which are priced again at `settle_at`, and the call to the webhook
        of its request, where its end is one to tell of, are written with it.

        When the data were deleted meanwhile the job is CANCELLED with the problem `data_deleted`
        and registers no model, whatever is asked for: the caller compares and deletes its artifact.
        One that would be DONE but was asked to stop is CANCELLED too, and keeps its model: the
        client was told so, however late the worker hears of it.

        Raises LostLease; ValueError when `state` is not final.
        """
        if state not in FINAL:
            raise ValueError(f"{state} is not a final state")
        known_id(job_id, noun="job")
        with self.write() as connection:
            project_id = connection.scalar(select(jobs.c.project_id).where(jobs.c.id == job_id))
            if project_id is None:
                raise unknown("job")
            if model is not None:
                # Locked before the job's row, as in `add_job`: versions are given out in turn.
                lock_project(connection, project_id)
            held = _held(job_id, epoch)
            row = connection.execute(select(jobs).where(*held).with_for_update()).first()
            if row is None:
                raise lost(job_id, epoch)
            job = to_job(row)
            if job.problem is not None and job.problem.get("code") == "data_deleted":
                state, model, problem, result = JobState.CANCELLED, None, job.problem, None
            elif job.cancel_requested and state is JobState.DONE:
                state = JobState.CANCELLED
                stop_reason = f"cancelled on request at its end: {stop_reason or 'done'}"
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
            insert_lines(connection, ledger, settle_at=settle_at)
            insert_calls(connection, calls_of(finished), now=now)
            return finished


def _held(job_id: str, epoch: int) -> tuple[Any, ...]:
    return jobs.c.id == job_id, jobs.c.epoch == epoch, jobs.c.state == JobState.RUNNING


def _next_due(connection: Connection, *, now: datetime, lock: bool) -> Job | None:
    """The next job to claim: waiting and due, or running under a lease that ended.

    One query for each state, with and without a deadline, because each then reads one index in
    its order and stops at the first row that is due.
    """
    waiting = [jobs.c.state == JobState.SUBMITTED]  # also when the clock was set back since
    waiting += [(jobs.c.state == state) & (jobs.c.start_at <= now) for state in _WAITING]
    expired = (jobs.c.state == JobState.RUNNING) & (jobs.c.lease_until <= now)
    found = []
    for condition in (*waiting, expired):
        for deadline in (jobs.c.finish_by.is_not(None), jobs.c.finish_by.is_(None)):
            query = (
                select(jobs)
                .where(condition, deadline)
                .order_by(jobs.c.finish_by, jobs.c.submitted_at, jobs.c.id)
                .limit(1)
            )
            if lock:  # another worker's choice is passed over, not waited for
                query = query.with_for_update(skip_locked=True)
            row = connection.execute(query).first()
            if row is not None:
                found.append(to_job(row))
                break
    return min(found, key=_turn, default=None)


def _turn(job: Job) -> tuple[Any, ...]:
    if job.finish_by is None:
        return 1, job.submitted_at, job.submitted_at, job.id
    return 0, job.finish_by, job.submitted_at, job.id


def _quarantine(
    connection: Connection, job_id: str, *conditions: Any, deaths: int, now: datetime
) -> Job | None:
    quarantined = move_job(
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
    if quarantined is not None:
        insert_calls(connection, calls_of(quarantined), now=now)
    return quarantined


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
