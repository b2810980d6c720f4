"""Several tables around an entity: what they add to the entity table alone, on real data.

    python -m benchmarks.relational --sets berka,superlender
    python -m benchmarks.relational --sets berka --without categories,shape    # or all
    python -m benchmarks.relational --table --readme

Each set is a spec under `examples/` and nothing else. A row is one split; systems are the same
search on the entity table alone (`table`) and with the tables around it (`relational`), and with
`--without` also the latter short of one kind of feature groups in turn. Exits with 1 where a floor
is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from automl.data.dataset import Dataset
from automl.data.target import labels, wanted
from automl.features.featurizer import groups_of
from automl.meters.base import measure
from automl.meters.cpu_time import CpuTimeMeter
from automl.relations.assembling import Assembled, assemble
from automl.relations.spec import Spec
from automl.relations.tables import Relations
from automl.search.objective import Objective
from automl.search.relational import search_relations
from benchmarks.relational_ablation import (
    METRICS,
    N_REPLICATES,
    SHORT,
    ablations,
    compared,
    draws,
    left_out,
    n_kept,
)
from benchmarks.results import FOLDER, append, provenance, read
from benchmarks.search import into_readme
from benchmarks.sets import folder as shared_data

EXAMPLES = Path(__file__).parents[1] / "examples"
RESULTS = FOLDER / "relational.jsonl"
METER = CpuTimeMeter()
Rows = npt.NDArray[np.int64]
Split = tuple[int, Rows, Rows]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Entities with a label each, and the tables around them."""

    name: str
    relations: Relations
    y: npt.NDArray[np.int8]
    group: Rows
    assembled: Assembled


@dataclass(frozen=True, kw_only=True)
class Case:
    """A set: how it is split, and what has to be reached.

    `floors` are by metric; `gain` asks that the tables add something to the entity table, with
    the whole 95 % interval.
    """

    name: str
    splits: Callable[[Problem], Iterator[Split]]
    floors: dict[str, float]
    objective: str = "average_precision"
    times_table: float | None = None
    gain: bool = False
    grouped: bool = False
    timed: bool = False
    note: str = ""


def load(name: str) -> Problem:
    """Assemble an example's tables from the files that its spec names."""
    spec = Spec.from_json(json.loads((EXAMPLES / name / "spec.json").read_text("utf-8")))
    folder = shared_data() / name
    made = assemble(spec, {t: folder / one.source["file"] for t, one in spec.tables.items()})
    assert made.target is not None
    y = labels(made.target, wanted(spec.positive))
    rows = np.flatnonzero(y >= 0)
    return Problem(
        name=name,
        relations=made.relations.take(rows),
        y=y[rows],
        group=made.key[rows],
        assembled=made,
    )


def halves(problem: Problem) -> Iterator[Split]:
    """Five times two halves, each half predicted by the other (Dietterich, 1998)."""
    for repeat in range(5):
        folds = StratifiedKFold(2, shuffle=True, random_state=repeat)
        for train, test in folds.split(problem.y, problem.y):
            yield repeat, train, test


def fifths(problem: Problem) -> Iterator[Split]:
    """Five folds, repeated twice."""
    for repeat in range(2):
        folds = StratifiedKFold(5, shuffle=True, random_state=repeat)
        for train, test in folds.split(problem.y, problem.y):
            yield repeat, train, test


def alike(problem: Problem) -> Iterator[Split]:
    """Five folds with entities of the same attributes on one side."""
    import pandas as pd

    same = pd.util.hash_pandas_object(problem.relations.rows, index=False).to_numpy()
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(problem.y, problem.y, groups=same):
        yield 0, train, test


def by_row(problem: Problem) -> Iterator[Split]:
    """Five folds of rows, as if applicants were all different."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(problem.y, problem.y):
        yield 0, train, test


def later(date: str) -> Callable[[Problem], Iterator[Split]]:
    """Train before a date, test from it on."""
    moment = np.datetime64(date).astype("datetime64[s]").astype(np.int64)

    def split(problem: Problem) -> Iterator[Split]:
        cut_off = problem.relations.cut_off
        yield 0, np.flatnonzero(cut_off < moment), np.flatnonzero(cut_off >= moment)

    return split


CASES = (
    Case(name="berka", splits=halves, floors={"roc_auc": 0.925}, objective="roc_auc", gain=True),
    Case(
        name="berka",
        splits=later("1997-01-01"),
        floors={},
        objective="roc_auc",
        timed=True,
        note="forward in time",
    ),
    Case(
        name="credit_card_approval",
        splits=alike,
        floors={"average_precision": 0.10},
        times_table=3.0,
        grouped=True,
    ),
    Case(
        name="credit_card_approval",
        splits=by_row,
        floors={},
        note="by row: applicants repeat on both sides, a warning and no result",
    ),
    Case(name="superlender", splits=fifths, floors={}, gain=True),
    Case(name="west_nile_virus", splits=later("2013-01-01"), floors={}, gain=True, timed=True),
)


def label(case: Case) -> str:
    return case.name + (f" ({case.note.partition(':')[0]})" if case.note else "")


def run(case: Case, *, mode: str, without: Sequence[str]) -> list[dict[str, Any]]:
    """Each system on every split; one row for each.

    `without` are kinds of feature groups to leave out in turn; ("all",): each that there is.
    """
    problem = load(case.name)
    kinds = list(without)
    if kinds == ["all"]:
        kinds = list(dict.fromkeys(offer.kind for offer in groups_of(problem.relations)))
    systems = ["table", "relational", *(SHORT + kind for kind in kinds)]
    rows: list[dict[str, Any]] = []
    for seed in sorted({seed for seed, _, _ in case.splits(problem)}):
        splits = [(train, test) for one, train, test in case.splits(problem) if one == seed]
        scored: dict[str, npt.NDArray[np.float64]] = {}
        whole: dict[str, Any] = {}
        kept: list[list[str]] = []
        for system in systems:
            kind = system.removeprefix(SHORT) if system.startswith(SHORT) else None
            about = {"set": label(case), "seed": seed, "system": system, "mode": mode}
            if kind is not None and not n_kept(kind, kept):
                same = left_out(kind=kind, metric=case.objective, whole=whole, kept=kept)
                rows.append({**about, **same, **provenance()})
                continue
            score = np.full(len(problem.y), np.nan)
            cpu = 0.0
            groups: list[dict[str, Any]] = []
            for train, test in splits:
                with measure(METER) as reading:
                    found, told = _fitted(case, problem, train, system=system, mode=mode, seed=seed)
                    score[test] = found(problem.relations.take(test))
                cpu += reading.cost.cpu_seconds
                groups.append(told)
            tested = np.flatnonzero(~np.isnan(score))
            y, scores = problem.y[tested], score[tested]
            rows.append(
                {
                    **about,
                    "average_precision": float(average_precision_score(y, scores)),
                    "roc_auc": float(roc_auc_score(y, scores)),
                    "interval": interval(y, scores, metric=case.objective),
                    "cpu_seconds": round(cpu, 2),
                    "n_test": len(y),
                    "n_test_positive": int(y.sum()),
                    "groups": groups,
                    **provenance(),
                }
            )
            scored[system] = scores
            if system == "relational":
                whole, kept = rows[-1], [one["kept"] for one in groups]
                rows[-1]["gains"] = {
                    metric: draws(y, scores, scored["table"], metric=metric) for metric in METRICS
                }
            if kind is not None:
                rows[-1] |= compared(
                    kind=kind,
                    metric=case.objective,
                    value=rows[-1][case.objective],
                    whole=whole,
                    kept=kept,
                    differences=draws(y, scores, scored["relational"], metric=case.objective),
                )
            print(
                f"{label(case)} {seed} {system}: AP {rows[-1]['average_precision']:.4f} "
                f"ROC AUC {rows[-1]['roc_auc']:.4f}  {cpu:.1f} CPU-s",
                flush=True,
            )
    return rows


def _fitted(
    case: Case, problem: Problem, train: Rows, *, system: str, mode: str, seed: int
) -> tuple[Callable[[Relations], Any], dict[str, Any]]:
    relations = problem.relations.take(train)
    X = relations.rows.reset_index(drop=True)
    if not X.shape[1]:
        X = X.assign(none=np.arange(len(X)) % 2)
    dataset = Dataset(X=X, y=problem.y[train])
    if case.grouped:
        import pandas as pd

        same = pd.util.hash_pandas_object(X, index=False).to_numpy()
        dataset = replace(dataset, group=np.unique(same, return_inverse=True)[1])
    if case.timed:
        dataset = replace(dataset, time=relations.cut_off)
    found = search_relations(
        relations,
        dataset,
        meter=METER,
        seed=seed,
        mode=mode,
        groups=_groups(relations, system),
        objective=Objective(metric=case.objective),
    )
    told = {
        "kept": [one.name for one in found.features.decisions if one.kept],
        "left": [one.name for one in found.features.decisions if not one.kept],
        "n_columns": 0 if found.featurizer is None else len(found.featurizer.columns),
        "cpu_seconds": round(found.features.cost.cpu_seconds, 2),
    }
    return found.predict_proba, told


def _groups(relations: Relations, system: str) -> list[str] | None:
    """Names of the feature groups that a system may propose; None is all."""
    if system == "table":
        return []
    if system == "relational":
        return None
    short = system.removeprefix(SHORT)
    return [offer.name for offer in groups_of(relations) if offer.kind != short]


def interval(y: npt.NDArray[Any], scores: npt.NDArray[Any], *, metric: str) -> list[float]:
    """95 % bootstrap interval over entities."""
    rng = np.random.default_rng(0)
    score = METRICS[metric]
    found = []
    for _ in range(N_REPLICATES):
        at = rng.integers(0, len(y), len(y))
        if 0 < y[at].sum() < len(y):
            found.append(float(score(y[at], scores[at])))
    return [round(float(one), 4) for one in np.percentile(found, [2.5, 97.5])]


def paired(rows: Sequence[dict[str, Any]], *, metric: str) -> tuple[float, float, float]:
    """Mean difference of `relational` to `table`, with its 95 % interval over entities."""
    by = {(row["seed"], row["system"]): row for row in rows}
    seeds = sorted({seed for seed, system in by if system == "relational"})
    gains = np.mean([by[seed, "relational"]["gains"][metric] for seed in seeds], axis=0)
    low, high = np.percentile(gains, [2.5, 97.5])
    differences = [by[seed, "relational"][metric] - by[seed, "table"][metric] for seed in seeds]
    return float(np.mean(differences)), float(low), float(high)


def verdicts(rows: Sequence[dict[str, Any]]) -> tuple[list[str], bool]:
    """Lines of the table, and whether every floor that was run is met."""
    lines = [
        "| set | metric | entity table | with its tables | difference [95 %] | CPU-s | asked |",
        "|---|---|---|---|---|---|---|",
    ]
    met = True
    for case in CASES:
        own = [row for row in rows if row["set"] == label(case)]
        if not own:
            continue
        for metric in ("roc_auc", "average_precision"):
            values = {
                system: [row[metric] for row in own if row["system"] == system]
                for system in ("table", "relational")
            }
            mean = {system: float(np.mean(found)) for system, found in values.items()}
            spread = float(np.std(values["relational"]))
            gain, low, high = paired(own, metric=metric)
            asked = []
            if metric in case.floors:
                ok = mean["relational"] >= case.floors[metric]
                asked.append(f">= {case.floors[metric]}: {'met' if ok else 'MISSED'}")
                met &= ok
            if metric == "average_precision" and case.times_table is not None:
                ok = mean["relational"] >= case.times_table * mean["table"]
                asked.append(f">= {case.times_table:g}x: {'met' if ok else 'MISSED'}")
                met &= ok
            if case.gain and metric == case.objective:
                ok = low > 0
                asked.append(f"above: {'met' if ok else 'MISSED'}")
                met &= ok
            cpu = {
                system: float(np.mean([r["cpu_seconds"] for r in own if r["system"] == system]))
                for system in ("table", "relational")
            }
            lines.append(
                f"| {label(case)} | {metric} | {mean['table']:.4f} | {mean['relational']:.4f} "
                f"+- {spread:.4f} | {gain:+.4f} [{low:+.4f}, {high:+.4f}] | "
                f"{cpu['table']:.1f} / {cpu['relational']:.1f} | {'; '.join(asked) or '-'} |"
            )
    return lines, met


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default=",".join(dict.fromkeys(case.name for case in CASES)))
    parser.add_argument("--mode", default="balanced")
    parser.add_argument(
        "--without", default="", help="kinds of groups to leave out in turn, or all"
    )
    parser.add_argument("--table", action="store_true", help="only print what was measured")
    parser.add_argument("--readme", action="store_true", help="put the ablations into README.md")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args(argv)
    names = asked.sets.split(",")
    kinds = [kind for kind in asked.without.split(",") if kind]
    for case in CASES:
        if case.name in names and not asked.table and not (kinds and case.note):
            append(asked.results, run(case, mode=asked.mode, without=kinds))
    mine = {label(case) for case in CASES if case.name in names}
    rows = [row for row in read(asked.results).values() if row["set"] in mine]
    lines, met = verdicts(rows)
    print("\n".join([*lines, "", *ablations(rows)]))
    if asked.readme:
        into_readme("ablation-table", "\n".join(ablations(read(asked.results).values())))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
