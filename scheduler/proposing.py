"""What several data sets may be to each other: proposed by a child from samples of their rows."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.child import call
from scheduler.config import Settings
from scheduler.errors import ChildDied, StoreUnavailable
from scheduler.glance import Glance, glance
from scheduler.sources import files_of, sources_of, tables_of
from scheduler.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

SECONDS = 120.0
# Rows of a table that are looked at, in so many runs spread over it.
SAMPLE_ROWS, RUNS = 200_000, 20
# A table that others may point to is looked at whole up to this.
WHOLE_ROWS = 2_000_000
WHOLE_BYTES = 2**29
# Columns are compared in pairs; more of one table than this are not looked at.
MOST_COLUMNS = 500
WAIT_SECONDS = 60.0
_turns = threading.BoundedSemaphore(2)


def proposal(
    tables: Mapping[str, Mapping[str, Any]],
    *,
    target: str | None,
    project_id: str,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
) -> dict[str, Any]:
    """Propose the spec of data sets.

    Parameters
    ----------
    tables : by the name that each is to have, its `source`, and `reading` where it is a URI's

    Returns
    -------
    dict
        ``spec``, as it can be posted; ``reasons``, ``open_questions``, and ``sampled``: by table
        the rows that were looked at, of how many (estimated where not all files were read).

    Raises
    ------
    DataError
        ``target_not_found``, ``no_entities``, ``not_inferred``, and what reading files raises.
    UnknownRecord, Gone, Conflict
        A data set is not there, deleted, or not READY.
    """
    named = {"tables": tables}
    read = tables_of(sources_of(store, project_id, named), artifacts) | files_of(
        named, settings, field="tables.{name}.uri"
    )
    logs = [name for name, one in read.items() if one["options"].get("log_format")]
    if not _turns.acquire(timeout=WAIT_SECONDS):
        raise StoreUnavailable("other proposals are being made; try again", code="inferring_busy")
    try:
        found: dict[str, Any] = call(
            "scheduler.proposing:propose",
            {
                "tables": read,
                "target": target,
                "logs": logs,
                "limits": settings.reading_limits,
            },
            memory_bytes=settings.child_memory_bytes,
            cpu_seconds=SECONDS,
            wall_seconds=3 * SECONDS,
            passed=settings.storage_variables,
        )
    except ChildDied as error:
        raise DataError(
            f"nothing can be proposed for these tables: {error}", code="not_inferred"
        ) from None
    finally:
        _turns.release()
    guessed, prefixes = found.pop("log_formats"), found.pop("prefixes")
    for name, one in found["spec"]["tables"].items():
        one["source"] = dict(tables[name]["source"])
        reading = dict(tables[name].get("reading") or {})
        if name in guessed:
            reading["log_format"] = guessed[name]
            why = f"no table, but its first lines are those of a log: {guessed[name]}"
            found["reasons"].append({"field": f"tables.{name}.reading", "reason": why})
        if name in prefixes:
            reading["entity_prefix"] = prefixes[name]
            why = f"nearly all of its lines name something that begins with {prefixes[name]}"
            found["reasons"].append({"field": f"tables.{name}.reading", "reason": why})
        if reading:
            one["reading"] = reading
    return found


def propose(
    tables: Mapping[str, Mapping[str, Any]],
    target: str | None,
    logs: Sequence[str] = (),
    limits: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What the child does: read samples, and infer.

    Parameters
    ----------
    tables : by name, the Parquet files that are the `parts` of its rows; or the `files` that stay
        where they are, and the `options` they are read by
    logs : those that were raw logs
    limits : of what is read
    """
    from automl.relations.inferring import infer

    looks = {name: _look(name, one, limits or {}) for name, one in tables.items()}
    samples = {name: one.rows for name, one in looks.items()}
    guessed = {
        name: str(one.options["log_format"]) for name, one in looks.items() if one.is_guessed
    }
    for name, one in looks.items():
        others = {at for other in looks if other != name for at in samples[other].column_names}
        if one.rows.num_rows < one.n_rows and one.may_be_whole and is_pointed_to(one.rows, others):
            again = {**tables[name], "options": one.options}
            samples[name] = _look(name, again, limits or {}, n_rows=WHOLE_ROWS).rows
    logs = [*logs, *guessed]
    prefixes = _prefixes(tables, looks, logs)
    for name, prefix in prefixes.items():
        again = {**tables[name], "options": {**looks[name].options, "entity_prefix": prefix}}
        samples[name] = _look(name, again, limits or {}).rows
    found = infer(samples, target=target, logs=logs)
    return {
        "spec": found.spec,
        "reasons": list(found.reasons),
        "open_questions": list(found.open_questions),
        "sampled": {
            name: {"rows": one.num_rows, "of": max(looks[name].n_rows, one.num_rows)}
            for name, one in samples.items()
        },
        "log_formats": guessed,
        "prefixes": prefixes,
    }


def _prefixes(
    tables: Mapping[str, Mapping[str, Any]], looks: Mapping[str, Glance], logs: Sequence[str]
) -> dict[str, str]:
    """How the names in the lines begin, of a log alone that can be read by them: a URI's."""
    from automl.relations.guessed_windows import KEY, key_prefix

    (name, one), *others = looks.items()
    told = one.options.get("entity_prefix") is not None or KEY in one.rows.column_names
    if others or told or name not in logs or "files" not in tables[name]:
        return {}
    prefix = key_prefix(one.rows.column("message"))
    return {} if prefix is None else {name: prefix}


def _look(
    name: str, one: Mapping[str, Any], limits: Mapping[str, int], *, n_rows: int | None = None
) -> Glance:
    """Some rows of a table, or as many as asked for."""
    from automl.data.options import ReadingLimits
    from automl.relations.objects import file_of

    if "files" in one:
        return glance(
            [file_of(file) for file in one["files"]],
            table=name,
            options=one.get("options") or {},
            limits=ReadingLimits(**limits),
            n_rows=SAMPLE_ROWS if n_rows is None else n_rows,
            whole_rows=WHOLE_ROWS,
        )
    parts = [Path(part) for part in one["parts"]]
    return Glance(
        rows=sample(parts) if n_rows is None else sample(parts, n_rows=n_rows),
        n_rows=rows_of(parts),
        options=one.get("options") or {},
        is_guessed=False,
        may_be_whole=may_be_whole(parts),
    )


def rows_of(parts: Sequence[Path]) -> int:
    """How many rows files have."""
    import pyarrow.parquet as pq

    return sum(int(pq.read_metadata(part).num_rows) for part in parts)


def may_be_whole(parts: Sequence[Path]) -> bool:
    """Whether a table is not too large to be read whole."""
    import pyarrow.parquet as pq

    about = [pq.read_metadata(part) for part in parts]
    n_bytes = sum(
        one.row_group(n).total_byte_size for one in about for n in range(one.num_row_groups)
    )
    n_rows = sum(int(one.num_rows) for one in about)
    return n_rows <= WHOLE_ROWS and int(n_bytes) <= WHOLE_BYTES


def is_pointed_to(table: pa.Table, others: set[str]) -> bool:
    """Whether others, with columns of these names, may point to this table, by a sample of it.

    It then has a column of different values that is called like one of theirs: a sample of it
    would not have the rows that they point to.
    """
    import pyarrow.compute as pc

    lower = {one.lower() for one in others}
    for name in table.column_names:
        own = name.lower()
        alike = any(own == one or own.endswith(one) or one.endswith(own) for one in lower)
        if alike and pc.count_distinct(table[name]).as_py() == table.num_rows:
            return True
    return False


def sample(parts: Sequence[Path], *, n_rows: int = SAMPLE_ROWS, runs: int = RUNS) -> pa.Table:
    """Rows of files: all, or runs of neighbours that are spread evenly over them.

    Neighbours tell whether a key comes more than once where rows lie in its order.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    total = rows_of(parts)
    wanted = [(0, total)]
    if total > n_rows:
        each = n_rows // runs
        wanted = [(total * run // runs, total * run // runs + each) for run in range(runs)]
    found, start = [], 0
    for part in parts:
        with pq.ParquetFile(part) as file:
            names = file.schema_arrow.names[:MOST_COLUMNS]
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                here = [(max(a, start), min(b, end)) for a, b in wanted if a < end and b > start]
                if here:
                    rows = file.read_row_group(group, columns=names, use_threads=False)
                    found += [rows.slice(a - start, b - a) for a, b in here]
                start = end
    return pa.concat_tables(found, promote_options="permissive")
