"""Which values of a target column are the rare, positive class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def wanted(positive: Any) -> list[Any] | None:
    """The request's `positive` as a list; None when it was not given."""
    if positive is None:
        return None
    return list(positive) if isinstance(positive, (list, tuple)) else [positive]


def matches(values: pa.Array, positive: list[Any]) -> npt.NDArray[np.bool_]:
    """Which of distinct values one of `positive` names: 1, 1.0 and "1" name the number 1."""
    kind = values.type
    if pa.types.is_boolean(kind):
        named = {TRUTHS.get(_text(one).lower()) for one in positive}
        return np.array([value in named for value in values.to_pylist()], dtype=bool)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = {number for one in positive if (number := _number(one)) is not None}
        return np.array([value in numbers for value in values.to_pylist()], dtype=bool)
    texts = {_text(one) for one in positive}
    numbers = {float(one) for one in positive if type(one) in (int, float)}
    return np.array(
        [
            value in texts or (bool(numbers) and _number(value) in numbers)
            for value in values.to_pylist()
        ],
        dtype=bool,
    )


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def labels(column: pa.Array, positive: list[Any] | None) -> npt.NDArray[np.int8]:
    """1 for the positive class, 0 for the others, -1 where the target is missing.

    Without `positive` the column must be 0/1 or boolean, and 1 or true is the positive class.
    """
    coded = pc.dictionary_encode(column)
    found = matches(coded.dictionary, [True] if positive is None else positive)
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    sides: npt.NDArray[np.int8] = np.append(found.astype(np.int8), np.int8(-1))[codes]
    return sides
