"""Series on real data: one row for each point of time, scored from its past only.

    python -m benchmarks.relational_series --sets nab,cmapss_fd001,nasa_msl
    python -m benchmarks.relational_series --sets nasa_msl --kinds all --without all

Each set is a spec under `examples/`, split by series; `by hand` is the same search on hand-written
last values and rolling means, the floor of `relational`; beside their difference stands its 95 %
interval, all series of a fold drawn whole, averaged over the folds. Of `nasa_msl` the part without
labels is what a ranking without labels is fitted on. The score of the anomaly benchmark is
`benchmarks/nab_score.py`. Exits with 1 where a floor is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from automl.data.dataset import Dataset
from automl.features.featurizer import groups_of
from automl.meters.base import measure
from automl.meters.cpu_time import CpuTimeMeter
from automl.relations.assembling import assemble
from automl.relations.spec import Spec
from automl.search.ranking import rank_anomalies
from automl.search.ranking_features import usual_features
from automl.search.relational import search_relations
from automl.search.run import search
from benchmarks.nab import features, probationary, ranked, scored, series_of
from benchmarks.nab_score import PUBLISHED
from benchmarks.relational_ablation import SHORT, ablations, compared, draws, n_kept
from benchmarks.results import FOLDER, append, provenance
from benchmarks.series_points import (
    EXAMPLES,
    N_FOLDS,
    Floats,
    Points,
    Rows,
    by_hand,
    by_series,
    entities,
    load,
)
from benchmarks.sets import folder as shared_data

METER = CpuTimeMeter()
# What is proposed unless all is asked for: the groups made for one row per point of time.
KINDS = ("rolling", "recency")
METRIC = "average_precision"
WINDOWS_FILE = "combined_windows.json.gz"
BASELINE = "Windowed Gaussian"  # the published detector that looks at the same
# The part of a set without labels: nominal rows of the same series, before those with labels.
NOMINAL = {"nasa_msl": "train.parquet"}


def supervised(
    name: str,
    points: Points,
    *,
    mode: str,
    key: str,
    kinds: Sequence[str] | None,
    systems: Sequence[str],
    n_folds: int = N_FOLDS,
) -> tuple[list[dict[str, Any]], dict[str, Floats]]:
    """Systems on the same folds, or the first so many; rows, and the scores of each system.

    `without KIND` among them is `relational` short of one kind, and is not run on folds on which
    that kept no group of the kind.
    """
    X = by_hand(points, key)
    scores = {system: np.full(len(points.y), np.nan) for system in systems}
    cpu = dict.fromkeys(systems, 0.0)
    folds: dict[str, list[float]] = {system: [] for system in systems}
    kept: list[list[str]] = []
    differences: dict[str, list[list[float]]] = {system: [] for system in systems}
    for train, test in islice(by_series(points), n_folds):
        spent = dict.fromkeys(systems, 0.0)
        for system, score in scores.items():
            kind = system.removeprefix(SHORT) if system.startswith(SHORT) else None
            if kind is not None and not n_kept(kind, kept[-1:]):
                score[test], spent[system] = scores["relational"][test], spent["relational"]
            else:
                with measure(METER) as reading:
                    if system == "by hand":
                        predict = _hand(points, X, train, mode)
                    else:
                        groups = _groups(points, kinds, without=kind)
                        predict, names = _relational(points, train, mode, groups)
                        kept += [names] if kind is None else []
                    score[test] = predict(test)
                spent[system] = reading.cost.cpu_seconds
            y, found = points.y[test], score[test]
            folds[system].append(float(average_precision_score(y, found)))
            base = None
            if kind is not None:
                base = scores["relational"][test]
            elif system == "relational" and "by hand" in scores:
                base = scores["by hand"][test]
            if base is not None:
                unit = points.series[test]
                differences[system].append(draws(y, found, base, metric=METRIC, unit=unit))
            print(
                f"{name} {system}: AP {folds[system][-1]:.4f}, {spent[system]:.1f} CPU-s",
                flush=True,
            )
        cpu = {system: cpu[system] + spent[system] for system in systems}
    rows: list[dict[str, Any]] = [
        {
            "set": name,
            "system": system,
            "metric": METRIC,
            "value": float(np.mean(folds[system])),
            "floor": float(np.mean(folds["by hand"])) if "by hand" in folds else None,
            "cpu_seconds": round(cpu[system], 1),
            "folds": [round(one, 4) for one in folds[system]],
        }
        for system in systems
    ]
    for row in rows:
        if row["system"] == "relational" and row["floor"] is not None:
            row["difference"] = round(row["value"] - row["floor"], 4)
            row["interval"] = interval(differences["relational"])
        if row["system"].startswith(SHORT):
            row["floor"] = None
            row |= compared(
                kind=row["system"].removeprefix(SHORT),
                metric=METRIC,
                value=row["value"],
                whole=next(one for one in rows if one["system"] == "relational"),
                kept=kept,
                differences=np.mean(differences[row["system"]], axis=0).round(5).tolist(),
            )
    return rows, scores


def interval(differences: Sequence[Sequence[float]]) -> list[float]:
    """The 95 % interval of a difference, of its draws by fold: their mean over the folds.

    >>> interval([[0.0, 0.2], [0.2, 0.4]])
    [0.105, 0.295]
    """
    drawn = np.mean(differences, axis=0)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return [round(float(low), 4), round(float(high), 4)]


def nominal(name: str, points: Points) -> dict[str, Any]:
    """The points ranked by how odd they are beside the set's rows without labels; a row.

    The ranking sees no label: it is that of a job without a target, on the same features.
    """
    spec = Spec.from_json(json.loads((EXAMPLES / name / "spec.json").read_text("utf-8")))
    assert spec.windows is not None
    spec = replace(spec, windows=replace(spec.windows, label=None))
    file = shared_data() / name / NOMINAL[name]
    with measure(METER) as reading:
        usual = assemble(spec, {spec.windows.table: file}).relations
        fitted = usual_features(usual, seed=0)
        champion = rank_anomalies(fitted.columns.reset_index(drop=True)).champion
        frame = fitted.featurizer.transform(points.made.relations)
        scores = champion.anomaly(frame.reset_index(drop=True))
    folds = [
        float(average_precision_score(points.y[test], scores[test]))
        for _, test in by_series(points)
    ]
    return {
        "set": name,
        "system": "ranking without labels",
        "metric": METRIC,
        "value": float(np.mean(folds)),
        "floor": None,
        "cpu_seconds": round(reading.cost.cpu_seconds, 1),
        "folds": [round(one, 4) for one in folds],
    }


def _hand(points: Points, X: pd.DataFrame, train: Rows, mode: str) -> Callable[[Rows], Floats]:
    part = Dataset(
        X=X.iloc[train].reset_index(drop=True), y=points.y[train], group=points.series[train]
    )
    champion = search(part, meter=METER, mode=mode).champion
    return lambda test: champion.predict_proba(X.iloc[test].reset_index(drop=True))


def _relational(
    points: Points, train: Rows, mode: str, groups: Sequence[str]
) -> tuple[Callable[[Rows], Floats], list[str]]:
    relations = points.made.relations
    part = relations.take(train)
    dataset = Dataset(
        X=part.rows.reset_index(drop=True), y=points.y[train], group=points.series[train]
    )
    found = search_relations(part, dataset, meter=METER, mode=mode, groups=groups)
    for one in found.features.decisions:
        print(f"  {one.name}: {one.n_used} of {one.n_columns} columns; {one.why}", flush=True)
    kept = [one.name for one in found.features.decisions if one.kept]
    return lambda test: found.predict_proba(relations.take(test)), kept


def _groups(points: Points, kinds: Sequence[str] | None, *, without: str | None) -> list[str]:
    """Names of the groups of some kinds (None: all) but one."""
    return [
        offer.name
        for offer in groups_of(points.made.relations)
        if (kinds is None or offer.kind in kinds) and offer.kind != without
    ]


def run(
    name: str,
    *,
    mode: str = "eco",
    kinds: Sequence[str] | None = KINDS,
    without: Sequence[str] = (),
    n_folds: int = N_FOLDS,
) -> list[dict[str, Any]]:
    """Rows of {set, system, metric, value, floor, cpu_seconds} of one set.

    `kinds` are the kinds of feature groups that may be proposed; None: all. Those of `without` are
    left out in turn; ("all",): each of them. For `nab` the first rows are without labels; with
    labels the score is comparable with nothing that was published.
    """
    points = load(name)
    if name == "nab":
        return unsupervised(name, points)
    left = list(without)
    if left == ["all"]:
        offers = groups_of(points.made.relations)
        left = [one.kind for one in offers if kinds is None or one.kind in kinds]
    systems = ("by hand", "relational", *(SHORT + kind for kind in left))
    rows, _ = supervised(
        name,
        points,
        mode=mode,
        key=points.made.spec.key[0],
        kinds=kinds,
        systems=systems,
        n_folds=n_folds,
    )
    return [*rows, nominal(name, points)] if name in NOMINAL else rows


def unsupervised(name: str, points: Points) -> list[dict[str, Any]]:
    """The benchmark's score without labels, by profile."""
    series = series_of(points.raw, entities(points), shared_data() / name / WINDOWS_FILE)
    first = probationary(series)
    rows: list[dict[str, Any]] = []
    with measure(METER) as reading:
        frames = features(points.made.relations, first)
    shared = reading.cost.cpu_seconds
    for system, frame in frames.items():
        with measure(METER) as reading:
            scores = ranked(frame, first) if system == "anomaly ranking" else frame.iloc[:, 0]
        found = scored(series, np.asarray(scores, dtype=np.float64))
        for number, (profile, value) in enumerate(found.items()):
            rows.append(
                {
                    "set": name,
                    "system": system,
                    "metric": f"NAB score, {profile}",
                    "value": round(value, 2),
                    "floor": PUBLISHED[BASELINE][number],
                    "cpu_seconds": round(shared + reading.cost.cpu_seconds, 1),
                    "published": {who: all_[number] for who, all_ in PUBLISHED.items()},
                }
            )
    return rows


def labelled(*, mode: str = "eco", kinds: Sequence[str] | None = KINDS) -> list[dict[str, Any]]:
    """The anomaly benchmark learnt from the labels of other series: not comparable."""
    points = load("nab")
    rows, scores = supervised(
        "nab",
        points,
        mode=mode,
        key=points.made.spec.key[0],
        kinds=kinds,
        systems=("relational",),
    )
    series = series_of(points.raw, entities(points), shared_data() / "nab" / WINDOWS_FILE)
    for profile, value in scored(series, scores["relational"]).items():
        rows.append({**rows[0], "metric": f"NAB score, {profile}", "value": round(value, 2)})
    return [{**row, "system": "supervised, not comparable"} for row in rows]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default="nab,cmapss_fd001,nasa_msl")
    parser.add_argument("--mode", default="eco")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of feature groups, or all")
    parser.add_argument("--without", default="", help="kinds to leave out in turn, or all")
    parser.add_argument("--folds", type=int, default=N_FOLDS, help="the first so many only")
    parser.add_argument("--labelled", action="store_true", help="nab, learnt from its labels")
    parser.add_argument("--results", type=Path, default=FOLDER / "relational.jsonl")
    given = parser.parse_args(argv)
    met = True
    kinds = None if given.kinds == "all" else given.kinds.split(",")
    without = [kind for kind in given.without.split(",") if kind]
    for name in given.sets.split(","):
        if given.labelled:
            rows = labelled(mode=given.mode, kinds=kinds)
        else:
            rows = run(name, mode=given.mode, kinds=kinds, without=without, n_folds=given.folds)
        about = {"seed": 0, "mode": given.mode, "kinds": given.kinds, **provenance()}
        for row in rows:
            print(json.dumps({k: v for k, v in row.items() if k != "differences"}))
            met &= row["floor"] is None or row["value"] >= row["floor"]
        append(given.results, [{**row, "system": _told(row), **about} for row in rows])
        print("\n".join(ablations(rows)))
    return 0 if met else 1


def _told(row: Mapping[str, Any]) -> str:
    """The system, with the metric where one run gives more than one."""
    return str(row["system"] if row["metric"] == METRIC else f"{row['system']}, {row['metric']}")


if __name__ == "__main__":
    sys.exit(main())
