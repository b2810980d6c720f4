"""Data sets: INGESTING, then READY or INVALID, in the end DELETED."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exc, insert, or_, select, update

from automl.cost import Cost
from scheduler.errors import Conflict
from scheduler.records import FINAL, DatasetState, Job, JobState, StoredDataset
from scheduler.store_engine import Database
from scheduler.store_rows import (
    known_id,
    move_job,
    older_than,
    page,
    to_dataset,
    to_job,
    unknown,
)
from scheduler.tables import datasets, jobs

DATA_DELETED = {"code": "data_deleted", "detail": "the data set was deleted while the job was open"}
_LIVE = (DatasetState.INGESTING, DatasetState.READY)


class DatasetStore(Database):
    """Data sets of a project; the same bytes read in the same way are one data set."""

    def add_dataset(self, dataset: StoredDataset) -> tuple[StoredDataset, bool]:
        """Store a data set, or find the live one of the same project and fingerprint.

        Returns
        -------
        (StoredDataset, bool)
            What is in the store now, and whether it was created by this call.
        """
        values: dict[str, Any] = {
            column.name: getattr(dataset, column.name)
            for column in datasets.c
            if column.name not in ("owner", "lease_until", "cost")
        }
        values["cost"] = None if dataset.cost is None else dataset.cost.to_json()
        values["options"] = dict(dataset.options)
        values["updated_at"] = dataset.updated_at or dataset.created_at
        for _ in range(5):
            with self.write() as connection:
                try:
                    with connection.begin_nested():
                        row = connection.execute(
                            insert(datasets).values(values).returning(*datasets.c)
                        ).one()
                    return to_dataset(row), True
                except exc.IntegrityError:
                    found = connection.execute(
                        select(datasets).where(
                            datasets.c.project_id == dataset.project_id,
                            datasets.c.fingerprint == dataset.fingerprint,
                            datasets.c.state.in_(_LIVE),
                        )
                    ).first()
                    if found is not None:
                        return to_dataset(found), False
            # The other one was deleted between the two statements: there is room for this one now.
        raise Conflict("the data set could not be stored: its id or project contradicts the store")

    def get_dataset(self, project_id: str, dataset_id: str) -> StoredDataset:
        """A data set of this project, also a deleted one. Raises UnknownRecord."""
        known_id(dataset_id, noun="data set")
        with self.read() as connection:
            row = connection.execute(
                select(datasets).where(
                    datasets.c.id == dataset_id, datasets.c.project_id == project_id
                )
            ).first()
        if row is None:
            raise unknown("data set")
        return to_dataset(row)

    def list_datasets(
        self, project_id: str, *, limit: int, after: str | None = None
    ) -> tuple[list[StoredDataset], str | None]:
        """A page of the project's data sets, newest first, without the deleted ones.

        `after` is the cursor that came with the page before. Raises DataError `invalid_cursor`.
        """
        query = select(datasets).where(
            datasets.c.project_id == project_id, datasets.c.state != DatasetState.DELETED
        )
        with self.read() as connection:
            if after is not None:
                query = query.where(
                    older_than(
                        connection, datasets, datasets.c.created_at, after, project_id=project_id
                    )
                )
            query = query.order_by(datasets.c.created_at.desc(), datasets.c.id.desc())
            rows = connection.execute(query.limit(limit + 1)).all()
        items, more = page([to_dataset(row) for row in rows], limit=limit)
        return items, items[-1].id if more else None

    def ingesting(self) -> list[StoredDataset]:
        """Every data set that is still being read in, oldest first: what a restart must resume."""
        query = select(datasets).where(datasets.c.state == DatasetState.INGESTING)
        with self.read() as connection:
            rows = connection.execute(query.order_by(datasets.c.created_at, datasets.c.id))
            return [to_dataset(row) for row in rows]

    def claim_dataset(
        self, dataset_id: str, *, owner: str, lease_seconds: float, now: datetime
    ) -> bool:
        """Take, or keep, the right to read a data set in; False when another one holds it."""
        free = or_(
            datasets.c.owner.is_(None),
            datasets.c.owner == owner,
            datasets.c.lease_until.is_(None),
            datasets.c.lease_until <= now,
        )
        with self.write() as connection:
            claimed = connection.execute(
                update(datasets)
                .where(
                    datasets.c.id == dataset_id,
                    datasets.c.state == DatasetState.INGESTING,
                    free,
                )
                .values(owner=owner, lease_until=now + timedelta(seconds=lease_seconds))
            )
            return claimed.rowcount == 1

    def finish_dataset(
        self,
        dataset_id: str,
        *,
        artifact: str,
        n_rows: int,
        bytes_stored: int,
        profile: Mapping[str, Any],
        cost: Cost | None,
        now: datetime,
    ) -> StoredDataset:
        """INGESTING -> READY; the row makes the artifact visible and lets the upload go.

        Raises Conflict when it is no longer being read in (deleted meanwhile): the caller removes
        the artifact it wrote.
        """
        return self._end_ingestion(
            dataset_id,
            now=now,
            state=DatasetState.READY,
            artifact=artifact,
            n_rows=n_rows,
            bytes_stored=bytes_stored,
            profile=dict(profile),
            cost=None if cost is None else cost.to_json(),
        )

    def invalidate_dataset(
        self, dataset_id: str, *, problem: Mapping[str, Any], now: datetime
    ) -> StoredDataset:
        """INGESTING -> INVALID with the reason. Raises Conflict as `finish_dataset` does."""
        return self._end_ingestion(
            dataset_id, now=now, state=DatasetState.INVALID, problem=dict(problem)
        )

    def _end_ingestion(self, dataset_id: str, *, now: datetime, **values: Any) -> StoredDataset:
        with self.write() as connection:
            row = connection.execute(
                update(datasets)
                .where(datasets.c.id == dataset_id, datasets.c.state == DatasetState.INGESTING)
                .values(upload=None, owner=None, lease_until=None, updated_at=now, **values)
                .returning(*datasets.c)
            ).first()
            if row is None:
                raise Conflict(f"data set {dataset_id} is not being read in any more")
            return to_dataset(row)

    def delete_dataset(
        self, project_id: str, dataset_id: str, *, force: bool, now: datetime
    ) -> tuple[StoredDataset, list[str]]:
        """Forget the rows, profile and problem of a data set; its name and figures stay on record.

        With `force`, open jobs on it end too: those that wait are CANCELLED here, the one that
        runs is asked to stop, and can register no model any more.

        Returns
        -------
        (StoredDataset, list of str)
            The data set as it is now, and the keys of the artifacts that the caller deletes. A
            second call changes nothing and has no keys.

        Raises
        ------
        UnknownRecord, Conflict
            `dataset_in_use` when a job on it is still open and `force` is not given.
        """
        known_id(dataset_id, noun="data set")
        with self.write() as connection:
            row = connection.execute(
                select(datasets)
                .where(datasets.c.id == dataset_id, datasets.c.project_id == project_id)
                .with_for_update()
            ).first()
            if row is None:
                raise unknown("data set")
            dataset = to_dataset(row)
            if dataset.state is DatasetState.DELETED:
                return dataset, []
            unfinished = jobs.c.state.not_in(FINAL)
            rows = connection.execute(
                select(jobs).where(jobs.c.dataset_id == dataset_id, unfinished).with_for_update()
            )
            open_jobs = [to_job(row) for row in rows]
            if open_jobs and not force:
                raise Conflict(
                    f"{len(open_jobs)} unfinished job(s) use data set {dataset_id}",
                    code="dataset_in_use",
                )
            for job in open_jobs:
                move_job(
                    connection, job.id, unfinished, now=now, problem=DATA_DELETED, **_stop(job, now)
                )
            deleted = connection.execute(
                update(datasets)
                .where(datasets.c.id == dataset_id)
                .values(
                    state=DatasetState.DELETED,
                    upload=None,
                    artifact=None,
                    profile=None,
                    problem=None,
                    options={},
                    owner=None,
                    lease_until=None,
                    updated_at=now,
                )
                .returning(*datasets.c)
            ).one()
        keys = [key for key in (dataset.upload, dataset.artifact) if key is not None]
        return to_dataset(deleted), keys


def _stop(job: Job, now: datetime) -> dict[str, Any]:
    """How an open job ends when its data go."""
    if job.state is JobState.RUNNING:
        data = {"state": job.state, "cancel_requested": True, "problem": DATA_DELETED}
        return {"kind": "state", "data": data, "cancel_requested": True}
    data = {"state": JobState.CANCELLED, "problem": DATA_DELETED}
    return {
        "kind": "end",
        "data": data,
        "state": JobState.CANCELLED,
        "cancel_requested": True,
        "finished_at": now,
    }
