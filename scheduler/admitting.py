"""Whether a job may run, and what it is expected to take: asked of a child."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.artifacts import ArtifactStore
from scheduler.child import call
from scheduler.config import Settings
from scheduler.errors import Conflict
from scheduler.job_intensity import yearly, zone_asked
from scheduler.nursery import MODELS
from scheduler.reading import parts_of
from scheduler.records import StoredDataset
from scheduler.store import Store

# The bounded look reads 4 MiB at most; what takes longer is refused.
ADMIT_SECONDS = 300.0


def admitted(
    request: Mapping[str, Any],
    dataset: StoredDataset,
    *,
    labels: Mapping[str, Any] | None,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
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
    versions = store.versions_of(dataset.project_id, dataset.id)
    arguments = {
        "rows": {"parts": parts_of(versions, artifacts), **(labels or {})},
        "request": dict(request),
        "profile": dict(dataset.profile or {}),
        "watts": settings.watts,
        "grams_per_kwh": yearly(zone_asked(request, settings.zone)).grams_per_kwh,
    }
    with artifacts.staging() as scratch:
        result: dict[str, Any] = call(
            "scheduler.reading:admit",
            {**arguments, "scratch": str(scratch)},
            memory_bytes=settings.child_memory_bytes,
            cpu_seconds=ADMIT_SECONDS,
            wall_seconds=ADMIT_SECONDS,
            imports=MODELS,
        )
    return result


def expected(
    request: Mapping[str, Any], counts: Mapping[str, int], *, settings: Settings
) -> dict[str, Any]:
    """Return what a job is expected to take on a table of these counts, as JSON.

    It is an `automl.search.expectation.Expectation`; `admitted` has the same of a data set.

    Parameters
    ----------
    counts : `n_rows`, `n_positive` and `n_columns`
    """
    arguments = {
        **counts,
        "request": dict(request),
        "watts": settings.watts,
        "grams_per_kwh": yearly(zone_asked(request, settings.zone)).grams_per_kwh,
    }
    result: dict[str, Any] = call(
        "scheduler.reading:expect",
        arguments,
        memory_bytes=settings.child_memory_bytes,
        cpu_seconds=ADMIT_SECONDS,
        wall_seconds=ADMIT_SECONDS,
    )
    found: dict[str, Any] = result["expected"]
    return found
