"""Uploads become data sets: streamed to disk, read in by a child, resumed after a crash."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from automl.errors import DataError, FrugalError
from scheduler.admitting import admitted, expected
from scheduler.artifacts import ArtifactStore
from scheduler.clock import Clock, utc_now
from scheduler.config import Settings
from scheduler.deletion import delete_dataset
from scheduler.errors import Conflict, Gone, problem, problem_of
from scheduler.reading import parts_of
from scheduler.readings import Base, Reading, Readings
from scheduler.records import DatasetState, StoredDataset
from scheduler.renewing import check_settled, like_of, renewal_of
from scheduler.sources import check_target, checked_spec, files_of, sources_of, tables_of
from scheduler.store import Store

log = logging.getLogger(__name__)

MOST_AT_ONCE = 2
USABLE = (DatasetState.INGESTING, DatasetState.READY)


class Ingestor:
    """Takes uploads in, answers when their first 4 MiB are understood, and reads on.

    Each is read by a child process with limits. The bytes as they came are kept until the data
    set is READY or INVALID, so that a service that died in between reads them again.
    """

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        settings: Settings,
        *,
        clock: Clock = utc_now,
        most_at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._store, self._artifacts, self._settings = store, artifacts, settings
        self._readings = Readings(
            store, artifacts, settings, clock=clock, most_at_once=most_at_once
        )

    def accept(
        self,
        project_id: str,
        *,
        stream_chunks: Iterable[bytes],
        name: str,
        options: Mapping[str, Any],
        now: datetime,
        base_id: str | None = None,
    ) -> tuple[StoredDataset, bool]:
        """Store an upload and start reading it in.

        With a `base_id` its rows are appended to that data set's, as its next version: read as
        those before them, in the same columns. The same rows appended once more to any version
        of the series are the version that has them.

        Returns
        -------
        (StoredDataset, bool)
            INGESTING or further, and whether it is new; the same bytes with the same options are
            the data set that is there already.

        Raises
        ------
        DataError
            The first 4 MiB show that it cannot be read; nothing is kept.
        TooLarge, StorageFull
            From the artifact store; nothing is kept.
        UnknownRecord, Gone, Conflict
            The base is not there, deleted, not READY, or not the newest version.
        """
        base = None if base_id is None else self._base(project_id, base_id)
        key = f"uploads/{uuid.uuid4().hex}"
        n_bytes, sha256 = self._artifacts.put_stream(
            key, stream_chunks, max_bytes=self._settings.max_upload_bytes
        )
        reading = Reading(upload=key, options=dict(options), base=base)
        series = None if base is None else base.dataset.root_id or base.dataset.id
        dataset, kept = self._keep(
            reading,
            StoredDataset(
                id=uuid.uuid4().hex,
                project_id=project_id,
                name=name,
                fingerprint=fingerprint(sha256, options, series=series),
                base_id=base_id,
                state=DatasetState.INGESTING,
                created_at=now,
                upload=key,
                bytes_in=n_bytes,
                # Of a version also how cells before it were read: those to predict are, too.
                options=({} if base is None else base.cells) | dict(options),
            ),
            now,
        )
        log.info(
            "data set %s: %d bytes came%s", dataset.id, n_bytes, "" if kept else ", known already"
        )
        return dataset, kept

    def assemble(
        self, project_id: str, *, spec: Mapping[str, Any], name: str, now: datetime
    ) -> tuple[StoredDataset, bool]:
        """Put a data set together from others, as a spec says, and start doing so.

        Returns
        -------
        (StoredDataset, bool)
            INGESTING or further, and whether it is new; the same spec over the same data sets is
            the one that is there already.

        Raises
        ------
        DataError
            ``bad_spec``, ``column_not_found``, ``positive_not_found``, and where a URI cannot be
            used.
        UnknownRecord, Gone, Conflict
            A data set that it names is not there, deleted, or not READY.
        """
        declared = checked_spec(spec)
        versions = sources_of(self._store, project_id, declared)
        check_target(declared, versions)
        files = files_of(declared, self._settings)
        tables = tables_of(versions, self._artifacts) | files
        identity: dict[str, Any] = {"spec": declared}
        if files:  # the same files; where they changed it is another data set
            identity["files"] = {name: one["state"] for name, one in files.items()}
        dataset, created = self._store.add_dataset(
            StoredDataset(
                id=uuid.uuid4().hex,
                project_id=project_id,
                name=name,
                fingerprint=fingerprint("", identity),
                state=DatasetState.INGESTING,
                created_at=now,
                upload=None,
                bytes_in=sum(int(one["bytes"]) for one in tables.values()),
                options={"spec": declared},
            )
        )
        if created and self._readings.claim(dataset.id, now):
            reading = Reading(upload="", options=dataset.options, tables=tables)
            self._readings.begin(reading, dataset, now)
        log.info("data set %s: %d tables%s", dataset.id, len(tables), "" if created else ", known")
        return dataset, created

    def renew(
        self,
        project_id: str,
        *,
        base_id: str,
        sources: Mapping[str, Mapping[str, str]] | None = None,
        name: str | None = None,
        settled: timedelta | None = None,
        now: datetime,
    ) -> tuple[StoredDataset, bool]:
        """Put the next version of a data set of several tables together, and start doing so.

        The same spec over its tables as they are now; `sources` are others of theirs. Where
        nothing has changed, it is the version that is there already.

        Returns
        -------
        (StoredDataset, bool)
            INGESTING or further, and whether it is new.

        Raises
        ------
        DataError
            What stands against it by the columns of its tables, as `scheduler.alike` has it, or
            by what it is made of, as `renewal_of`; nothing is kept.
        UnknownRecord, Gone, Conflict
            As `renewal_of`; Conflict ``newer_version``, and ``not_settled`` where a file was
            written to within `settled`: it may not be whole.
        """
        found = renewal_of(
            self._store,
            self._artifacts,
            project_id,
            base_id,
            settings=self._settings,
            sources=sources,
        )
        marks = [fingerprint("", found.identity, series=one) for one in (None, found.series)]
        series = self._store.series(project_id, base_id)
        for one in reversed(series):  # the first version has no series yet
            if one.fingerprint in marks[bool(one.root_id) :] and one.state in USABLE:
                return one, False
        if settled is not None:
            check_settled(found.tables, settled, now=now)
        reading = Reading(
            upload="", options={"spec": found.spec}, tables=found.tables, like=found.like
        )
        dataset, kept = self._keep(
            reading,
            StoredDataset(
                id=uuid.uuid4().hex,
                project_id=project_id,
                name=name or found.base.name,
                fingerprint=marks[1],
                base_id=base_id,
                state=DatasetState.INGESTING,
                created_at=now,
                upload=None,
                bytes_in=sum(int(one["bytes"]) for one in found.tables.values()),
                options={"spec": found.spec},
            ),
            now,
        )
        log.info(
            "data set %s: version %d%s", dataset.id, dataset.version, "" if kept else ", known"
        )
        return dataset, kept

    def _keep(
        self, reading: Reading, dataset: StoredDataset, now: datetime
    ) -> tuple[StoredDataset, bool]:
        """Start reading, and record the data set once its first part is understood.

        Of what is not new, or cannot be read, nothing is kept: neither the upload nor the reading.
        """
        kept = False
        try:
            self._readings.start(reading)
            reading.looked.result()
            found, kept = self._store.add_dataset(dataset)
            if kept:
                self._readings.take(reading, found, now)
        finally:
            if not kept:
                reading.cancelled.set()
            reading.stored.set()
            if not kept and dataset.upload is not None:
                self._artifacts.delete(dataset.upload)
        return found, kept

    def _base(self, project_id: str, dataset_id: str) -> Base:
        """What rows are appended to. Raises UnknownRecord, Gone and Conflict."""
        *_, dataset = versions = self._store.versions_of(project_id, dataset_id)
        if dataset.state is DatasetState.DELETED:
            raise Gone("the data set was deleted")
        if dataset.state is not DatasetState.READY:
            raise Conflict(f"the data set is {dataset.state}, not READY", code="dataset_not_ready")
        if dataset.spec is not None:
            raise DataError(
                "the data set is of several tables: append to one of those, and send a JSON body "
                "instead of a file, for a version with the newest rows of each",
                code="not_supported",
            )
        return Base(dataset=dataset, parts=parts_of(versions, self._artifacts))

    def recover(self, now: datetime) -> int:
        """Read in again what a service that died left INGESTING; returns how many were taken up."""
        n_taken = 0
        for dataset in self._store.ingesting():
            if not self._readings.may_take_up(dataset.id, now):
                continue
            if dataset.spec is not None:
                n_taken += self._assemble_again(dataset, now)
                continue
            if dataset.upload is None or not self._artifacts.exists(dataset.upload):
                lost = problem("upload_lost", "the uploaded bytes are gone")
                self._readings.invalidate(dataset, lost)
                continue
            log.info("data set %s: reading it in again after a restart", dataset.id)
            try:
                base = dataset.base_id and self._base(dataset.project_id, dataset.base_id)
            except FrugalError as error:
                self._readings.invalidate(dataset, problem_of(error))
                continue
            reading = Reading(upload=dataset.upload, options=dataset.options, base=base or None)
            self._readings.begin(reading, dataset, now)
            n_taken += 1
        return n_taken

    def _assemble_again(self, dataset: StoredDataset, now: datetime) -> bool:
        """Put together again what a service that died did not; whether it could be begun."""
        spec = dataset.spec or {}
        try:
            versions = sources_of(self._store, dataset.project_id, spec)
            tables = tables_of(versions, self._artifacts)
            like = like_of(self._store, dataset)
        except FrugalError as error:
            self._readings.invalidate(dataset, problem_of(error))
            return False
        log.info("data set %s: putting it together again after a restart", dataset.id)
        reading = Reading(
            upload="",
            options=dataset.options,
            tables=tables,
            like=like,
            # Not here: storage that does not answer would hold everything else up.
            find=lambda: tables | files_of(spec, self._settings),
        )
        self._readings.begin(reading, dataset, now)
        return True

    def admit(
        self,
        request: Mapping[str, Any],
        dataset: StoredDataset,
        *,
        labels: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Say whether this job may run on a READY data set; see `automl.data.admission`.

        `labels` are those that came later, as `scheduler.reading.source_of` takes them.

        Raises
        ------
        DataError
            With the code of what stands against it.
        """
        return admitted(
            request,
            dataset,
            labels=labels,
            store=self._store,
            artifacts=self._artifacts,
            settings=self._settings,
        )

    def expect(
        self, request: Mapping[str, Any], *, n_rows: int, n_positive: int, n_columns: int
    ) -> dict[str, Any]:
        """Return what a job is expected to take on a table of these counts, as JSON.

        It is an `automl.search.expectation.Expectation`; `admit` has the same of a data set.
        """
        counts = {"n_rows": n_rows, "n_positive": n_positive, "n_columns": n_columns}
        return expected(request, counts, settings=self._settings)

    def delete(
        self,
        project_id: str,
        dataset_id: str,
        *,
        force: bool,
        now: datetime,
        actor: str = "service",
    ) -> list[str]:
        """Delete a data set, the versions built on it, and their files; their ids, its own first.

        A reading that is under way is ended. Of what was deleted before, its own id comes alone.

        Raises
        ------
        UnknownRecord, Conflict
            As `Store.delete_dataset`.
        """
        return delete_dataset(
            project_id,
            dataset_id,
            force=force,
            now=now,
            actor=actor,
            store=self._store,
            artifacts=self._artifacts,
            settings=self._settings,
            on_gone=self._readings.cancel,
        )

    def stop(self) -> None:
        """End the children; what they were reading stays INGESTING and is resumed by `recover`."""
        self._readings.stop()


def fingerprint(sha256: str, options: Mapping[str, Any], *, series: str | None = None) -> str:
    """Return the identity of an upload: its bytes, how they are read, what they are appended to."""
    declared = {key: value for key, value in options.items() if value not in (None, {}, [])}
    text = sha256 + json.dumps(declared, sort_keys=True, ensure_ascii=True) + (series or "")
    return hashlib.sha256(text.encode()).hexdigest()
