"""Tables and arrays as users of the library hand them over, and refusals that repeat no cell."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.cells import check_unique
from automl.errors import DataError

# What scikit-learn writes of an array that it refuses, cells included.
REPEATED_CELLS = re.compile(r":?\s*\narray=.*?(?=\nReshape|\Z)", flags=re.DOTALL)
COMPLEX = "Complex data not supported"


def given_table(X: Any) -> pd.DataFrame | None:
    """A pandas, polars or Arrow table as pandas; None for an array, or a list of rows.

    Raises
    ------
    DataError
        Two columns share a name (``duplicate_column``), or it is neither a table nor an array
        (``unsupported_type``).
    """
    if isinstance(X, pd.DataFrame):
        check_unique([str(name) for name in X.columns])
        return X
    if hasattr(X, "__arrow_c_stream__") or hasattr(X, "__dataframe__"):
        import narwhals as nw

        names = getattr(getattr(X, "schema", None), "names", None)
        if isinstance(names, list):  # of Arrow, where two columns may share one
            check_unique(names)
        try:
            frame: pd.DataFrame = nw.from_native(X, eager_only=True).to_pandas()
        except TypeError:
            raise _no_table(X, "one column is a table with X.to_frame()") from None
        return frame
    if isinstance(X, list | tuple) or hasattr(X, "__array__") or hasattr(X, "toarray"):
        return None
    raise _no_table(X, "call its collect() first" if hasattr(X, "collect") else "")


def is_number(dtype: Any) -> bool:
    """Whether scikit-learn's own conversion to an array keeps the column's meaning."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def plain_numbers(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers wider than float64 as float64, which pandas can hash."""
    return values.astype(np.float64) if values.dtype.itemsize > 8 else values


def refused_array(error: ValueError, X: Any) -> ValueError:
    """The same refusal of an array, or of a table of numbers, with the place and without cells."""
    said = str(error)
    if "infinity" in said and "Input X" in said:
        return _infinite(X) or error
    if said.startswith("could not convert"):
        return DataError(
            "X is an array that does not hold numbers only; hand columns of texts over in a "
            "table, such as a pandas.DataFrame",
            code="unsupported_type",
        )
    if said.startswith(COMPLEX):
        return ValueError(COMPLEX)
    return ValueError(REPEATED_CELLS.sub(".", said))


def _no_table(X: Any, advice: str) -> DataError:
    said = (
        f"X is a {type(X).__name__}; it is a pandas, polars or Arrow table, or an array of "
        "numbers of shape (n_rows, n_features)"
    )
    return DataError(f"{said}: {advice}" if advice else said, code="unsupported_type")


def _infinite(X: Any) -> DataError | None:
    """Where the first infinite cell is; None where it cannot be told."""
    names = [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else None
    values = np.asarray(X)
    if values.ndim != 2 or values.dtype.kind not in "fO":
        return None
    for at in range(values.shape[1]):
        infinite = np.isinf(values[:, at].astype(np.float64))
        if infinite.any():
            name, row = names[at] if names else f"x{at}", int(np.argmax(infinite)) + 1
            return DataError(
                f"row {row:,} of column {name!r} is infinity; a missing cell is NaN",
                code="non_finite",
                column=name,
                row=row,
            )
    return None
