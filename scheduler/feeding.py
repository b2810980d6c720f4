"""The version that a schedule's run trains on: its feed read in, or put together once more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from automl.errors import DataError
from scheduler.config import Settings
from scheduler.errors import Conflict, Gone
from scheduler.feed import SETTLED, chunks, new_files
from scheduler.records import DatasetState, Model, StoredDataset
from scheduler.records_schedules import Run, Schedule
from scheduler.store import Store

# A table that is still being read, or a file that is still being written to, is waited for so long.
PATIENCE = timedelta(minutes=15)
_WAITED_FOR = ("dataset_not_ready", "not_settled")


class Reader(Protocol):
    """What reads rows in and says whether a job may run on them: `scheduler.ingestion.Ingestor`."""

    def accept(
        self,
        project_id: str,
        *,
        stream_chunks: Iterable[bytes],
        name: str,
        options: Mapping[str, Any],
        now: datetime,
        base_id: str | None = None,
    ) -> tuple[StoredDataset, bool]: ...

    def renew(
        self,
        project_id: str,
        *,
        base_id: str,
        settled: timedelta | None = None,
        now: datetime,
    ) -> tuple[StoredDataset, bool]: ...

    def admit(
        self,
        request: Mapping[str, Any],
        dataset: StoredDataset,
        *,
        labels: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]: ...


def fed(
    schedule: Schedule,
    run: Run,
    champion: Model | None,
    *,
    store: Store,
    reader: Reader,
    settings: Settings,
    now: datetime,
) -> StoredDataset | None:
    """The version to train on; None while rows are read in.

    Raises
    ------
    Gone, DataError, Conflict
        The data were deleted; the feed cannot be read in; a table of several was not ready for a
        quarter of an hour.
    """
    project_id, feed = schedule.project_id, schedule.request["feed"]
    base = feed.get("dataset") or (champion.dataset_id if champion else None)
    base = base or schedule.request["job"]["dataset"]
    newest = store.newest_version(project_id, base)
    if newest.state is DatasetState.INGESTING:
        return None
    if newest.state is not DatasetState.READY:
        raise Gone("the data set of the schedule was deleted")
    if newest.spec is None and feed.get("folder") is None:
        return newest
    series = [
        one for one in store.series(project_id, base) if one.state is not DatasetState.DELETED
    ]
    # Of this run, and could not be read in: it would be tried for ever.
    spoilt = [
        one for one in series if one.state is DatasetState.INVALID and one.created_at >= run.due_at
    ]
    if newest.spec is not None:
        return _put_together(run, newest, spoilt, reader=reader, now=now)
    known = {one.name for one in series}
    told = {one.name: one.problem or {} for one in spoilt}
    for file in new_files(feed["folder"], settings.feed_roots, known=known, now=now):
        if file.name in told:
            raise _unreadable(told[file.name], f"{file.name} cannot be read")
        _, created = reader.accept(
            project_id,
            stream_chunks=chunks(file),
            name=file.name,
            options={},
            now=now,
            base_id=newest.id,
        )
        if created:  # one after the other: each is appended to the one before
            return None
    return newest


def _put_together(
    run: Run,
    newest: StoredDataset,
    spoilt: list[StoredDataset],
    *,
    reader: Reader,
    now: datetime,
) -> StoredDataset | None:
    """Several tables as they are now; the version that is there where none has changed."""
    if spoilt:
        told = spoilt[-1].problem or {}
        raise _unreadable(told, "the tables cannot be put together")
    try:
        found, _ = reader.renew(newest.project_id, base_id=newest.id, settled=SETTLED, now=now)
    except Conflict as error:
        if error.code in _WAITED_FOR and now - run.due_at < PATIENCE:
            return None
        raise
    return found if found.state is DatasetState.READY else None


def _unreadable(told: Mapping[str, Any], what: str) -> DataError:
    return DataError(
        f"{what}: {told.get('detail', 'no reason is known')}",
        code=str(told.get("code", "invalid_upload")),
        table=told.get("table"),
        column=told.get("column"),
    )
