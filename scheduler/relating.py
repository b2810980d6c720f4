"""What the child does that puts several tables together; nothing of it runs in the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.alike import check_columns, check_kinds
from scheduler.child import Channel
from scheduler.reading import meter_of, source_of

if TYPE_CHECKING:
    import pyarrow as pa

    from automl.relations.assembling import Assembled
    from automl.relations.layout import Layout
    from automl.relations.objects import File
    from automl.relations.spec import Spec, TableSpec

LAYOUT = "relations"  # the folder beside the rows
NOW = "now"


def assemble(
    channel: Channel,
    spec: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, Any]],
    destination: str,
    limits: Mapping[str, int],
    watts: Mapping[str, float | None],
    now: str,
    like: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Put tables together: entity rows as a plain table, and their events in buckets beside it.

    The next version of a data set says so once its tables are seen to have the columns of the one
    before, and goes on when told to.

    Parameters
    ----------
    tables : by name, the files of its `parts`, and how many `bytes` they are; or `files` that
        stay where they are
    now : ISO; events at or after it are of the future
    like : of a next version, what the profile of the one before says of its `relations`

    Returns
    -------
    dict
        ``profile`` of the rows, whose ``relations`` are what the tables are to each other, and
        ``cost``.

    Raises
    ------
    DataError
        What stands against it: before the message the version is refused, else the data set is
        INVALID.
    """
    from automl.data.options import ReadingLimits
    from automl.meters.base import measure
    from automl.relations.blind import blind
    from automl.relations.layout import Layout
    from automl.relations.objects import file_of
    from automl.relations.sampled import first_and_positive
    from automl.relations.spec import Spec
    from automl.relations.stored import Stored
    from automl.relations.storing import store

    folder = Path(destination)
    moment = datetime.fromisoformat(now)
    with measure(meter_of(watts)) as taken:
        said = Spec.from_json(spec)
        declared = said if like is None else typed_alike(said, like, tables)
        most = ReadingLimits(**limits)
        in_place = {
            name: [file_of(file) for file in one["files"]]
            for name, one in tables.items()
            if "files" in one
        }
        types = {
            name: types_of(one["parts"]) for name, one in tables.items() if name not in in_place
        } | {
            name: types_in_place(declared.tables[name], files, limits=most)
            for name, files in in_place.items()
        }
        if like is not None:
            check_columns(like, types)
            channel.send("looked")
        own = {
            name: source_of(one).write(folder / f"{name}.part")
            for name, one in tables.items()
            if name not in in_place
        }
        levels = declared.positive if isinstance(declared.positive, list) else [declared.positive]
        made = store(
            at_moment(declared, moment),
            {**own, **in_place},
            folder / LAYOUT,
            now=moment,
            limits=most,
            sample=first_and_positive([one for one in levels if one is not None]),
            in_place=tuple(in_place),
        )
        for name in own:
            (folder / f"{name}.part").unlink(missing_ok=True)
        layout = Layout.read(folder / LAYOUT)
        unseen, nothing = blind(Stored(folder / LAYOUT))
        profile = stored_rows(made.table, folder, key=key_of(made), limits=most)
    before = {name: int(one["bytes"]) for name, one in tables.items()}
    profile["bytes_in"] = sum(before.values())
    reading = {name: dict(one.get("options") or {}) for name, one in tables.items()}
    profile["relations"] = {
        **about(
            made,
            untyped(as_said(made.spec, declared), said),
            layout,
            before=before,
            unseen=unseen,
            warnings=nothing,
        ),
        "types": types,
        "reading": reading,
    }
    if like is not None:
        check_kinds(like, profile["relations"])
    return {"profile": profile, "cost": taken.cost.to_json()}


def at_moment(spec: Spec, moment: datetime) -> Spec:
    """The spec with the clock's time where its cut-off is ``now`` itself."""
    if spec.cut_off.now != NOW:
        return spec
    return replace(spec, cut_off=replace(spec.cut_off, now=moment.isoformat()))


def as_said(spec: Spec, declared: Spec) -> Spec:
    """The spec with ``now`` as its cut-off where it was declared so: each prediction has its own.

    It is another than the declared one where windows made the entities.
    """
    return replace(spec, cut_off=declared.cut_off) if declared.cut_off.now == NOW else spec


def typed_alike(spec: Spec, like: Mapping[str, Any], tables: Mapping[str, Any]) -> Spec:
    """The spec whose texts in place are read as those of the version before.

    A whole number may have a fraction some day: of what sort a number is, its cells say.
    """
    known: dict[str, TableSpec] = {}
    for name, one in spec.tables.items():
        before = like["types"].get(name, {})
        if "files" not in tables[name] or not before:
            continue
        types = {
            column: kind for column, kind in before.items() if kind not in ("integer", "number")
        }
        reading = dict(one.reading)
        known[name] = replace(one, reading=reading | {"types": types | reading.get("types", {})})
    return replace(spec, tables={**spec.tables, **known}) if known else spec


def untyped(spec: Spec, said: Spec) -> Spec:
    """The spec without what `typed_alike` added to it; one that windows made has tables more."""
    tables = {
        name: replace(one, reading=said.tables[name].reading) if name in said.tables else one
        for name, one in spec.tables.items()
    }
    return replace(spec, tables=tables)


def types_of(parts: Sequence[str]) -> dict[str, str]:
    """The types of a stored table's columns, by name."""
    from automl.data.versions import TYPE_NAMES, Joining

    with Joining([Path(part) for part in parts]) as joining:
        return {one.name: TYPE_NAMES.get(one.type, "string") for one in joining.schema}


def types_in_place(about: TableSpec, files: Sequence[File], *, limits: Any) -> dict[str, str]:
    """The types of the columns of files that stay where they are, by name."""
    from automl.data.options import ReadingOptions
    from automl.data.versions import TYPE_NAMES
    from automl.relations.sidecar import arrow_type
    from automl.relations.sources import EventFiles

    options = ReadingOptions.from_json(about.reading)
    read = EventFiles(files, table=about.name, options=options, limits=limits)
    return {name: TYPE_NAMES.get(arrow_type(one), "string") for name, one in read.types().items()}


def key_of(made: Assembled) -> str | None:
    """The column that names a row: the entity's key, where it is one column and comes once."""
    names = made.roles["key"]
    once = made.report["n_entities"] == made.report["n_rows"]
    return names[0] if len(names) == 1 and once else None


def stored_rows(table: pa.Table, folder: Path, *, key: str | None, limits: Any) -> dict[str, Any]:
    """Write entity rows as any upload is stored; returns their profile."""
    import pyarrow.parquet as pq

    from automl.data.options import ReadingOptions
    from automl.data.tables import ingest

    part = folder / "rows.part"
    pq.write_table(table, part, compression="lz4")
    try:
        options = ReadingOptions(format="parquet", non_finite="null", key=key)
        return ingest(part, folder, options=options, limits=replace(limits, min_columns=1))
    finally:
        part.unlink(missing_ok=True)


def about(
    made: Assembled,
    spec: Spec,
    layout: Layout,
    *,
    before: Mapping[str, int],
    unseen: Mapping[str, int],
    warnings: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What is told of the tables, and what a job on them takes as said, as JSON."""
    tables = {}
    for name, one in spec.tables.items():
        told = dict(made.report["tables"].get(name) or {})
        told |= {"role": one.role, "dataset": one.source.get("dataset")}
        if "uri" in one.source:
            told["uri"] = one.source["uri"]
        if name == spec.entities:
            told |= {"kind": "entities", "rows": made.report["n_rows"]}
        if name in layout.tables:
            told["bytes"] = layout.tables[name].n_bytes
        if name in unseen:
            told["nothing_before_cut_off"] = unseen[name]
        tables[name] = told
    return {
        "spec": spec.to_json(),
        "n_entities": made.report["n_entities"],
        "tables": tables,
        "warnings": [
            {key: value for key, value in one.items() if value is not None}
            for one in (*made.report["warnings"], *warnings)
        ],
        "storage": {
            "bytes_before": sum(before.values()),
            "bytes_after": sum(one.n_bytes for one in layout.tables.values()),
        },
        "roles": {name: list(columns) for name, columns in made.roles.items()},
        "cut_off": spec.to_json().get("cut_off", {}),
        "target": spec.target,
        "positive": spec.positive,
    }
