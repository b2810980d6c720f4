"""What mode `best` is worth beside `balanced`: both on the same splits, in pairs.

    python -m benchmarks.best                                # all that is missing
    python -m benchmarks.best --sets stroke --seeds 103
    python -m benchmarks.best --table                        # only the table

Average precision of the test part, CPU-seconds of search and refit, and of predicting the test
part. `best` may spend 20 CPU-seconds; most searches end before. Seeds are 100 and above: those
below are the benchmark's. Results are JSON lines, resumable.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from automl.models import boosting  # noqa: F401  (sets how OpenMP waits before LightGBM loads)

import numpy as np  # isort: skip
from sklearn.metrics import average_precision_score

from benchmarks import arguments, ratios, results
from benchmarks.sets import SETS, Table, load, split
from benchmarks.systems.frugal import fit
from benchmarks.systems.task import task_on

LIMITS: Mapping[str, float | None] = {"balanced": None, "best": 20.0}
SEEDS = (103, 104)
DEFAULT_SETS = (
    "german_credit",
    "ozone_eighthr",
    "wine_quality_white",
    "hmeq_5pct",
    "stroke",
    "mammography",
    "polish_1year",
    "hmeq",
    "bank_marketing_5pct",
    "customs_fraud",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, print the table."""
    parser = arguments.parser("best", __doc__)
    parser.add_argument("--sets", default=",".join(DEFAULT_SETS), help="names, by commas")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--table", action="store_true", help="run nothing, print the table")
    parser.add_argument("--results", type=Path, default=results.FOLDER / "best.jsonl")
    options = parser.parse_args(argv)
    names = options.sets.split(",")
    unknown = [name for name in names if name not in SETS]
    if unknown:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(SETS)}")
    if not options.table:
        try:
            _run(names, [int(seed) for seed in options.seeds.split(",")], options.results)
        except FileNotFoundError as error:
            print(error, file=sys.stderr)
            return 2
    print("\n".join(table(results.read(options.results))))
    return 0


def _run(names: Sequence[str], seeds: Sequence[int], path: Path) -> None:
    for seed in seeds:
        for name in names:
            known = results.read(path)
            missing = [mode for mode in LIMITS if (name, seed, mode) not in known]
            loaded = load(name) if missing else None
            for mode in missing if loaded is not None else ():
                row = judged(loaded, mode, seed=seed)
                results.append(path, [row])
                print(json.dumps({k: row[k] for k in ("set", "seed", "system", "ap")}), flush=True)


def judged(table: Table, mode: str, *, seed: int) -> results.Row:
    """One search and its test average precision, as a row of the results."""
    train, test = split(table, seed)
    task = task_on(
        table,
        train,
        seed=seed,
        options={"mode": mode, "cpu_seconds": LIMITS[mode], "system": mode},
    )
    before = time.process_time()
    answer = fit(task)
    after = time.process_time()
    scores = np.asarray(answer.predict[mode](table.X.iloc[test]))
    return {
        "set": table.name,
        "seed": seed,
        "system": mode,
        "n_rows": table.n_rows,
        "ap": round(float(average_precision_score(table.y[test], scores)), 6),
        "cpu_seconds": round(after - before, 3),
        "predict_cpu_seconds": round(time.process_time() - after, 4),
        "limit": LIMITS[mode],
        "details": {k: answer.details[k] for k in ("n_trials", "members", "stop_reason")},
        **results.provenance(),
    }


def table(rows: Mapping[results.Key, results.Row]) -> list[str]:
    """Lines of a Markdown table, and what they come to."""
    names = [name for name in SETS if (name, "best") in {(s, m) for s, _, m in rows}]
    compared = ratios.pairs(rows, "best", "balanced", names)
    lines = ["| set | splits | balanced | best | ratio | CPU |", "|---|---:|---:|---:|---:|---:|"]
    for pair in compared:
        best, balanced = pair.score
        cpu = pair.cpu_seconds[0] / pair.cpu_seconds[1]
        lines.append(
            f"| {pair.name} | {pair.n_splits} | {balanced:.3f} | {best:.3f} "
            f"| {best / balanced:.3f} | {cpu:.1f} |"
        )
    if compared:
        cpu = ratios.cpu_ratio(compared)
        lines.append(f"\nbest / balanced: {ratios.score_ratio(compared)} at {cpu:.1f} of its CPU")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
