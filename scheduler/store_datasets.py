"""Data sets: INGESTING, then READY or INVALID, and the versions that belong to each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, exc, insert, or_, select, update

from automl.cost import Cost
from scheduler.errors import Conflict, Gone
from scheduler.records import DatasetState, StoredDataset
from scheduler.store_engine import Database
from scheduler.store_rows import known_id, lock_project, older_than, page, to_dataset, unknown
from scheduler.store_series import LIVE, descendants, made_of, next_version, series_of
from scheduler.tables import dataset_tables, datasets


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
                    values |= next_version(connection, dataset)
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
            series = {one.id: one for one in series_of(connection, dataset)}
        found = [dataset]
        while found[-1].base_id is not None:
            found.append(series[found[-1].base_id])
        return found[::-1]

    def series(self, project_id: str, dataset_id: str) -> list[StoredDataset]:
        """Every version of a data set's series in its order, also those deleted or INVALID."""
        dataset = self.get_dataset(project_id, dataset_id)
        with self.read() as connection:
            return series_of(connection, dataset)

    def newest_version(self, project_id: str, dataset_id: str) -> StoredDataset:
        """The newest version of a data set's series that was not deleted and is not INVALID.

        Where there is none, the data set itself, as it is. Raises UnknownRecord.
        """
        dataset = self.get_dataset(project_id, dataset_id)
        with self.read() as connection:
            usable = [one for one in series_of(connection, dataset) if one.state in LIVE]
        return usable[-1] if usable else dataset

    def built_on(self, project_id: str, dataset_id: str) -> list[str]:
        """Ids of the later versions that need a data set's rows, and of what was put together.

        They are deleted with it, what was put together from it only by force.
        """
        dataset = self.get_dataset(project_id, dataset_id)
        with self.read() as connection:
            versions = descendants(connection, dataset)
            family = [dataset.id, *(one.id for one in versions)]
            return [*family[1:], *(one.id for one in made_of(connection, family))]


def _live(connection: Connection, dataset: StoredDataset) -> StoredDataset | None:
    """The live data set of the same project and fingerprint."""
    row = connection.execute(
        select(datasets).where(
            datasets.c.project_id == dataset.project_id,
            datasets.c.fingerprint == dataset.fingerprint,
            datasets.c.state.in_(LIVE),
        )
    ).first()
    return None if row is None else to_dataset(row)


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
