"""What a student of the best model loses and saves where the model is used much.

    python -m benchmarks.distillation                 # three sets, seed 100
    python -m benchmarks.distillation --sets hmeq --seeds 100 101

One search per set and seed that is told of a million predictions a day for a year. Prints, as
rows of a Markdown table, average precision on the 30 % that no fit saw, of the teacher's pick and
of the student, the search's own loss with its 90 % interval (out of fold), and the joules expected
of each one's use and life. Compare picks, not searches: teacher and student are of one search.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from automl.models import boosting  # noqa: F401  (sets how OpenMP waits before LightGBM loads)

from sklearn.metrics import average_precision_score  # isort: skip

from automl.data.dataset import Dataset
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.distill import STUDENT
from automl.search.journal import MemoryJournal
from automl.search.objective import Objective
from automl.search.run import SearchResult, search
from benchmarks.sets import SETS, Rows, Table, load, split

DEFAULT = ("give_me_some_credit", "bank_marketing", "hmeq")
PREDICTIONS_PER_DAY = 1e6
HEAD = (
    "set",
    "seed",
    "test AP teacher / student",
    "loss out of fold [90 %]",
    "use in J teacher / student",
    "life saved",
    "recommended",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, and print a row for each set and seed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distillation", description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=DEFAULT)
    parser.add_argument("--seeds", nargs="+", type=int, default=[100])
    parser.add_argument("--predictions-per-day", type=float, default=PREDICTIONS_PER_DAY)
    options = parser.parse_args(arguments)
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for name in options.sets:
        table = load(name)
        for seed in options.seeds:
            print(row(table, seed, Objective(predictions_per_day=options.predictions_per_day)))
    return 0


def row(table: Table, seed: int, objective: Objective) -> str:
    """One row of the table: two picks of one search, its trials fitted once."""
    train, test = split(table, seed)
    journal = MemoryJournal()

    def found(pick: str) -> SearchResult:
        return search(
            _rows(table, train),
            meter=CpuTimeMeter(),
            seed=seed,
            objective=objective,
            pick=pick,
            journal=journal,
        )

    def precision(result: SearchResult) -> float:
        probability = result.champion.predict_proba(table.X.iloc[test])
        return float(average_precision_score(table.y[test], probability))

    accurate, frugal = found("most_accurate"), found("most_frugal")
    students = [t for t in frugal.trials if t.candidate.model == STUDENT]
    if not students:
        return f"| {table.name} | {seed} | {precision(accurate):.4f} / none made | | | | |"
    student = students[0]
    teacher = student.details["teacher"]
    # Its use is the cheapest there is, so it is the most frugal; anything else is a fault.
    made = frugal.champion.provenance["trial"] == student.number
    of_student = f"{precision(frugal):.4f}" if made else "not picked"
    low, high = student.details["loss_interval"]
    lives = frugal.lifetimes
    saved = 1 - lives[student.number].total / lives[teacher].total
    recommended = frugal.trial(frugal.picks["recommended"]).candidate.model
    return (
        f"| {table.name} | {seed} | {precision(accurate):.4f} / {of_student} "
        f"| {student.details['loss']:.4f} [{low:.4f}, {high:.4f}] "
        f"| {lives[teacher].use:,.0f} / {lives[student.number].use:,.0f} "
        f"| {saved:.0%} | {recommended} |"
    )


def _rows(table: Table, rows: Rows) -> Dataset:
    return Dataset(
        X=table.X.iloc[rows].reset_index(drop=True),
        y=table.y[rows],
        time=None if table.time is None else table.time[rows],
        group=None if table.group is None else table.group[rows],
    )


if __name__ == "__main__":
    raise SystemExit(main())
