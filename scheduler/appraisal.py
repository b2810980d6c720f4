"""What is new to a champion, and what that says: asked of a child, told as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.child import call
from scheduler.clock import Clock
from scheduler.config import Settings
from scheduler.nursery import MODELS
from scheduler.reading import key_of, parts_of
from scheduler.records import Model, StoredDataset
from scheduler.records_schedules import Run
from scheduler.relating import LAYOUT
from scheduler.store import Store
from scheduler.store_outcomes import TRAINING

# Scoring 50,000 rows and reading their columns; what takes longer is given up.
ASSESS_SECONDS = 900.0


def new_to(champion: Model, dataset: StoredDataset, *, store: Store) -> dict[str, Any]:
    """What of the data and labels is new to a champion, as the job's request keeps it.

    Raises DataError ``other_series``.
    """
    series = _series(dataset, store)
    ids = [one.id for one in series]
    if champion.dataset_id not in ids:
        raise DataError(
            f"model '{champion.name}' was trained on data that this schedule's were not "
            "appended to",
            code="other_series",
        )
    made = store.job(champion.job_id)
    known = ((made.request.get("retraining") or {}).get("labels") or {}).get("artifacts") or ()
    labels = [str(one.artifact) for one in store.outcomes_of(dataset.root_id or dataset.id)]
    return {
        "labels": {
            "artifacts": labels,
            "key": key_of(dataset if dataset.spec is not None else series[0]),
            "target": made.request["target"],
        },
        "before": {
            **_then(dataset, ids.index(champion.dataset_id), series),
            "labels": [key for key in labels if key in known],
        },
    }


def nothing_new(champion: Model, dataset: StoredDataset, late: Mapping[str, Any]) -> bool:
    """Whether a champion learnt from just these tables and labels: no child need look at them."""
    same = dataset.spec is not None and dataset.id == champion.dataset_id
    return same and late["labels"]["artifacts"] == late["before"]["labels"]


def _series(dataset: StoredDataset, store: Store) -> list[StoredDataset]:
    """The versions up to this one: those that it is made of, or of several tables all of them."""
    if dataset.spec is None:
        return store.versions_of(dataset.project_id, dataset.id)
    found = store.series(dataset.project_id, dataset.id)
    return [one for one in found if one.version <= dataset.version]


def _then(dataset: StoredDataset, at: int, series: Sequence[StoredDataset]) -> dict[str, Any]:
    """How the rows of the version at a place among these are found again."""
    if dataset.spec is None:
        return {"n_parts": at + 1}
    then = series[at]
    from scheduler.fresh import identity_of  # it knows numpy, which the service does not

    return {"dataset": then.id, "identity": identity_of(dataset, then)}


def since_judged(
    last: Run | None, dataset: StoredDataset, late: Mapping[str, Any], *, store: Store
) -> dict[str, Any] | None:
    """What of the data and labels a schedule's last challenge knew, beside the champion's own.

    Only what came since speaks for another one: else the same labels would, every night, until a
    challenger wins by chance. None where no challenger was compared with anything yet.

    Parameters
    ----------
    last : the schedule's last run that is DONE
    late : what is new to the champion, by `new_to`
    """
    if last is None or last.job_id is None or (last.outcome or {}).get("challenge") is None:
        return None
    series = _series(dataset, store)
    ids = [one.id for one in series]
    if last.dataset_id not in ids:  # deleted since, or of other data
        return None
    before = late["before"]
    at = ids.index(before["dataset"]) if "dataset" in before else before["n_parts"] - 1
    then = store.job(last.job_id).request.get("retraining") or {}
    known = {*before["labels"], *((then.get("labels") or {}).get("artifacts") or ())}
    return {
        **_then(dataset, max(at, ids.index(last.dataset_id)), series),
        "labels": [key for key in late["labels"]["artifacts"] if key in known],
    }


def appraised(
    run: Run,
    champion: Model,
    dataset: StoredDataset,
    late: Mapping[str, Any],
    *,
    judged: Mapping[str, Any] | None = None,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    clock: Clock,
    stopping: Callable[[], bool],
) -> dict[str, Any]:
    """The numbers of the decision, from a child; the run is kept meanwhile.

    Counted from what was `judged` last, by `since_judged`, or else from the champion's training.
    """
    from scheduler.fresh import parts_before  # as above

    before = judged or late["before"]
    parts = parts_of(store.versions_of(dataset.project_id, dataset.id), artifacts)
    about = {"key": late["labels"]["key"], "target": late["labels"]["target"]}
    layout = None
    if dataset.spec is not None and dataset.artifact is not None:
        layout = str(artifacts.path(dataset.artifact) / LAYOUT)
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
                "parts": parts_before(before, dataset, store=store, artifacts=artifacts),
                "labels": paths(artifacts, before["labels"]),
                **about,
            },
            "champion": str(artifacts.path(champion.artifact)),
            "sha256": champion.sha256,
            "request": dict(store.job(champion.job_id).request),
            "training": store.observation(champion.id, day=TRAINING),
            "judged": judged is not None,
            "identity": list(before.get("identity") or ()),
            "layout": layout,
            "watts": settings.watts,
        },
        memory_bytes=settings.child_memory_bytes,
        cpu_seconds=ASSESS_SECONDS,
        wall_seconds=ASSESS_SECONDS,
        imports=("scheduler.assessment", *MODELS),
        cancelled=cancelled,
    )
    return numbers


def paths(artifacts: ArtifactStore, keys: list[str]) -> list[str]:
    """Where artifacts are, as a child is told."""
    return [str(artifacts.path(key)) for key in keys]
