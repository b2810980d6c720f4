"""What the parts of the store share: rows to records, pages, and moves that leave an event."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, insert, or_, select, update

from automl.cost import Cost
from automl.errors import DataError
from automl.trial import Proposal, Trial
from scheduler.errors import LostLease, UnknownRecord
from scheduler.records import (
    DatasetState,
    Event,
    Job,
    JobState,
    Json,
    Model,
    StoredDataset,
    StoredTrial,
)
from scheduler.tables import events, jobs, projects

AnyRow = Row[Any]
Record = TypeVar("Record")

_ID = re.compile(r"[0-9a-f]{32}")


def known_id(value: str, *, noun: str) -> str:
    """The id itself; raises UnknownRecord for anything that no id of ours looks like."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise unknown(noun)
    return value


def unknown(noun: str) -> UnknownRecord:
    """The same words for what never existed and for what belongs to another project."""
    return UnknownRecord(f"there is no such {noun}")


def to_dataset(row: AnyRow) -> StoredDataset:
    """A data set from a whole row."""
    values = row._asdict()
    del values["owner"], values["lease_until"]
    values["cost"] = None if values["cost"] is None else Cost(**values["cost"])
    values["state"] = DatasetState(values["state"])
    return StoredDataset(**values)


def to_job(row: AnyRow) -> Job:
    """A job from a whole row."""
    values = row._asdict()
    del values["last_event"]
    values["state"] = JobState(values["state"])
    values["warnings"] = tuple(values["warnings"])
    return Job(**values)


def to_model(row: AnyRow) -> Model:
    """A model from a whole row."""
    return Model(**row._asdict())


def to_trial(row: AnyRow) -> StoredTrial:
    """A trial, begun or ended, from a whole row."""
    return StoredTrial(
        job_id=row.job_id,
        number=row.number,
        proposal=Proposal.from_json(row.proposal),
        expected=Cost(**row.expected),
        started_at=row.started_at,
        finished_at=row.finished_at,
        trial=None if row.trial is None else Trial.from_json(row.trial),
    )


def to_event(row: AnyRow) -> Event:
    """An event from a whole row."""
    return Event(**row._asdict())


def page(records: Sequence[Record], *, limit: int) -> tuple[list[Record], bool]:
    """The first `limit` of one more than asked for, and whether there are more."""
    return list(records[:limit]), len(records) > limit


def older_than(
    connection: Connection, table: Table, at: ColumnElement[Any], after: str, *, project_id: str
) -> ColumnElement[bool]:
    """What comes after the record `after` in a list that is newest first.

    Raises DataError `invalid_cursor` when the project has no such record.
    """
    found = connection.execute(
        select(at).where(table.c.id == after, table.c.project_id == project_id)
    ).first()
    if found is None:
        raise DataError(
            "the cursor is of no record in this list",
            code="invalid_cursor",
            details={"field": "cursor"},
        )
    return or_(at < found[0], and_(at == found[0], table.c.id < after))


def move_job(
    connection: Connection,
    job_id: str,
    *conditions: ColumnElement[bool],
    kind: str,
    data: Json,
    now: datetime,
    **values: Any,
) -> Job | None:
    """One conditional UPDATE of a job with its event; None when the conditions do not hold.

    The event's number comes from the job's own row, so that numbers are without gaps and a reader
    who has seen number n can miss none below it.
    """
    row = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, *conditions)
        .values(last_event=jobs.c.last_event + 1, **values)
        .returning(*jobs.c)
    ).first()
    if row is None:
        return None
    connection.execute(
        insert(events).values(job_id=job_id, seq=row.last_event, at=now, kind=kind, data=dict(data))
    )
    return to_job(row)


def lost(job_id: str, epoch: int) -> LostLease:
    """What a worker is told whose write matched no row."""
    return LostLease(f"job {job_id} is no longer held under epoch {epoch}; nothing was written")


def lock_project(connection: Connection, project_id: str) -> bool:
    """Hold a project's row until the transaction ends; False when there is none."""
    found = select(projects.c.id).where(projects.c.id == project_id).with_for_update()
    return connection.scalar(found) is not None
