"""Daily schedules: what is to be trained again, whether it goes on, and when it is due next."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import Connection, exc, func, insert, or_, select, update

from scheduler.errors import Conflict
from scheduler.records_schedules import RunState, Schedule, ScheduleState
from scheduler.store_audit import append_audit
from scheduler.store_engine import Database
from scheduler.store_rows import AnyRow, known_id, lock_project, older_than, page, unknown
from scheduler.tables import runs, schedules

# A daily run is due within two days: what lies further off was written under a wrong clock.
FURTHEST = timedelta(days=3)
MOST_SCHEDULES = 1000  # of a project


class ScheduleStore(Database):
    """Daily schedules of a project."""

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
            return owned(connection, project_id, schedule_id)

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
        items, more = page([to_schedule(row) for row in rows], limit=limit)
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
            schedule = owned(connection, project_id, schedule_id)
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
            return to_schedule(row)

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
            return [to_schedule(row) for row in connection.execute(query)]

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


_VERB = {
    ScheduleState.ACTIVE: "resume",
    ScheduleState.PAUSED: "pause",
    ScheduleState.DELETED: "delete",
}


def owned(connection: Connection, project_id: str, schedule_id: str) -> Schedule:
    """A schedule of this project that was not deleted. Raises UnknownRecord."""
    row = connection.execute(
        select(schedules).where(
            schedules.c.id == schedule_id,
            schedules.c.project_id == project_id,
            schedules.c.state != ScheduleState.DELETED,
        )
    ).first()
    if row is None:
        raise unknown("schedule")
    return to_schedule(row)


def to_schedule(row: AnyRow) -> Schedule:
    """A schedule from a whole row."""
    values = row._asdict()
    values["state"] = ScheduleState(values["state"])
    return Schedule(**values)
