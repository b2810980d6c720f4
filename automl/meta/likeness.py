"""Whether two tables share their rows, by a fixed-size sketch of each."""

from __future__ import annotations

import base64
from dataclasses import dataclass

# Smallest row hashes that are kept: the share of common rows is then known to about 0.06.
N_KEPT = 64
HASH_BYTES = 5  # of each; rows that differ share 40 bits about once in 10^12
SPACE = 2.0 ** (8 * HASH_BYTES)

# A table of the same columns is the same data set when it has this share of the smaller one's
# rows; rows added, removed or put in another order change the share, but not by that much.
SAME_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class TableSketch:
    """A hash of the sorted column names, and the smallest distinct hashes of rows, ascending.

    Bottom-k sketch: Broder, "On the resemblance and containment of documents", 1997. Neither
    names nor cells can be read back from it; a whole row that is guessed can be recognised.
    """

    columns: str
    rows: tuple[int, ...]

    @property
    def n_rows(self) -> float:
        """About how many distinct rows there are."""
        if len(self.rows) < N_KEPT:
            return float(len(self.rows))
        return (N_KEPT - 1) * SPACE / max(self.rows[-1], 1)

    def shared(self, other: TableSketch) -> float:
        """About the share of the smaller table's rows that the other has too; 0 to 1."""
        union = sorted({*self.rows, *other.rows})[:N_KEPT]
        if not union:
            return 0.0
        common = {*self.rows} & {*other.rows}
        jaccard = sum(value in common for value in union) / len(union)
        sizes = self.n_rows, other.n_rows
        return min(1.0, jaccard / (1 + jaccard) * sum(sizes) / max(min(sizes), 1.0))

    def same(self, other: TableSketch) -> bool:
        """Whether it is the same data set, perhaps with rows added, removed or reordered."""
        return self.columns == other.columns and self.shared(other) >= SAME_SHARE

    def related(self, other: TableSketch) -> bool:
        """Whether anything suggests so: the same columns, or any row. For leaving out only."""
        return self.columns == other.columns or self.shared(other) > 0

    def to_text(self) -> str:
        """A short text.

        >>> TableSketch.from_text(TableSketch(columns="ab", rows=(1, 2)).to_text()).rows
        (1, 2)
        """
        data = b"".join(value.to_bytes(HASH_BYTES, "big") for value in self.rows)
        return f"{self.columns}:{base64.b64encode(data).decode()}"

    @classmethod
    def from_text(cls, text: str) -> TableSketch:
        """The way back. Raises ValueError for what is no such text."""
        columns, separator, encoded = text.partition(":")
        data = base64.b64decode(encoded, validate=True)
        if not separator or len(data) % HASH_BYTES or len(data) > N_KEPT * HASH_BYTES:
            raise ValueError("this is not the text of a table's sketch")
        starts = range(0, len(data), HASH_BYTES)
        rows = tuple(int.from_bytes(data[at : at + HASH_BYTES], "big") for at in starts)
        return cls(columns=columns, rows=rows)
