"""Runs of schedules: one row for each local date, which is what makes it happen once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select, update

from scheduler.errors import LostLease
from scheduler.records import FINAL, Job, Json
from scheduler.records_schedules import Run, RunState, Schedule
from scheduler.store_engine import Database
from scheduler.store_jobs import insert_job
from scheduler.store_outbox import Call, insert_calls
from scheduler.store_promotions import add_promotion, is_kept, served
from scheduler.store_rows import AnyRow, known_id, lock_project, page, to_job, unknown
from scheduler.store_schedules import owned, to_schedule
from scheduler.tables import jobs, promotions, runs, schedules


class RunStore(Database):
    """What became of each local date of a schedule."""

    def claim_run(
        self, *, owner: str, lease_seconds: float, now: datetime
    ) -> tuple[Schedule, Run] | None:
        """The oldest run that is to be decided and nobody decides, under a new epoch."""
        free = or_(runs.c.lease_until.is_(None), runs.c.lease_until <= now)
        query = (
            select(runs.c.schedule_id, runs.c.local_date, runs.c.epoch)
            .where(runs.c.state == RunState.DECIDING, free)
            .order_by(runs.c.due_at, runs.c.schedule_id)
            .limit(1)
        )
        with self.read() as connection:  # an idle service takes no lock and writes nothing
            if connection.execute(query).first() is None:
                return None
        with self.write() as connection:
            found = connection.execute(query.with_for_update(skip_locked=True)).first()
            if found is None:
                return None
            row = connection.execute(
                update(runs)
                .where(*_same(found), runs.c.epoch == found.epoch)
                .values(
                    owner=owner,
                    lease_until=now + timedelta(seconds=lease_seconds),
                    epoch=found.epoch + 1,
                )
                .returning(*runs.c)
            ).one()
            known = connection.execute(
                select(schedules).where(schedules.c.id == found.schedule_id)
            ).one()
            return to_schedule(known), _run(row)

    def keep_run(self, run: Run, *, until: datetime | None) -> None:
        """Keep the right to decide a run, or (None) give it back. Raises LostLease."""
        with self.write() as connection:
            kept = connection.execute(update(runs).where(*_held(run)).values(lease_until=until))
            if kept.rowcount != 1:
                raise _lost(run)

    def note_run(self, run: Run, *, said: Json, calls: Sequence[Call], now: datetime) -> None:
        """Keep what a run has seen while it is being decided, with calls to the outside.

        It stands in its decision from then on, whatever that will be. Raises LostLease.
        """
        with self.write() as connection:
            noted = {**_noted(connection, run), **said}
            kept = connection.execute(update(runs).where(*_held(run)).values(decision=noted))
            if kept.rowcount != 1:
                raise _lost(run)
            insert_calls(connection, calls, now=now)

    def end_decision(
        self, run: Run, *, state: RunState, decision: Json, calls: Sequence[Call], now: datetime
    ) -> Run:
        """DECIDING -> SKIPPED or FAILED, with its call to the outside. Raises LostLease."""
        with self.write() as connection:
            row = connection.execute(
                update(runs)
                .where(*_held(run))
                .values(
                    state=state,
                    decision={**_noted(connection, run), **decision},
                    decided_at=now,
                    finished_at=now,
                    owner=None,
                    lease_until=None,
                )
                .returning(*runs.c)
            ).first()
            if row is None:
                raise _lost(run)
            insert_calls(connection, calls, now=now)
            return _run(row)

    def submit_run(
        self,
        run: Run,
        job: Job,
        *,
        decision: Json,
        champion: int | None,
        max_queued: int,
        now: datetime,
    ) -> Run:
        """DECIDING -> SUBMITTED with its job, in one transaction.

        The version that answers now is written down, so that it goes on answering when the job
        registers a newer one. Raises LostLease, and what `add_job` raises.
        """
        with self.write() as connection:
            if not lock_project(connection, job.project_id):
                raise unknown("project")
            insert_job(connection, job, max_queued=max_queued)
            row = connection.execute(
                update(runs)
                .where(*_held(run))
                .values(
                    state=RunState.SUBMITTED,
                    decision={**_noted(connection, run), **decision},
                    decided_at=now,
                    job_id=job.id,
                    dataset_id=job.dataset_id,
                    owner=None,
                    lease_until=None,
                )
                .returning(*runs.c)
            ).first()
            if row is None:
                raise _lost(run)  # which takes the job back, too
            if champion is not None and not _is_promoted(
                connection, job.project_id, job.model_name
            ):
                add_promotion(
                    connection,
                    job.project_id,
                    job.model_name,
                    champion,
                    kind="schedule",
                    actor=f"schedule {run.schedule_id}",
                    reason={"because": "it answers while a challenger is trained"},
                    now=now,
                )
            return _run(row)

    def ended_jobs(self, *, limit: int = 100) -> list[tuple[Schedule, Run, Job]]:
        """Runs whose job has ended and that nobody has ended yet, oldest first."""
        query = (
            select(runs.c.schedule_id, runs.c.local_date)
            .join(jobs, jobs.c.id == runs.c.job_id)
            .where(runs.c.state == RunState.SUBMITTED, jobs.c.state.in_(FINAL))
            .order_by(runs.c.due_at)
            .limit(limit)
        )
        found = []
        with self.read() as connection:
            for key in connection.execute(query).all():
                run = _run(connection.execute(select(runs).where(*_same(key))).one())
                job = connection.execute(select(jobs).where(jobs.c.id == run.job_id)).one()
                known = connection.execute(
                    select(schedules).where(schedules.c.id == run.schedule_id)
                ).one()
                found.append((to_schedule(known), run, to_job(job)))
        return found

    def end_run(
        self,
        run: Run,
        *,
        project_id: str,
        state: RunState,
        outcome: Json,
        promote: tuple[str, int, int] | None,
        calls: Sequence[Call],
        now: datetime,
    ) -> Run | None:
        """SUBMITTED -> DONE or FAILED, with the promotion and the call, in one transaction.

        Parameters
        ----------
        promote : name, version that won, and the version that it won against; it is promoted
            only while that one still answers, and was not deleted.

        Returns
        -------
        Run or None
            None when another service ended it.
        """
        with self.write() as connection:
            lock_project(connection, project_id)
            said = dict(outcome)
            if promote is not None:
                name, version, champion = promote
                now_serving = served(connection, project_id, name)
                if not is_kept(connection, project_id, name, version):
                    promote = None
                    said |= {"promoted": False, "because": f"version {version} was deleted"}
                elif now_serving is None or now_serving.version != champion:
                    promote = None
                    said |= {
                        "promoted": False,
                        "because": f"version {champion}, which it was compared with, no longer "
                        "answers: promote it by hand if it is better than the one that does",
                    }
            row = connection.execute(
                update(runs)
                .where(*_same(run), runs.c.state == RunState.SUBMITTED)
                .values(state=state, outcome=said, finished_at=now)
                .returning(*runs.c)
            ).first()
            if row is None:
                return None
            if promote is not None:
                name, version, _ = promote
                add_promotion(
                    connection,
                    project_id,
                    name,
                    version,
                    kind="schedule",
                    actor=f"schedule {run.schedule_id}",
                    reason=said,
                    now=now,
                )
            insert_calls(connection, calls, now=now)
            return _run(row)

    def list_runs(
        self, project_id: str, schedule_id: str, *, limit: int, after: str | None = None
    ) -> tuple[list[Run], str | None]:
        """A page of a schedule's runs, newest date first; the cursor is a local date."""
        known_id(schedule_id, noun="schedule")
        query = select(runs).where(runs.c.schedule_id == schedule_id)
        if after is not None:
            query = query.where(runs.c.local_date < after)
        with self.read() as connection:
            owned(connection, project_id, schedule_id)
            rows = connection.execute(
                query.order_by(runs.c.local_date.desc()).limit(limit + 1)
            ).all()
        items, more = page([_run(row) for row in rows], limit=limit)
        return items, items[-1].local_date if more else None

    def last_run(self, schedule_id: str, *states: RunState) -> Run | None:
        """The newest run of a schedule that is in one of these states."""
        query = (
            select(runs)
            .where(runs.c.schedule_id == schedule_id, runs.c.state.in_(states))
            .order_by(runs.c.local_date.desc())
            .limit(1)
        )
        with self.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _run(row)


def _is_promoted(connection: Connection, project_id: str, name: str) -> bool:
    query = select(promotions.c.seq).where(
        promotions.c.project_id == project_id, promotions.c.name == name
    )
    return connection.execute(query.limit(1)).first() is not None


def _same(key: Any) -> tuple[Any, ...]:
    return runs.c.schedule_id == key.schedule_id, runs.c.local_date == key.local_date


def _held(run: Run) -> tuple[Any, ...]:
    return *_same(run), runs.c.state == RunState.DECIDING, runs.c.epoch == run.epoch


def _noted(connection: Connection, run: Run) -> Json:
    """What was noted while it was being decided; nothing where somebody else decides it."""
    found = connection.execute(select(runs.c.decision).where(*_held(run))).first()
    return {} if found is None else found.decision or {}


def _lost(run: Run) -> LostLease:
    return LostLease(
        f"the run {run.local_date} of schedule {run.schedule_id} is no longer held under epoch "
        f"{run.epoch}; nothing was written"
    )


def _run(row: AnyRow) -> Run:
    values = row._asdict()
    values["state"] = RunState(values["state"])
    return Run(**values)
