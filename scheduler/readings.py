"""Readings under way: each by a child with limits and a lease, and what becomes of its data set."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from automl.cost import Cost
from automl.data.options import for_more_rows
from automl.errors import DataError, FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.child import call
from scheduler.clock import Clock
from scheduler.config import Settings
from scheduler.errors import ChildDied, Conflict, StoreUnavailable, problem, problem_of
from scheduler.reading import key_of
from scheduler.records import StoredDataset
from scheduler.store import Store

log = logging.getLogger(__name__)

# Reading in takes about 20 CPU-seconds per GB; a file that takes 100 times that is an attack.
INGEST_SECONDS = 4 * 3600.0
_UNREADABLE = ("child_crashed", "child_timed_out", "child_out_of_memory")
UNREACHABLE = "uri_unreachable"


@dataclass(frozen=True, kw_only=True)
class Base:
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
class Reading:
    """One upload on its way: what the request waits for, and what it must do meanwhile."""

    upload: str
    options: Mapping[str, Any]
    base: Base | None = None
    tables: Mapping[str, Any] | None = None  # of several tables: what each is read from
    find: Callable[[], Mapping[str, Any]] | None = None  # the tables, looked for first
    like: Mapping[str, Any] | None = None  # of their next version: the relations of the one before
    looked: Future[None] = field(default_factory=Future)
    dataset: StoredDataset | None = None
    stored: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    renewed: datetime | None = None


class Readings:
    """What is being read in: who waits for it, whose turn it is, and how it ended.

    Parameters
    ----------
    most_at_once : so many children read; others wait
    """

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        settings: Settings,
        *,
        clock: Clock,
        most_at_once: int,
    ) -> None:
        self._store, self._artifacts, self._settings = store, artifacts, settings
        self._clock = clock
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._turns = threading.BoundedSemaphore(most_at_once)
        self._lock = threading.Lock()
        self._under_way: dict[str, Reading] = {}  # by data set
        self._stopped = threading.Event()

    def may_take_up(self, dataset_id: str, now: datetime) -> bool:
        """Claim a data set that nobody reads; whether it is ours now."""
        with self._lock:
            mine = dataset_id in self._under_way
        return not mine and not self._stopped.is_set() and self.claim(dataset_id, now)

    def begin(self, reading: Reading, dataset: StoredDataset, now: datetime) -> None:
        """Start reading what is claimed, and what nobody waits for."""
        reading.dataset, reading.renewed = dataset, now
        reading.looked.set_result(None)
        reading.stored.set()
        with self._lock:
            self._under_way[dataset.id] = reading
        self.start(reading)

    def take(self, reading: Reading, dataset: StoredDataset, now: datetime) -> None:
        """Let a reading that was started go on into its data set, unless another has it."""
        if self.claim(dataset.id, now):
            reading.renewed = now
            reading.dataset = dataset
            with self._lock:
                self._under_way[dataset.id] = reading
        else:  # another service was quicker: it reads the same upload
            reading.cancelled.set()

    def claim(self, dataset_id: str, now: datetime) -> bool:
        """Take or renew the lease of a data set; whether it is ours."""
        return self._store.claim_dataset(
            dataset_id, owner=self._owner, lease_seconds=self._settings.lease_seconds, now=now
        )

    def cancel(self, dataset_id: str) -> None:
        """End the reading of a data set, where there is one."""
        with self._lock:
            reading = self._under_way.get(dataset_id)
        if reading is not None:
            reading.cancelled.set()

    def stop(self) -> None:
        """End the children; what they were reading stays INGESTING and is resumed by `recover`."""
        self._stopped.set()
        with self._lock:
            under_way = list(self._under_way.values())
        for reading in under_way:
            reading.ended.wait(timeout=5)

    def start(self, reading: Reading) -> None:
        """Begin to read; before its data set is there only its first rows are."""
        # Daemons: a service that ends does not wait for them, and their children end with it.
        threading.Thread(target=self._read, args=(reading,), name="ingest", daemon=True).start()

    def _read(self, reading: Reading) -> None:
        try:
            if reading.find is not None:
                reading.tables = reading.find()
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

    def _call(self, reading: Reading, folder: Path) -> dict[str, Any]:
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
            "limits": settings.reading_limits,
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

    def _is_cancelled(self, reading: Reading) -> bool:
        """Also keeps the lease; whoever has lost it stops."""
        if reading.cancelled.is_set() or self._stopped.is_set():
            return True
        if reading.dataset is None or reading.renewed is None:
            return False
        now = self._clock()
        if (now - reading.renewed).total_seconds() > self._settings.lease_seconds / 3:
            try:
                if not self.claim(reading.dataset.id, now):
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

    def _failed(self, reading: Reading, error: Exception) -> None:
        dataset = reading.dataset
        if dataset is None or self._stopped.is_set():
            return
        if isinstance(error, StoreUnavailable):
            log.warning("data set %s: the store is out of reach; tried again later", dataset.id)
            return
        if reading.find is not None and getattr(error, "code", None) == UNREACHABLE:
            log.warning("data set %s: its files are out of reach; tried again later", dataset.id)
            return
        told = self._refusal(reading, error)
        if isinstance(told, FrugalError):
            self.invalidate(dataset, problem_of(told))
        else:
            self.invalidate(dataset, problem("internal_error", str(told)))

    def invalidate(self, dataset: StoredDataset, why: Mapping[str, Any]) -> None:
        """Make a data set INVALID, and forget what came for it."""
        try:
            self._store.invalidate_dataset(dataset.id, problem=why, now=self._clock())
        except FrugalError:  # deleted meanwhile, or the store is away: recover() comes again
            return
        if dataset.upload is not None:
            self._artifacts.delete(dataset.upload)
        log.info("data set %s: INVALID, %s", dataset.id, why["code"])

    def _refusal(self, reading: Reading, error: Exception) -> Exception:
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


def refusal(error: Exception, head: bytes) -> Exception:
    """Return what to tell of an error while reading: a child that died is its file's fault."""
    if not isinstance(error, ChildDied) or error.code not in _UNREADABLE:
        return error
    if error.code == "child_out_of_memory":
        code = "decoded_too_large"
    else:
        code = "corrupt_parquet" if head == b"PAR1" else "unreadable"
    return DataError(f"the file cannot be read: {error}", code=code)
