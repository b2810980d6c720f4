"""What a data set of several tables takes as it grows, beside pyarrow's own copy and DuckDB's SQL.

    python -m benchmarks.scale                                 # 1 M and 4 M entities, 100 each
    python -m benchmarks.scale --entities 1 --events 100       # millions
    python -m benchmarks.scale --quick                         # a tenth of that
    python -m benchmarks.scale --largest                       # 1 M and 10 M entities: 1 G events

Events are made (deterministic, in order of time, one entity in a hundred positive), stored in
buckets, searched on samples, and turned into features for everybody. Each part runs in a process
of its own with one thread; CPU-seconds are of the part alone, without imports, and memory is the
process's peak. What is compared is done side by side, since what else a machine does makes a
CPU-second worth more or less: files are copied before and after they are stored, and the sizes are
screened in turns, three times each, of which the middle one counts. Of a thousand million events,
the copy is of some files only, and --without leaves parts out. Exits 1 where a floor is missed, 2
where the disk is nearly full. Data are written to a temporary folder, or below --folder, where a
run that was ended goes on; they are deleted as soon as they are not needed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import environments, results

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "ARROW_IO_THREADS": "1",
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")},
}
DEFAULT, QUICK = ((1.0, 100.0), (4.0, 400.0)), ((0.1, 10.0), (0.4, 40.0))
LARGEST = ((1.0, 100.0), (10.0, 1_000.0))
CSV_ENTITIES, CSV_EVENTS = 50_000, 5_000_000
# Floors: speeds are shares of pyarrow's own copy, the others are at most.
PARQUET_SPEED, CSV_SPEED, GROWTH, SQL_TIMES, PEAK_MB, UNLIKE = 0.4, 0.5, 1.15, 1.3, 2_000.0, 0.001
PARTS = ("generate", "copy", "ingest", "screen", "final", "full", "sql", "compare")
OURS = ("ingest", "screen", "final", "full")
COPIES, SCREENS = 2, 3  # times that these are done
LEFT_BYTES = 8 * 10**9


def part(name: str, folder: Path, **options: Any) -> results.Row:
    """Run one part in a process of its own.

    Raises
    ------
    subprocess.CalledProcessError
        It failed.
    """
    command = [sys.executable, "-m", "benchmarks.scale_parts", name, str(folder)]
    return _run([*command, json.dumps(options)])


def sql(folder: Path) -> results.Row:
    """The champion's features by DuckDB."""
    script = str(ROOT / "benchmarks" / "scale_sql.py")
    out = str(folder / "sql.parquet")
    return _run([environments.python("duckdb"), script, str(folder / "relations"), out])


def _run(command: Sequence[str]) -> results.Row:
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | ONE_THREAD,
    )
    row: results.Row = json.loads(done.stdout.splitlines()[-1])
    return row


class Case:
    """One size, and what each part of it took.

    That is kept beside the folder, so that a run which was ended goes on where it was.
    """

    def __init__(
        self,
        folder: Path,
        *,
        n_entities: int,
        n_events: int,
        kind: str = "parquet",
        without: Sequence[str] = (),
    ) -> None:
        self.folder, self.without = folder, without
        self._made = {"n_entities": n_entities, "n_events": n_events, "kind": kind}
        self._told_in = folder.with_suffix(".json")
        self.row: results.Row = {**self._made, "parts": {}}
        if self._told_in.exists():
            self.row = json.loads(self._told_in.read_text(encoding="utf-8"))
            self.row["resumed"] = True  # parts may be of earlier commits than the row says

    def store(self) -> None:
        """Make the events and store them, between two copies of them."""
        self._once("generate", **self._made)
        self._again("copy", 1)
        self._once("ingest")
        self._again("copy", COPIES)
        shutil.rmtree(self.folder / "events", ignore_errors=True)  # room for what comes

    def screen(self, times: int) -> None:
        """Screening and selection, until it was done so many times."""
        self._again("screen", times)

    def finish(self) -> None:
        """The other parts; then the folder goes."""
        for name in PARTS[PARTS.index("screen") + 1 :]:
            self._once(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _once(self, name: str, **options: Any) -> None:
        if name not in self.row["parts"] and name not in self.without:
            self._keep(name, self._done(name, **options))

    def _again(self, name: str, times: int) -> None:
        """Until it was done so many times; the middle one counts, the mean of two."""
        while name not in self.without:
            known = self.row["parts"].get(name, {"all_cpu_seconds": [], "peak_mb": 0.0})
            if len(known["all_cpu_seconds"]) >= times:
                break
            done = self._done(name)
            seconds = [*known["all_cpu_seconds"], done["cpu_seconds"]]
            peak = max(known["peak_mb"], done["peak_mb"])
            repeated = {"all_cpu_seconds": seconds, "cpu_seconds": median(seconds), "peak_mb": peak}
            self._keep(name, done | repeated)

    def _done(self, name: str, **options: Any) -> results.Row:
        if shutil.disk_usage(self.folder.parent).free < LEFT_BYTES:
            raise SystemExit(2)
        print(f"{name} of {self.row['n_events']:,} events", end=": ", file=sys.stderr, flush=True)
        done = sql(self.folder) if name == "sql" else part(name, self.folder, **options)
        print(f"{done['cpu_seconds']:.1f} CPU-seconds", file=sys.stderr, flush=True)
        return done

    def _keep(self, name: str, done: results.Row) -> None:
        self.row["parts"][name] = done
        self._told_in.write_text(json.dumps(self.row), encoding="utf-8")


def measured(cases: Sequence[Case]) -> list[results.Row]:
    """All parts of all sizes; of CSV, only those of reading it."""
    of_tables = [one for one in cases if one.row["kind"] == "parquet"]
    for one in cases:
        one.store()
        if one not in of_tables:
            shutil.rmtree(one.folder, ignore_errors=True)
    for times in range(1, SCREENS + 1):
        for one in of_tables:
            one.screen(times)
    for one in of_tables:
        one.finish()
    return [one.row for one in cases]


def verdicts(cases: Sequence[results.Row]) -> list[tuple[str, float, float, bool]]:
    """What is promised: its name, what was measured, the floor, and whether it holds."""
    found = []
    speeds = {"csv": CSV_SPEED, "parquet": PARQUET_SPEED}
    for one in cases:
        parts, size = one["parts"], f"{one['n_events'] / 1e6:g} M events"
        if "copy" in parts:
            copied = parts["copy"]["cpu_seconds"] / parts["copy"].get("share", 1.0)
            name = f"ingest of {one['kind']}, {size}, speed of a copy"
            speed = copied / parts["ingest"]["cpu_seconds"]
            found.append((name, speed, speeds[one["kind"]], True))
        peak = max(parts[name]["peak_mb"] for name in OURS if name in parts)
        found.append((f"peak memory, {one['kind']}, {size}, MB", peak, PEAK_MB, False))
        if "sql" in parts and "compare" in parts:
            times = parts["full"]["cpu_seconds"] / parts["sql"]["cpu_seconds"]
            found.append((f"features of all beside SQL, {size}", times, SQL_TIMES, False))
            unlike = parts["compare"]["unlike"]
            found.append((f"rows not as SQL has them, {size}", unlike, UNLIKE, False))
    screens = [one["parts"]["screen"]["cpu_seconds"] for one in cases if one["kind"] != "csv"]
    if len(screens) > 1:
        found.append(("growth of screening and selection", screens[-1] / screens[0], GROWTH, False))
    return [
        (name, value, floor, value >= floor if at_least else value <= floor)
        for name, value, floor, at_least in found
    ]


def table(cases: Sequence[results.Row]) -> str:
    """Markdown: CPU-seconds, peak memory and bytes of each part."""
    lines = [
        "| part | entities | events | CPU s | peak MB | MB read |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for one in cases:
        sizes = f"{one['n_entities']:,} | {one['n_events']:,}"
        for name, row in one["parts"].items():
            if name not in ("generate", "compare"):
                read = f"{row['bytes_read'] / 1e6:,.0f}" if "bytes_read" in row else ""
                called = f"{name} ({one['kind']})" if name in ("copy", "ingest") else name
                lines.append(
                    f"| {called} | {sizes} | {row['cpu_seconds']:,.1f} | {row['peak_mb']:,.0f} "
                    f"| {read} |"
                )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, append to the results, and print the table; 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--entities", type=float, help="millions of entities, of a single case")
    parser.add_argument("--events", type=float, help="millions of events, of a single case")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--largest", action="store_true", help="1 M and 10 M entities")
    parser.add_argument(
        "--without", nargs="*", default=(), choices=("copy", "sql", "compare"), help="parts"
    )
    parser.add_argument("--folder", type=Path, help="where there is room (45 bytes an event)")
    parser.add_argument("--no-csv", action="store_true", help="leave out reading CSV")
    options = parser.parse_args(arguments)
    sizes: Sequence[tuple[float, float]] = QUICK if options.quick else DEFAULT
    if options.largest:
        sizes = LARGEST
    if options.entities is not None:
        sizes = ((options.entities, options.events or 100 * options.entities),)
    with ExitStack() as stack:
        folder = options.folder
        if folder is None:
            made = tempfile.TemporaryDirectory(prefix="frugal-scale-")
            folder = Path(stack.enter_context(made))
        folder.mkdir(parents=True, exist_ok=True)
        cases = []
        if not options.no_csv:
            n_events = CSV_EVENTS // 5 if options.quick else CSV_EVENTS
            home = folder / f"csv-{n_events}"
            cases.append(Case(home, n_entities=CSV_ENTITIES, n_events=n_events, kind="csv"))
        for size in sizes:
            n_entities, n_events = (int(one * 1e6) for one in size)
            home = folder / f"parquet-{n_events}"
            without = options.without
            cases.append(Case(home, n_entities=n_entities, n_events=n_events, without=without))
        found = measured(cases)
    judged = verdicts(found)
    rows = [{"benchmark": "scale", **one} for one in found]
    rows.append(
        {
            "benchmark": "scale",
            "verdicts": [
                {"name": name, "value": round(value, 4), "floor": floor, "holds": holds}
                for name, value, floor, holds in judged
            ],
        }
    )
    results.append(results.FOLDER / "scale.jsonl", [row | results.provenance() for row in rows])
    print(table(found))
    print()
    for name, value, floor, holds in judged:
        print(f"- {name}: {value:,.3f} (floor {floor:g}){'' if holds else '  MISSED'}")
    return 0 if all(holds for *_, holds in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
