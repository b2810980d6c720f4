"""Rows of a matrix that a model reads block by block, so that no second table is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

X = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

# Up to here a copy of the rows is small, and quicker to fit on.
MANY_ROWS = 200_000
BLOCK_ROWS = 32_768
# Learning medians takes eight copies of what they are learnt from.
SPREAD_ROWS = 65_536


@dataclass(frozen=True, kw_only=True)
class RowsOf:
    """Some rows of a matrix, copied only as they are read.

    >>> rows = RowsOf(matrix=np.arange(6, dtype=np.float32).reshape(3, 2), rows=np.array([0, 2]))
    >>> rows.shape, rows[1:].tolist()
    ((2, 2), [[4.0, 5.0]])
    """

    matrix: X
    rows: Rows

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.matrix.shape[1]

    @property
    def ndim(self) -> int:
        return 2

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: slice) -> X:
        return self.matrix[self.rows[which]]

    def blocks(self) -> Iterator[tuple[slice, X]]:
        """Where each block is, and a copy of its rows."""
        for start in range(0, len(self.rows), BLOCK_ROWS):
            where = slice(start, start + BLOCK_ROWS)
            yield where, self[where]

    def spread(self) -> X:
        """At most `SPREAD_ROWS` of the rows, evenly spread: enough for medians and levels."""
        n_rows = min(len(self.rows), SPREAD_ROWS)
        return self.matrix[self.rows[np.linspace(0, len(self.rows) - 1, n_rows).astype(np.intp)]]


def rows_at(X: Any, places: Rows) -> Any:
    """The rows at these places; of rows that are copied only as they are read, such again."""
    return RowsOf(matrix=X.matrix, rows=X.rows[places]) if isinstance(X, RowsOf) else X[places]
