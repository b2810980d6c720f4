"""Times, weights and gaps as users of the library hand them over beside a table."""

from __future__ import annotations

import re
from datetime import timedelta
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.dataset import relative_weights
from automl.data.role_columns import YEAR_FIRST
from automl.errors import DataError

Array = npt.NDArray[Any]


def given_values(values: Any) -> Array | None:
    """One value for each row as an array; a list of numbers and texts stays one of both.

    NumPy would make texts of all of them, whose order is not that of the numbers.
    """
    if isinstance(values, list | tuple):
        return pd.Series(list(values), dtype=object).infer_objects().to_numpy()
    return None if values is None else np.asarray(values)


def given_times(values: Any) -> Array | None:
    """Times of rows: dates, numbers, or texts that sort as time passes.

    Raises
    ------
    DataError
        ``time_is_text``: texts that do not begin with a year, so that 12/2023 would be after
        01/2024.

    >>> given_times(["2024-01-01", "2023-12-01"]).tolist()
    ['2024-01-01', '2023-12-01']
    """
    times = given_values(values)
    if times is None or times.ndim != 1 or times.dtype.kind not in "OU":
        return times
    if pd.api.types.infer_dtype(times, skipna=True) != "string":
        return times
    begins = re.compile(YEAR_FIRST)
    bad = [isinstance(text, str) and not begins.match(text) for text in times]
    if any(bad):
        row = bad.index(True) + 1
        raise DataError(
            f"the time of row {row:,} is a text that does not begin with a year, so the order of "
            "the texts is not that of time; hand over dates, as pandas.to_datetime makes them",
            code="time_is_text",
            row=row,
        )
    return times


def given_weights(values: Any) -> npt.NDArray[np.float64] | None:
    """Weights of rows as float64 with a mean of 1.

    Raises
    ------
    DataError
        ``bad_weight``: they are no numbers, or not all finite and above 0.
    """
    if values is None:
        return None
    try:
        weights = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        # Not chained: the message of the conversion repeats the cell.
        raise DataError("the weights are not numbers", code="bad_weight") from None
    return relative_weights(weights) if weights.ndim == 1 else weights


def given_gap(gap: Any) -> float:
    """A gap in units of the times, in days where it is a length of time.

    Raises
    ------
    DataError
        ``gap``: it is neither.

    >>> given_gap(timedelta(hours=36)), given_gap(np.timedelta64(2, "D")), given_gap(3)
    (1.5, 2.0, 3.0)
    """
    if isinstance(gap, np.timedelta64):
        return float(gap / np.timedelta64(1, "D"))
    if isinstance(gap, timedelta):
        return gap / timedelta(days=1)
    if not isinstance(gap, Real):
        raise DataError(
            f"the gap is a {type(gap).__name__}; it is a number in units of the time, or a "
            "timedelta",
            code="gap",
        )
    return float(gap)
