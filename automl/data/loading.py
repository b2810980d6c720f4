"""Stored Parquet to the Dataset of a job, and bodies of prediction requests to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from automl.data.dataset import Dataset
from automl.data.target import labels, wanted
from automl.errors import DataError

EXACT_IN_FLOAT32 = 2**24


def load(rows: Path, request: Mapping[str, Any], *, excluded: Sequence[str]) -> Dataset:
    """The Dataset of a job from its stored rows.

    Parameters
    ----------
    rows : Path
        The Parquet that `tables.ingest` wrote.
    request : mapping
        The job's request; `target, positive, time_column, group_column, weight_column, exclude`
        are read.
    excluded : sequence of str
        Columns that the admission left out.

    Returns
    -------
    Dataset
        Rows without a target are dropped. Texts are `category`, integers and numbers `float32`
        where that is exact enough (all integers up to 2^24) else `float64`, booleans `int8`, or
        `float32` where some are missing, times `datetime64[us]` in UTC without zone.

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
        names = file.schema_arrow.names
        if target not in names:
            raise DataError("the target is not a column of the data", code="target_not_found")
        for name in role_columns.values():
            if name is not None and name not in names:
                raise DataError(
                    f"'{name}' is not a column of the data", code="column_not_found", column=name
                )
        features = [name for name in names if name not in left_out]
        needed = list(dict.fromkeys([target, *features, *filter(None, role_columns.values())]))
        y = labels(_column(file, target), wanted(request.get("positive")))
        keep = np.flatnonzero(y >= 0)
        everything = len(keep) == len(y)
        series: dict[str, pd.Series[Any]] = {}
        for name in needed:
            if name != target or name in role_columns.values():
                array = _column(file, name)
                series[name] = to_series(array if everything else array.take(pa.array(keep)))
    frame = pd.DataFrame({name: series[name] for name in features}, index=pd.RangeIndex(len(keep)))
    return Dataset(
        X=frame,
        y=y[keep],
        time=_times(series, role_columns["time_column"]),
        group=_codes(series, role_columns["group_column"]),
        weight=_weights(series, role_columns["weight_column"]),
    )


def _column(file: pq.ParquetFile, name: str) -> pa.Array:
    """One column; its index is looked up because a dotted name would mean a nested field."""
    chunks = [file.reader.read_column(file.schema_arrow.get_field_index(name))]
    column = chunks[0]
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def to_series(array: pa.Array) -> pd.Series[Any]:
    """A column as pandas wants it for models: see `load`."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        coded = array if pa.types.is_dictionary(kind) else array.dictionary_encode()
        # sorted, so that the codes do not depend on which row came first
        levels = np.array(coded.dictionary.to_pylist(), dtype=object)
        order = np.argsort(levels.astype(str), kind="stable")
        rank = np.empty(len(order), dtype=np.intp)
        rank[order] = np.arange(len(order))
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        places = np.where(codes < 0, -1, np.append(rank, -1)[codes])
        categories = pd.Index(levels[order], dtype="str")
        return pd.Series(pd.Categorical.from_codes(places, categories=categories))
    if pa.types.is_timestamp(kind):
        naive = array.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
        return pd.Series(naive.to_numpy(zero_copy_only=False).astype("datetime64[us]"))
    if pa.types.is_boolean(kind):
        if array.null_count:
            return (
                pd.Series(array.cast(pa.float32()).to_numpy(zero_copy_only=False))
                if False
                else pd.Series(
                    array.cast(pa.int8()).cast(pa.float32()).to_numpy(zero_copy_only=False)
                )
            )
        return pd.Series(array.cast(pa.int8()).to_numpy(zero_copy_only=False))
    values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return pd.Series(_narrow(values))


def _narrow(values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """float32 where nothing that a model could tell apart is lost."""
    finite = values[np.isfinite(values)]
    if not len(finite) or np.abs(finite).max() > np.finfo(np.float32).max:
        return values if len(finite) else values.astype(np.float32)
    narrow = finite.astype(np.float32)
    whole = (finite == np.rint(finite)).all()
    if whole:
        return values.astype(np.float32) if (narrow == finite).all() else values
    # 24 bits of a number are enough unless numbers are large and close together
    if np.abs(finite).max() > EXACT_IN_FLOAT32:
        return values
    return values.astype(np.float32)


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
    return None if name is None else np.asarray(series[name].to_numpy(), dtype=np.float64)
