"""The version that a schedule's run trains on: its feed read in, or put together once more."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from automl.errors import DataError
from scheduler.config import Settings
from scheduler.errors import Conflict, Gone, TooLarge
from scheduler.feed import SETTLED, ByTable, FeedFile, allowed, chunks, files_by_table, new_files
from scheduler.records import DatasetState, Model, StoredDataset
from scheduler.records_schedules import Run, Schedule
from scheduler.store import Store
from scheduler.unread import Unread

log = logging.getLogger(__name__)

# A table that is still being read, or a file that is still being written to, is waited for so long.
PATIENCE = timedelta(minutes=15)
LIVE = (DatasetState.INGESTING, DatasetState.READY)
# Of one folder and night: whoever has more of them has another problem than a broken file.
MOST_UNREAD = 1000
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

    A file of one table's folder that cannot be read is noted with the run, and the others are read
    in; of several tables, and where the feed is that one file, the run ends with it.

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
    spoilt = _spoilt(run, series)
    if newest.spec is not None:
        folder = feed.get("folder")
        if folder is not None and not _tables_fed(
            run, newest, folder, store=store, reader=reader, settings=settings, now=now
        ):
            return None
        return _put_together(run, newest, spoilt, reader=reader, now=now)
    known = {one.name for one in series if one.state in LIVE}
    files = new_files(feed["folder"], settings.feed_roots, known=known, now=now)
    if len(files) == 1 and str(files[0].path) == str(allowed(feed["folder"], settings.feed_roots)):
        # Nothing else feeds it: a night without this file is none.
        return newest if _appended(newest, files, spoilt, reader=reader, now=now) else None
    unread = Unread(schedule, run, store=store)
    whole = _read_in(newest, files, series, unread, reader=reader, now=now)
    for name in unread.keep(whole=whole, now=now):
        log.warning("schedule %s: the file %r of its feed cannot be read", schedule.id, name)
    return newest if whole else None


def _read_in(
    newest: StoredDataset,
    files: Iterable[FeedFile],
    series: Sequence[StoredDataset],
    unread: Unread,
    *,
    reader: Reader,
    now: datetime,
) -> bool:
    """Append the next file that can be read, and note those that cannot; whether there was none."""
    for file in files:
        if unread.is_known(file, series):
            continue
        if len(unread) >= MOST_UNREAD:
            break
        try:
            _, created = reader.accept(
                newest.project_id,
                stream_chunks=chunks(file),
                name=file.name,
                options={},
                now=now,
                base_id=newest.id,
            )
        except (DataError, TooLarge) as error:
            unread.add(file, error)
            continue
        if created:  # one after the other: each is appended to the one before
            return False
    return True


def _appended(
    newest: StoredDataset,
    files: Iterable[FeedFile],
    spoilt: Iterable[StoredDataset],
    *,
    reader: Reader,
    now: datetime,
    table: str | None = None,
) -> bool:
    """Append the next file that is not there yet; whether there was none.

    Raises DataError where one of them could not be read in.
    """
    told = {one.name: one.problem or {} for one in spoilt}
    for file in files:
        if file.name in told:
            raise _unreadable(told[file.name], f"{file.name} cannot be read")
        try:
            _, created = reader.accept(
                newest.project_id,
                stream_chunks=chunks(file),
                name=file.name,
                options={},
                now=now,
                base_id=newest.id,
            )
        except DataError as error:
            error.table = error.table or table
            error.args = (f"{file.name} cannot be read: {error}",)
            raise
        if created:  # one after the other: each is appended to the one before
            return False
    return True


def check_folder(
    text: str, dataset: StoredDataset, *, store: Store, settings: Settings, now: datetime
) -> None:
    """Raise where a folder cannot feed the tables of a data set.

    Raises
    ------
    DataError
        As `files_by_table`; ``table_in_place``: all tables are in folders of their own.
    """
    _by_table(text, dataset, _versions(dataset, store=store), settings=settings, now=now)


def _by_table(
    text: str,
    dataset: StoredDataset,
    versions: Mapping[str, Sequence[StoredDataset]],
    *,
    settings: Settings,
    now: datetime,
    run: Run | None = None,
) -> ByTable:
    """The files of a folder that are new to the tables of a data set.

    Among them are those that a run could not read in; but never those whose rows were deleted.
    """
    in_place = [name for name in (dataset.spec or {})["tables"] if name not in versions]
    if not versions:
        raise DataError(
            "all tables of the data set are read where they lie: put new files into their folders; "
            "they are looked at every night without being named here",
            code="table_in_place",
            details={"field": "feed.folder"},
        )
    known = {
        name: {one.name for one in series}
        - {one.name for one in (() if run is None else _spoilt(run, series))}
        for name, series in versions.items()
    }
    return files_by_table(text, settings.feed_roots, known=known, in_place=in_place, now=now)


def _tables_fed(
    run: Run,
    newest: StoredDataset,
    folder: str,
    *,
    store: Store,
    reader: Reader,
    settings: Settings,
    now: datetime,
) -> bool:
    """Append the next file of each table; whether there is nothing to append or to wait for."""
    # Looked at once: what is being read now may have turned out unreadable a moment later.
    versions = _versions(newest, store=store)
    found = _by_table(folder, newest, versions, settings=settings, now=now, run=run)
    whole = True
    for name, series in versions.items():
        live = [one for one in series if one.state in LIVE]
        if not live:
            raise Gone(f"the data set of the table {name!r} was deleted")
        if live[-1].state is DatasetState.INGESTING:
            whole = False
            continue
        files, spoilt = found.files.get(name, ()), _spoilt(run, series)
        whole &= _appended(live[-1], files, spoilt, reader=reader, now=now, table=name)
    # Rows of one table belong to those of another: what is still being written is waited for.
    return whole and (not found.n_unsettled or now - run.due_at >= PATIENCE)


def _versions(dataset: StoredDataset, *, store: Store) -> dict[str, list[StoredDataset]]:
    """By table that rows can be appended to, its data set's series, also what was deleted."""
    return {
        name: store.series(dataset.project_id, table["source"]["dataset"])
        for name, table in (dataset.spec or {})["tables"].items()
        if "dataset" in table["source"]
    }


def _spoilt(run: Run, series: Iterable[StoredDataset]) -> list[StoredDataset]:
    """Those of this run that could not be read in: they would be tried for ever."""
    return [
        one for one in series if one.state is DatasetState.INVALID and one.created_at >= run.due_at
    ]


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
