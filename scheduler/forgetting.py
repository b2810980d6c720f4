"""Labels that came later of rows that are deleted: taken out of the files that they came in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from scheduler.artifacts import ArtifactStore
from scheduler.child import call
from scheduler.reading import key_of, parts_of
from scheduler.records import DatasetState, StoredDataset
from scheduler.store import Store

READ_SECONDS = 300.0
MAX_BYTES = 2**30


def forget_labels(
    gone: Sequence[StoredDataset],
    series: Sequence[StoredDataset],
    *,
    store: Store,
    artifacts: ArtifactStore,
    memory_bytes: int | None,
) -> int:
    """Take the labels of rows that only deleted versions had out of all files; how many there were.

    A file keeps its name, by which it is known that a model has learnt from it. To be called while
    the rows are still there to be looked at.

    Parameters
    ----------
    gone : the versions that are deleted, as they were before
    series : all versions of theirs, of which some are left
    """
    ids = {one.id for one in gone}
    root = series[0]
    late = [one.artifact for one in store.outcomes_of(root.id) if one.artifact is not None]
    # Of several tables the first version may be gone, and each has a profile of its own.
    key = key_of(gone[0] if gone and gone[0].spec is not None else root)
    read = [one for one in gone if one.artifact is not None]
    if not late or key is None or not read:
        return 0
    kept = [one for one in series if one.id not in ids and one.state is DatasetState.READY]
    with artifacts.staging() as folder:
        found: dict[str, Any] = call(
            "scheduler.forgetting:thin",
            {
                "key": key,
                "gone": parts_of(read, artifacts),
                "kept": parts_of(kept, artifacts),
                "files": [str(artifacts.path(name)) for name in late],
                "destination": str(folder),
            },
            memory_bytes=memory_bytes,
            cpu_seconds=READ_SECONDS,
            wall_seconds=READ_SECONDS,
        )
        for place in found["changed"]:
            with (folder / str(place)).open("rb") as file:
                chunks = iter(lambda: file.read(2**20), b"")
                artifacts.put_stream(late[place], chunks, max_bytes=MAX_BYTES)
    return int(found["n_labels"])


def thin(
    key: str,
    gone: Sequence[str],
    kept: Sequence[str],
    files: Sequence[str],
    destination: str,
) -> dict[str, Any]:
    """Write the files that have a label of a row that is gone without it, by their place.

    Returns ``changed``, the places, and ``n_labels``, how many were taken out; in a child.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from automl.data.late_labels import SCHEMA

    lost = pa.array(sorted(_keys(gone, key) - _keys(kept, key)), type=pa.string())
    changed, n_labels = [], 0
    for place, name in enumerate(files):
        table = pq.read_table(name, schema=SCHEMA)
        left = table.filter(pc.invert(pc.is_in(table["key"], value_set=lost)))
        if len(left) < len(table):
            pq.write_table(left, Path(destination) / str(place))
            changed.append(place)
            n_labels += len(table) - len(left)
    return {"changed": changed, "n_labels": n_labels}


def _keys(parts: Collection[str], key: str) -> set[str]:
    """The keys of some rows, as texts."""
    import pyarrow.parquet as pq

    from automl.data.late_labels import texts

    found: set[str] = set()
    for part in parts:
        with pq.ParquetFile(part) as file:
            batches = file.iter_batches(columns=[key]) if key in file.schema_arrow.names else ()
            for batch in batches:
                found.update(one for one in texts(batch.column(0)) if one is not None)
    return found
