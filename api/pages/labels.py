"""Values of a target, as forms offer them and as requests name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.pages.asking import Json
from api.pages.datasets import shown

# With more values than this a form has a field to write them into.
MOST_OFFERED = 40


def offered(column: Mapping[str, Any], *, n_rows: int) -> list[Json]:
    """Values of a column with their share of the rows, the most frequent first.

    >>> column = {"levels": [{"value": "no", "count": 9}, {"value": "yes", "count": 1}]}
    >>> [(one["text"], one["share"]) for one in offered(column, n_rows=10)]
    [('no', 0.9), ('yes', 0.1)]
    """
    levels = column.get("levels") or []
    if len(levels) > MOST_OFFERED:
        return []
    return [
        {**one, "text": shown(one["value"]), "share": one["count"] / n_rows if n_rows else 0.0}
        for one in levels
    ]


def is_zero_one(column: Mapping[str, Any]) -> bool:
    """Whether a target needs no positive value to be named, because it is exactly 0 and 1.

    >>> is_zero_one({"type": "integer", "levels": [{"value": 0}, {"value": 1}]})
    True
    >>> is_zero_one({"type": "string", "levels": [{"value": "no"}, {"value": "yes"}]})
    False
    """
    values = {str(one["value"]) for one in column.get("levels") or ()}
    return column["type"] == "boolean" or (column["type"] == "integer" and values == {"0", "1"})


def rarest(column: Mapping[str, Any]) -> list[Any]:
    """The rarer of two values, which is likely to be the event; else nothing.

    >>> rarest({"levels": [{"value": "no", "count": 9}, {"value": "yes", "count": 1}]})
    ['yes']
    """
    levels = column.get("levels") or []
    return [min(levels, key=lambda one: one["count"])["value"]] if len(levels) == 2 else []


def named(column: Mapping[str, Any], texts: Sequence[str]) -> list[Any]:
    """The values that were meant by texts of a form, in the type of the column.

    >>> named({"type": "integer", "levels": [{"value": 2}]}, ["2", "3", " "])
    [2, 3]
    >>> named({"type": "string"}, ["yes"])
    ['yes']
    """
    known = {shown(one["value"]): one["value"] for one in column.get("levels") or ()}
    return [known.get(text, _typed(text, column["type"])) for text in texts if text.strip()]


def _typed(text: str, kind: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text
