"""Whether a column names each row once: exact, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from automl.data.sketch import Hashes, distinct, hash_values

PASS_ROWS = 2**23  # hashes held at once; a larger table is read once per such part


def first_repeat(rows: Path, column: str) -> int | None:
    """The first row, from 1, whose value an earlier row has; None when all differ.

    Values are compared by 64-bit hashes, missing ones as equal. Reads the column once per
    8 million rows, each time looking at one part of the hash space.
    """
    with pq.ParquetFile(rows) as file:
        n_parts = max(1, -(-file.metadata.num_rows // PASS_ROWS))
        found: int | None = None
        for part in range(n_parts):
            kept: list[Hashes] = []
            places = []
            start = 0
            for batch in file.iter_batches(batch_size=131_072, columns=[column], use_threads=False):
                hashes = hash_values(batch.column(0))
                inside = np.flatnonzero(hashes % np.uint64(n_parts) == part)
                kept.append(hashes[inside])
                places.append(inside + start)
                start += batch.num_rows
            hashes = np.concatenate(kept)
            if len(distinct(hashes)) == len(hashes):
                continue
            rows_in_part = np.concatenate(places)
            _, first = np.unique(hashes, return_index=True)
            repeated = np.ones(len(hashes), dtype=bool)
            repeated[first] = False
            if repeated.any():
                row = int(rows_in_part[repeated].min()) + 1
                found = row if found is None else min(found, row)
        return found
