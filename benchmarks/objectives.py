"""What boosting should stop by, and where alerts by cost should begin, for each objective.

    python -m benchmarks.objectives [--sets hmeq,stroke] [--seeds 100,101,102] [--out FILE]

Small tables of the benchmark, at most 12,000 negatives, splits that the benchmark does not use.
LightGBM on two of five folds; the mean of the two is judged on the test part. Prints means over
sets of log ratios with their standard errors (docs/method.md, Objective). About six CPU-minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.dataset import Dataset
from automl.data.encoding import TableEncoder
from automl.data.split import folds
from automl.models import boosting
from automl.search.calibration import fit_platt
from automl.search.metrics import cost_savings, steps_of
from automl.search.objective import Objective
from benchmarks.sets import Table, load, split

Floats = npt.NDArray[np.float64]

SETS = (
    "adb_wilt,ai4i_2020,bank_marketing,german_credit,hmeq,hypothyroid,mammography,stroke,"
    "uci_default_credit,wine_quality_white,polish_1year,polish_5year,give_me_some_credit"
)
MOST_NEGATIVES = 12_000
STOPS = ("average_precision", "auc", "binary_logloss")
MISSED = (5.0, 20.0, 100.0)
OBJECTIVE = Objective(alert_rate=0.02, recall=0.6)


def measured(table: Table, *, seed: int, stop: str) -> dict[str, Any]:
    """Scores on the test part of boosting that stops by this metric, and what alerts save."""
    train, test = split(table, seed)
    rng = np.random.default_rng(seed)
    negatives = train[table.y[train] == 0]
    if len(negatives) > MOST_NEGATIVES:
        kept = rng.choice(negatives, MOST_NEGATIVES, replace=False)
        train = np.sort(np.concatenate([train[table.y[train] == 1], kept]))
    X, y = table.X.iloc[train].reset_index(drop=True), table.y[train]
    encoder = TableEncoder().fit(X)
    matrix, unseen = encoder.transform(X), encoder.transform(table.X.iloc[test])
    group = None if table.group is None else table.group[train]
    boosting.FIXED["metric"] = stop
    started = time.process_time()
    total, rows, logits = np.zeros(len(test)), [], []
    for fold in folds(Dataset(X=X, y=y, group=group), seed=seed, k=5)[:2]:
        params = {"learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20}
        model = boosting.Boosting(params=params, info=encoder.info, seed=seed, patience=20)
        model.fit(
            matrix[fold.train], y[fold.train], valid=(matrix[fold.valid], y[fold.valid], None)
        )
        logit = model.decision(matrix[fold.valid])
        platt = fit_platt(y[fold.valid], logit)
        rows.append(fold.valid)
        logits.append(platt.log_odds(logit))
        total += platt.log_odds(model.decision(unseen)) / 2
    cpu_seconds = time.process_time() - started
    labels, out_of_fold, truth = y[np.concatenate(rows)], np.concatenate(logits), table.y[test]
    found = {"cpu_seconds": cpu_seconds, **OBJECTIVE.scores(truth, total)}
    platt = fit_platt(labels, out_of_fold)
    for missed in MISSED:
        costs = {"missed_cost": missed, "alert_cost": 1.0}
        fair = (np.log(1 / missed) - platt.intercept) / platt.slope
        found[f"fair_{missed:g}"] = saved(truth, total >= fair, missed=missed)
        cheapest = total >= cheapest_threshold(labels, out_of_fold, missed=missed)
        found[f"cheapest_{missed:g}"] = saved(truth, cheapest, missed=missed)
        found[f"ideal_{missed:g}"] = float(cost_savings(steps_of(truth, total), **costs)[0])
    return found


def saved(y: npt.NDArray[np.int8], alerted: npt.NDArray[np.bool_], *, missed: float) -> float:
    """Share of the cost saved against the better of alerting nobody and everybody; may be < 0."""
    cost = missed * y[~alerted].sum() + (1 - y[alerted]).sum()
    return float(1 - cost / min(missed * y.sum(), (1 - y).sum()))


def cheapest_threshold(y: npt.NDArray[np.int8], logit: Floats, *, missed: float) -> float:
    """The score from which alerting costs least on these rows."""
    steps = steps_of(y, logit)
    found, alerted = steps.found[0], steps.alerted[0]
    cost = missed * (found[-1] - found) + (alerted - found)
    at = int(np.argmin(cost))
    nobody = missed * found[-1] <= cost[at]
    return float("inf") if nobody else float(np.unique(logit)[::-1][at])


def main() -> None:
    """Measure, write a line each, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--seeds", default="100,101,102")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    means: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for name in options.sets.split(","):
        table = load(name)
        for stop in STOPS:
            lines = [measured(table, seed=int(s), stop=stop) for s in options.seeds.split(",")]
            if options.out is not None:
                with options.out.open("a", encoding="utf-8") as file:
                    file.writelines(
                        json.dumps({"set": name, "stop": stop, **line}) + "\n" for line in lines
                    )
            means[stop][name] = {key: float(np.mean([x[key] for x in lines])) for key in lines[0]}
    first = means[STOPS[0]]
    for stop in STOPS[1:]:
        print(f"stopped by {stop} instead of {STOPS[0]}, {len(first)} sets")
        for key in ("roc_auc", "average_precision", "recall_at_alert_rate", "precision_at_recall"):
            ratio = np.log([means[stop][n][key] / max(first[n][key], 1e-9) for n in first])
            error = ratio.std() / np.sqrt(len(ratio))
            print(f"  {key:22} {100 * ratio.mean():+.2f} % (s.e. {100 * error:.2f})")
    print("share of the cost saved on the test part")
    for missed in MISSED:
        of = {
            kind: np.mean([first[n][f"{kind}_{missed:g}"] for n in first])
            for kind in ("fair", "cheapest", "ideal")
        }
        print(f"  a miss costs {missed:g}: " + ", ".join(f"{k} {v:.3f}" for k, v in of.items()))


if __name__ == "__main__":
    main()
