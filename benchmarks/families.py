"""What each further family adds to the search: with and without it, on the catalog's sets.

    python -m benchmarks.families                                  # all that is missing
    python -m benchmarks.families --sets stroke --families neighbours,kernel --seeds 100
    python -m benchmarks.families --table                          # only the table

"With" is the default search with one more first model, "without" the default search; all else is
the search's own doing: whether the model is affordable, becomes a finalist, and what it weighs.
A trial that both searches make is fitted once and charged to both, so that their difference is the
family's alone. Judged is the pick ``most_accurate``, so that a lighter pick within the noise does
not hide what a member adds. CPU-seconds are search and refit. Seeds are 100 and above: those below
are the benchmark's. Results are JSON lines, resumable; CatBoost is tried where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from automl.models import boosting  # noqa: F401  (sets how OpenMP waits before LightGBM loads)

import numpy as np  # isort: skip
from sklearn.metrics import average_precision_score

from automl.cost import ZERO, Cost
from automl.data.dataset import Dataset
from automl.meta.knowledge import Knowledge
from automl.meta.portfolio import NAMED, Portfolio
from automl.meters.base import measure
from automl.meters.cpu_time import CpuTimeMeter
from automl.models import refine
from automl.models.catalog import CATALOG, ModelSpec
from automl.models.rounds import N_TREES
from automl.search import ledger, run
from automl.search.evaluate import evaluate
from benchmarks import arguments, results
from benchmarks.family_additions import ADDITIONS, DECISIONS, Addition
from benchmarks.sets import SETS, Table, load, split

BASE = "without"
SEEDS = (100, 101)
# Up to about 30,000 rows: the whole then takes minutes.
DEFAULT_SETS = (
    "wine_quality_white",
    "stroke",
    "hmeq_5pct",
    "ozone_eighthr",
    "german_credit",
    "adb_wilt",
    "polish_1year",
    "mammography",
    "hypothyroid",
    "ai4i_2020",
    "polish_5year",
    "uci_default_credit_5pct",
    "bank_marketing_5pct",
)


@dataclass(kw_only=True)
class Shared:
    """Trials of one set and seed, fitted once; `reused` is what was charged without a fit."""

    made: dict[Any, Any] = field(default_factory=dict)
    reused: Cost = ZERO

    def evaluate(self, proposal: Any, problem: Any, *, number: int, **others: Any) -> Any:
        """As `automl.search.evaluate.evaluate`."""
        key = (proposal.candidate.id, proposal.rung, proposal.n_rows)
        if key in self.made:
            known = self.made[key]
            self.reused += known.trial.cost
            trial = replace(known.trial, number=number, expected=others["expected"])
            return replace(known, trial=trial)
        self.made[key] = _EVALUATE(proposal, problem, number=number, **others)
        return self.made[key]


_EVALUATE = evaluate
_PORTFOLIO = Knowledge.portfolio


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, print the table."""
    parser = arguments.parser("families", __doc__)
    parser.add_argument("--sets", type=arguments.names(tuple(SETS)), default=list(DEFAULT_SETS))
    parser.add_argument(
        "--families", type=arguments.names(tuple(ADDITIONS)), default=list(ADDITIONS)
    )
    parser.add_argument("--seeds", type=arguments.seeds, default=list(SEEDS))
    parser.add_argument("--table", action="store_true", help="run nothing, print the table")
    parser.add_argument("--results", type=Path, default=results.FOLDER / "families.jsonl")
    options = parser.parse_args(argv)
    if not options.table:
        try:
            _run(options)
        except FileNotFoundError as error:
            print(error, file=sys.stderr)
            return 2
    rows = results.read(options.results)
    print("\n".join(table(rows)))
    return 0


def _run(options: argparse.Namespace) -> None:
    possible = [
        name
        for name in options.families
        if ADDITIONS[name].needs is None or importlib.util.find_spec(ADDITIONS[name].needs)
    ]
    for seed in options.seeds:
        for name in options.sets:
            known = results.read(options.results)
            missing = [one for one in (BASE, *possible) if (name, seed, one) not in known]
            if not missing:
                continue
            table = load(name)
            shared = Shared()
            for one in missing:
                row = judged(table, one, seed=seed, shared=shared)
                results.append(options.results, [row])
                print(json.dumps({k: row[k] for k in SHOWN}), flush=True)


SHOWN = ("set", "seed", "system", "ap", "cpu_seconds", "members")


def judged(table: Table, system: str, *, seed: int, shared: Shared) -> results.Row:
    """One search and its test average precision, as a row of the results."""
    train, test = split(table, seed)
    dataset = Dataset(
        X=table.X.iloc[train].reset_index(drop=True),
        y=table.y[train],
        time=None if table.time is None else table.time[train],
        group=None if table.group is None else table.group[train],
    )
    addition = ADDITIONS.get(system)
    meter = CpuTimeMeter()
    shared.reused = ZERO
    with _with(addition), patch.object(ledger, "evaluate", shared.evaluate), measure(meter) as all_:
        found = run.search(dataset, meter=meter, seed=seed, pick="most_accurate")
    seconds = all_.cost.cpu_seconds + shared.reused.cpu_seconds
    probability = found.champion.predict_proba(table.X.iloc[test])
    members = {m.candidate.id: round(m.weight, 3) for m in found.champion.members}
    own = None if addition is None else addition.candidate.id
    return {
        "set": table.name,
        "seed": seed,
        "system": system,
        "ap": round(float(average_precision_score(table.y[test], probability)), 5),
        "cpu_seconds": round(seconds, 3),
        "oof": found.champion.scores.get("average_precision"),
        "members": members,
        "member": own in members,
        "proposed": own in {t.candidate.id for t in found.trials},
        "own_oof": max((t.score or 0 for t in found.trials if t.candidate.id == own), default=None),
        "n_positive": int(dataset.y.sum()),
        "n_rows": dataset.n_rows,
        **results.provenance(),
    }


@contextmanager
def _with(addition: Addition | None) -> Iterator[None]:
    """The search with the addition in its portfolio and catalog."""
    if addition is None:
        yield
        return
    name = addition.candidate.model

    def wider(knowledge: Knowledge, mode: str) -> Portfolio:
        own = _PORTFOLIO(knowledge, mode)
        if addition.instead is not None:
            old = NAMED[addition.instead].id
            return replace(
                own, first=tuple(addition.candidate if c.id == old else c for c in own.first)
            )
        return replace(own, first=(*own.first, addition.candidate))

    with ExitStack() as stack:
        stack.enter_context(patch.object(Knowledge, "portfolio", wider))
        if addition.kind is not None:
            stack.enter_context(patch.dict(CATALOG, {name: _spec(addition)}))
        yield


def _spec(addition: Addition) -> ModelSpec:
    kind = addition.kind
    assert kind is not None

    def build(params: Mapping[str, Any], **others: Any) -> Any:
        trees = others.pop("n_trees") or N_TREES[others["rung"]]
        return kind(params=params, n_trees=trees, **others)

    return ModelSpec(
        # The one boosted family beside boosting itself, in nobody's portfolio.
        family="resampled" if addition.as_boosting else addition.candidate.model,
        kind=kind,
        params=frozenset(addition.candidate.params),
        build=build,
        refine=refine.linear,
    )


def table(rows: Mapping[results.Key, results.Row]) -> list[str]:
    """Lines of a Markdown table, best first."""
    base = {(s, seed): row for (s, seed, system), row in rows.items() if system == BASE}
    made = []
    for name, addition in ADDITIONS.items():
        own = {
            (s, seed): row
            for (s, seed, system), row in rows.items()
            if system == name and (s, seed) in base
        }
        if not own:
            continue
        by_set: dict[str, list[float]] = {}
        for at, row in own.items():
            by_set.setdefault(at[0], []).append(np.log(row["ap"] / base[at]["ap"]))
        gains = np.array([np.mean(values) for values in by_set.values()])
        n = len(gains)
        # Student's t on the sets' means: two-sided 95 %.
        half = float(gains.std(ddof=1) / np.sqrt(n) * _t(n)) if n > 1 else float("nan")
        mean = float(gains.mean())
        ap = [np.mean([side[at]["ap"] for at in own]) for side in (own, base)]
        cpu = [sum(side[at]["cpu_seconds"] for at in own) for side in (own, base)]
        used = sum(row["member"] for row in own.values())
        made.append(
            (
                -mean,
                f"| {addition.what} | {ap[0]:.4f} / {ap[1]:.4f} "
                f"({np.exp(mean):.3f} [{np.exp(mean - half):.3f}, {np.exp(mean + half):.3f}]) "
                f"| {used} of {len(own)}, {n} sets | {cpu[0]:.0f} / {cpu[1]:.0f} "
                f"({cpu[0] / cpu[1]:.2f}) | {DECISIONS[name]} |",
            )
        )
    return [
        "| family | mean test AP with / without (ratio, 95 % interval over sets) "
        "| member in | CPU-seconds with / without | decision |",
        "|---|---|---|---|---|",
        *(line for _, line in sorted(made)),
    ]


def _t(n: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, n - 1))


if __name__ == "__main__":
    sys.exit(main())
