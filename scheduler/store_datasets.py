"""Data sets: INGESTING, then READY or INVALID, in the end DELETED."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, exc, func, insert, or_, select, update

from automl.cost import Cost
from scheduler.errors import Conflict, Gone
from scheduler.records import FINAL, DatasetState, Job, JobState, StoredDataset
from scheduler.store_audit import append_audit
from scheduler.store_engine import Database
from scheduler.store_rows import (
    known_id,
    lock_project,
    move_job,
    older_than,
    page,
    to_dataset,
    to_job,
    unknown,
)
from scheduler.tables import (
    dataset_tables,
    datasets,
    jobs,
    models,
    observations,
    outcomes,
    predictions,
)

DATA_DELETED = {"code": "data_deleted", "detail": "the data set was deleted while the job was open"}
_LIVE = (DatasetState.INGESTING, DatasetState.READY)


class DatasetStore(Database):
    """Data sets of a project; the same bytes read in the same way are one data set."""

    def add_dataset(self, dataset: StoredDataset) -> tuple[StoredDataset, bool]:
        """Store a data set, or find the live one of the same project and fingerprint.

        One with a `base_id` becomes the next version of its base's series. Raises Conflict
        `newer_version` when the base is not the newest one, `dataset_not_ready` when it, or one of
        the data sets that it is put together from, is not READY; Gone when it was deleted.

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
                if dataset.base_id is not None:
                    known = _live(connection, dataset)
                    if known is not None:
                        return known, False
                    values |= _next_version(connection, dataset)
                try:
                    with connection.begin_nested():
                        row = connection.execute(
                            insert(datasets).values(values).returning(*datasets.c)
                        ).one()
                    if dataset.sources:
                        _check_sources(connection, dataset)
                        connection.execute(
                            insert(dataset_tables),
                            [
                                {"dataset_id": dataset.id, "name": name, "source_id": source}
                                for name, source in dataset.sources.items()
                            ],
                        )
                    return to_dataset(row), True
                except exc.IntegrityError:
                    known = _live(connection, dataset)
                    if known is not None:
                        return known, False
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

    def versions_of(self, project_id: str, dataset_id: str) -> list[StoredDataset]:
        """The versions that a data set is made of, the first one first, itself last.

        Each stores only the rows that it added; one of several tables has all of its rows, and is
        made of nothing but itself. Raises UnknownRecord.
        """
        dataset = self.get_dataset(project_id, dataset_id)
        if dataset.base_id is None or dataset.spec is not None:
            return [dataset]
        with self.read() as connection:
            series = {one.id: one for one in _series(connection, dataset)}
        found = [dataset]
        while found[-1].base_id is not None:
            found.append(series[found[-1].base_id])
        return found[::-1]

    def series(self, project_id: str, dataset_id: str) -> list[StoredDataset]:
        """Every version of a data set's series in its order, also those deleted or INVALID."""
        dataset = self.get_dataset(project_id, dataset_id)
        with self.read() as connection:
            return _series(connection, dataset)

    def newest_version(self, project_id: str, dataset_id: str) -> StoredDataset:
        """The newest version of a data set's series that was not deleted and is not INVALID.

        Where there is none, the data set itself, as it is. Raises UnknownRecord.
        """
        dataset = self.get_dataset(project_id, dataset_id)
        with self.read() as connection:
            usable = [one for one in _series(connection, dataset) if one.state in _LIVE]
        return usable[-1] if usable else dataset

    def built_on(self, project_id: str, dataset_id: str) -> list[str]:
        """Ids of the later versions that need a data set's rows, and of what was put together.

        They are deleted with it, what was put together from it only by force.
        """
        dataset = self.get_dataset(project_id, dataset_id)
        with self.read() as connection:
            versions = _descendants(connection, dataset)
            family = [dataset.id, *(one.id for one in versions)]
            return [*family[1:], *(one.id for one in _made_of(connection, family))]

    def delete_dataset(
        self,
        project_id: str,
        dataset_id: str,
        *,
        force: bool,
        now: datetime,
        actor: str = "service",
    ) -> tuple[StoredDataset, list[str]]:
        """Forget the rows, profile and problem of a data set; its name and figures stay on record.

        The versions that build on it go with it, and with the last version that is left of a
        series the labels that came later; of others the caller takes those of their rows out of
        their files. With `force`, open jobs on them end too: those that wait are CANCELLED here,
        the one that runs is asked to stop, and can register no model any more.

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
            lock_project(connection, project_id)
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
            family = [dataset, *_descendants(connection, dataset)]
            made = _made_of(connection, [one.id for one in family])
            if made and not force:
                names = ", ".join(one.id for one in made[:5])
                raise Conflict(
                    f"{len(made)} data set(s) of several tables were made of data set "
                    f"{dataset_id}: {names}; delete them first, or all together with force",
                    code="dataset_in_use",
                )
            family += made
            ids = [one.id for one in family]
            unfinished = jobs.c.state.not_in(FINAL)
            rows = connection.execute(
                select(jobs).where(jobs.c.dataset_id.in_(ids), unfinished).with_for_update()
            )
            open_jobs = [to_job(row) for row in rows]
            if open_jobs and not force:
                later = "" if len(ids) == 1 else f" or the {len(ids) - 1} version(s) built on it"
                raise Conflict(
                    f"{len(open_jobs)} unfinished job(s) use data set {dataset_id}{later}",
                    code="dataset_in_use",
                )
            for job in open_jobs:
                move_job(
                    connection, job.id, unfinished, now=now, problem=DATA_DELETED, **_stop(job, now)
                )
            connection.execute(
                update(datasets)
                .where(datasets.c.id.in_(ids))
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
            )
            deleted = connection.execute(select(datasets).where(datasets.c.id == dataset_id)).one()
            keys = [key for one in family for key in (one.upload, one.artifact)]
            late = outcomes.c.root_id.in_(_ended(connection, family))
            keys += connection.scalars(select(outcomes.c.artifact).where(late)).all()
            connection.execute(update(outcomes).where(late).values(artifact=None))
            gone = predictions.c.dataset_id.in_(ids)
            keys += connection.scalars(select(predictions.c.artifact).where(gone)).all()
            connection.execute(
                update(predictions)
                .where(gone)
                .values(state="DELETED", artifact=None, report=None, owner=None, lease_until=None)
            )
            # Histograms of rows that are gone go with them, though their models stay.
            trained = select(models.c.id).where(models.c.dataset_id.in_(ids))
            connection.execute(delete(observations).where(observations.c.model_id.in_(trained)))
            append_audit(
                connection,
                project_id,
                actor=actor,
                action="dataset.delete",
                subject=f"dataset {dataset_id}",
                details={"versions": ids, "force": force},
                now=now,
            )
        return to_dataset(deleted), [key for key in keys if key is not None]


def _live(connection: Connection, dataset: StoredDataset) -> StoredDataset | None:
    """The live data set of the same project and fingerprint."""
    row = connection.execute(
        select(datasets).where(
            datasets.c.project_id == dataset.project_id,
            datasets.c.fingerprint == dataset.fingerprint,
            datasets.c.state.in_(_LIVE),
        )
    ).first()
    return None if row is None else to_dataset(row)


def _series(connection: Connection, dataset: StoredDataset) -> list[StoredDataset]:
    """Every version of a data set's series, deleted ones too, in their order."""
    root = dataset.root_id or dataset.id
    query = select(datasets).where(
        datasets.c.project_id == dataset.project_id,
        or_(datasets.c.id == root, datasets.c.root_id == root),
    )
    return [to_dataset(row) for row in connection.execute(query.order_by(datasets.c.version))]


def _ended(connection: Connection, gone: list[StoredDataset]) -> list[str]:
    """First versions of the series of deleted data sets of which no version is left."""
    roots = {one.root_id or one.id for one in gone}
    root = func.coalesce(datasets.c.root_id, datasets.c.id)
    live = select(root).where(root.in_(roots), datasets.c.state.in_(_LIVE))
    return sorted(roots - set(connection.scalars(live)))


def _descendants(connection: Connection, dataset: StoredDataset) -> list[StoredDataset]:
    """The versions that need the rows of this one, in their order, without deleted ones.

    None where the data set is of several tables: each version of those has all of its rows.
    """
    if dataset.spec is not None:
        return []
    needed = {dataset.id}
    found = []
    for one in _series(connection, dataset):
        if one.base_id in needed:
            needed.add(one.id)
            if one.state is not DatasetState.DELETED:
                found.append(one)
    return found


def _made_of(connection: Connection, ids: list[str]) -> list[StoredDataset]:
    """The data sets that were put together from any of these, and from those, undeleted ones."""
    found: dict[str, StoredDataset] = {}
    looked = list(ids)
    while looked:
        made = select(dataset_tables.c.dataset_id).where(dataset_tables.c.source_id.in_(looked))
        rows = connection.execute(
            select(datasets).where(
                datasets.c.id.in_(made), datasets.c.state != DatasetState.DELETED
            )
        )
        new = [one for one in map(to_dataset, rows) if one.id not in found and one.id not in ids]
        found |= {one.id: one for one in new}
        looked = [one.id for one in new]
    return list(found.values())


def _check_sources(connection: Connection, dataset: StoredDataset) -> None:
    """Raises unless all data sets that one is put together from are READY, held until the end."""
    lock_project(connection, dataset.project_id)
    for name, source in dataset.sources.items():
        row = connection.execute(
            select(datasets.c.state).where(
                datasets.c.id == source, datasets.c.project_id == dataset.project_id
            )
        ).first()
        if row is None:
            raise unknown(f"data set for the table {name!r}")
        if row.state == DatasetState.DELETED:
            raise Gone(f"the data set of the table {name!r} was deleted")
        if row.state != DatasetState.READY:
            raise Conflict(
                f"the data set of the table {name!r} is {row.state}, not READY",
                code="dataset_not_ready",
            )


def _next_version(connection: Connection, dataset: StoredDataset) -> dict[str, Any]:
    """The place of a new version in its series, which is held until the transaction ends."""
    lock_project(connection, dataset.project_id)
    row = connection.execute(
        select(datasets).where(
            datasets.c.id == dataset.base_id, datasets.c.project_id == dataset.project_id
        )
    ).first()
    if row is None:
        raise unknown("data set")
    base = to_dataset(row)
    if base.state is DatasetState.DELETED:
        raise Gone("the data set was deleted")
    series = _series(connection, base)
    newest = [one for one in series if one.state in _LIVE][-1:]
    if newest and newest[0].id != base.id:
        raise Conflict(
            f"data set {base.id} is not the newest version: append to {newest[0].id}, version "
            f"{newest[0].version}",
            code="newer_version",
        )
    if base.state is not DatasetState.READY:
        raise Conflict(f"the data set is {base.state}, not READY", code="dataset_not_ready")
    return {"root_id": base.root_id or base.id, "version": series[-1].version + 1}


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
