"""Predictions for all rows of a data set: RUNNING, then DONE or FAILED, in the end DELETED."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, or_, select, update

from automl.cost import Cost
from scheduler.errors import Conflict
from scheduler.records import Batch, DatasetState
from scheduler.store_engine import Database
from scheduler.store_rows import known_id, lock_project, older_than, page, unknown
from scheduler.tables import datasets, predictions


class PredictionStore(Database):
    """What whole data sets were predicted to be; it goes when their rows go."""

    def add_batch(self, batch: Batch) -> Batch:
        """Store a piece of work that begins. Raises Conflict `dataset_not_ready`."""
        values = {
            column.name: getattr(batch, column.name)
            for column in predictions.c
            if column.name not in ("owner", "lease_until", "cost")
        }
        with self.write() as connection:
            lock_project(connection, batch.project_id)  # a deletion comes before, or sees this row
            ready = select(datasets.c.id).where(
                datasets.c.id == batch.dataset_id,
                datasets.c.project_id == batch.project_id,
                datasets.c.state == DatasetState.READY,
            )
            if connection.execute(ready).first() is None:
                raise Conflict("the data set is not READY", code="dataset_not_ready")
            row = connection.execute(
                insert(predictions).values(values).returning(*predictions.c)
            ).one()
        return _to_batch(row)

    def get_batch(self, project_id: str, batch_id: str) -> Batch:
        """One of this project, also a deleted one. Raises UnknownRecord."""
        known_id(batch_id, noun="predictions")
        with self.read() as connection:
            row = connection.execute(
                select(predictions).where(
                    predictions.c.id == batch_id, predictions.c.project_id == project_id
                )
            ).first()
        if row is None:
            raise unknown("predictions")
        return _to_batch(row)

    def list_batches(
        self, project_id: str, *, limit: int, after: str | None = None
    ) -> tuple[list[Batch], str | None]:
        """A page of the project's, newest first, without the deleted ones."""
        query = select(predictions).where(
            predictions.c.project_id == project_id, predictions.c.state != "DELETED"
        )
        with self.read() as connection:
            if after is not None:
                query = query.where(
                    older_than(
                        connection,
                        predictions,
                        predictions.c.created_at,
                        after,
                        project_id=project_id,
                    )
                )
            query = query.order_by(predictions.c.created_at.desc(), predictions.c.id.desc())
            rows = connection.execute(query.limit(limit + 1)).all()
        items, more = page([_to_batch(row) for row in rows], limit=limit)
        return items, items[-1].id if more else None

    def running_batches(self) -> list[Batch]:
        """Every one that is not ended, oldest first: what a restart must begin again."""
        query = select(predictions).where(predictions.c.state == "RUNNING")
        with self.read() as connection:
            rows = connection.execute(query.order_by(predictions.c.created_at, predictions.c.id))
            return [_to_batch(row) for row in rows]

    def claim_batch(
        self, batch_id: str, *, owner: str, lease_seconds: float, now: datetime
    ) -> bool:
        """Take, or keep, the right to work on it; False when another has it or it is no more."""
        free = or_(
            predictions.c.owner.is_(None),
            predictions.c.owner == owner,
            predictions.c.lease_until.is_(None),
            predictions.c.lease_until <= now,
        )
        with self.write() as connection:
            claimed = connection.execute(
                update(predictions)
                .where(predictions.c.id == batch_id, predictions.c.state == "RUNNING", free)
                .values(owner=owner, lease_until=now + timedelta(seconds=lease_seconds))
            )
            return claimed.rowcount == 1

    def finish_batch(
        self,
        batch_id: str,
        *,
        now: datetime,
        artifact: str,
        n_rows: int,
        n_bytes: int,
        report: Mapping[str, Any],
        cost: Cost,
    ) -> Batch:
        """RUNNING -> DONE. Raises Conflict when it was deleted meanwhile."""
        return self._end_batch(
            batch_id,
            now=now,
            state="DONE",
            artifact=artifact,
            n_rows=n_rows,
            bytes=n_bytes,
            report=dict(report),
            cost=cost.to_json(),
        )

    def fail_batch(self, batch_id: str, *, problem: Mapping[str, Any], now: datetime) -> Batch:
        """RUNNING -> FAILED with the reason. Raises Conflict as `finish_batch` does."""
        return self._end_batch(batch_id, now=now, state="FAILED", problem=dict(problem))

    def _end_batch(self, batch_id: str, *, now: datetime, **values: Any) -> Batch:
        with self.write() as connection:
            row = connection.execute(
                update(predictions)
                .where(predictions.c.id == batch_id, predictions.c.state == "RUNNING")
                .values(finished_at=now, owner=None, lease_until=None, **values)
                .returning(*predictions.c)
            ).first()
        if row is None:
            raise Conflict("the predictions are not being made any more")
        return _to_batch(row)

    def delete_batch(self, project_id: str, batch_id: str) -> str | None:
        """Forget one; the key of the artifact that the caller deletes. Raises UnknownRecord."""
        batch = self.get_batch(project_id, batch_id)
        with self.write() as connection:
            connection.execute(
                update(predictions)
                .where(predictions.c.id == batch_id)
                .values(state="DELETED", artifact=None, report=None, owner=None, lease_until=None)
            )
        return batch.artifact


def _to_batch(row: Row[Any]) -> Batch:
    values = row._asdict()
    del values["owner"], values["lease_until"]
    values["cost"] = None if values["cost"] is None else Cost(**values["cost"])
    return Batch(**values)
