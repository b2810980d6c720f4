"""Every configuration of the knowledge base on every development set, out of fold.

Only the train part of the splits of seeds 100 and 101 is ever read: no test part of any split that
the benchmark reports on is judged by, and what is kept are scores of rows that validate within the
train part. Tables above 20,000 training rows are thinned at random, positives down to 1,000 at
most. Results are JSON lines, one per (set, seed, configuration); a run goes on where one stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.dataset import Dataset
from automl.meta.portfolio import NAMED
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.evaluate import evaluate, expected_cost
from automl.search.metrics import average_precision
from automl.search.problem import Problem, prepare
from automl.trial import Candidate, Proposal
from benchmarks import sets

SPLIT_SEEDS = (100, 101)
MOST_ROWS = 20_000
LEAST_POSITIVES = 1_000  # kept where there are as many
RESULTS = Path(__file__).parent / "results" / "knowledge.jsonl"

# Beside the portfolio's: other sizes of what is in it, so that the base can tell what capacity,
# smoothness or a penalty are worth somewhere. Ids are immutable: a changed parameter is a new one.
_SLOW = {"learning_rate": 0.03, "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1}
MORE: Mapping[str, Candidate] = {
    "L8": Candidate(model="lightgbm", params={**NAMED["L15"].params, "num_leaves": 8}),
    "L63": Candidate(model="lightgbm", params={**_SLOW, "num_leaves": 63, "lambda_l2": 5.0}),
    "LRq .01": Candidate(model="logistic", params={"C": 0.01, "n_quantiles": 100}),
    "ETs 10": Candidate(
        model="extra_trees", params={"min_samples_leaf": 10, "max_features": "sqrt"}
    ),
}
# It learns from rows without a label, which no development set has.
LEFT_OUT = frozenset({"S15"})

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Line = dict[str, Any]


def configurations() -> dict[str, Candidate]:
    """All by name, the portfolio's first."""
    return {name: c for name, c in {**NAMED, **MORE}.items() if name not in LEFT_OUT}


def train_part(name: str, seed: int) -> tuple[Dataset, dict[str, int]]:
    """The train part of a set, thinned, and its counts before that."""
    table = sets.load(name)
    rows, _ = sets.split(table, seed)
    kept = _thinned(table.y[rows], seed=zlib.crc32(f"{name} {seed}".encode()))
    chosen = rows[kept]
    dataset = Dataset(
        X=table.X.iloc[chosen].reset_index(drop=True),
        y=table.y[chosen],
        time=None if table.time is None else table.time[chosen],
        group=None if table.group is None else table.group[chosen],
    )
    return dataset, {"n": len(rows), "pos": int(table.y[rows].sum())}


def _thinned(y: npt.NDArray[np.int8], *, seed: int) -> Rows:
    if len(y) <= MOST_ROWS:
        return np.arange(len(y))
    rng = np.random.default_rng(seed)
    positives, negatives = np.flatnonzero(y == 1), np.flatnonzero(y != 1)
    n_kept = max(round(len(positives) * MOST_ROWS / len(y)), min(len(positives), LEAST_POSITIVES))
    return np.sort(
        np.concatenate(
            [
                rng.choice(positives, n_kept, replace=False),
                rng.choice(negatives, MOST_ROWS - n_kept, replace=False),
            ]
        )
    )


def halves(problem: Problem) -> tuple[Rows, Rows]:
    """Positions among the validation rows: each part's, or every second row of each class.

    What is best by one half is judged on the other, so that no gain is only the best of noise.
    """
    parts = problem.validation.parts
    if len(parts) > 1:
        cut = len(parts[0].valid)
        return np.arange(cut), np.arange(cut, len(problem.validation.rows))
    y = problem.validation.y
    order = np.argsort(y, kind="stable")
    return np.sort(order[::2]), np.sort(order[1::2])


def scores(problem: Problem, logit: Floats) -> list[float]:
    """Average precision on each half."""
    y, weight = problem.validation.y, problem.validation.weight
    return [
        round(average_precision(y[half], logit[half], weight[half]), 5) for half in halves(problem)
    ]


def measured(name: str, seed: int, done: Mapping[str, Line]) -> Iterator[Line]:
    """The lines that are missing of one set and seed.

    The logits of what an earlier run did are not kept, so those that a new configuration is to be
    averaged with are fitted again.
    """
    missing = {key: c for key, c in configurations().items() if c.id not in done}
    if not missing:
        return
    dataset, counts = train_part(name, seed)
    problem = prepare(dataset, seed=seed, whole=True)
    meter = CpuTimeMeter()
    logits: dict[str, Floats] = {}
    again = {key: c for key, c in configurations().items() if c.id in done}
    for number, (key, candidate) in enumerate({**again, **missing}.items()):
        proposal = Proposal(candidate=candidate, rung="final", n_rows=problem.final_rows)
        outcome = evaluate(
            proposal,
            problem,
            number=number,
            expected=expected_cost(proposal, problem),
            meter=meter,
        )
        if outcome.out_of_fold is not None:
            logits[candidate.id] = np.asarray(outcome.out_of_fold["logit"], dtype=np.float64)
        if key in again:
            continue
        line: Line = {
            "set": name,
            "seed": seed,
            "config": candidate.id,
            "name": key,
            "cpu_seconds": round(outcome.trial.cost.cpu_seconds, 4),
            "error": outcome.trial.error,
        }
        if candidate.id in logits:
            own = logits[candidate.id]
            line["scores"] = scores(problem, own)
            line["pairs"] = {
                other: scores(problem, (own + logit) / 2)
                for other, logit in logits.items()
                if other != candidate.id
            }
        line["table"] = {
            **counts,
            "rows": dataset.n_rows,
            "positives": dataset.n_positive,
            "d": problem.n_columns,
            "categories": len(problem.info.categorical),
            "levels": max(problem.info.cardinality, default=0),
        }
        yield line


def read(path: Path = RESULTS) -> dict[tuple[str, int], dict[str, Line]]:
    """Lines by set and seed, then by configuration; a broken last line is left out."""
    found: dict[tuple[str, int], dict[str, Line]] = {}
    if not path.exists():
        return found
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        found.setdefault((line["set"], line["seed"]), {})[line["config"]] = line
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.knowledge_trials")
    parser.add_argument("--sets", nargs="+", choices=sorted(sets.SETS), default=list(sets.SETS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    measure(options.sets, path=options.results)
    return 0


def measure(names: Sequence[str], *, path: Path = RESULTS) -> None:
    """Append the missing lines of these sets."""
    done = read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for seed in SPLIT_SEEDS:
        for name in names:
            spent = 0.0
            for line in measured(name, seed, done.get((name, seed), {})):
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                spent += line["cpu_seconds"]
            print(f"{name} {seed}: {spent:.1f} CPU-seconds", flush=True)


if __name__ == "__main__":
    sys.exit(main())
