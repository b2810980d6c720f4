"""Rows with the same features: how many, and how many with the other label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from automl.data.sketch import Hashes, hash_values
from automl.data.stored import StoredColumns

MAX_ROWS = 2**22  # rows whose hashes are compared; of more rows only a part of the hash space


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Labelled rows that repeat another's features, rows among them where labels differ, and the
    best accuracy that any model of these features can reach on these rows; `approximate` where
    only a part of the rows was compared."""

    duplicates: int
    conflicting: int
    ceiling: float
    approximate: bool = False


def count_overlap(rows: Path, y: npt.NDArray[np.int8], features: Sequence[str]) -> Overlap:
    """Count rows alike in all features, by 64-bit hashes; scaled up beyond 4 million rows."""
    if not features:
        return Overlap(duplicates=0, conflicting=0, ceiling=1.0)
    n_labelled = int((y >= 0).sum())
    n_parts = max(1, -(-n_labelled // MAX_ROWS))
    kept: list[Hashes] = []
    labels: list[npt.NDArray[np.int8]] = []
    start = 0
    with pq.ParquetFile(rows) as file:
        positions = StoredColumns(file).positions
        indices = [positions[name] for name in features]
        for at in range(file.num_row_groups):
            n_rows = file.metadata.row_group(at).num_rows
            hashes = np.zeros(n_rows, dtype=np.uint64)
            for index in indices:
                column = file.reader.read_row_group(at, column_indices=[index]).column(0)
                hashes *= np.uint64(0x9FB21C651E98DF25)
                hashes += hash_values(column.combine_chunks())
                hashes ^= hashes >> np.uint64(29)
            known = y[start : start + n_rows]
            inside = (known >= 0) & (hashes % np.uint64(n_parts) == 0)
            kept.append(hashes[inside])
            labels.append(known[inside])
            start += n_rows
    return _overlap(np.concatenate(kept), np.concatenate(labels), n_parts)


def _overlap(hashes: Hashes, labels: npt.NDArray[np.int8], n_parts: int) -> Overlap:
    if not len(hashes):
        return Overlap(duplicates=0, conflicting=0, ceiling=1.0, approximate=n_parts > 1)
    order = np.argsort(hashes, kind="stable")
    ordered, sides = hashes[order], labels[order].astype(np.int64)
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    size = np.diff(np.append(starts, len(ordered)))
    positive = np.add.reduceat(sides, starts)
    mixed = (positive > 0) & (positive < size)
    wrong = np.minimum(positive, size - positive).sum()
    return Overlap(
        duplicates=(len(ordered) - len(starts)) * n_parts,
        conflicting=int(size[mixed].sum()) * n_parts,
        ceiling=float(1 - wrong / len(ordered)),
        approximate=n_parts > 1,
    )
