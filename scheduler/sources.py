"""Which data sets one of several tables is put together from, and where their rows are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.errors import DataError
from automl.relations.spec import Spec
from scheduler.artifacts import ArtifactStore
from scheduler.errors import Conflict, Gone
from scheduler.reading import parts_of
from scheduler.records import DatasetState, StoredDataset
from scheduler.store import Store


def checked_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec as it is kept: defaults left out, each table from a data set.

    Raises
    ------
    DataError
        ``bad_spec``.
    """
    declared = Spec.from_json(spec).to_json()
    for name, table in declared["tables"].items():
        source = table.get("source", {})
        if set(source) != {"dataset"}:
            raise DataError(
                f"spec, tables.{name}.source: the id of a data set is needed, as "
                '{"dataset": "..."}',
                code="bad_spec",
                details={"field": f"tables.{name}.source"},
            )
    return declared


def sources_of(
    store: Store, project_id: str, spec: Mapping[str, Any]
) -> dict[str, list[StoredDataset]]:
    """By table, the versions that its data set is made of.

    Raises
    ------
    UnknownRecord, Gone, Conflict
        One of them is not there, deleted, or not READY.
    """
    found = {}
    for name, table in spec["tables"].items():
        versions = store.versions_of(project_id, table["source"]["dataset"])
        state = versions[-1].state
        if state is DatasetState.DELETED:
            raise Gone(f"the data set of the table {name!r} was deleted")
        if state is not DatasetState.READY:
            raise Conflict(
                f"the data set of the table {name!r} is {state}, not READY",
                code="dataset_not_ready",
            )
        found[name] = versions
    return found


def tables_of(
    versions: Mapping[str, Sequence[StoredDataset]], artifacts: ArtifactStore
) -> dict[str, Any]:
    """By table, the `parts` of its rows, the `options` they were read by and the `bytes` they are.

    Raises Gone.
    """
    return {
        name: {
            "parts": parts_of(ones, artifacts),
            "options": dict(ones[0].options),
            "bytes": sum(one.bytes_stored or 0 for one in ones),
        }
        for name, ones in versions.items()
    }
