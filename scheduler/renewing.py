"""The next version of a data set of several tables: the same spec over its tables as they are now.

A version of several tables has all of its rows, where one of a plain table has those that were
appended: an event that came late belongs to an entity that was there before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.errors import Conflict, Gone
from scheduler.records import DatasetState, StoredDataset
from scheduler.sources import check_target, checked_spec, files_of, sources_of, tables_of
from scheduler.store import Store


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """What the next version is put together from, and how it is to look.

    Parameters
    ----------
    base : the newest version, to which it is the next
    spec : the base's, each table from the newest version of its data set
    tables : by name, what each is read from, as `scheduler.sources` has it
    identity : the spec, the files' state and the series: the same where nothing has changed
    like : what the base's profile says of its `relations`, with which the next one agrees
    """

    base: StoredDataset
    spec: dict[str, Any]
    tables: dict[str, Any]
    identity: dict[str, Any]
    like: dict[str, Any]

    @property
    def series(self) -> str:
        """The first version."""
        return self.base.root_id or self.base.id


def renewal_of(
    store: Store,
    artifacts: ArtifactStore,
    project_id: str,
    base_id: str,
    *,
    settings: Settings,
    sources: Mapping[str, Mapping[str, str]] | None = None,
) -> Renewal:
    """Find out what the next version of a data set would be made of; nothing is read.

    Parameters
    ----------
    settings : what the operator allows to be read in place
    sources : by table, another source than before; of others the data set's newest version, or
        the files that are there now

    Raises
    ------
    DataError
        ``not_several_tables``, ``unknown_table``, ``bad_spec``, ``column_not_found``, and where a
        URI cannot be used.
    UnknownRecord, Gone, Conflict
        The base, or a data set that it is put together from, is not there, deleted, not READY.
    """
    base = store.get_dataset(project_id, base_id)
    if base.state is DatasetState.DELETED:
        raise Gone("the data set was deleted")
    if base.spec is None:
        raise DataError(
            "the data set is one table: send the rows to append as a file, not as JSON",
            code="not_several_tables",
        )
    if base.state is not DatasetState.READY:
        raise Conflict(f"the data set is {base.state}, not READY", code="dataset_not_ready")
    spec = checked_spec(_with_newest(store, project_id, base.spec, sources or {}))
    versions = sources_of(store, project_id, spec)
    check_target(spec, versions)
    files = files_of(spec, settings)
    identity: dict[str, Any] = {"spec": spec}
    if files:
        identity["files"] = {name: one["state"] for name, one in files.items()}
    return Renewal(
        base=base,
        spec=spec,
        tables=tables_of(versions, artifacts) | files,
        identity=identity,
        like=dict((base.profile or {}).get("relations") or {}),
    )


def _with_newest(
    store: Store,
    project_id: str,
    spec: Mapping[str, Any],
    sources: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """The spec with each table from its newest source. Raises Conflict and UnknownRecord."""
    tables = {}
    for name in sources:
        if name not in spec["tables"]:
            raise DataError(
                f"the data set has no table {name!r}: it has {', '.join(spec['tables'])}",
                code="unknown_table",
                table=name,
                details={"field": f"tables.{name}"},
            )
    for name, table in spec["tables"].items():
        source = dict(sources.get(name) or table["source"])
        if name not in sources and "dataset" in source:
            newest = store.newest_version(project_id, str(source["dataset"]))
            if newest.state is DatasetState.INGESTING:
                raise Conflict(
                    f"the data set of the table {name!r} is still being read",
                    code="dataset_not_ready",
                )
            source = {"dataset": newest.id}
        tables[name] = {**table, "source": source}
    return {**spec, "tables": tables}


def check_settled(tables: Mapping[str, Any], settled: timedelta, *, now: datetime) -> None:
    """Raise where a file was written to so lately that it may not be whole; objects always are.

    Raises
    ------
    Conflict
        ``not_settled``.
    DataError
        ``uri_not_found``: a file went meanwhile.
    """
    for name, one in tables.items():
        for file in one.get("files", ()):
            if not isinstance(file, str):
                continue
            try:
                written = datetime.fromtimestamp(Path(file).stat().st_mtime, UTC)
            except OSError:
                raise DataError(
                    f"a file of the table {name!r} went while the folder was looked at; try again",
                    code="uri_not_found",
                    table=name,
                ) from None
            if abs(now - written) < settled:
                raise Conflict(
                    f"a file of the table {name!r} is still being written to", code="not_settled"
                )


def like_of(store: Store, dataset: StoredDataset) -> dict[str, Any] | None:
    """What a version has to agree with: the relations of its base; None of a first version.

    Raises Gone where the base was deleted.
    """
    if dataset.base_id is None:
        return None
    base = store.get_dataset(dataset.project_id, dataset.base_id)
    if base.profile is None:
        raise Gone("the version before was deleted")
    return dict(base.profile["relations"])
