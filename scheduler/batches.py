"""Predictions for whole data sets: each by a child, resumed after a crash, downloadable after."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from automl.cost import Cost
from automl.errors import DataError, FrugalError
from scheduler.alike import check_alike, check_rows
from scheduler.artifacts import ArtifactStore
from scheduler.child import call
from scheduler.clock import Clock, utc_now
from scheduler.config import Settings
from scheduler.errors import (
    ChildDied,
    Conflict,
    Gone,
    StoreUnavailable,
    problem,
    problem_of,
)
from scheduler.reading import key_of, parts_of
from scheduler.records import Batch, DatasetState, Model, StoredDataset
from scheduler.relating import LAYOUT
from scheduler.settlement import Prices, bill_predictions
from scheduler.sources import made_of
from scheduler.store import Store

log = logging.getLogger(__name__)

# Ten million entities with a thousand events each take some hours.
BATCH_SECONDS = 24 * 3600.0
MOST_AT_ONCE = 1
SPEC = "spec.json"  # in a champion's folder, as `automl.search.around` writes it


class Batches:
    """Predicts all rows of data sets, one data set at a time."""

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        settings: Settings,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._store, self._artifacts, self._settings = store, artifacts, settings
        self._clock = clock
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._turns = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._under_way: dict[str, threading.Event] = {}
        self._stopped = threading.Event()

    def begin(self, model: Model, dataset: StoredDataset, *, form: str, now: datetime) -> Batch:
        """Store a piece of work and start it.

        Raises
        ------
        DataError
            ``missing_table, other_spec, missing_columns, wrong_type``: the data set is not put
            together as the one that the model learnt from.
        Conflict
            The data set is not READY.
        """
        self._check(model, dataset)
        batch = self._store.add_batch(
            Batch(
                id=uuid.uuid4().hex,
                project_id=dataset.project_id,
                model_id=model.id,
                dataset_id=dataset.id,
                format=form,
                state="RUNNING",
                created_at=now,
            )
        )
        self._take(batch, now)
        return batch

    def recover(self, now: datetime) -> int:
        """Begin again what a service that died left; returns how many."""
        return sum(self._take(batch, now) for batch in self._store.running_batches())

    def delete(self, project_id: str, batch_id: str) -> None:
        """Forget one and its file; one under way is ended. Raises UnknownRecord."""
        key = self._store.delete_batch(project_id, batch_id)
        if key is not None:
            self._artifacts.delete(key)

    def stop(self) -> None:
        """End the children; what they were doing is begun again by `recover`."""
        self._stopped.set()
        with self._lock:
            ended = list(self._under_way.values())
        for one in ended:
            one.wait(timeout=5)

    def _check(self, model: Model, dataset: StoredDataset) -> None:
        profile = dataset.profile or {}
        if model.card.get("feature_groups") is not None:
            if dataset.spec is None:
                raise DataError(
                    f"model {model.name!r} reads several tables, and the data set is one: name "
                    "one that was put together as that of its training",
                    code="missing_table",
                    details={"field": "dataset"},
                )
            if not self._artifacts.exists(model.artifact):
                raise Gone("the model was deleted")
            file = self._artifacts.path(model.artifact) / SPEC
            learnt = json.loads(file.read_text(encoding="utf-8"))
            check_alike(learnt, model.card.get("not_read") or {}, profile["relations"])
        check_rows(model.card.get("types") or {}, profile)

    def _take(self, batch: Batch, now: datetime) -> bool:
        with self._lock:
            if batch.id in self._under_way or self._stopped.is_set():
                return False
            if not self._claim(batch.id, now):
                return False
            self._under_way[batch.id] = threading.Event()
        threading.Thread(target=self._run, args=(batch,), name="batch", daemon=True).start()
        return True

    def _claim(self, batch_id: str, now: datetime) -> bool:
        return self._store.claim_batch(
            batch_id, owner=self._owner, lease_seconds=self._settings.lease_seconds, now=now
        )

    def _run(self, batch: Batch) -> None:
        try:
            self._predict(batch)
        except StoreUnavailable as error:
            log.warning("predictions %s: later, %s", batch.id, error)
        except Exception as error:
            self._failed(batch, error)
        finally:
            with self._lock:
                self._under_way.pop(batch.id).set()

    def _predict(self, batch: Batch) -> None:
        renewed = [self._clock()]

        def cancelled() -> bool:
            """Also keeps the lease; whoever has lost it, or whose data were deleted, stops."""
            now = self._clock()
            if self._stopped.is_set():
                return True
            if (now - renewed[0]).total_seconds() > min(2.0, self._settings.lease_seconds / 3):
                renewed[0] = now
                try:
                    return not self._claim(batch.id, now)
                except StoreUnavailable:
                    return False
            return False

        while not self._turns.acquire(timeout=0.5):
            if cancelled():
                return
        try:
            arguments = self._arguments(batch)
            with self._artifacts.staging() as folder:
                result: dict[str, Any] = call(
                    "scheduler.batch:predict_all",
                    {**arguments, "destination": str(folder)},
                    memory_bytes=self._settings.child_memory_bytes,
                    cpu_seconds=BATCH_SECONDS,
                    wall_seconds=2 * BATCH_SECONDS,
                    passed=self._settings.storage_variables,
                    cancelled=cancelled,
                )
                key = f"predictions/{batch.id}"
                self._artifacts.put_folder(key, folder)
        finally:
            self._turns.release()
        self._finish(batch, key, result)

    def _finish(self, batch: Batch, key: str, result: Mapping[str, Any]) -> None:
        files = [one for one in self._artifacts.path(key).iterdir() if one.is_file()]
        now, cost = self._clock(), Cost(**result["cost"])
        prices = Prices.of(self._settings)
        bill_predictions(batch, cost, end=now, store=self._store, prices=prices)
        try:
            self._store.finish_batch(
                batch.id,
                now=now,
                artifact=key,
                n_rows=result["n_rows"],
                n_bytes=sum(one.stat().st_size for one in files),
                report=result["report"],
                cost=cost,
            )
        except Conflict:  # deleted meanwhile
            self._artifacts.delete(key)
            return
        cpu = cost.cpu_seconds
        log.info("predictions %s: %d rows, %.2f CPU-seconds", batch.id, result["n_rows"], cpu)

    def _arguments(self, batch: Batch) -> dict[str, Any]:
        """What the child is told. Raises Gone."""
        model = self._store.model_by_id(batch.project_id, batch.model_id)
        versions = self._store.versions_of(batch.project_id, batch.dataset_id)
        dataset = versions[-1]
        if dataset.state is not DatasetState.READY or dataset.artifact is None:
            raise Gone("the data set was deleted")
        layout = None
        key = [one for one in (key_of(dataset),) if one is not None]
        if dataset.spec is not None:
            layout = str(self._artifacts.path(dataset.artifact) / LAYOUT)
            about = (dataset.profile or {}).get("relations") or {}
            key = list((about.get("roles") or {}).get("key", ())) or key
        return {
            "folder": str(self._artifacts.path(model.artifact)),
            "sha256": model.sha256,
            "parts": parts_of(versions, self._artifacts),
            "layout": layout,
            "key": key,
            "form": batch.format,
            "watts": self._settings.watts,
            "made_of": made_of(
                dataset, store=self._store, artifacts=self._artifacts, settings=self._settings
            ),
        }

    def _failed(self, batch: Batch, error: Exception) -> None:
        if self._stopped.is_set():
            return
        if isinstance(error, ChildDied) and error.code == "child_cancelled":
            return  # deleted, or another service has it
        told = (
            problem_of(error)
            if isinstance(error, FrugalError)
            else problem("internal_error", f"unexpected {type(error).__name__}")
        )
        try:
            self._store.fail_batch(batch.id, problem=told, now=self._clock())
        except FrugalError:
            return
        log.warning("predictions %s: FAILED, %s", batch.id, told["code"])
