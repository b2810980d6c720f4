"""Print the rows of a Parquet file as JSON lines: `python -m scheduler.carbon.parquet_rows FILE`.

A process of its own, so that the service never loads pyarrow.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

BATCH_ROWS = 65536


def write_rows(path: str, out: TextIO) -> None:
    """Write each row of the file as one JSON object; times in ISO 8601, nulls left out."""
    # Only in this process, and only when it runs.
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(BATCH_ROWS):
        for row in batch.to_pylist():
            record = {name: _plain(value) for name, value in row.items() if value is not None}
            out.write(json.dumps(record) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        # Without a zone it stays without, and is refused: see `readings.instant`.
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    return value if isinstance(value, (str, int, float, bool)) else str(value)


if __name__ == "__main__":
    write_rows(sys.argv[1], sys.stdout)
