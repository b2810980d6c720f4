"""What the service takes around the search: ingest, search, refit and card over HTTP.

    python -m benchmarks.end_to_end [--sets bank_marketing,give_me_some_credit]

Starts a service of its own, warms it with a small job, then sends each set as one Parquet file,
runs a balanced job and reads the model's card. CPU-seconds are those of the service's whole
process tree by the operating system, beside the job's own bill (features, search, refit); memory
is the tree's proportional set size, sampled ten times a second. A second small job tells what a
warm service adds to a search. Exits 1 where the whole takes more than twice the search's own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from api.client import FrugalClient
from api.local_service import LocalService
from benchmarks import arguments, results
from benchmarks.running import ONE_THREAD
from benchmarks.sets import Table, load

# Every set above 30,000 rows.
SETS = (
    "bank_marketing",
    "adb_shuttle",
    "customs_fraud",
    "give_me_some_credit",
    "adb_cover",
    "credit_next_month",
)
SMALL, SECOND = "german_credit", "stroke"
MOST_RATIO = 2.0
OWN = ("features", "search", "refit")
SAMPLE_SECONDS = 0.1
TARGET, TIME, GROUP = "target__", "time__", "group__"


class Watch:
    """CPU-seconds and peak memory of a process tree."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self.peak_mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def cpu_seconds(self) -> float:
        """Of living members, and of ended ones that their parents waited for."""
        total = 0.0
        for member in self._family():
            try:
                times = member.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory_mb(self) -> float:
        """Proportional set size: shared pages count once."""
        total = 0.0
        for member in self._family():
            try:
                total += member.memory_full_info().pss / 2**20
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return total

    def close(self) -> None:
        """Stop sampling."""
        self._over.set()
        self._thread.join()

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, self.memory_mb())


def job_on(client: FrugalClient, table: Table, folder: Path) -> dict[str, Any]:
    """Upload, search, card; the job's receipt."""
    frame = table.X.assign(**{TARGET: table.y})
    request: dict[str, Any] = {"target": TARGET, "positive": 1, "accept_leakage": []}
    if table.time is not None:
        frame[TIME] = table.time
        request["time_column"] = TIME
    if table.group is not None:
        frame[GROUP] = table.group
        request["group_column"] = GROUP
    path = folder / f"{table.name}.parquet"
    frame.to_parquet(path, index=False)
    del frame
    dataset = client.upload(path)
    if dataset["state"] != "READY":
        raise RuntimeError(f"{table.name} was not read: {dataset['problem']}")
    job = client.submit({**request, "dataset": dataset["id"], "model": table.name.lower()})
    job = job.wait(progress=False)
    if job["state"] != "DONE":
        raise RuntimeError(f"the job on {table.name} ended {job['state']}: {job}")
    client.card(table.name.lower())
    return client.receipt(job["id"])


def measured(watch: Watch, client: FrugalClient, name: str) -> dict[str, Any]:
    """One set on the warm service."""
    table = load(name)
    table_mb = float(table.X.memory_usage(deep=True).sum()) / 2**20
    with tempfile.TemporaryDirectory() as folder:
        watch.peak_mb, idle = 0.0, watch.memory_mb()
        before, began = watch.cpu_seconds(), time.monotonic()
        receipt = job_on(client, table, Path(folder))
        whole, wall = watch.cpu_seconds() - before, time.monotonic() - began
    phases = {one["name"]: one["cpu_seconds"] for one in receipt["phases"]}
    own = sum(phases[phase] for phase in OWN if phase in phases)
    return {
        "set": name,
        "n_rows": table.n_rows,
        "cpu_seconds": round(whole, 2),
        "own_cpu_seconds": round(own, 2),
        "ratio": round(whole / own, 3),
        "phases": {phase: round(seconds, 2) for phase, seconds in phases.items()},
        "wall_seconds": round(wall, 1),
        "table_mb": round(table_mb),
        "idle_mb": round(idle),
        "peak_mb": round(watch.peak_mb),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    parser = arguments.parser("end_to_end", __doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--results", type=Path, default=results.FOLDER / "end_to_end.jsonl")
    options = parser.parse_args(argv)
    os.environ.update(ONE_THREAD)
    rows = []
    with tempfile.TemporaryDirectory() as folder, LocalService(Path(folder)) as service:
        watch = Watch(service.process.pid)
        with service.client() as client:
            measured(watch, client, SMALL)
            small = {**measured(watch, client, SECOND), "small": True, **results.provenance()}
            results.append(options.results, [small])
            print(json.dumps(small), file=sys.stderr, flush=True)
            for name in options.sets.split(","):
                rows.append({**measured(watch, client, name), **results.provenance()})
                results.append(options.results, [rows[-1]])
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        watch.close()
    print("| set | rows | CPU-s whole | search's own | ratio | table MB | idle MB | peak MB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row['set']} | {row['n_rows']:,} | {row['cpu_seconds']} | {row['own_cpu_seconds']} "
            f"| {row['ratio']:.2f} | {row['table_mb']:,} | {row['idle_mb']:,} "
            f"| {row['peak_mb']:,} |"
        )
    print(
        f"\nA small job ({small['set']}) on the warm service: {small['cpu_seconds']} CPU-seconds, "
        f"{small['cpu_seconds'] - small['own_cpu_seconds']:.2f} beside its search's own "
        f"{small['own_cpu_seconds']}."
    )
    return int(any(row["ratio"] > MOST_RATIO for row in rows))


if __name__ == "__main__":
    sys.exit(main())
