"""Labels that came after their rows, laid over the target by the key of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Rows = npt.NDArray[np.intp]

# What `stored_labels` has for each label: the key as text, the label as text, when it was known.
SCHEMA = pa.schema(
    [("key", pa.string()), ("label", pa.string()), ("at", pa.timestamp("us", "UTC"))]
)


@dataclass(frozen=True, kw_only=True)
class LateLabels:
    """The newest label of each key: `keys` and `labels` are texts, one of each per key."""

    keys: pd.Index[str]
    labels: npt.NDArray[Any]

    @classmethod
    def read(cls, files: Sequence[Path]) -> LateLabels:
        """Labels of files in the order in which they came.

        Of two labels of a key the one that was known later counts; one that does not say when
        was known when it came, after those before it.
        """
        tables = [pq.read_table(file, schema=SCHEMA) for file in files]
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
        frame = pd.DataFrame(
            {
                "key": np.array(table["key"].to_pylist(), dtype=object),
                "label": np.array(table["label"].to_pylist(), dtype=object),
                "at": table["at"].cast(pa.int64()).to_pandas().to_numpy(dtype=float),
            }
        )
        # A label without a time was known when it came: after all that came before it, and before
        # any that comes later.
        running = frame["at"].fillna(-np.inf).groupby(frame["key"]).cummax()
        frame["at"] = frame["at"].fillna(running)
        known = frame.sort_values("at", kind="stable").drop_duplicates("key", keep="last")
        # Of those of one key without a time, or at one time, the last that came is kept.
        return cls(keys=pd.Index(known["key"]), labels=known["label"].to_numpy(dtype=object))

    def places(self, keys: pa.Array, missing: npt.NDArray[np.bool_]) -> tuple[Rows, Rows]:
        """Which rows get which label.

        All rows of a key that have no label get its label; where every row of it has one, the
        last row's is replaced.

        Parameters
        ----------
        keys : the key of each row
        missing : which rows have no label, shape (n_rows,)

        Returns
        -------
        (rows, which)
            Positions of rows, and of their labels in `labels`.
        """
        if not len(self.keys) or not len(keys):
            return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        found = self.keys.get_indexer(pd.Index(texts(keys)))
        rows = np.flatnonzero(found >= 0)
        which = found[rows]
        waiting = np.zeros(len(self.keys), dtype=bool)
        waiting[which[missing[rows]]] = True
        last = np.full(len(self.keys), -1, dtype=np.intp)
        last[which] = rows  # assigned in order, so that the last row stays
        chosen = missing[rows] | (~waiting[which] & (last[which] == rows))
        return rows[chosen], which[chosen]

    def count_unknown(self, keys: pa.Array) -> int:
        """How many labels are of a key that no row has."""
        known = pd.Index(texts(keys)).unique()
        return int((known.get_indexer(self.keys) < 0).sum())


def texts(keys: pa.Array) -> npt.NDArray[Any]:
    """Keys as texts: 7, 7.0 and "7" are one key."""
    if pa.types.is_floating(keys.type):
        whole = pc.equal(keys, pc.floor(keys))
        if pc.all(whole, skip_nulls=True).as_py() is not False:
            keys = keys.cast(pa.int64(), safe=False)
    return np.array(keys.cast(pa.string()).to_pylist(), dtype=object)


def as_target(labels: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Labels as values of the target's type."""
    array = pa.array([str(one) for one in labels], type=pa.string())
    if pa.types.is_boolean(kind):
        lower = pc.utf8_lower(array)
        return pc.or_(pc.equal(lower, "true"), pc.or_(pc.equal(lower, "1"), pc.equal(lower, "1.0")))
    if pa.types.is_integer(kind):
        return array.cast(pa.float64()).cast(kind)
    return array.cast(kind)
