"""Peak memory of a search beside the size of its table.

    python -m benchmarks.memory [--tables credit_next_month,give_me_some_credit]

Two tables, each with 15 columns of noise besides: `credit_next_month`, a million rows of which the
final fits take the positives and twenty negatives each, and `give_me_some_credit` ten times, every
copy with noise, 1.5 million rows that are all fitted on. Each is written as the service stores it;
then a fresh process that has imported all and run a small search (the idle worker) loads it and
searches, as a job does. Memory is the process's resident set above the idle worker's, read 50 times
a second; the table's size is that of its columns as loaded. Exits 1 where the first is more than
2.5 times the second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import arguments, results
from benchmarks.running import ONE_THREAD, ROOT
from benchmarks.sets import load

TABLES = ("credit_next_month", "give_me_some_credit")
SMALL = "german_credit"
REPEATS, NOISE_COLUMNS = 10, 15
MOST_TIMES, LEAST_MB = 2.5, 150
SAMPLE_SECONDS = 0.02
TARGET, GROUP = "target__", "group__"


class Watch:
    """The highest resident memory by phase, in MB."""

    def __init__(self) -> None:
        self.phase, self.peaks = "idle", dict[str, float]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def enter(self, phase: str) -> None:
        """What is read from now on belongs to this phase."""
        self._read()
        self.phase = phase

    def close(self) -> dict[str, float]:
        """Stop; the peaks by phase."""
        self._over.set()
        self._thread.join()
        return self.peaks

    def _read(self) -> None:
        now = resident_mb()
        self.peaks[self.phase] = max(self.peaks.get(self.phase, 0.0), now)

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self._read()


def resident_mb() -> float:
    """Of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def write(name: str, path: Path) -> tuple[int, int]:
    """The table as Parquet; its rows and columns."""
    table = load(name)
    X = table.X
    y = np.asarray(table.y)
    rng = np.random.default_rng(0)
    if name == "give_me_some_credit":
        X = pd.concat([X.astype(np.float32)] * REPEATS, ignore_index=True)
        y = np.tile(y, REPEATS)
        for column in X.columns:
            noise = rng.normal(scale=0.01 * float(X[column].std()), size=len(X))
            X[column] = (X[column] + noise).astype(np.float32)
    noises = rng.normal(size=(NOISE_COLUMNS, len(X))).astype(np.float32)
    X = pd.concat([X, pd.DataFrame({f"noise {i}": one for i, one in enumerate(noises)})], axis=1)
    shape = X.shape
    frame = X.assign(**{TARGET: y})
    if table.group is not None:
        frame[GROUP] = table.group
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    texts = [pa.string() if pa.types.is_large_string(one.type) else one.type for one in rows.schema]
    stored = [pa.field(n, kind) for n, kind in zip(rows.schema.names, texts, strict=True)]
    pq.write_table(rows.cast(pa.schema(stored)), path)
    return int(shape[0]), int(shape[1])


def measured(path: Path, *, grouped: bool) -> dict[str, Any]:
    """One job's memory; called in its own process."""
    from automl.data.dataset import Dataset
    from automl.data.loading import load as load_rows
    from automl.meters.cpu_time import CpuTimeMeter
    from automl.search.journal import MemoryJournal
    from automl.search.run import search

    small = load(SMALL)
    search(Dataset(X=small.X, y=small.y), meter=CpuTimeMeter())
    del small
    idle = resident_mb()
    watch = Watch()

    class Told(MemoryJournal):
        def begin(self, number: int, proposal: Any, expected: Any) -> None:
            watch.enter(f"{number} {proposal.candidate.model} on {proposal.n_rows:,}")
            super().begin(number, proposal, expected)

        def end(self, trial: Any, out_of_fold: Any) -> None:
            super().end(trial, out_of_fold)
            watch.enter("between")
            text = f"{trial.number} {trial.candidate.model} {trial.cost.cpu_seconds:.1f} s"
            peak = max(mb for phase, mb in watch.peaks.items())
            print(f"{text}, highest so far {peak - idle:.0f} MB", file=sys.stderr, flush=True)

    watch.enter("load")
    request = {"target": TARGET, "group_column": GROUP if grouped else None}
    handed = [load_rows(path, request, excluded=())]
    table_mb = float(handed[0].X.memory_usage(deep=True).sum()) / 1e6
    watch.enter("features")
    after = {"features": "race", "search": "refit", "refit": "over"}
    found = search(
        handed.pop(),
        meter=CpuTimeMeter(),
        journal=Told(),
        on_phase=lambda name, cost: watch.enter(after[name]),
    )
    peaks = {phase: round(mb - idle) for phase, mb in watch.close().items() if phase != "idle"}
    return {
        "table_mb": round(table_mb, 1),
        "idle_mb": round(idle),
        "peaks_mb": peaks,
        "peak_mb": max(peaks.values()),
        "cpu_seconds": round(found.cost.cpu_seconds, 1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    parser = arguments.parser("memory", __doc__)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--one", nargs=2, metavar=("FILE", "GROUPED"), help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=results.FOLDER / "memory.jsonl")
    options = parser.parse_args(argv)
    if options.one:
        print(json.dumps(measured(Path(options.one[0]), grouped=options.one[1] == "yes")))
        return 0
    rows: list[dict[str, Any]] = []
    for name in options.tables.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            n_rows, n_columns = write(name, path)
            grouped = "yes" if load(name).group is not None else "no"
            answer = subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", "--one", str(path), grouped],
                cwd=ROOT,
                env={**os.environ, **ONE_THREAD},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        row = {"table": name, "n_rows": n_rows, "n_columns": n_columns}
        row |= json.loads(answer.stdout.splitlines()[-1])
        row |= {"times": round(row["peak_mb"] / row["table_mb"], 2), **results.provenance()}
        rows.append(row)
        results.append(options.results, [row])
    print("| table | rows | columns | MB | peak above idle, MB | times | highest in |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for row in rows:
        highest = max(row["peaks_mb"], key=row["peaks_mb"].__getitem__)
        print(
            f"| {row['table']} | {row['n_rows']:,} | {row['n_columns']} | {row['table_mb']:.0f} "
            f"| {row['peak_mb']:,} | {row['times']:.2f} | {highest} |"
        )
    bad = [r for r in rows if r["table_mb"] >= LEAST_MB and r["times"] > MOST_TIMES]
    for row in bad:
        print(f"MISSED {row['table']}: {row['times']:.2f} times the table")
    # A table below 150 MB proves nothing.
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
