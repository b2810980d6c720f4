"""Log lines that are JSON objects: their fields, whatever else is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.logs.formats import LineFormat

Booleans = npt.NDArray[np.bool_]


def fields_of(texts: pa.Array, form: LineFormat) -> tuple[dict[str, pa.Array], Booleans]:
    """Fields of JSON objects by what they are called there; a line without a message is none."""
    assert form.names is not None
    cells: dict[str, list[str | None]] = {name: [] for name in form.columns}
    fits = np.zeros(len(texts), dtype=np.bool_)
    for index, text in enumerate(texts.to_pylist()):
        value = _object(text)
        for name, called in form.names.items():
            cells[name].append(_cell(value, called))
        fits[index] = cells["message"][-1] is not None
    return {name: pa.array(one, pa.string()) for name, one in cells.items()}, fits


def _object(text: str) -> Mapping[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _cell(value: Mapping[str, Any], called: Sequence[str]) -> str | None:
    for name in called:
        cell = value.get(name)
        if cell is None and "." in name:  # customer.id is in an object of its own
            first, _, rest = name.partition(".")
            inner = value.get(first)
            cell = inner.get(rest) if isinstance(inner, dict) else None
        if isinstance(cell, str):
            return cell if "\0" not in cell and cell.isprintable() else _clean(cell)
        if isinstance(cell, (int, float)):
            return json.dumps(cell)
    return None


def _clean(text: str) -> str:
    """A text without NUL bytes and halves of characters, which JSON can write."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
