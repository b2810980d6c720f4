"""The sketch of a table: what likeness is told by."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.sketch import NULL, Hashes, distinct, mix
from automl.meta.likeness import HASH_BYTES, N_KEPT, TableSketch

BLOCK_ROWS = 2**18  # hashed at once, so that a large table needs little more memory


def sketch_table(X: pd.DataFrame) -> TableSketch:
    """Sketch a table of features.

    Numbers count as float32, so that the same file sketches alike whatever type its reader chose;
    columns count by name, so their order does not matter, and neither does that of the rows.
    """
    names = sorted(map(str, X.columns))
    columns = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    smallest: Hashes = np.empty(0, dtype=np.uint64)
    for start in range(0, len(X), BLOCK_ROWS):
        block = X.iloc[start : start + BLOCK_ROWS]
        rows = np.zeros(len(block), dtype=np.uint64)
        for position, name in enumerate(map(str, X.columns)):
            seed = np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
            rows += mix(_cells(block.iloc[:, position]) ^ seed)
        short = mix(rows) >> np.uint64(64 - 8 * HASH_BYTES)
        smallest = distinct(np.concatenate([smallest, short]))[:N_KEPT]
    return TableSketch(columns=columns, rows=tuple(smallest.tolist()))


def _cells(column: pd.Series[Any]) -> Hashes:
    """64 bits of each cell; what is missing has its own."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _coded(column.cat.codes.to_numpy(), column.cat.categories)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        if getattr(column.dtype, "tz", None) is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        moments = column.to_numpy().astype("datetime64[us]")
        return np.where(np.isnat(moments), NULL, moments.astype(np.int64).view(np.uint64))
    if pd.api.types.is_numeric_dtype(column.dtype):
        with np.errstate(over="ignore"):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan).astype(np.float32)
        numbers = numbers + np.float32(0)  # -0.0 is 0.0
        return np.where(np.isnan(numbers), NULL, numbers.view(np.uint32).astype(np.uint64))
    codes, levels = pd.factorize(column)
    return _coded(codes, levels)


def _coded(codes: npt.NDArray[Any], levels: Any) -> Hashes:
    texts = np.array([str(level) for level in levels] or [""], dtype=object)
    hashes = pd.util.hash_array(texts, categorize=False)
    return np.where(codes < 0, NULL, hashes[np.maximum(codes, 0)])
