"""Labels that come after their rows, by key: read by a child, kept as an artifact of the data."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.child import Channel, error_line
from scheduler.errors import Conflict, Gone
from scheduler.late_bodies import cells, key_text, known_at, label_text
from scheduler.late_reader import LateReader
from scheduler.reading import key_of, parts_of, source_of
from scheduler.records import DatasetState, Model
from scheduler.records_schedules import Outcomes
from scheduler.store import Store

LABELS_FILE = "labels.parquet"
AHEAD = timedelta(days=1)  # of this machine's clock: others' are wrong by less
MAX_BYTES = 2**30  # of what is kept; what comes is bounded by the request


def take_outcomes(
    model: Model,
    body: bytes,
    *,
    content_type: str,
    store: Store,
    artifacts: ArtifactStore,
    reader: LateReader,
    now: datetime,
) -> tuple[Outcomes, dict[str, Any], bool]:
    """Keep labels of the rows that a model was made for; they count when it is trained again.

    Returns
    -------
    (Outcomes, dict, bool)
        The record; ``n_unknown_keys``, ``n_conflicting`` and ``n_replaced`` of what came; and
        whether it is new: the same bytes once more change nothing.

    Raises
    ------
    DataError
        ``no_key``: the rows have no key to go by; ``invalid_outcomes`` and ``unknown_label``,
        with row and field; ``duplicate_key``: the same key and time twice.
    Gone, Conflict
        The data were deleted; ``dataset_not_ready``.
    """
    dataset = store.newest_version(model.project_id, model.dataset_id)
    if dataset.state is DatasetState.DELETED:
        raise Gone("the data set of the model was deleted")
    if dataset.state is DatasetState.INGESTING and dataset.base_id is not None:
        dataset = store.get_dataset(model.project_id, dataset.base_id)
    if dataset.state is not DatasetState.READY:
        raise Conflict(f"the data set is {dataset.state}, not READY", code="dataset_not_ready")
    versions = store.versions_of(model.project_id, dataset.id)
    key, request = key_of(versions[0]), store.job(model.job_id).request
    if request["target"] is None:
        raise DataError(
            f"model '{model.name}' was trained without labels, and needs none", code="no_target"
        )
    if key is None:
        raise DataError(
            "the data set has no column that names its rows: upload it with key=<column>",
            code="no_key",
        )
    sha256 = hashlib.sha256(content_type.encode() + b"\n" + body).hexdigest()
    name = f"outcomes/{uuid.uuid4().hex}"
    with artifacts.staging() as folder, artifacts.staging() as scratch:
        source = scratch / "body"
        source.write_bytes(body)
        counts = reader.read(
            {
                "source": str(source),
                "content_type": content_type,
                "destination": str(folder),
                "rows": {
                    "parts": parts_of(versions, artifacts),
                    "key": key,
                    "target": request["target"],
                },
                "positive": request.get("positive"),
                "now": now.isoformat(),
            }
        )
        with (folder / LABELS_FILE).open("rb") as file:
            artifacts.put_stream(name, iter(lambda: file.read(2**20), b""), max_bytes=MAX_BYTES)
    kept = False
    try:
        found, kept = store.add_outcomes(
            Outcomes(
                id=uuid.uuid4().hex,
                project_id=model.project_id,
                model_name=model.name,
                root_id=dataset.root_id or dataset.id,
                received_at=now,
                artifact=name,
                sha256=sha256,
                n_labels=counts.pop("n_labels"),
                n_positive=counts.pop("n_positive"),
            )
        )
    finally:
        if not kept:
            artifacts.delete(name)
    return found, counts, kept


def serve(channel: Channel) -> None:
    """Read labels, order by order, until the starter hangs up; in a child."""
    while True:
        order = channel.read_line()
        try:
            channel.write_line({"result": read_outcomes(**order)})
        except Exception as error:
            channel.write_line(error_line(error))


def read_outcomes(
    source: str,
    content_type: str,
    destination: str,
    rows: Mapping[str, Any],
    positive: Any,
    now: str,
) -> dict[str, int]:
    """Read labels, check them against the rows, and write them as Parquet; in a child.

    Raises
    ------
    DataError
        ``invalid_outcomes``, ``unknown_label``, ``duplicate_key``.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from automl.data.late_labels import SCHEMA, LateLabels, as_target, texts
    from automl.data.target import labels, wanted

    data = source_of(rows)
    target, keys = data.target_values(), data.read(str(data.key))
    known = {str(one): str(one) for one in texts(pc.unique(target).drop_null())}
    if pa.types.is_boolean(target.type):
        known |= {"1": "true", "0": "false", "True": "true", "False": "false"}
    found: list[tuple[str, str, datetime | None]] = []
    first: dict[tuple[str, datetime | None], int] = {}
    latest = datetime.fromisoformat(now) + AHEAD
    for number, (given, said, when) in enumerate(cells(Path(source), content_type), start=1):
        key, at = key_text(given, number), known_at(when, number, latest)
        label = label_text(said, known)
        if label is None:
            raise DataError(
                f"outcome {number:,} has a label that the target has nowhere",
                code="unknown_label",
                row=number,
                details={"field": "label"},
            )
        if first.setdefault((key, at), number) != number:
            raise DataError(
                f"outcome {number:,} has the key of outcome {first[key, at]:,}, and neither says "
                "that it was known later",
                code="duplicate_key",
                row=number,
                details={"field": "key", "first_row": first[key, at]},
            )
        found.append((key, label, at))
    if not found:
        raise DataError(
            "there is no outcome in it", code="invalid_outcomes", details={"field": "outcomes"}
        )
    table = pa.table([*map(list, zip(*found, strict=True))], schema=SCHEMA)
    path = Path(destination) / LABELS_FILE
    pq.write_table(table, path)
    late = LateLabels.read([path])
    missing = np.asarray(target.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    places, which = late.places(keys, missing)
    before = labels(target, wanted(positive))[places]
    after = labels(as_target(list(late.labels[which]), target.type), wanted(positive))
    told = labels(as_target(list(late.labels), target.type), wanted(positive))
    same: dict[str, set[str]] = {}
    for key, label, _ in found:
        same.setdefault(key, set()).add(label)
    return {
        "n_labels": len(late.keys),
        "n_positive": int((told == 1).sum()),
        "n_unknown_keys": late.count_unknown(keys),
        "n_conflicting": sum(len(one) > 1 for one in same.values()),
        "n_replaced": int(((before >= 0) & (before != after)).sum()),
    }
