"""Labels that come after their rows, by key: read by a child, kept as an artifact of the data."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.child import Channel, error_line
from scheduler.errors import Conflict, Gone
from scheduler.late_reader import LateReader
from scheduler.reading import key_of, parts_of, source_of
from scheduler.records import DatasetState, Model
from scheduler.records_schedules import Outcomes
from scheduler.store import Store

JSON, CSV, LINES = "application/json", "text/csv", "application/x-ndjson"
TYPES = (JSON, CSV, LINES, "application/jsonl")
LABELS_FILE = "labels.parquet"
MAX_TEXT = 1000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # before any data base that labels come from
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
    if dataset.state is DatasetState.INGESTING:
        dataset = store.versions_of(model.project_id, dataset.id)[-2]
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
                root_id=versions[0].id,
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
    for number, (given, said, when) in enumerate(_read(Path(source), content_type), start=1):
        key, at = _key(given, number), _moment(when, number, latest)
        label = _label(said, known)
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


def _read(source: Path, content_type: str) -> Iterator[tuple[Any, Any, Any]]:
    """Key, label and time of each outcome, as they came."""
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("the outcomes are not UTF-8", code="invalid_outcomes") from None
    if content_type == CSV:
        yield from _of_csv(text)
        return
    if content_type == JSON:
        whole = _parsed(text, None)
        items = whole.get("outcomes") if isinstance(whole, dict) and len(whole) == 1 else None
        if not isinstance(items, list):
            raise DataError(
                'the body is not an object {"outcomes": [...]}',
                code="invalid_outcomes",
                details={"field": "outcomes"},
            )
        yield from _of_objects(enumerate(items, start=1))
        return
    lines = (line for line in text.splitlines() if line.strip())
    yield from _of_objects((i, _parsed(line, i)) for i, line in enumerate(lines, start=1))


def _of_csv(text: str) -> Iterator[tuple[Any, Any, Any]]:
    header = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in header else ",", strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if not {"key", "label"} <= set(names) <= {"key", "label", "at"} or len(names) > 3:
            raise DataError(
                "the first line names the columns key and label, and at if need be",
                code="invalid_outcomes",
            )
        for number, cells in enumerate((cells for cells in reader if cells), start=1):
            if len(cells) != len(names):
                raise _invalid(number, f"has {len(cells)} cells, not {len(names)}")
            row = dict(zip(names, cells, strict=True))
            yield row["key"], row["label"], row.get("at") or None
    except csv.Error:
        raise DataError("the CSV cannot be read", code="invalid_outcomes") from None


def _of_objects(items: Iterable[tuple[int, Any]]) -> Iterator[tuple[Any, Any, Any]]:
    for number, one in items:
        if isinstance(one, _Twice):
            raise _invalid(number, f"has {one.name} twice", one.name)
        if not isinstance(one, dict) or not {"key", "label"} <= set(one) <= {"key", "label", "at"}:
            raise _invalid(number, "is not an object of key, label and, if need be, at")
        yield one["key"], one["label"], one.get("at")


class _Twice:
    """Stands for an object that has a field twice: which of both is meant?"""

    def __init__(self, name: str) -> None:
        self.name = name if name in ("key", "label", "at") else "a field"


def _unique(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    return _Twice(Counter(name for name, _ in pairs).most_common(1)[0][0])


def _parsed(text: str, number: int | None) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        if number is None:
            raise DataError("the body is not JSON", code="invalid_outcomes") from None
        raise _invalid(number, "is not JSON") from None


def _key(value: Any, number: int) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid(number, "has a key that is neither text nor a whole number", "key")
    text = str(value).strip()
    if not text or len(text) > MAX_TEXT:
        raise _invalid(number, "has an empty key, or one of more than 1,000 characters", "key")
    if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
        raise _invalid(number, "has a key with a NUL character or half a character in it", "key")
    return text


def _label(value: Any, known: Mapping[str, str]) -> str | None:
    """A label as the target spells it; None where it has no such value.

    JSON's true and false are labels of a target of truths, spelled so or as 1 and 0; among other
    numbers a 1 need not mean true.
    """
    if isinstance(value, bool):
        texts = [str(value).lower()]
        if set(known) <= {"0", "1"}:
            texts.append(str(int(value)))
    elif isinstance(value, int | float):
        texts = [str(value), _whole(str(value))]
    elif isinstance(value, str):
        texts = [value, value.strip(), _whole(value)]
    else:
        return None
    return next((known[text] for text in texts if text in known), None)


def _whole(text: str) -> str:
    """A number as a whole one, as cells may have it: 1.0 is 1."""
    try:
        number = float(text)
        return str(int(number)) if number == int(number) else text
    except (ValueError, OverflowError):
        return text


def _moment(value: Any, number: int, latest: datetime) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _invalid(number, "has a time that is not ISO 8601", "at") from None
    if found.tzinfo is None:
        raise _invalid(number, "has a time without its offset, Z or one like +01:00", "at")
    if not EARLIEST <= found <= latest:
        raise _invalid(number, "has a time before 1970, or one that is still to come", "at")
    return found.astimezone(UTC)


def _invalid(number: int, what: str, field: str | None = None) -> DataError:
    return DataError(
        f"outcome {number:,} {what}",
        code="invalid_outcomes",
        row=number,
        details=None if field is None else {"field": field},
    )
