"""Typed Arrow columns as pandas columns that models can take."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

EXACT_IN_FLOAT32 = 2**24


def to_series(array: pa.Array) -> pd.Series[Any]:
    """A column as pandas wants it for models: see `loading.load`."""
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
        numbers = array.cast(pa.int8())
        if array.null_count:
            numbers = numbers.cast(pa.float32())
        return pd.Series(numbers.to_numpy(zero_copy_only=False))
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
