"""One system on one split in a fresh process of its environment.

    python -m benchmarks.systems.child REQUEST.json ANSWER.npz

The request names the system's module, the set, the seed and the options; the answer holds test
probabilities by system and a JSON text with what it took: reading the data and imports apart,
then search and fit together, then prediction. Only NumPy and pandas are needed here, so that it
runs in a peer's environment.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.sets import load, split
from benchmarks.systems.clock import count_cpu, cpu_seconds, peak_mb
from benchmarks.systems.task import task_on


def main() -> None:
    """Read the request, fit, predict, write the answer."""
    request = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    table = load(request["set"])
    train, test = split(table, request["seed"])
    task = task_on(
        table,
        train,
        seed=request["seed"],
        options={**request["options"], "n_rows": table.n_rows},
        folder=Path(request["folder"]),
        trials=Path(request["trials"]) if request.get("trials") else None,
    )
    X_test = table.X.iloc[test].reset_index(drop=True)
    table_mb = float(task.X.memory_usage(deep=True).sum()) / 2**20
    del table
    system = import_module(f"benchmarks.systems.{request['module']}")
    before, loaded_mb = cpu_seconds(), peak_mb()
    most = round(request["most_cpu_seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 10))
    clock = time.monotonic
    if request["cpu_clock"]:
        count_cpu()
    system.imports(task.options)
    imported, began = cpu_seconds(), clock()
    answer = system.fit(task)
    fitted, wall = cpu_seconds(), clock() - began
    fit_mb = peak_mb()
    probabilities = {
        name: np.asarray(predict(X_test), dtype=np.float64)
        for name, predict in answer.predict.items()
    }
    took = {
        "cpu_seconds": fitted - imported,
        "import_cpu_seconds": imported - before,
        "predict_cpu_seconds": cpu_seconds() - fitted,
        "wall_seconds": wall,
        "loaded_mb": loaded_mb,
        "peak_mb": fit_mb,
        "table_mb": table_mb,
    }
    text = json.dumps({"took": took, "details": dict(answer.details)}, default=str)
    np.savez(sys.argv[2], **probabilities, _json=np.array(text))


if __name__ == "__main__":
    main()
