"""Fit the expected CPU-seconds of trials to measured ones, and say how far off they are.

    python -m benchmarks.cost_model [--write] [--rows FILE] [--sets a,b] [--models x,y] [--budgets]

Measures every named configuration and a random neighbour of each model on the development sets
(training side of a split that the benchmark does not use) and on synthetic shapes, at both rungs,
as a search runs them. Prints the error on sets that were left out of the fit; `--write` puts the
coefficients into the package. Measured rows are kept in FILE, and a second call goes on where the
first one ended. `--models` measures and replaces only these models' coefficients. `--budgets` runs
whole searches under several limits and prints how far each was overrun. About ten minutes of one
core, and as much again for the budgets.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zlib import crc32

import numpy as np
import optuna
import pandas as pd

from automl.data.dataset import Dataset
from automl.meta.portfolio import NAMED
from automl.meters.base import measure
from automl.meters.cpu_time import CpuTimeMeter
from automl.meters.probe import probe
from automl.models import expected as expected_module
from automl.models.catalog import CATALOG
from automl.models.expected import SHIPPED, CostModel
from automl.models.rounds import PATIENCE, patience_on
from automl.search import run
from automl.search.evaluate import evaluate, expected_cost, score_logit
from automl.search.ledger import is_ensemble
from automl.search.parts import trees_of_part
from automl.search.problem import Problem, prepare
from automl.trial import Candidate, Proposal
from benchmarks import cost_budgets, cost_fit, sets

SEED = 100  # 0 to 4 are the benchmark's
SYNTHETIC = ((400, 6), (400, 60), (1_500, 20), (6_600, 20), (20_000, 6), (20_000, 60))
RATE = 0.06
# Beyond so many rows only the cheaper or more important half is measured.
MANY_ROWS, ALL_MODELS = 40_000, 9_000
RARELY = ("balanced_forest", "smote_lightgbm")
Row = dict[str, Any]


def names() -> tuple[str, ...]:
    """Every synthetic shape and every set, the smallest first."""
    small = [f"synthetic_{n}_{d}" for n, d in SYNTHETIC]
    late = ("customs_fraud", "credit_next_month", "credit_next_month_forward")
    return (*small, *(name for name in sets.SETS if name not in late), "customs_fraud")


def dataset(name: str, seed: int = SEED) -> Dataset:
    """The training side of a set, or a synthetic table."""
    if name.startswith("synthetic_"):
        n_rows, n_columns = (int(part) for part in name.split("_")[1:])
        return synthetic(n_rows, n_columns)
    table = sets.load(name)
    rows, _ = sets.split(table, seed)
    X = table.X.iloc[rows].reset_index(drop=True)
    texts = [column for column in X.columns if X[column].dtype == object]
    group = None if table.group is None else pd.factorize(table.group)[0][rows]
    return Dataset(
        X=X.astype(dict.fromkeys(texts, "category")),
        y=table.y[rows],
        time=None if table.time is None else table.time[rows],
        group=group,
    )


def synthetic(n_rows: int, n_columns: int) -> Dataset:
    """A rare target from smooth and interacting columns, a fifth of them categories, 5 % missing"""
    rng = np.random.default_rng(n_rows + n_columns)
    cells = rng.normal(size=(n_rows, n_columns))
    score = cells[:, 0] + cells[:, 1] * cells[:, 2] + np.sin(2 * cells[:, 3])
    score = score + rng.normal(size=n_rows)
    y = (score > np.quantile(score, 1 - RATE)).astype(np.int8)
    X = pd.DataFrame(cells, columns=[f"c{i}" for i in range(n_columns)])
    for name in X.columns[n_columns - n_columns // 5 :]:
        X[name] = pd.Categorical(rng.integers(0, 8, size=n_rows))
    return Dataset(X=X.mask(rng.random(X.shape) < 0.05), y=y)


def candidates(seed: int, models: Sequence[str] | None) -> dict[str, Candidate]:
    """The named configurations and a random neighbour of each model, by name."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = dict(NAMED)
    for model, spec in CATALOG.items():
        around = next((c for c in NAMED.values() if c.model == model), Candidate(model=model))
        found.setdefault(f"{model}: default", Candidate(model=model))
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        for i in range(2 if model == "lightgbm" else 1):
            found[f"{model}: neighbour {i}"] = spec.refine(around, study.ask())
    chosen = {n: c for n, c in found.items() if models is None or c.model in models}
    return {n: c for n, c in chosen.items() if not n.endswith(": default") or _unnamed(c)}


def _unnamed(candidate: Candidate) -> bool:
    return all(named.model != candidate.model for named in NAMED.values())


def worth_measuring(name: str, candidate: Candidate, n_rows: int) -> bool:
    """Whether a fit on so many rows tells enough for what it takes."""
    extra = candidate.model in RARELY or ": neighbour" in name or "default" in name
    return n_rows <= ALL_MODELS or (
        not extra and (n_rows <= MANY_ROWS or name not in ("RF", "Lps"))
    )


def measured(name: str, models: Sequence[str] | None) -> Iterator[Row]:
    """One row for each trial on a set, and for the steps around them."""
    meter = CpuTimeMeter()
    data = dataset(name)
    with measure(meter) as reading:
        problem = prepare(data, seed=SEED)
    about = {
        "set": name,
        "n_rows": data.n_rows,
        "n_columns": problem.n_columns,
        "n_wide": problem.n_wide,
        "n_bins": problem.n_bins,
    }
    yield {**about, "step": "features", "cpu_seconds": reading.cost.cpu_seconds}
    yield {**about, "step": "probe", "cpu_seconds": probe(meter).cpu_seconds}
    yield {**about, "step": "score", **scoring(problem, meter=meter)}
    tried = candidates(crc32(name.encode()), models)
    rungs = {"screening": problem.screening_rows, "final": problem.final_rows}
    if problem.screening_rows >= problem.final_rows:
        del rungs["screening"]
    for rung, n_rows in rungs.items():
        for label, candidate in tried.items():
            if worth_measuring(label, candidate, n_rows):
                proposal = Proposal(candidate=candidate, rung=rung, n_rows=n_rows)
                row = trial_row(proposal, problem, meter=meter)
                if row is not None:
                    yield {**about, "name": label, **row}
    if models is None:
        n_valid = len(problem.validation.rows)
        yield {**about, "step": "closing", "n_valid": n_valid, "cpu_seconds": closing(data)}


def scoring(problem: Problem, *, meter: CpuTimeMeter) -> Row:
    """What it takes to score a trial's validation rows; the first time draws the bootstrap."""
    validation = problem.validation
    logit = np.random.default_rng(SEED).normal(size=len(validation.rows)) + validation.y
    seconds = []
    for _ in range(3):
        with measure(meter) as reading:
            score_logit(problem, logit)
            problem.objective.intervals(validation.bootstrap, logit)
        seconds.append(reading.cost.cpu_seconds)
    return {"n_valid": len(logit), "cpu_seconds": sorted(seconds)[1]}


def trial_row(proposal: Proposal, problem: Problem, *, meter: CpuTimeMeter) -> Row | None:
    """A trial as `cost_fit` wants it; None for one that failed."""
    expected = expected_cost(proposal, problem)
    trial = evaluate(proposal, problem, number=0, expected=expected, meter=meter).trial
    if trial.error is not None:
        print(f"  {proposal.candidate.model} failed: {trial.error}")
        return None
    parts = []
    for part, details in zip(problem.validation.parts, trial.details["parts"], strict=True):
        rows = problem.rows_to_fit(proposal.n_rows, part)
        stopping, _ = part.thinned(len(rows), y=problem.dataset.y, seed=problem.seed)
        parts.append(
            {
                "n_rows": len(rows),
                "n_positive": int(problem.dataset.y[rows].sum()),
                "n_stopping": len(stopping),
                "n_valid": len(part.valid),
                "n_rounds": details.get("n_rounds"),
            }
        )
    return {
        "step": "trial",
        "model": proposal.candidate.model,
        "params": dict(proposal.candidate.params),
        "rung": proposal.rung,
        "n_trees": trees_of_part(proposal.rung, problem),
        "patience": patience_on(parts[0]["n_rows"], PATIENCE[proposal.rung]),
        "parts": parts,
        "cpu_seconds": trial.cost.cpu_seconds,
        "shipped": expected.cpu_seconds,
    }


def closing(data: Dataset) -> float:
    """CPU-seconds of a search that are neither trials nor refits."""
    meter, refits = CpuTimeMeter(), []
    own = vars(run)["fit_member"]

    def timed(*given: Any, **named: Any) -> Any:
        with measure(meter) as reading:
            member = own(*given, **named)
        refits.append(reading.cost.cpu_seconds)
        return member

    with patch.object(run, "fit_member", timed):
        found = run.search(data, meter=meter, seed=SEED, mode="balanced")
    trials = sum(t.cost.cpu_seconds for t in found.trials if not is_ensemble(t))
    whole = found.costs["search"].cpu_seconds + found.costs["refit"].cpu_seconds
    return max(whole - trials - sum(refits), 1e-4)


def report(rows: Sequence[Row], judged: Sequence[tuple[Mapping[str, Any], float]]) -> None:
    """Print expected / measured by model on sets that were left out, as shipped and as fitted."""
    trials = [row for row in rows if row["step"] == "trial"]
    print("expected / measured           shipped                        fitted, set left out")
    for model in [*dict.fromkeys(row["model"] for row in trials), "*"]:
        own = [(row, e) for row, e in judged if model in ("*", row["model"])]
        shipped = np.array([row["shipped"] / row["cpu_seconds"] for row, _ in own])
        fitted = np.array([e / row["cpu_seconds"] for row, e in own])
        print(f"{model:18} {len(own):4}  {spread(shipped)}  {spread(fitted)}")


def spread(ratio: np.ndarray[Any, Any]) -> str:
    """Percentiles of a ratio, and how many are within a factor of two."""
    low, middle, high = np.quantile(ratio, (0.05, 0.5, 0.95))
    within = np.mean((ratio > 0.5) & (ratio < 2))
    return f"{low:.2f} {middle:.2f} {high:.2f}, {within:4.0%} within 2x"


def read(path: Path | None) -> list[Row]:
    """The rows measured so far."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Measure what is missing, fit, report, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--sets")
    parser.add_argument("--models")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--budgets", action="store_true")
    told = parser.parse_args()
    chosen = told.sets.split(",") if told.sets else names()
    if told.budgets:
        cost_budgets.report(cost_budgets.searches(chosen, load=dataset, seed=SEED, rows=told.rows))
        return
    models = told.models.split(",") if told.models else None
    rows = read(told.rows)
    for name in chosen:
        if any(row["set"] == name for row in rows):
            continue
        print(f"{name} ...", flush=True)
        own = list(measured(name, models))
        rows += own
        if told.rows:
            with told.rows.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in own)
    judged = cost_fit.left_out(rows)
    report(rows, judged)
    n_sets = len({row["set"] for row in rows})
    source = (
        f"python -m benchmarks.cost_model, {datetime.now(UTC):%Y-%m-%d}, {len(judged)} trials on "
        f"{n_sets} tables, {platform.machine()}"
    )
    shipped = CostModel.shipped() if models is not None else None
    fitted = cost_fit.fit(rows, source=source, kept=shipped)
    fitted = replace(fitted, error={**fitted.error, **cost_fit.errors(judged)})
    text = json.dumps(fitted.to_json(), indent=1) + "\n"
    if told.write:
        path = Path(expected_module.__file__).with_name(SHIPPED)
        path.write_text(text, encoding="utf-8")
        print(f"{path} written")
    else:
        print(text)


if __name__ == "__main__":
    main()
