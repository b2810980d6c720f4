"""Stored Parquet to the Dataset of a job, and (from `bodies`) the rows of a prediction request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from automl.data.bodies import read_rows
from automl.data.dataset import Dataset, relative_weights
from automl.data.freed import give_back
from automl.data.series import to_series
from automl.data.stored import StoredColumns
from automl.data.target import labels, wanted
from automl.errors import DataError

__all__ = ["load", "load_rows", "places", "read_rows"]

# More rows without a label than this are not learnt from.
UNLABELLED_ROWS = 50_000
DIRECTIONS = {"increasing": 1, "decreasing": -1}


def load(
    rows: Path,
    request: Mapping[str, Any],
    *,
    excluded: Sequence[str],
    group_identical: bool = False,
) -> Dataset:
    """The Dataset of a job from its stored rows.

    Parameters
    ----------
    rows : Path
        The Parquet that `tables.ingest` wrote.
    request : mapping
        The job's request; `target, positive, time_column, group_column, weight_column, gap,
        exclude, monotone` are read.
    excluded : sequence of str
        Columns that the admission left out.
    group_identical : bool
        Make a group of the rows that are alike in all features, where no group is named.

    Returns
    -------
    Dataset
        Rows without a target are its `unlabelled`, up to 50,000. Texts are `category`, integers
        and numbers `float32` where that is exact enough (all integers up to 2^24) else
        `float64`, booleans `int8`, or `float32` where some are missing, times `datetime64[us]`
        in UTC without zone.

    Raises
    ------
    DataError
        ``column_not_found``, ``target_not_found``.
    """
    target = request["target"]
    role_columns = {
        name: request.get(name) for name in ("time_column", "group_column", "weight_column")
    }
    left_out = {target, *(request.get("exclude") or ()), *excluded}
    left_out |= {
        role_columns["time_column"],
        role_columns["group_column"],
        role_columns["weight_column"],
    }
    with pq.ParquetFile(rows) as file:
        stored = StoredColumns(file)
        names = list(stored.positions)
        if target not in names:
            raise DataError("the target is not a column of the data", code="target_not_found")
        for name in role_columns.values():
            if name is not None and name not in names:
                raise DataError(
                    f"'{name}' is not a column of the data", code="column_not_found", column=name
                )
        features = [name for name in names if name not in left_out]
        needed = list(dict.fromkeys([target, *features, *filter(None, role_columns.values())]))
        y = labels(stored.read(target), wanted(request.get("positive")))
        keep, others = _places(y)
        everything = len(keep) == len(y)
        series: dict[str, pd.Series[Any]] = {}
        unlabelled: dict[str, pd.Series[Any]] = {}
        for name in needed:
            if name != target or name in role_columns.values():
                array = stored.read(name)
                series[name] = to_series(array if everything else array.take(pa.array(keep)))
                if len(others) and name in features:
                    unlabelled[name] = to_series(array.take(pa.array(others)))
    index = pd.RangeIndex(len(keep))
    # Without a copy, or there would be two tables for a moment.
    frame = pd.DataFrame({name: series[name] for name in features}, index=index, copy=False)
    give_back(4 * frame.size)
    group = _codes(series, role_columns["group_column"])
    if group is None and group_identical:
        group, _ = pd.factorize(pd.util.hash_pandas_object(frame, index=False))
    return Dataset(
        X=frame,
        y=y[keep],
        time=_times(series, role_columns["time_column"]),
        group=group,
        weight=_weights(series, role_columns["weight_column"]),
        gap=float(request.get("gap") or 0.0),
        monotone={
            name: DIRECTIONS[direction]
            for name, direction in (request.get("monotone") or {}).items()
            if name in features
        },
        unlabelled=pd.DataFrame(unlabelled) if unlabelled else None,
    )


def places(
    rows: Path, request: Mapping[str, Any]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Which stored rows `load` takes: those with a label, and of the others its unlabelled."""
    with pq.ParquetFile(rows) as file:
        target = StoredColumns(file).read(request["target"])
    return _places(labels(target, wanted(request.get("positive"))))


def load_rows(rows: Path, request: Mapping[str, Any], *, excluded: Sequence[str]) -> pd.DataFrame:
    """The features of every stored row, for a job without a target.

    Dtypes are those of `load`. Columns that the request excludes, or the admission left out, are
    not among them.
    """
    left_out = {*(request.get("exclude") or ()), *excluded}
    with pq.ParquetFile(rows) as file:
        stored = StoredColumns(file)
        names = [name for name in stored.positions if name not in left_out]
        n_rows = file.metadata.num_rows
        series = {name: to_series(stored.read(name)) for name in names}
    return pd.DataFrame(series, index=pd.RangeIndex(n_rows), copy=False)


def _places(y: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.flatnonzero(y >= 0), _some(np.flatnonzero(y < 0), UNLABELLED_ROWS)


def _some(rows: npt.NDArray[np.intp], n_rows: int) -> npt.NDArray[np.intp]:
    """At most so many of the rows, evenly spread."""
    if len(rows) <= n_rows:
        return rows
    return rows[np.linspace(0, len(rows) - 1, n_rows).astype(np.intp)]


def _times(series: dict[str, Any], name: str | None) -> npt.NDArray[Any] | None:
    if name is None:
        return None
    column = series[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.codes.to_numpy())
    return np.asarray(column.to_numpy())


def _codes(series: dict[str, Any], name: str | None) -> npt.NDArray[Any] | None:
    if name is None:
        return None
    codes, _ = pd.factorize(series[name], use_na_sentinel=False)
    return np.asarray(codes)


def _weights(series: dict[str, Any], name: str | None) -> npt.NDArray[np.float64] | None:
    if name is None:
        return None
    return relative_weights(np.asarray(series[name].to_numpy(), dtype=np.float64))
