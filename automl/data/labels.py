"""Labels as people give them, checked."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import check_consistent_length, column_or_1d

from automl.data.codes import first_nested
from automl.errors import DataError

Array = npt.NDArray[Any]


def one_kind(y: Any) -> Any:
    """Labels as they are, numbers held as objects as numbers.

    Raises
    ------
    DataError
        A label is a list, a mapping or the like, or some are numbers and others are not.
    """
    if not isinstance(y, list | np.ndarray | pd.Series) or np.dtype(object) != getattr(
        y, "dtype", np.dtype(object)
    ):
        return y
    if isinstance(y, np.ndarray) and y.ndim != 1:
        return y
    labels = pd.Series(y, dtype=object)
    row = first_nested(labels)
    if row is not None and isinstance(y, list) and all(np.shape(one) == (1,) for one in y):
        return y  # a column: scikit-learn takes it, and says so
    if row is not None:
        kind = type(labels.iloc[row - 1]).__name__
        raise DataError(
            f"the label of row {row:,} is a {kind}; y has one number, text or truth value for "
            "each row",
            code="unsupported_type",
            column="y",
            row=row,
        )
    numbers = {isinstance(label, Real | np.bool_) for label in labels.dropna()}
    if len(numbers) > 1:
        raise DataError(
            "labels are of several kinds, such as numbers and texts; name both classes alike",
            code="unsupported_type",
            column="y",
        )
    if not isinstance(y, np.ndarray | pd.Series):
        return y
    found = labels.infer_objects()
    if found.dtype == "O" and numbers == {True} and not labels.isna().any():
        found = pd.to_numeric(labels)  # numbers and truth values together, or decimal ones
    return found.to_numpy()


def check_present(y: Any) -> None:
    """Raise DataError where a label is missing, with its row, or they are complex numbers."""
    labels = np.asarray(y) if hasattr(y, "__array__") or isinstance(y, list | tuple) else None
    if labels is not None and labels.dtype.kind == "c":
        # As scikit-learn begins it, which goes on with the labels themselves.
        raise DataError(
            "Complex data not supported: a label is a number, a text or a truth value",
            code="unsupported_type",
            column="y",
        )
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "fOmM":
        return
    missing = pd.isna(labels)
    if missing.any():
        row = int(np.argmax(missing)) + 1
        raise DataError(
            f"the label of row {row:,} is missing, {int(missing.sum()):,} of {len(labels):,} in "
            "all; leave such rows out of X and y, or hand them over as `unlabelled`",
            code="target_missing",
            column="y",
            row=row,
        )


def checked_labels(y: Any, *, n_rows: int) -> Array:
    """Labels as an array of shape (n_rows,).

    Raises
    ------
    ValueError
        There are more or fewer than rows, or they are no column.
    """
    labels = column_or_1d(y, warn=True)
    check_consistent_length(np.empty(n_rows), labels)
    return np.asarray(labels)
