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
from scheduler.sources import sources_of, tables_of
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
    tables: Mapping[str, str],
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
    tables : ids of data sets, by the name that each is to have

    Returns
    -------
    dict
        ``spec``, as it can be posted; ``reasons``, ``open_questions``, and ``sampled``: by table
        the rows that were looked at, of how many.

    Raises
    ------
    DataError
        ``target_not_found``, ``no_entities``, ``not_inferred``.
    UnknownRecord, Gone, Conflict
        A data set is not there, deleted, or not READY.
    """
    named = {name: {"source": {"dataset": one}} for name, one in tables.items()}
    versions = sources_of(store, project_id, {"tables": named})
    read = tables_of(versions, artifacts)
    parts = {name: one["parts"] for name, one in read.items()}
    logs = [name for name, one in read.items() if one["options"].get("log_format")]
    if not _turns.acquire(timeout=WAIT_SECONDS):
        raise StoreUnavailable("other proposals are being made; try again", code="inferring_busy")
    try:
        found: dict[str, Any] = call(
            "scheduler.proposing:propose",
            {"tables": parts, "target": target, "logs": logs},
            memory_bytes=settings.child_memory_bytes,
            cpu_seconds=SECONDS,
            wall_seconds=3 * SECONDS,
        )
    except ChildDied as error:
        raise DataError(
            f"nothing can be proposed for these tables: {error}", code="not_inferred"
        ) from None
    finally:
        _turns.release()
    for name, one in found["spec"]["tables"].items():
        one["source"] = {"dataset": tables[name]}
    return found


def propose(
    tables: Mapping[str, Sequence[str]], target: str | None, logs: Sequence[str] = ()
) -> dict[str, Any]:
    """What the child does: read samples, and infer.

    Parameters
    ----------
    tables : by name, the Parquet files of its rows
    logs : those that were raw logs
    """
    from automl.relations.inferring import infer

    files = {name: [Path(one) for one in parts] for name, parts in tables.items()}
    samples = {name: sample(parts) for name, parts in files.items()}
    counts = {name: rows_of(parts) for name, parts in files.items()}
    for name in files:
        others = {one for other in files if other != name for one in samples[other].column_names}
        if samples[name].num_rows < counts[name] and may_be_whole(
            files[name], samples[name], others=others
        ):
            samples[name] = sample(files[name], n_rows=WHOLE_ROWS)
    found = infer(samples, target=target, logs=logs)
    return {
        "spec": found.spec,
        "reasons": list(found.reasons),
        "open_questions": list(found.open_questions),
        "sampled": {
            name: {"rows": one.num_rows, "of": counts[name]} for name, one in samples.items()
        },
    }


def rows_of(parts: Sequence[Path]) -> int:
    """How many rows files have."""
    import pyarrow.parquet as pq

    return sum(int(pq.read_metadata(part).num_rows) for part in parts)


def may_be_whole(parts: Sequence[Path], table: pa.Table, *, others: set[str]) -> bool:
    """Whether others may point to this table, of which a sample is given, and it is not too large.

    It then has a column of different values that is called like one of theirs: a sample of it
    would not have the rows that they point to.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    about = [pq.read_metadata(part) for part in parts]
    n_bytes = sum(
        one.row_group(n).total_byte_size for one in about for n in range(one.num_row_groups)
    )
    if sum(one.num_rows for one in about) > WHOLE_ROWS or n_bytes > WHOLE_BYTES:
        return False
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
