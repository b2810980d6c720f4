"""Fit the expected CPU-seconds of each model to measured fits on synthetic shapes.

    python -m benchmarks.cost_model [--largest 60000] [--results FILE]

Prints the coefficients for `automl/models/expected.py` and how far off they are, on the shapes
they were fitted to and, by leaving each shape out in turn, on shapes they were not. Three to five
minutes on one core. Only the ratios between models matter; a machine twice as fast halves all.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from automl.data.encoding import EncoderInfo
from automl.meta.portfolio import NAMED
from automl.models.catalog import build
from automl.models.expected import boosting_terms, forest_terms, linear_terms, typical_rounds
from automl.models.rounds import MOST_ROUNDS
from automl.trial import Candidate

N_ROWS = (400, 1_500, 6_600, 20_000, 60_000)
N_COLUMNS = (6, 20, 60)
RATE = 0.06
Array = npt.NDArray[np.float64]


def synthetic(
    n_rows: int, n_columns: int, *, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8], EncoderInfo]:
    """A rare target from smooth and interacting columns, a fifth of them categories, 5 % missing"""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_columns)).astype(np.float32)
    score = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(2 * X[:, 3]) + rng.normal(size=n_rows)
    y = (score > np.quantile(score, 1 - RATE)).astype(np.int8)
    n_coded = n_columns // 5
    X[:, -n_coded:] = rng.integers(0, 8, size=(n_rows, n_coded))
    X[rng.random(X.shape) < 0.05] = np.nan
    info = EncoderInfo(
        kinds=("numeric",) * (n_columns - n_coded) + ("category",) * n_coded,
        cardinality=(0,) * (n_columns - n_coded) + (8,) * n_coded,
    )
    return X, y, info


def measured(largest: int) -> Iterator[dict[str, object]]:
    """Fit each named candidate on each shape; CPU-seconds of the fit with its validation."""
    build_warm()
    for n_rows in N_ROWS:
        for n_columns in N_COLUMNS if n_rows <= largest else ():
            X, y, info = synthetic(n_rows * 5 // 4, n_columns, seed=n_rows + n_columns)
            for name, candidate in NAMED.items():
                model = build(candidate, encoder_info=info, seed=0)
                began = time.process_time()
                model.fit(X[:n_rows], y[:n_rows], valid=(X[n_rows:], y[n_rows:], None))
                model.decision(X[n_rows:])
                seconds = time.process_time() - began
                yield {
                    "name": name,
                    "n_rows": n_rows,
                    "n_columns": n_columns,
                    "cpu_seconds": seconds,
                    "n_rounds": model.details.get("n_rounds"),
                }


def build_warm() -> None:
    """Pay imports and first calls before the clock runs."""
    X, y, info = synthetic(300, 6, seed=0)
    for candidate in NAMED.values():
        build(candidate, encoder_info=info, seed=0).fit(X, y).decision(X)


def terms(candidate: Candidate, row: dict[str, object], *, known_rounds: bool) -> list[float]:
    """The cost terms of one measured fit."""
    n_rows, n_columns = int(str(row["n_rows"])), int(str(row["n_columns"]))
    if candidate.model == "logistic":
        return linear_terms(candidate, n_rows, n_columns)
    if row["n_rounds"] is None:
        return forest_terms(candidate, n_rows, n_columns)
    rounds = (
        float(str(row["n_rounds"])) if known_rounds else typical_rounds(candidate.params, n_rows)
    )
    return boosting_terms(candidate, n_rows, n_columns, rounds=rounds)


def fitted(A: Array, seconds: Array) -> Array:
    """Coefficients that minimise the relative error, none below 0."""
    coefficients: Array = nnls(A / seconds[:, None], np.ones(len(seconds)))[0]
    return coefficients


def spread(ratio: Array) -> str:
    """Percentiles of expected / measured."""
    low, middle, high = np.quantile(ratio, (0.05, 0.5, 0.95))
    within = np.mean((ratio > 0.5) & (ratio < 2))
    return f"{low:.2f} {middle:.2f} {high:.2f} (5, 50, 95 %), within 2x {within:.0%}"


def report(rows: Sequence[dict[str, object]]) -> dict[str, list[float]]:
    """Fit each model's coefficients and print how far off they are."""
    coefficients: dict[str, list[float]] = {}
    everything = []
    for model in dict.fromkeys(candidate.model for candidate in NAMED.values()):
        mine = [row for row in rows if NAMED[str(row["name"])].model == model]
        seconds = np.array([float(str(row["cpu_seconds"])) for row in mine])
        known, guessed = (
            np.array([terms(NAMED[str(row["name"])], row, known_rounds=flag) for row in mine])
            for flag in (True, False)
        )
        shapes = [(row["n_rows"], row["n_columns"]) for row in mine]
        beta = fitted(known, seconds)
        coefficients[model] = [float(f"{value:.3g}") for value in beta]
        unseen = np.empty(len(mine))
        for shape in set(shapes):
            out = np.array([one == shape for one in shapes])
            unseen[out] = guessed[out] @ fitted(known[~out], seconds[~out])
        print(f"{model:16} shapes left out: {spread(unseen / seconds)}")
        everything.append(unseen / seconds)
    stopped = [row for row in rows if row["n_rounds"] and "default" not in str(row["name"])]
    power, share = np.polyfit(
        np.log([float(str(row["n_rows"])) for row in stopped]),
        np.log([float(str(row["n_rounds"])) / MOST_ROUNDS for row in stopped]),
        deg=1,
    )
    print(f"TYPICAL_SHARE, TYPICAL_POWER = {np.exp(share):.2g}, {power:.2g}")
    print(f"{'all':16} shapes left out: {spread(np.concatenate(everything))}")
    return coefficients


def main() -> None:
    """Measure, fit, print; measured fits are read from --results where it exists."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=max(N_ROWS))
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args()
    if arguments.results and arguments.results.exists():
        rows = [json.loads(line) for line in arguments.results.read_text().splitlines()]
    else:
        rows = []
        for row in measured(arguments.largest):
            rows.append(row)
            if arguments.results:
                with arguments.results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    print(f"{platform.machine()}, {len(rows)} fits")
    for model, values in report(rows).items():
        print(f'    "{model}": {tuple(values)},')


if __name__ == "__main__":
    main()
