"""Bodies of labels that come later, as JSON, CSV or lines: read strictly, with place and field."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automl.errors import DataError

JSON, CSV, LINES = "application/json", "text/csv", "application/x-ndjson"
TYPES = (JSON, CSV, LINES, "application/jsonl")
MAX_TEXT = 1000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # before any data base that labels come from


def cells(source: Path, content_type: str) -> Iterator[tuple[Any, Any, Any]]:
    """Key, label and time of each outcome, as they came. Raises ``invalid_outcomes``."""
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


def key_text(value: Any, number: int) -> str:
    """A key as rows have it in texts: 7, 7.0 and "7" are one. Raises ``invalid_outcomes``."""
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


def label_text(value: Any, known: Mapping[str, str]) -> str | None:
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


def known_at(value: Any, number: int, latest: datetime) -> datetime | None:
    """When a label was known; None where it is not said. Raises ``invalid_outcomes``."""
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
