"""Data sets that belong together: versions of a series, and what was put together from them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, or_, select

from scheduler.errors import Conflict, Gone
from scheduler.records import DatasetState, StoredDataset
from scheduler.store_rows import lock_project, to_dataset, unknown
from scheduler.tables import dataset_tables, datasets

LIVE = (DatasetState.INGESTING, DatasetState.READY)


def series_of(connection: Connection, dataset: StoredDataset) -> list[StoredDataset]:
    """Every version of a data set's series, deleted ones too, in their order."""
    root = dataset.root_id or dataset.id
    query = select(datasets).where(
        datasets.c.project_id == dataset.project_id,
        or_(datasets.c.id == root, datasets.c.root_id == root),
    )
    return [to_dataset(row) for row in connection.execute(query.order_by(datasets.c.version))]


def ended(connection: Connection, gone: list[StoredDataset]) -> list[str]:
    """First versions of the series of deleted data sets of which no version is left."""
    roots = {one.root_id or one.id for one in gone}
    root = func.coalesce(datasets.c.root_id, datasets.c.id)
    live = select(root).where(root.in_(roots), datasets.c.state.in_(LIVE))
    return sorted(roots - set(connection.scalars(live)))


def descendants(connection: Connection, dataset: StoredDataset) -> list[StoredDataset]:
    """The versions that need the rows of this one, in their order, without deleted ones.

    None where the data set is of several tables: each version of those has all of its rows.
    """
    if dataset.spec is not None:
        return []
    needed = {dataset.id}
    found = []
    for one in series_of(connection, dataset):
        if one.base_id in needed:
            needed.add(one.id)
            if one.state is not DatasetState.DELETED:
                found.append(one)
    return found


def made_of(connection: Connection, ids: list[str]) -> list[StoredDataset]:
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


def next_version(connection: Connection, dataset: StoredDataset) -> dict[str, Any]:
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
    series = series_of(connection, base)
    newest = [one for one in series if one.state in LIVE][-1:]
    if newest and newest[0].id != base.id:
        raise Conflict(
            f"data set {base.id} is not the newest version: append to {newest[0].id}, version "
            f"{newest[0].version}",
            code="newer_version",
        )
    if base.state is not DatasetState.READY:
        raise Conflict(f"the data set is {base.state}, not READY", code="dataset_not_ready")
    return {"root_id": base.root_id or base.id, "version": series[-1].version + 1}
