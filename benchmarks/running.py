"""One system on one split: a fresh process, then its scores on the test part."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from automl.search.calibration import expected_calibration_error
from benchmarks import environments
from benchmarks.results import Key, Row, provenance
from benchmarks.sets import Table, split
from benchmarks.systems import SYSTEMS, System, answers

ROOT = Path(__file__).resolve().parents[1]
# One thread, and threads that wait without burning, for everybody.
ONE_THREAD = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")},
    "LOKY_MAX_CPU_COUNT": "1",
}
# Peers overrun their limit; past this multiple of it, in CPU-seconds, the system ends the run. The
# wall clock ends one only where it hangs, since the machine may be busy.
PATIENCE, LONGEST_WALL_SECONDS = 6, 7200.0


def cpu_budget(system: System, rows: Mapping[Key, Row], *, name: str, seed: int) -> float | None:
    """CPU-seconds that the system may spend, as measured (not extrapolated) for another.

    Raises
    ------
    LookupError
        The other has no result on this split yet.
    """
    if system.budget is None:
        return None
    other, factor = system.budget
    row = rows.get((name, seed, other))
    if row is None or row.get("error"):
        raise LookupError(f"{other} has no result on {name}, seed {seed}")
    return factor * float(row["measured_cpu_seconds"])


def run(
    table: Table,
    *,
    seed: int,
    system: str,
    cpu_seconds: float | None,
    trials: Path,
) -> list[Row]:
    """Rows of the system's answers; of an error where it failed."""
    spec = SYSTEMS[system]
    train, test = split(table, seed)
    rows: Row = {
        "set": table.name,
        "seed": seed,
        "n_rows": table.n_rows,
        "n_train": len(train),
        "n_test": len(test),
        "n_positive": int(table.y.sum()),
        "n_train_positive": int(table.y[train].sum()),
        "n_test_positive": int(table.y[test].sum()),
    }
    options: dict[str, Any] = {**spec.options, "system": system}
    if cpu_seconds is not None:
        options["cpu_seconds"] = round(cpu_seconds, 3)
    load = round(os.getloadavg()[0], 2)  # as others found it; peers with a time limit feel it
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="frugal-benchmark-") as scratch:
        answer = _answer(
            Path(scratch),
            python=environments.python(spec.environment),
            request={
                "module": spec.module,
                "set": table.name,
                "seed": seed,
                "options": options,
                "folder": scratch,
                "trials": str(trials),
                "cpu_clock": spec.environment != "ours",
                "most_cpu_seconds": PATIENCE * options.get("seconds", LONGEST_WALL_SECONDS) + 120,
            },
        )
    about = {
        "process_wall_seconds": round(time.monotonic() - began, 2),
        "load_average": load,
        "options": {k: v for k, v in options.items() if k != "system"},
        "versions": environments.versions(spec.environment),
        **provenance(),
    }
    if isinstance(answer, str):
        return [{**rows, "system": one, "error": answer, **about} for one in answers(system)]
    y = table.y[test]
    took, details = answer.pop("_json")["took"], answer["_details"]
    costs = costs_of(took, details)
    return [
        {
            **rows,
            "system": one,
            **scores(y, answer[one], threshold=details.get("alert_threshold")),
            **costs,
            "details": details,
            **about,
        }
        for one in answers(system)
    ]


def scores(y: Any, probability: Any, *, threshold: float | None) -> Row:
    """Of the test part; the alert share where the system chose a threshold for 1 %."""
    row = {
        "ap": round(float(average_precision_score(y, probability)), 6),
        "roc_auc": round(float(roc_auc_score(y, probability)), 6),
        "ece": round(expected_calibration_error(y, probability), 6),
    }
    if threshold is not None:
        row["alert_share"] = round(float(np.mean(probability >= threshold)), 6)
    return row


def costs_of(took: Mapping[str, float], details: Mapping[str, Any]) -> Row:
    """What it took; with trials of earlier runs added, and trials not run extrapolated.

    `cpu_seconds` is search and fit, the figure that is compared; `measured_cpu_seconds` is
    without extrapolation.

    >>> took = {"cpu_seconds": 12.0, "import_cpu_seconds": 1.0}
    >>> details = {"n_trials": 10, "of_trials": 60, "trial_cpu_seconds": 10.0}
    >>> row = costs_of(took, details)
    >>> row["cpu_seconds"], row["measured_cpu_seconds"], row["extrapolated"]
    (62.0, 12.0, True)
    """
    measured = took["cpu_seconds"] + details.get("replayed_cpu_seconds", 0.0)
    whole = measured
    extrapolated = details.get("n_trials", 0) < details.get("of_trials", 0)
    if extrapolated:
        factor = details["of_trials"] / details["n_trials"]
        whole += (factor - 1) * details["trial_cpu_seconds"]
    return {
        "cpu_seconds": round(whole, 3),
        "measured_cpu_seconds": round(measured, 3),
        "extrapolated": extrapolated,
        **{name: round(value, 3) for name, value in took.items() if name != "cpu_seconds"},
    }


def _answer(scratch: Path, *, python: str, request: Row) -> dict[str, Any] | str:
    """The child's answer, or what went wrong in a line."""
    asked, answered = scratch / "request.json", scratch / "answer.npz"
    asked.write_text(json.dumps(request), encoding="utf-8")
    command = [python, "-m", "benchmarks.systems.child", str(asked), str(answered)]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    log = scratch / "log"
    with log.open("w") as file:
        try:
            ended = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=LONGEST_WALL_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"ended after {LONGEST_WALL_SECONDS:.0f} s"
    if ended.returncode or not answered.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"exit {ended.returncode}: {lines[-1][:300] if lines else 'no output'}"
    with np.load(answered) as file:
        answer: dict[str, Any] = {name: file[name] for name in file.files}
    answer["_json"] = json.loads(str(answer["_json"]))
    answer["_details"] = answer["_json"]["details"]
    return answer
