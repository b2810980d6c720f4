"""The bill of a project: lines by job, phase and day, their sums, and who has to be billed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from automl.errors import DataError
from scheduler.ledger import INGEST, Group, LedgerFilter, LedgerLine, LedgerSum
from scheduler.records import FINAL, Job, Json, StoredDataset
from scheduler.store_engine import Database
from scheduler.store_outbox import Call, insert_calls
from scheduler.store_rows import page, to_dataset, to_job
from scheduler.tables import datasets, jobs, ledger

_LINES_PER_JOB = 8  # phases and days: enough of them to find as many jobs as asked for
_SEPARATOR = "~"  # of a cursor's parts; in no id, phase or day
_KEYS: dict[Group, ColumnElement[str]] = {
    "job": ledger.c.job_id,
    "dataset": ledger.c.dataset_id,
    "phase": ledger.c.phase,
    "day": ledger.c.day,
    # The two databases put nulls at opposite ends.
    "schedule": func.coalesce(ledger.c.schedule_id, ""),
}
_SUMS = (
    func.count(),
    func.sum(ledger.c.cpu_seconds),
    func.sum(ledger.c.joules),
    func.sum(ledger.c.gco2e),
    func.sum(func.coalesce(ledger.c.gco2e_at_submission, ledger.c.gco2e)),
)


def insert_lines(
    connection: Connection, lines: Sequence[LedgerLine], *, settle_at: datetime | None
) -> None:
    """Write the lines of whole jobs in place of those they had: a second time changes nothing."""
    for job_id in {line.job_id for line in lines}:
        connection.execute(delete(ledger).where(ledger.c.job_id == job_id))
    for line in lines:
        values = {column.name: getattr(line, column.name, None) for column in ledger.c}
        values |= {"intensity": dict(line.intensity), "settle_at": settle_at}
        connection.execute(insert(ledger).values(values))


class LedgerStore(Database):
    """Energy and carbon of everything that ran; it outlives the data and their names."""

    def ledger_lines(
        self, project_id: str, chosen: LedgerFilter, *, limit: int, after: str | None = None
    ) -> tuple[list[LedgerLine], str | None]:
        """A page of lines, the newest day first, and the cursor of the next page.

        Raises DataError `invalid_cursor`.
        """
        query = select(ledger).where(*_chosen(project_id, chosen))
        if after is not None:
            day, job_id, phase = _parts(after, 3)
            query = query.where(
                or_(
                    ledger.c.day < day,
                    and_(ledger.c.day == day, ledger.c.job_id > job_id),
                    and_(ledger.c.day == day, ledger.c.job_id == job_id, ledger.c.phase > phase),
                )
            )
        query = query.order_by(ledger.c.day.desc(), ledger.c.job_id, ledger.c.phase)
        with self.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        items, more = page([_line(row) for row in rows], limit=limit)
        last = items[-1] if items else None
        following = [last.day, last.job_id, last.phase] if more and last is not None else None
        return items, None if following is None else _SEPARATOR.join(following)

    def ledger_sums(
        self,
        project_id: str,
        chosen: LedgerFilter,
        *,
        group_by: Group,
        limit: int,
        after: str | None = None,
    ) -> tuple[list[LedgerSum], str | None]:
        """A page of sums by job, data set, phase, day or schedule, and the next page's cursor.

        Raises DataError `invalid_cursor`.
        """
        key = _KEYS[group_by]
        query: Select[Any] = select(key, *_SUMS).where(*_chosen(project_id, chosen)).group_by(key)
        if after is not None:
            (last,) = _parts(after.removeprefix("key" + _SEPARATOR), 1)
            query = query.where(key > last)
        with self.read() as connection:
            rows = connection.execute(query.order_by(key).limit(limit + 1)).all()
        items, more = page([_sum(row[0] or None, row[1:]) for row in rows], limit=limit)
        return items, f"key{_SEPARATOR}{items[-1].key or ''}" if more else None

    def ledger_total(self, project_id: str, chosen: LedgerFilter) -> LedgerSum:
        """The sum over all lines that are chosen."""
        query = select(*_SUMS).where(*_chosen(project_id, chosen))
        with self.read() as connection:
            return _sum(None, connection.execute(query).one())

    def settle(
        self,
        job_id: str,
        *,
        receipt: Json | None,
        lines: Sequence[LedgerLine],
        settle_at: datetime | None,
        calls: Sequence[Call] = (),
        now: datetime,
    ) -> bool:
        """Write the receipt and the lines of a job that ended, or (no receipt) of a data set.

        False, and nothing is written, when the job has not ended. A second time replaces the
        first: prices may be known better by then, which `settle_at` says.
        """
        with self.write() as connection:
            if receipt is not None:
                done = connection.execute(
                    update(jobs)
                    .where(jobs.c.id == job_id, jobs.c.state.in_(FINAL))
                    .values(receipt=dict(receipt))
                    .returning(jobs.c.id)
                ).first()
                if done is None:
                    return False
            insert_lines(connection, lines, settle_at=settle_at)
            insert_calls(connection, calls, now=now)
        return True

    def unsettled_jobs(self, *, now: datetime, limit: int) -> list[Job]:
        """Jobs that ended without a receipt, and those whose prices are to be looked up again.

        At most `limit` of each.
        """
        without = and_(jobs.c.receipt.is_(null()), jobs.c.finished_at.is_not(None))
        # Not DISTINCT: SQLite would read the whole ledger in the order of its key.
        again = (
            select(ledger.c.job_id)
            .where(ledger.c.settle_at <= now, ledger.c.phase != INGEST)
            .order_by(ledger.c.settle_at)
        )
        with self.read() as connection:
            rows = connection.execute(
                select(jobs).where(without).order_by(jobs.c.finished_at).limit(limit)
            ).all()
            lines = connection.scalars(again.limit(_LINES_PER_JOB * limit)).all()
            ids = list(dict.fromkeys(lines))[:limit]  # beside those that cannot be billed now
            if ids:
                rows = [*rows, *connection.execute(select(jobs).where(jobs.c.id.in_(ids)))]
        return [to_job(row) for row in rows]

    def unsettled_datasets(self, *, now: datetime, limit: int) -> list[StoredDataset]:
        """Data sets whose reading is metered but not in the ledger, or to be priced again."""
        billed = exists().where(ledger.c.job_id == datasets.c.id)
        again = exists().where(ledger.c.job_id == datasets.c.id, ledger.c.settle_at <= now)
        query = (
            select(datasets).where(datasets.c.cost.is_not(null()), or_(~billed, again)).limit(limit)
        )
        with self.read() as connection:
            return [to_dataset(row) for row in connection.execute(query)]


def _chosen(project_id: str, chosen: LedgerFilter) -> list[ColumnElement[bool]]:
    equal = {
        ledger.c.job_id: chosen.job_id,
        ledger.c.dataset_id: chosen.dataset_id,
        ledger.c.schedule_id: chosen.schedule_id,
        ledger.c.phase: chosen.phase,
    }
    found: list[ColumnElement[bool]] = [ledger.c.project_id == project_id]
    found += [column == value for column, value in equal.items() if value is not None]
    if chosen.first_day is not None:
        found.append(ledger.c.day >= chosen.first_day)
    if chosen.last_day is not None:
        found.append(ledger.c.day <= chosen.last_day)
    return found


def _parts(cursor: str, n: int) -> list[str]:
    parts = cursor.split(_SEPARATOR)
    if len(parts) != n:
        raise DataError(
            "the cursor is of no page of this list",
            code="invalid_cursor",
            details={"field": "cursor"},
        )
    return parts


def _line(row: Any) -> LedgerLine:
    values = row._asdict()
    del values["settle_at"]
    return LedgerLine(**values)


def _sum(key: str | None, row: Any) -> LedgerSum:
    n_lines, cpu_seconds, joules, gco2e, earlier = row
    return LedgerSum(
        key=key,
        n_lines=n_lines,
        cpu_seconds=float(cpu_seconds or 0),
        joules=float(joules or 0),
        gco2e=float(gco2e or 0),
        gco2e_at_submission=float(earlier or 0),
    )
