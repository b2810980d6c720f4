"""Data sets that go, with the versions built on them, their files, and their rows' labels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from automl.errors import FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.forgetting import forget_labels
from scheduler.knowledge import LocalKnowledge
from scheduler.records import DatasetState, StoredDataset
from scheduler.store import Store

log = logging.getLogger(__name__)


def delete_dataset(
    project_id: str,
    dataset_id: str,
    *,
    force: bool,
    now: datetime,
    actor: str,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    on_gone: Callable[[str], None],
) -> list[str]:
    """Delete a data set, the versions built on it, and their files; their ids, its own first.

    Of what was deleted before, its own id comes alone.

    Parameters
    ----------
    on_gone : called with each id before the files go, so that whoever reads them stops

    Raises
    ------
    UnknownRecord, Conflict
        As `Store.delete_dataset`.
    """
    # Also what was made of it: without force the store refuses that.
    ids = [dataset_id, *store.built_on(project_id, dataset_id)]
    series = store.series(project_id, dataset_id)
    _, keys = store.delete_dataset(project_id, dataset_id, force=force, now=now, actor=actor)
    for one in ids:
        LocalKnowledge(settings, project_id).forget(one)
        on_gone(one)
    # With the last version all labels went already.
    live = (DatasetState.INGESTING, DatasetState.READY)
    if keys and any(one.id not in ids and one.state in live for one in series):
        keys += _forgotten(series, ids, store=store, artifacts=artifacts, settings=settings)
    for key in keys:
        artifacts.delete(key)
    return ids


def _forgotten(
    series: Sequence[StoredDataset],
    ids: Collection[str],
    *,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
) -> list[str]:
    """Take the labels of the rows of some versions out of the files that they came in.

    Where that fails none of the labels stays: the keys of their files, which are deleted.
    """
    gone = [one for one in series if one.id in ids and one.state is DatasetState.READY]
    try:
        n_labels = forget_labels(
            gone,
            series,
            store=store,
            artifacts=artifacts,
            memory_bytes=settings.child_memory_bytes,
        )
    except FrugalError as error:
        log.error(
            "data set %s: all labels that came later are deleted, since those of deleted rows "
            "cannot be told apart: %s",
            series[0].id,
            error.code,
        )
        return store.drop_outcomes(series[0].id)
    if n_labels:
        log.info("data set %s: %d labels of deleted rows deleted", series[0].id, n_labels)
    return []
