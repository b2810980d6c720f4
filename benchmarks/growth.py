"""How the cost of a search grows with the rows: by phase, at 10,000, 100,000 and 1,000,000.

    python -m benchmarks.growth [--sets credit_next_month] [--rows 10000,100000] [--table]

Two tables: `credit_next_month`, whole clients by chance, and `give_me_some_credit`, rows by chance
and, above its 150,000, repeated with noise (1 % of each column's deviation, so that no two rows
are alike; its scores say nothing, only its costs). Each search in a fresh process on one thread.
Expected: screening stays flat once there are as many positives as its sample takes (600), and the
fits on all rows dominate the largest. Exits 1 where screening at the most rows costs more than
three times that at the size before, both with so many positives, or less than half of the largest
search's CPU went into the final fits and the refit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import arguments, results
from benchmarks.running import ONE_THREAD, ROOT
from benchmarks.sets import Table, load

NAMES = ("credit_next_month", "give_me_some_credit")
ROWS = (10_000, 100_000, 1_000_000)
NOISE = 0.01
MOST_GROWTH, LEAST_FINAL = 3.0, 0.5
SCREENED_POSITIVES = 600


def sized(table: Table, n_rows: int, *, seed: int) -> Table:
    """About so many rows: fewer by chance, more by repeating with noise."""
    rng = np.random.default_rng(seed)
    if table.group is not None:
        codes, groups = pd.factorize(table.group)
        share = min(1.0, n_rows / table.n_rows)
        rows = np.flatnonzero(rng.random(len(groups))[codes] < share)
    elif n_rows <= table.n_rows:
        rows = np.sort(rng.choice(table.n_rows, size=n_rows, replace=False))
    else:
        rows = np.arange(n_rows) % table.n_rows
    X = table.X.iloc[rows].reset_index(drop=True)
    if n_rows > table.n_rows and table.group is None:
        spread = NOISE * X.std()
        X = X + rng.normal(size=X.shape) * spread.to_numpy()
    return Table(
        name=table.name,
        X=X,
        y=table.y[rows],
        group=None if table.group is None else table.group[rows],
    )


def measured(name: str, n_rows: int) -> dict[str, Any]:
    """CPU-seconds of one search by phase; called in its own process."""
    from automl.data.dataset import Dataset
    from automl.meters.cpu_time import CpuTimeMeter
    from automl.search.run import search
    from benchmarks.systems.clock import peak_mb

    table = sized(load(name), n_rows, seed=0)
    before = peak_mb()
    result = search(Dataset(X=table.X, y=table.y, group=table.group), meter=CpuTimeMeter())
    by_rung: dict[str, float] = {}
    for trial in result.trials:
        rung = "final" if trial.proposal.rung == "final" else "screening"
        # The ensemble's cost contains its members'.
        if trial.candidate.model != "ensemble":
            by_rung[rung] = by_rung.get(rung, 0.0) + trial.cost.cpu_seconds
    costs = {phase: cost.cpu_seconds for phase, cost in result.costs.items()}
    return {
        "set": name,
        "n_rows": table.n_rows,
        "n_positive": int(table.y.sum()),
        "features": round(costs["features"], 3),
        "screening": round(by_rung.get("screening", 0.0), 3),
        "final": round(by_rung.get("final", 0.0), 3),
        "search": round(costs["search"], 3),
        "refit": round(costs["refit"], 3),
        "total": round(result.cost.cpu_seconds, 3),
        "n_trials": len(result.trials),
        "loaded_mb": round(before),
        "peak_mb": round(peak_mb()),
    }


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    fields = ("features", "screening", "final", "refit", "total")
    lines = [
        "| set | rows | positives | " + " | ".join(fields) + " | peak MB |",
        "|---|---:|---:|" + "---:|" * (len(fields) + 1),
    ]
    for row in rows:
        cells = " | ".join(f"{row[field]:.2f}" for field in fields)
        lines.append(
            f"| {row['set']} | {row['n_rows']:,} | {row['n_positive']:,} | {cells} "
            f"| {row['peak_mb']:,} |"
        )
    return "\n".join(lines)


def missed(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What was expected and is not so."""
    found = []
    for name in NAMES:
        own = sorted((row for row in rows if row["set"] == name), key=lambda row: row["n_rows"])
        if len(own) < len(ROWS):
            continue
        before, last = own[-2], own[-1]
        full = before["n_positive"] >= SCREENED_POSITIVES
        if full and last["screening"] > MOST_GROWTH * before["screening"]:
            found.append(
                f"{name}: screening grew from {before['screening']} to {last['screening']} s"
            )
        share = (last["final"] + last["refit"]) / last["total"]
        if share < LEAST_FINAL:
            found.append(f"{name}: final fits and refit are {share:.0%} of the largest search")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    parser = arguments.parser("growth", __doc__)
    parser.add_argument("--sets", default=",".join(NAMES))
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("--one", nargs=2, metavar=("SET", "ROWS"), help=argparse.SUPPRESS)
    parser.add_argument("--table", action="store_true", help="print the last results")
    parser.add_argument("--results", type=Path, default=results.FOLDER / "growth.jsonl")
    options = parser.parse_args(argv)
    if options.one:
        print(json.dumps(measured(options.one[0], int(options.one[1]))))
        return 0
    if options.table:
        kept = {}
        for line in options.results.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            kept[row["set"], row["asked"]] = row
        rows = list(kept.values())
    else:
        rows = []
        for name in options.sets.split(","):
            for n_rows in map(int, options.rows.split(",")):
                command = [sys.executable, "-m", "benchmarks.growth", "--one", name, str(n_rows)]
                answer = subprocess.run(
                    command,
                    cwd=ROOT,
                    env={**os.environ, **ONE_THREAD},
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                row = json.loads(answer.stdout.splitlines()[-1])
                rows.append({**row, "asked": n_rows, **results.provenance()})
                results.append(options.results, [rows[-1]])
                print(json.dumps(row), file=sys.stderr, flush=True)
    print(table_of(rows))
    for line in missed(rows):
        print(f"MISSED {line}")
    return int(bool(missed(rows)))


if __name__ == "__main__":
    sys.exit(main())
