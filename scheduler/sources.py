"""What one of several tables is put together from, and where the rows are.

A table's rows are those of a data set, or in files that stay where the operator has them: under
folders, or in object storage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from automl.errors import DataError
from automl.relations.spec import Spec
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.errors import Conflict, Gone, TooLarge, UnknownRecord
from scheduler.feed import FeedFile, chunks
from scheduler.objects import fetch, is_object, objects_at, state_of_objects
from scheduler.reading import parts_of
from scheduler.records import DatasetState, StoredDataset
from scheduler.registered import bytes_of, files_at, state_of
from scheduler.store import Store

T = TypeVar("T")


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


def files_of(
    spec: Mapping[str, Any], settings: Settings, *, field: str = "spec.tables.{name}.source.uri"
) -> dict[str, Any]:
    """By table that is registered in place, its `files`, their `state`, `options` and `bytes`.

    `field` is what errors call the URI of a table by its name. Raises DataError as `files_at` and
    `objects_at`.
    """
    found = {}
    for name, table in spec["tables"].items():
        if "uri" not in table["source"]:
            continue
        called = field.format(name=name)
        uri, options = table["source"]["uri"], dict(table.get("reading") or {})
        if is_object(uri):
            objects = objects_at(uri, settings, field=called)
            found[name] = {
                "files": objects,
                "options": options,
                "state": state_of_objects(objects),
                "bytes": sum(one["n_bytes"] for one in objects),
            }
            continue
        paths = files_at(uri, settings.feed_roots, field=called)
        try:
            about = {"state": state_of(paths), "bytes": bytes_of(paths)}
        except OSError:
            raise DataError(
                "a file went while the folder was looked at; try again",
                code="uri_not_found",
                details={"field": called},
            ) from None
        found[name] = {"files": [str(one) for one in paths], "options": options, **about}
    return found


def made_of(
    dataset: StoredDataset, *, store: Store, artifacts: ArtifactStore, settings: Settings
) -> dict[str, Any] | None:
    """What tables that stay where they are were put together from; None where it is not there.

    It is `spec`, `tables`, `relations` and `limits` for `scheduler.rewriting`.
    """
    spec = dataset.spec
    if spec is None or not any("uri" in one["source"] for one in spec["tables"].values()):
        return None
    try:
        versions = sources_of(store, dataset.project_id, spec)
        tables = tables_of(versions, artifacts) | files_of(spec, settings)
    except (Gone, UnknownRecord):  # what is indexed can still be read
        return None
    return {
        "spec": dict(spec),
        "tables": tables,
        "relations": dict((dataset.profile or {})["relations"]),
        "limits": settings.reading_limits,
    }


def bytes_at(
    uri: str, settings: Settings, artifacts: ArtifactStore, *, field: str
) -> Iterator[bytes]:
    """The bytes of the one file that a URI names; an object is fetched first.

    Raises
    ------
    DataError
        As `files_at` and `objects_at`; ``uri_not_a_file``; before the first byte.
    """
    if not is_object(uri):
        path = _one(files_at(uri, settings.feed_roots, field=field), field=field)
        return chunks(FeedFile(path=path, name=path.name))
    about = _one(objects_at(uri, settings, field=field), field=field)
    if about["n_bytes"] > settings.max_upload_bytes:
        raise TooLarge(
            f"'{uri}' has {about['n_bytes']:,} bytes; {settings.max_upload_bytes:,} are allowed",
            code="body_too_large",
        )
    return _fetched(about, settings, artifacts, field=field)


def _one(found: list[T], *, field: str) -> T:
    if len(found) != 1:
        raise DataError(
            f"the folder has {len(found)} files, and a table of its own is one file; a folder can "
            "be a table around others, in a spec",
            code="uri_not_a_file",
            details={"field": field},
        )
    return found[0]


def _fetched(
    about: Mapping[str, Any], settings: Settings, artifacts: ArtifactStore, *, field: str
) -> Iterator[bytes]:
    with artifacts.staging() as folder:
        copy = folder / "object"
        fetch(about, copy, settings, field=field)
        yield from chunks(FeedFile(path=copy, name=copy.name))
