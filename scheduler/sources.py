"""What one of several tables is put together from, and where the rows are.

A table's rows are those of a data set, or in files under the operator's folders that stay there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.errors import DataError
from automl.relations.spec import Spec
from scheduler.artifacts import ArtifactStore
from scheduler.errors import Conflict, Gone
from scheduler.reading import parts_of
from scheduler.records import DatasetState, StoredDataset
from scheduler.registered import bytes_of, files_at, state_of
from scheduler.store import Store


def checked_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec as it is kept: defaults left out, each table from a data set or a URI.

    Raises
    ------
    DataError
        ``bad_spec``.
    """
    declared = Spec.from_json(spec).to_json()
    for name, table in declared["tables"].items():
        source = table.get("source", {})
        if set(source) not in ({"dataset"}, {"uri"}):
            raise DataError(
                f"spec, tables.{name}.source: the id of a data set is needed, as "
                '{"dataset": "..."}, or where its files are, as {"uri": "file:///folder/"}',
                code="bad_spec",
                details={"field": f"tables.{name}.source"},
            )
    return declared


def sources_of(
    store: Store, project_id: str, spec: Mapping[str, Any]
) -> dict[str, list[StoredDataset]]:
    """By table that comes from a data set, the versions that it is made of.

    Raises
    ------
    UnknownRecord, Gone, Conflict
        One of them is not there, deleted, or not READY.
    """
    found = {}
    for name, table in spec["tables"].items():
        if "dataset" not in table["source"]:
            continue
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


def check_target(spec: Mapping[str, Any], versions: Mapping[str, Sequence[StoredDataset]]) -> None:
    """Raise where a data set's profile shows that there is nothing to learn from.

    Where the entities are in files of their own, or are made by windows, reading shows it.

    Raises
    ------
    DataError
        ``column_not_found``: the entity table has no such target; ``positive_not_found``: it has
        none of the values that are said to be positive.
    """
    name = str(spec.get("entities"))
    if name not in versions or spec.get("target") is None:
        return
    profile = versions[name][-1].profile or {}
    columns = {one["name"]: one for one in profile.get("columns", ())}
    target = columns.get(spec["target"])
    if target is None:
        raise DataError(
            f"spec, target: table {name!r} has no column {spec['target']!r}",
            code="column_not_found",
            table=name,
            column=spec["target"],
            details={"field": "spec.target", "columns": list(columns)[:50]},
        )
    positive, levels = spec.get("positive"), target.get("levels")
    if positive is None or levels is None:
        return
    named = positive if isinstance(positive, list) else [positive]
    here = {_written(one["value"]) for one in levels}
    if not here & {_written(one) for one in named}:
        raise DataError(
            f"spec, positive: none of {len(named)} value(s) is among the {len(levels)} of "
            f"'{name}.{spec['target']}'; its profile has them",
            code="positive_not_found",
            table=name,
            column=spec["target"],
            details={"field": "spec.positive"},
        )


def _written(value: Any) -> str:
    """A level as it compares: 1, 1.0, "1" and true name the same, as `automl.data.target` has it.

    >>> {_written(one) for one in (1, 1.0, "1", True, "True")}
    {'1'}
    """
    text = str(value).strip().lower() if isinstance(value, bool) else str(value)
    if text.lower() in ("true", "false"):
        return str(int(text.lower() == "true"))
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else str(number)


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


def files_of(spec: Mapping[str, Any], roots: Collection[Path]) -> dict[str, Any]:
    """By table that is registered in place, its `files`, their `state`, `options` and `bytes`.

    Raises DataError as `files_at`, and ``not_supported`` for raw logs, which are uploaded.
    """
    found = {}
    for name, table in spec["tables"].items():
        if "uri" not in table["source"]:
            continue
        field = f"spec.tables.{name}.source.uri"
        if (table.get("reading") or {}).get("log_format"):
            raise DataError(
                f"{name!r} is a raw log: it is read in place only as Parquet, CSV or JSON Lines; "
                "upload it as a data set with its log_format",
                code="not_supported",
                details={"field": f"spec.tables.{name}.reading.log_format"},
            )
        paths = files_at(table["source"]["uri"], roots, field=field)
        try:
            about = {"state": state_of(paths), "bytes": bytes_of(paths)}
        except OSError:
            raise DataError(
                "a file went while the folder was looked at; try again",
                code="uri_not_found",
                details={"field": field},
            ) from None
        options = dict(table.get("reading") or {})
        found[name] = {"files": [str(one) for one in paths], "options": options, **about}
    return found
