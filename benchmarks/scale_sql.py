"""The features of `benchmarks.scale` as one would write them by hand in SQL; runs on DuckDB.

    python scale_sql.py RELATIONS_FOLDER OUT.parquet

Runs in an environment of its own, and prints CPU-seconds and peak memory as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

QUERY = """
copy (
    select
        c.file_row_number as position,
        count(e.__time) as "events.count.all",
        count(e.__time) filter (where e.__time >= c.__cut_off - 5184000) as "events.count.60d",
        (c.__cut_off - max(e.__time)) / 86400 as "events.since_last",
        (c.__cut_off - min(e.__time)) / 86400 as "events.since_first",
        avg(e.amount) as "events.amount.mean.all",
        stddev_pop(e.amount) as "events.amount.std.all",
        min(e.amount) as "events.amount.min.all",
        max(e.amount) as "events.amount.max.all",
        arg_max(e.amount, e.__time) as "events.amount.last.all",
        regr_slope(e.amount, e.__time / 86400) as "events.amount.trend.all",
        avg(e.amount) filter (where e.__time >= c.__cut_off - 15552000)
            as "events.amount.mean.180d",
        avg(e.amount) filter (where e.__time >= c.__cut_off - 5184000)
            as "events.amount.mean.60d",
        count(e.__time) filter (where e.kind = 'penalty') / nullif(count(e.__time), 0)
            as "events.kind.share[penalty].all",
        count(e.__time) filter (where e.kind = 'penalty' and e.__time >= c.__cut_off - 15552000)
            / nullif(count(e.__time) filter (where e.__time >= c.__cut_off - 15552000), 0)
            as "events.kind.share[penalty].180d"
    from read_parquet($entities, file_row_number = true) c
    left join read_parquet($events) e
        on e.__subject = c.file_row_number and e.__time < c.__cut_off
    group by c.file_row_number, c.__cut_off
) to $out (format parquet, compression zstd)
"""


def main(folder: Path, out: Path) -> None:
    import duckdb

    began = time.process_time()
    connection = duckdb.connect(
        config={"threads": 1, "memory_limit": "1500MB", "preserve_insertion_order": False}
    )
    connection.execute(f"set temp_directory = '{out.parent / 'spill'}'")
    connection.execute(
        QUERY,
        {
            "entities": str(folder / "entities.parquet"),
            "events": str(folder / "events" / "*.parquet"),
            "out": str(out),
        },
    )
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1e3
    row = {"cpu_seconds": time.process_time() - began, "peak_mb": peak}
    print(json.dumps({**row, "duckdb": duckdb.__version__}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
