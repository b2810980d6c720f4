"""Frugal search against defaults, brute force and peers, on all sets with 100 positives.

    python -m benchmarks.search                                      # all that is missing
    python -m benchmarks.search --sets wine_quality_white --systems frugal,brute
    python -m benchmarks.search --budget-minutes 30 --again frugal   # frugal anew, half an hour
    python -m benchmarks.search --table                              # only the tables
    python -m benchmarks.search --table --readme                     # and into README.md

Each run is a fresh process on one thread; what is done already is skipped, so the command goes
on where it was stopped. Results are JSON lines in `benchmarks/results/`, and of two lines for one
split and system the later counts. Exits 1 where a floor is missed, 2 where there is no data.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import arguments, results
from benchmarks.ratios import good
from benchmarks.readme_demo import with_section
from benchmarks.running import cpu_budget, run
from benchmarks.sets import SETS, Table, load
from benchmarks.systems import SYSTEMS, answers
from benchmarks.verdict import judgements, tables

# By rows, so that the quick ones come first and one table is in memory at a time.
BY_SIZE = (
    "german_credit",
    "ozone_eighthr",
    "hypothyroid",
    "adb_wilt",
    "wine_quality_white",
    "hmeq_5pct",
    "stroke",
    "adb_optdigits",
    "polish_5year",
    "hmeq",
    "polish_1year",
    "ai4i_2020",
    "mammography",
    "uci_default_credit_5pct",
    "uci_default_credit",
    "bank_marketing_5pct",
    "bank_marketing",
    "adb_shuttle",
    "customs_fraud",
    "give_me_some_credit",
    "adb_cover",
    "credit_next_month",
    "credit_next_month_forward",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, print the tables, judge."""
    parser = arguments.parser("search", __doc__)
    parser.add_argument("--sets", type=arguments.names(BY_SIZE), default=list(BY_SIZE))
    parser.add_argument("--systems", type=arguments.names(tuple(SYSTEMS)), default=list(SYSTEMS))
    parser.add_argument("--seeds", type=arguments.seeds)
    parser.add_argument("--again", type=arguments.names(tuple(SYSTEMS)), default=[])
    parser.add_argument("--budget-minutes", type=float, default=float("inf"))
    parser.add_argument("--table", action="store_true", help="run nothing, print the tables")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    parser.add_argument("--results", type=Path, default=results.FOLDER / "search.jsonl")
    options = parser.parse_args(argv)
    if not options.table:
        try:
            _run(options)
        except FileNotFoundError as error:
            print(error, file=sys.stderr)
            return 2
    rows = {
        key: row
        for key, row in results.read(options.results).items()
        if key[0] in options.sets and (options.seeds is None or key[1] in options.seeds)
    }
    wanted = {one for name in options.systems for one in answers(name)}
    rows = {key: row for key, row in rows.items() if key[2] in wanted}
    text = tables(rows, options.sets)
    print(text)
    if options.readme:
        into_readme("search-table", text)
    missed = [one for one in judgements(good(rows), options.sets) if one.holds is False]
    return int(any(not one.target for one in missed))


def into_readme(name: str, text: str) -> None:
    """Replace what stands between a table's markers."""
    page = results.FOLDER.parents[1] / "README.md"
    page.write_text(with_section(page.read_text("utf-8"), name, text), "utf-8")


def planned(
    table: Table, *, systems: Sequence[str], seeds: Sequence[int] | None
) -> Iterator[tuple[int, str]]:
    """Seeds and systems of a set, in the order of the registry, so that budgets are known."""
    for seed in table.seeds:
        if seeds is not None and seed not in seeds:
            continue
        for name, system in SYSTEMS.items():
            if name not in systems or (system.one_split and seed != 0):
                continue
            if system.sets is None or table.name in system.sets:
                yield seed, name


def _run(options: argparse.Namespace) -> None:
    deadline = time.monotonic() + 60 * options.budget_minutes
    trials = options.results.with_name("brute_trials.jsonl")
    for name in (name for name in BY_SIZE if name in options.sets):
        table = load(name)
        for seed, system in planned(table, systems=options.systems, seeds=options.seeds):
            rows = results.read(options.results)
            wanted = [(name, seed, one) for one in answers(system)]
            if results.done(rows, wanted) and system not in options.again:
                continue
            if time.monotonic() > deadline:
                print("the minutes are over; the same command goes on", flush=True)
                return
            try:
                budget = cpu_budget(SYSTEMS[system], rows, name=name, seed=seed)
            except LookupError as error:
                print(f"{name} {seed} {system}: skipped, {error}", flush=True)
                continue
            made = run(table, seed=seed, system=system, cpu_seconds=budget, trials=trials)
            results.append(options.results, made)
            for row in made:
                print(_line(row), flush=True)


def _line(row: results.Row) -> str:
    head = f"{row['set']:26} {row['seed']} {row['system']:18}"
    if row.get("error"):
        return f"{head} {row['error']}"
    mark = "*" if row["extrapolated"] else ""
    return (
        f"{head} AP {row['ap']:.4f} AUC {row['roc_auc']:.4f} ECE {row['ece']:.4f} "
        f"{row['cpu_seconds']:9.2f}{mark} CPU-s ({row['import_cpu_seconds']:.1f} imports) "
        f"{row['peak_mb']:.0f} MB"
    )


if __name__ == "__main__":
    assert set(BY_SIZE) == set(SETS)
    sys.exit(main())
