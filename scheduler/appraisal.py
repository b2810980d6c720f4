"""What is new to a champion, and what that says: asked of a child, told as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.child import call
from scheduler.clock import Clock
from scheduler.config import Settings
from scheduler.reading import key_of, parts_of
from scheduler.records import Model, StoredDataset
from scheduler.records_schedules import Run
from scheduler.store import Store
from scheduler.store_outcomes import TRAINING

# Scoring 50,000 rows and reading their columns; what takes longer is given up.
ASSESS_SECONDS = 900.0


def new_to(champion: Model, dataset: StoredDataset, *, store: Store) -> dict[str, Any]:
    """What of the data and labels is new to a champion, as the job's request keeps it.

    Raises DataError ``other_series``.
    """
    versions = store.versions_of(dataset.project_id, dataset.id)
    ids = [one.id for one in versions]
    if champion.dataset_id not in ids:
        raise DataError(
            f"model '{champion.name}' was trained on data that this schedule's were not "
            "appended to",
            code="other_series",
        )
    made = store.job(champion.job_id)
    known = ((made.request.get("retraining") or {}).get("labels") or {}).get("artifacts") or ()
    labels = [str(one.artifact) for one in store.outcomes_of(ids[0])]
    return {
        "labels": {
            "artifacts": labels,
            "key": key_of(versions[0]),
            "target": made.request["target"],
        },
        "before": {
            "n_parts": ids.index(champion.dataset_id) + 1,
            "labels": [key for key in labels if key in known],
        },
    }


def appraised(
    run: Run,
    champion: Model,
    dataset: StoredDataset,
    late: Mapping[str, Any],
    *,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    clock: Clock,
    stopping: Callable[[], bool],
) -> dict[str, Any]:
    """The numbers of the decision, from a child; the run is kept meanwhile."""
    parts = parts_of(store.versions_of(dataset.project_id, dataset.id), artifacts)
    about = {"key": late["labels"]["key"], "target": late["labels"]["target"]}
    kept = clock()

    def cancelled() -> bool:
        nonlocal kept
        at = clock()
        if (at - kept).total_seconds() > settings.lease_seconds / 3:
            kept = at
            until = at + timedelta(seconds=settings.lease_seconds)
            store.keep_run(run, until=until)
        return stopping()

    numbers: dict[str, Any] = call(
        "scheduler.assessment:assess",
        {
            "now": {
                "parts": parts,
                "labels": paths(artifacts, late["labels"]["artifacts"]),
                **about,
            },
            "before": {
                "parts": parts[: late["before"]["n_parts"]],
                "labels": paths(artifacts, late["before"]["labels"]),
                **about,
            },
            "champion": str(artifacts.path(champion.artifact)),
            "sha256": champion.sha256,
            "request": dict(store.job(champion.job_id).request),
            "training": store.observation(champion.id, day=TRAINING),
        },
        memory_bytes=settings.child_memory_bytes,
        cpu_seconds=ASSESS_SECONDS,
        wall_seconds=ASSESS_SECONDS,
        cancelled=cancelled,
    )
    return numbers


def paths(artifacts: ArtifactStore, keys: list[str]) -> list[str]:
    """Where artifacts are, as a child is told."""
    return [str(artifacts.path(key)) for key in keys]
