"""Cells of a column as numbers or moments, whatever type they came in; names of columns."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.errors import DataError


def check_unique(names: list[str]) -> None:
    """Raises DataError ``duplicate_column`` where two columns share a name."""
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(
            f"{len(twice)} column names occur more than once, the first is {twice[0]!r}",
            code="duplicate_column",
            column=twice[0],
        )


def column_kind(values: pd.Series[Any]) -> str:
    """``category``, ``datetime`` or ``number``, by dtype; objects by what they hold."""
    kinds = pd.api.types
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if kinds.is_datetime64_any_dtype(dtype) or re.match(r"(timestamp|date\d\d)\b", str(dtype)):
        return "datetime"
    if kinds.is_numeric_dtype(dtype) or kinds.is_bool_dtype(dtype):
        return "number"
    if kinds.is_timedelta64_dtype(dtype):
        return "number"
    if kinds.is_object_dtype(dtype):
        held = kinds.infer_dtype(values, skipna=True)
        if held in ("integer", "floating", "mixed-integer-float", "decimal", "boolean", "empty"):
            return "number"
        if held in ("datetime", "datetime64", "date"):
            return "datetime"
    return "category"


def as_numbers(values: pd.Series[Any]) -> tuple[npt.NDArray[np.float64], int, int]:
    """Cells as float64 with NaN for what is none; how many were unreadable, how many infinite."""
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        values = values.dt.total_seconds()
    unreadable = 0
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        if np.iscomplexobj(values):
            name = str(values.name)
            raise DataError(
                f"column {name!r} holds complex numbers", code="unsupported_type", column=name
            )
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        try:
            read = pd.to_numeric(values.astype(object), errors="coerce")
        except OverflowError:  # integers beyond what a float holds are beyond all numbers
            read = values.map(_as_float, na_action="ignore")
        numbers = read.to_numpy(dtype=np.float64, na_value=np.nan)
        unreadable = int((np.isnan(numbers) & ~values.isna().to_numpy()).sum())
    infinite = np.isinf(numbers)
    if infinite.any():
        numbers = np.where(infinite, np.nan, numbers)
    return numbers, unreadable, int(infinite.sum())


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")
    except (TypeError, ValueError):
        return float("nan")


def as_micros(values: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """UTC microseconds since 1970 and where they are missing."""
    own = isinstance(values.dtype, np.dtype | pd.DatetimeTZDtype) and values.dtype.kind == "M"
    if not own:  # Arrow's timestamps, dates, or text
        values = pd.to_datetime(values.astype(object), errors="coerce", utc=True)
    if getattr(values.dtype, "tz", None) is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    stamps = values.to_numpy(dtype="datetime64[us]")
    return stamps.astype(np.int64), np.isnat(stamps)
