"""Schedules, and their runs: one row for each local date, which is what makes it happen once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, exc, func, insert, or_, select, update

from scheduler.errors import Conflict, LostLease
from scheduler.records import FINAL, Job, Json
from scheduler.records_schedules import Run, RunState, Schedule, ScheduleState
from scheduler.store_audit import append_audit
from scheduler.store_engine import Database
from scheduler.store_jobs import insert_job
from scheduler.store_outbox import Call, insert_calls
from scheduler.store_promotions import add_promotion, is_kept, served
from scheduler.store_rows import (
    AnyRow,
    known_id,
    lock_project,
    older_than,
    page,
    to_job,
    unknown,
)
from scheduler.tables import jobs, promotions, runs, schedules

# A daily run is due within two days: what lies further off was written under a wrong clock.
FURTHEST = timedelta(days=3)
MOST_SCHEDULES = 1000  # of a project


class ScheduleStore(Database):
    """Daily schedules of a project and what became of each of their dates."""

    def add_schedule(self, schedule: Schedule, *, actor: str) -> Schedule:
        """Keep a new schedule. Raises Conflict `too_many_schedules`."""
        with self.write() as connection:
            if not lock_project(connection, schedule.project_id):
                raise unknown("project")
            count = connection.scalar(
                select(func.count())
                .select_from(schedules)
                .where(
                    schedules.c.project_id == schedule.project_id,
                    schedules.c.state != ScheduleState.DELETED,
                )
            )
            if count is not None and count >= MOST_SCHEDULES:
                raise Conflict(
                    f"the project has {count} schedules; at most {MOST_SCHEDULES}",
                    code="too_many_schedules",
                )
            connection.execute(
                insert(schedules).values(
                    id=schedule.id,
                    project_id=schedule.project_id,
                    name=schedule.name,
                    request=dict(schedule.request),
                    state=schedule.state,
                    created_at=schedule.created_at,
                    next_at=schedule.next_at,
                    next_date=schedule.next_date,
                )
            )
            append_audit(
                connection,
                schedule.project_id,
                actor=actor,
                action="schedule.create",
                subject=f"schedule {schedule.id}",
                details={"promote": schedule.request.get("promote")},
                now=schedule.created_at,
            )
        return schedule

    def get_schedule(self, project_id: str, schedule_id: str) -> Schedule:
        """A schedule of this project that was not deleted. Raises UnknownRecord."""
        known_id(schedule_id, noun="schedule")
        with self.read() as connection:
            return _owned(connection, project_id, schedule_id)

    def list_schedules(
        self, project_id: str, *, limit: int, after: str | None = None
    ) -> tuple[list[Schedule], str | None]:
        """A page of the project's schedules, newest first. Raises DataError `invalid_cursor`."""
        query = select(schedules).where(
            schedules.c.project_id == project_id, schedules.c.state != ScheduleState.DELETED
        )
        with self.read() as connection:
            if after is not None:
                at = schedules.c.created_at
                query = query.where(
                    older_than(connection, schedules, at, after, project_id=project_id)
                )
            query = query.order_by(schedules.c.created_at.desc(), schedules.c.id.desc())
            rows = connection.execute(query.limit(limit + 1)).all()
        items, more = page([_schedule(row) for row in rows], limit=limit)
        return items, items[-1].id if more else None

    def move_schedule(
        self,
        project_id: str,
        schedule_id: str,
        *,
        state: ScheduleState,
        next_at: datetime | None,
        next_date: str | None,
        actor: str,
        now: datetime,
    ) -> Schedule:
        """Pause, resume or delete a schedule; a second time changes nothing.

        Raises UnknownRecord, also for one that was deleted.
        """
        known_id(schedule_id, noun="schedule")
        with self.write() as connection:
            lock_project(connection, project_id)
            schedule = _owned(connection, project_id, schedule_id)
            if schedule.state is state:
                return schedule
            row = connection.execute(
                update(schedules)
                .where(schedules.c.id == schedule_id)
                .values(state=state, next_at=next_at, next_date=next_date)
                .returning(*schedules.c)
            ).one()
            append_audit(
                connection,
                project_id,
                actor=actor,
                action=f"schedule.{_VERB[state]}",
                subject=f"schedule {schedule_id}",
                details={},
                now=now,
            )
            return _schedule(row)

    def due_schedules(self, now: datetime, *, limit: int = 100) -> list[Schedule]:
        """ACTIVE schedules whose next run is due, or lies where only a wrong clock put it."""
        late = or_(schedules.c.next_at <= now, schedules.c.next_at > now + FURTHEST)
        query = (
            select(schedules)
            .where(schedules.c.state == ScheduleState.ACTIVE, late)
            .order_by(schedules.c.next_at, schedules.c.id)
            .limit(limit)
        )
        with self.read() as connection:
            return [_schedule(row) for row in connection.execute(query)]

    def open_run(
        self,
        schedule: Schedule,
        *,
        local_date: date | None,
        due_at: datetime,
        missed: int,
        next_at: datetime,
        next_date: date,
    ) -> bool:
        """Move a schedule on, and open the run of a date unless that date has one.

        Nothing happens, and False comes back, when another service was quicker. Without a date
        the schedule only moves on.
        """
        with self.write() as connection:
            moved = connection.execute(
                update(schedules)
                .where(
                    schedules.c.id == schedule.id,
                    schedules.c.state == ScheduleState.ACTIVE,
                    schedules.c.next_at == schedule.next_at,
                )
                .values(next_at=next_at, next_date=next_date.isoformat())
            )
            if moved.rowcount != 1:
                return False
            if local_date is None:
                return True
            try:
                with connection.begin_nested():
                    connection.execute(
                        insert(runs).values(
                            schedule_id=schedule.id,
                            local_date=local_date.isoformat(),
                            state=RunState.DECIDING,
                            due_at=due_at,
                            missed=missed,
                            epoch=0,
                        )
                    )
            except exc.IntegrityError:  # the date had its run, before a clock went back
                return False
            return True

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
            return _schedule(known), _run(row)

    def keep_run(self, run: Run, *, until: datetime | None) -> None:
        """Keep the right to decide a run, or (None) give it back. Raises LostLease."""
        with self.write() as connection:
            kept = connection.execute(update(runs).where(*_held(run)).values(lease_until=until))
            if kept.rowcount != 1:
                raise _lost(run)

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
                    decision=dict(decision),
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
                    decision=dict(decision),
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
                found.append((_schedule(known), run, to_job(job)))
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
            _owned(connection, project_id, schedule_id)
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


_VERB = {
    ScheduleState.ACTIVE: "resume",
    ScheduleState.PAUSED: "pause",
    ScheduleState.DELETED: "delete",
}


def _owned(connection: Connection, project_id: str, schedule_id: str) -> Schedule:
    row = connection.execute(
        select(schedules).where(
            schedules.c.id == schedule_id,
            schedules.c.project_id == project_id,
            schedules.c.state != ScheduleState.DELETED,
        )
    ).first()
    if row is None:
        raise unknown("schedule")
    return _schedule(row)


def _is_promoted(connection: Connection, project_id: str, name: str) -> bool:
    query = select(promotions.c.seq).where(
        promotions.c.project_id == project_id, promotions.c.name == name
    )
    return connection.execute(query.limit(1)).first() is not None


def _same(key: Any) -> tuple[Any, ...]:
    return runs.c.schedule_id == key.schedule_id, runs.c.local_date == key.local_date


def _held(run: Run) -> tuple[Any, ...]:
    return *_same(run), runs.c.state == RunState.DECIDING, runs.c.epoch == run.epoch


def _lost(run: Run) -> LostLease:
    return LostLease(
        f"the run {run.local_date} of schedule {run.schedule_id} is no longer held under epoch "
        f"{run.epoch}; nothing was written"
    )


def _schedule(row: AnyRow) -> Schedule:
    values = row._asdict()
    values["state"] = ScheduleState(values["state"])
    return Schedule(**values)


def _run(row: AnyRow) -> Run:
    values = row._asdict()
    values["state"] = RunState(values["state"])
    return Run(**values)
