"""What children that read foreign data do; nothing of it runs in the service's own process."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.child import Channel
from scheduler.errors import Gone
from scheduler.records import StoredDataset

if TYPE_CHECKING:
    from automl.data.versions import Source
    from automl.search.objective import Objective

ROWS_FILE = "rows.parquet"
# What a file that is no table is compared with, to say which log it may be.
LOOKED_AT_BYTES = 2**18
WEAK_FORMATS = ("key_message", "jsonl")


def read_in(
    channel: Channel,
    source: str,
    destination: str,
    options: Mapping[str, Any],
    limits: Mapping[str, int],
    watts: Mapping[str, float | None],
    base: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Look at an upload, say so, and when told to go on store it as Parquet.

    Parameters
    ----------
    base : what the rows are appended to: the files of its `parts`, its `profile`, `cells` (how
        its cells were read) and its `key`. The profile is then that of all rows.

    Returns
    -------
    dict
        ``profile``, and ``cost`` with the CPU-seconds, joules and meter that it took.

    Raises
    ------
    DataError
        Before the message: the upload is refused. After it: the data set is INVALID.
    """
    from automl.data.tables import ReadingLimits, ReadingOptions, ingest, inspect
    from automl.meters.base import measure

    with measure(meter_of(watts)) as reading:
        chosen, most = ReadingOptions.from_json(options), ReadingLimits(**limits)
        if base is not None:
            from automl.data import versions

            before = base["profile"]
            chosen = versions.read_alike(chosen, cells=base["cells"])
        try:
            looked = inspect(Path(source), options=chosen, limits=most)
        except DataError as error:
            raise _with_log_format(error, Path(source), options) from None
        if base is not None and looked.names:
            versions.check_key(ReadingOptions.from_json(options).key, looked.names)
            chosen = versions.typed_alike(chosen, base=before, names=looked.names)
            inspect(Path(source), options=chosen, limits=most)
        channel.send("inspected")
        profile = ingest(Path(source), Path(destination), options=chosen, limits=most)
        if base is not None:
            versions.check_columns(before, [one["name"] for one in profile["columns"]])
            own = Path(destination) / ROWS_FILE
            profile = versions.profile_joined(
                versions.Source(parts=(*map(Path, base["parts"]), own)),
                base=before,
                own=profile,
                key=base["key"],
                scratch=Path(destination) / "joined.part",
            )
    return {"profile": profile, "cost": reading.cost.to_json()}


def _with_log_format(error: DataError, source: Path, options: Mapping[str, Any]) -> DataError:
    """Why a file is no table, and that it may be a log of a format that its lines fit."""
    from automl.logs.formats import MAX_UNPARSED, guess_format

    if options.get("log_format") or options.get("format"):
        return error
    with source.open("rb") as file:
        name, share = guess_format(file.read(LOOKED_AT_BYTES))
    if name in WEAK_FORMATS or share < 1 - MAX_UNPARSED:
        return error
    return DataError(
        f"{error}; its lines are those of a log: upload it with log_format={name}",
        code=error.code,
        table=error.table,
        column=error.column,
        row=error.row,
        details={**error.details, "log_format": name, "share": share},
    )


def source_of(rows: Mapping[str, Any]) -> Source:
    """Return where rows are, from its JSON object: `parts`, and `labels`, `key` and `target`."""
    from automl.data.versions import Source

    return Source(
        parts=tuple(map(Path, rows["parts"])),
        labels=tuple(map(Path, rows.get("labels") or ())),
        key=rows.get("key"),
        target=rows.get("target"),
    )


def admit(
    rows: Mapping[str, Any],
    scratch: str,
    request: Mapping[str, Any],
    profile: Mapping[str, Any],
    watts: Mapping[str, float | None],
    grams_per_kwh: float,
) -> dict[str, Any]:
    """Say whether a job may run on this data: warnings, excluded columns, counts, expected cost.

    `rows` is as for `source_of`; where they have to be joined this is done in `scratch`, a folder.
    Limits are checked against what the cheapest trial is expected to take on this machine.

    Raises
    ------
    DataError
        With the code of what stands against it.
    """
    from automl.data import admission
    from automl.models.expected import CostModel
    from automl.search.outlook import ranking_seconds
    from automl.search.speed import probed

    joined = source_of(rows).write(Path(scratch) / ROWS_FILE)
    found = admission.admit(joined, request, profile=profile)
    n_columns = max(found.n_features, 1)  # rows with tables around them may have none of their own
    costs = CostModel.shipped()
    speed = probed(meter_of(watts), costs)
    limits = {
        name: limit
        for name, limit in (request.get("limits") or {}).items()
        if limit is not None and name not in ("trials", "least_gain_per_gram")
    }
    if limits:
        from automl.search.floor import check_limits, least_seconds

        if request["target"] is None:
            least = costs.features_seconds(found.n_rows, n_columns)
            least += ranking_seconds(n_rows=found.n_rows, n_columns=n_columns)
        else:
            least = least_seconds(
                n_rows=found.n_labelled,
                n_positive=found.n_positive,
                n_columns=n_columns,
                mode=request.get("mode") or "balanced",
                costs=costs,
            )
        check_limits(limits, least, speed=speed, grams_per_kwh=grams_per_kwh, costs=costs)
    expected = expect(
        n_rows=found.n_rows if request["target"] is None else found.n_labelled,
        n_positive=found.n_positive,
        n_columns=n_columns,
        request=request,
        speed=speed.to_json(),
        grams_per_kwh=grams_per_kwh,
    )
    return {**found.to_json(), "expected": expected["expected"]}


def expect(
    n_rows: int,
    n_positive: int,
    n_columns: int,
    request: Mapping[str, Any],
    grams_per_kwh: float,
    watts: Mapping[str, float | None] | None = None,
    speed: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Say what a job on a table of these counts is expected to take on this machine.

    Returns
    -------
    dict
        ``expected``: an `automl.search.expectation.Expectation`, and ``speed``, measured with the
        meter of these `watts` where it is not given.
    """
    from automl.cost import Speed
    from automl.models.expected import CostModel
    from automl.search.outlook import expected_search
    from automl.search.speed import probed

    costs = CostModel.shipped()
    here = (
        probed(meter_of(watts or {"per_core": None, "per_gb": None}), costs)
        if speed is None
        else Speed(**speed)
    )
    expected = expected_search(
        n_rows=n_rows,
        n_positive=n_positive,
        n_columns=n_columns,
        mode=request.get("mode") or "balanced",
        costs=costs,
        speed=here,
        limits=request.get("limits"),
        grams_per_kwh=grams_per_kwh,
    )
    return {"expected": expected.to_json(), "speed": here.to_json()}


def parts_of(versions: Sequence[StoredDataset], artifacts: ArtifactStore) -> list[str]:
    """Return the files of the parts of a data set's rows. Raises Gone."""
    found = []
    for one in versions:
        if one.artifact is None:
            raise Gone("the data set was deleted")
        found.append(str(artifacts.path(one.artifact) / ROWS_FILE))
    return found


def key_of(dataset: StoredDataset) -> str | None:
    """Return the column that names the rows: declared at the upload, else as the profile has it."""
    if dataset.options.get("key"):
        return str(dataset.options["key"])
    for column in (dataset.profile or {}).get("columns", ()):
        if "key" in column.get("roles", ()):
            return str(column["name"])
    return None


def meter_of(watts: Mapping[str, float | None]) -> Any:
    """Return this machine's meter with the constants of the settings."""
    from automl.meters.cpu_time import WATTS_PER_GB
    from automl.meters.detect import detect_meter

    logging.getLogger("automl.meters.detect").setLevel(logging.WARNING)
    per_gb = watts["per_gb"]
    return detect_meter(
        watts_per_core=watts["per_core"],
        watts_per_gb=WATTS_PER_GB if per_gb is None else per_gb,
    )


def objective_of(request: Mapping[str, Any]) -> Objective:
    """Return what a job's request calls a good model; what is missing or null is the default."""
    from automl.search.objective import Objective

    asked = request.get("objective") or {}
    names = (field.name for field in fields(Objective))
    return Objective(**{name: asked[name] for name in names if asked.get(name) is not None})
