"""Uploads become data sets: streamed to disk, read in by a child, resumed after a crash."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from automl.cost import Cost
from automl.data.options import for_more_rows
from automl.errors import DataError, FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.carbon.typical import yearly_mean
from scheduler.child import call
from scheduler.clock import Clock, utc_now
from scheduler.config import Settings
from scheduler.errors import ChildDied, Conflict, Gone, StoreUnavailable, problem, problem_of
from scheduler.forgetting import forget_labels
from scheduler.knowledge import LocalKnowledge
from scheduler.reading import key_of, parts_of
from scheduler.records import DatasetState, StoredDataset
from scheduler.renewing import check_settled, like_of, renewal_of
from scheduler.sources import check_target, checked_spec, files_of, sources_of, tables_of
from scheduler.store import Store

log = logging.getLogger(__name__)

# The bounded look reads 4 MiB at most; what takes longer is refused.
ADMIT_SECONDS = 300.0
# Reading in takes about 20 CPU-seconds per GB; a file that takes 100 times that is an attack.
INGEST_SECONDS = 4 * 3600.0
MOST_AT_ONCE = 2
USABLE = (DatasetState.INGESTING, DatasetState.READY)
_UNREADABLE = ("child_crashed", "child_timed_out", "child_out_of_memory")


@dataclass(frozen=True, kw_only=True)
class _Base:
    """The version that rows are appended to, and the files of its parts."""

    dataset: StoredDataset
    parts: list[str]

    @property
    def cells(self) -> dict[str, Any]:
        return for_more_rows(self.dataset.options, profile=self.dataset.profile or {})

    def to_json(self) -> dict[str, Any]:
        return {
            "parts": self.parts,
            "profile": dict(self.dataset.profile or {}),
            "cells": self.cells,
            "key": key_of(self.dataset),
        }


@dataclass(kw_only=True)
class _Reading:
    """One upload on its way: what the request waits for, and what it must do meanwhile."""

    upload: str
    options: Mapping[str, Any]
    base: _Base | None = None
    tables: Mapping[str, Any] | None = None  # of several tables: what each is read from
    like: Mapping[str, Any] | None = None  # of their next version: the relations of the one before
    looked: Future[None] = field(default_factory=Future)
    dataset: StoredDataset | None = None
    stored: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    renewed: datetime | None = None


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
        self._clock = clock
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._turns = threading.BoundedSemaphore(most_at_once)
        self._lock = threading.Lock()
        self._under_way: dict[str, _Reading] = {}  # by data set
        self._stopped = threading.Event()

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
        reading = _Reading(upload=key, options=dict(options), base=base)
        series = None if base is None else base.dataset.root_id or base.dataset.id
        kept = False
        try:
            self._start(reading)
            reading.looked.result()
            dataset, kept = self._store.add_dataset(
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
                )
            )
            if kept:
                self._take(reading, dataset, now)
        finally:
            if not kept:
                reading.cancelled.set()
            reading.stored.set()
            if not kept:
                self._artifacts.delete(key)
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
        if created and self._claim(dataset.id, now):
            self._begin(dataset, tables, now)
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
        reading = _Reading(
            upload="", options={"spec": found.spec}, tables=found.tables, like=found.like
        )
        kept = False
        try:
            self._start(reading)
            reading.looked.result()
            dataset, kept = self._store.add_dataset(
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
                )
            )
            if kept:
                self._take(reading, dataset, now)
        finally:
            if not kept:
                reading.cancelled.set()
            reading.stored.set()
        log.info(
            "data set %s: version %d%s", dataset.id, dataset.version, "" if kept else ", known"
        )
        return dataset, kept

    def _begin(
        self,
        dataset: StoredDataset,
        tables: Mapping[str, Any],
        now: datetime,
        like: Mapping[str, Any] | None = None,
    ) -> None:
        """Start putting together what is claimed."""
        reading = _Reading(upload="", options=dataset.options, tables=tables, dataset=dataset)
        reading.renewed, reading.like = now, like
        reading.looked.set_result(None)
        reading.stored.set()
        with self._lock:
            self._under_way[dataset.id] = reading
        self._start(reading)

    def _base(self, project_id: str, dataset_id: str) -> _Base:
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
        return _Base(dataset=dataset, parts=parts_of(versions, self._artifacts))

    def _take(self, reading: _Reading, dataset: StoredDataset, now: datetime) -> None:
        if self._claim(dataset.id, now):
            reading.renewed = now
            reading.dataset = dataset
            with self._lock:
                self._under_way[dataset.id] = reading
        else:  # another service was quicker: it reads the same upload
            reading.cancelled.set()

    def _claim(self, dataset_id: str, now: datetime) -> bool:
        return self._store.claim_dataset(
            dataset_id, owner=self._owner, lease_seconds=self._settings.lease_seconds, now=now
        )

    def recover(self, now: datetime) -> int:
        """Read in again what a service that died left INGESTING; returns how many were taken up."""
        n_taken = 0
        for dataset in self._store.ingesting():
            with self._lock:
                mine = dataset.id in self._under_way
            if mine or self._stopped.is_set() or not self._claim(dataset.id, now):
                continue
            if dataset.spec is not None:
                n_taken += self._assemble_again(dataset, now)
                continue
            if dataset.upload is None or not self._artifacts.exists(dataset.upload):
                self._invalidate(dataset, problem("upload_lost", "the uploaded bytes are gone"))
                continue
            log.info("data set %s: reading it in again after a restart", dataset.id)
            try:
                base = dataset.base_id and self._base(dataset.project_id, dataset.base_id)
            except FrugalError as error:
                self._invalidate(dataset, problem_of(error))
                continue
            reading = _Reading(
                upload=dataset.upload, options=dataset.options, dataset=dataset, base=base or None
            )
            reading.renewed = now
            reading.stored.set()
            with self._lock:
                self._under_way[dataset.id] = reading
            self._start(reading)
            n_taken += 1
        return n_taken

    def _assemble_again(self, dataset: StoredDataset, now: datetime) -> bool:
        """Put together again what a service that died did not; whether it could be begun."""
        try:
            spec = dataset.spec or {}
            versions = sources_of(self._store, dataset.project_id, spec)
            tables = tables_of(versions, self._artifacts)
            tables |= files_of(spec, self._settings)
            like = like_of(self._store, dataset)
        except FrugalError as error:
            self._invalidate(dataset, problem_of(error))
            return False
        log.info("data set %s: putting it together again after a restart", dataset.id)
        self._begin(dataset, tables, now, like)
        return True

    def _start(self, reading: _Reading) -> None:
        # Daemons: a service that ends does not wait for them, and their children end with it.
        threading.Thread(target=self._read, args=(reading,), name="ingest", daemon=True).start()

    def _read(self, reading: _Reading) -> None:
        try:
            with self._artifacts.staging() as folder:
                result = self._call(reading, folder)
                dataset = reading.dataset
                if dataset is not None:
                    self._finish(dataset, folder, result)
        except Exception as error:
            if isinstance(error, ChildDied) and not self._is_cancelled(reading):
                log.warning("%s: the child that read it died: %s", reading.upload, error)
            if not reading.looked.done():
                reading.looked.set_exception(self._refusal(reading, error))
            elif reading.dataset is not None and not reading.cancelled.is_set():
                self._failed(reading, error)
        finally:
            with self._lock:
                if reading.dataset is not None:
                    self._under_way.pop(reading.dataset.id, None)
            reading.ended.set()

    def _call(self, reading: _Reading, folder: Path) -> dict[str, Any]:
        def go_on(message: Any) -> bool:
            if not reading.looked.done():
                reading.looked.set_result(None)
            reading.stored.wait()
            if reading.dataset is None:
                raise Conflict("nothing is to be read in")
            while not self._turns.acquire(timeout=0.5):
                if self._is_cancelled(reading):
                    raise Conflict("the reading was cancelled")
            reading_turn.append(True)
            return True

        reading_turn: list[bool] = []
        settings = self._settings
        what: dict[str, Any] = {
            "destination": str(folder),
            "limits": {
                "max_decoded_bytes": settings.max_decoded_bytes,
                "max_columns": settings.max_columns,
                "max_cell_bytes": settings.max_cell_bytes,
            },
            "watts": settings.watts,
        }
        if reading.tables is None:
            function = "scheduler.reading:read_in"
            what |= {
                "source": str(self._artifacts.path(reading.upload)),
                "options": dict(reading.options),
                "base": None if reading.base is None else reading.base.to_json(),
            }
        else:
            function = "scheduler.relating:assemble"
            what |= {
                "spec": dict(reading.options["spec"]),
                "tables": dict(reading.tables),
                "now": self._clock().isoformat(),
                "like": reading.like,
            }
        try:
            result: dict[str, Any] = call(
                function,
                what,
                memory_bytes=settings.child_memory_bytes,
                cpu_seconds=INGEST_SECONDS,
                passed=settings.storage_variables if reading.tables is not None else (),
                wall_seconds=2 * INGEST_SECONDS,
                on_message=go_on,
                cancelled=lambda: self._is_cancelled(reading),
            )
        finally:
            if reading_turn:
                self._turns.release()
        return result

    def _is_cancelled(self, reading: _Reading) -> bool:
        """Also keeps the lease; whoever has lost it stops."""
        if reading.cancelled.is_set() or self._stopped.is_set():
            return True
        if reading.dataset is None or reading.renewed is None:
            return False
        now = self._clock()
        if (now - reading.renewed).total_seconds() > self._settings.lease_seconds / 3:
            try:
                if not self._claim(reading.dataset.id, now):
                    reading.cancelled.set()
                    return True
            except StoreUnavailable:
                return False
            reading.renewed = now
        return False

    def _finish(self, dataset: StoredDataset, folder: Path, result: Mapping[str, Any]) -> None:
        profile = result["profile"]
        key = f"datasets/{uuid.uuid4().hex}"
        sha256 = self._artifacts.put_folder(key, folder)
        n_bytes = self._bytes_of(key)
        try:
            self._store.finish_dataset(
                dataset.id,
                artifact=key,
                n_rows=profile["n_rows"],
                bytes_stored=n_bytes,
                profile={**profile, "sha256": sha256},
                cost=Cost(**result["cost"]),
                now=self._clock(),
            )
        except Conflict:  # deleted meanwhile
            self._artifacts.delete(key)
            return
        if dataset.upload is not None:
            self._artifacts.delete(dataset.upload)
        log.info(
            "data set %s: READY, %d rows, %d bytes in, %d stored, %.2f CPU-seconds",
            dataset.id,
            profile["n_rows"],
            dataset.bytes_in,
            n_bytes,
            result["cost"]["cpu_seconds"],
        )

    def _bytes_of(self, key: str) -> int:
        """Bytes of a stored folder."""
        files = self._artifacts.path(key).rglob("*")
        return sum(path.stat().st_size for path in files if path.is_file())

    def _failed(self, reading: _Reading, error: Exception) -> None:
        dataset = reading.dataset
        if dataset is None or self._stopped.is_set():
            return
        if isinstance(error, StoreUnavailable):
            log.warning("data set %s: the store is out of reach; tried again later", dataset.id)
            return
        told = self._refusal(reading, error)
        if isinstance(told, FrugalError):
            self._invalidate(dataset, problem_of(told))
        else:
            self._invalidate(dataset, problem("internal_error", str(told)))

    def _invalidate(self, dataset: StoredDataset, why: Mapping[str, Any]) -> None:
        try:
            self._store.invalidate_dataset(dataset.id, problem=why, now=self._clock())
        except FrugalError:  # deleted meanwhile, or the store is away: recover() comes again
            return
        if dataset.upload is not None:
            self._artifacts.delete(dataset.upload)
        log.info("data set %s: INVALID, %s", dataset.id, why["code"])

    def _refusal(self, reading: _Reading, error: Exception) -> Exception:
        if reading.tables is None:
            return refusal(error, self._upload_head(reading.upload))
        if not isinstance(error, ChildDied) or error.code not in _UNREADABLE:
            return error
        return DataError(f"the tables cannot be put together: {error}", code="not_assembled")

    def _upload_head(self, key: str) -> bytes:
        try:
            with self._artifacts.open(key) as file:
                return file.read(4)
        except (FrugalError, OSError):
            return b""

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
        if dataset.artifact is None:
            raise Conflict(f"the data set is {dataset.state}, not READY", code="dataset_not_ready")
        versions = self._store.versions_of(dataset.project_id, dataset.id)
        arguments = {
            "rows": {"parts": parts_of(versions, self._artifacts), **(labels or {})},
            "request": dict(request),
            "profile": dict(dataset.profile or {}),
            "watts": self._settings.watts,
            "grams_per_kwh": yearly_mean(self._settings.zone).grams_per_kwh,
        }
        with self._artifacts.staging() as scratch:
            result: dict[str, Any] = call(
                "scheduler.reading:admit",
                {**arguments, "scratch": str(scratch)},
                memory_bytes=self._settings.child_memory_bytes,
                cpu_seconds=ADMIT_SECONDS,
                wall_seconds=ADMIT_SECONDS,
            )
        return result

    def expect(
        self, request: Mapping[str, Any], *, n_rows: int, n_positive: int, n_columns: int
    ) -> dict[str, Any]:
        """Return what a job is expected to take on a table of these counts, as JSON.

        It is an `automl.search.expectation.Expectation`; `admit` has the same of a data set.
        """
        arguments = {
            "n_rows": n_rows,
            "n_positive": n_positive,
            "n_columns": n_columns,
            "request": dict(request),
            "watts": self._settings.watts,
            "grams_per_kwh": yearly_mean(self._settings.zone).grams_per_kwh,
        }
        result: dict[str, Any] = call(
            "scheduler.reading:expect",
            arguments,
            memory_bytes=self._settings.child_memory_bytes,
            cpu_seconds=ADMIT_SECONDS,
            wall_seconds=ADMIT_SECONDS,
        )
        expected: dict[str, Any] = result["expected"]
        return expected

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
        # Also what was made of it: without force the store refuses that.
        ids = [dataset_id, *self._store.built_on(project_id, dataset_id)]
        series = self._store.series(project_id, dataset_id)
        _, keys = self._store.delete_dataset(
            project_id, dataset_id, force=force, now=now, actor=actor
        )
        for one in ids:
            LocalKnowledge(self._settings, project_id).forget(one)
            with self._lock:
                reading = self._under_way.get(one)
            if reading is not None:
                reading.cancelled.set()
        if keys and series[0].id not in ids:  # with a first version all labels went already
            keys += self._forgotten(series, ids)
        for key in keys:
            self._artifacts.delete(key)
        return ids

    def _forgotten(self, series: Sequence[StoredDataset], ids: Collection[str]) -> list[str]:
        """Take the labels of the rows of some versions out of the files that they came in.

        Where that fails none of the labels stays: the keys of their files, which are deleted.
        """
        gone = [one for one in series if one.id in ids and one.state is DatasetState.READY]
        try:
            n_labels = forget_labels(
                gone,
                series,
                store=self._store,
                artifacts=self._artifacts,
                memory_bytes=self._settings.child_memory_bytes,
            )
        except FrugalError as error:
            log.error(
                "data set %s: all labels that came later are deleted, since those of deleted rows "
                "cannot be told apart: %s",
                series[0].id,
                error.code,
            )
            return self._store.drop_outcomes(series[0].id)
        if n_labels:
            log.info("data set %s: %d labels of deleted rows deleted", series[0].id, n_labels)
        return []

    def stop(self) -> None:
        """End the children; what they were reading stays INGESTING and is resumed by `recover`."""
        self._stopped.set()
        with self._lock:
            under_way = list(self._under_way.values())
        for reading in under_way:
            reading.ended.wait(timeout=5)


def fingerprint(sha256: str, options: Mapping[str, Any], *, series: str | None = None) -> str:
    """Return the identity of an upload: its bytes, how they are read, what they are appended to."""
    declared = {key: value for key, value in options.items() if value not in (None, {}, [])}
    text = sha256 + json.dumps(declared, sort_keys=True, ensure_ascii=True) + (series or "")
    return hashlib.sha256(text.encode()).hexdigest()


def refusal(error: Exception, head: bytes) -> Exception:
    """Return what to tell of an error while reading: a child that died is its file's fault."""
    if not isinstance(error, ChildDied) or error.code not in _UNREADABLE:
        return error
    if error.code == "child_out_of_memory":
        code = "decoded_too_large"
    else:
        code = "corrupt_parquet" if head == b"PAR1" else "unreadable"
    return DataError(f"the file cannot be read: {error}", code=code)
