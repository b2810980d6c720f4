"""Nights of several tables on real data: what they cost, and what following new rows is worth.

    python -m benchmarks.nights                               # every set, about an hour
    python -m benchmarks.nights --sets superlender --nights 5
    python -m benchmarks.nights --table --readme              # run nothing, print the table

The tables of a set come in the order of their times. A service of its own is sent what is known at
a first moment and searches; then night follows night: new entities, new events and labels that came
late are sent, and its schedule decides. It begins as a night does, without a process that children
could be forked from. Before each night every new entity is predicted by three
models: the one that the nights have promoted (`followed`), that of the first search (`frozen`), and
one searched from nothing, every third night, on all that was known then (`anew`). CPU-seconds are
those of the service's whole process tree.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from api.local_service import LocalService
from automl.search.metrics import Bootstrap, interval
from automl.search.objective import Objective
from benchmarks import results
from benchmarks.end_to_end import Watch
from benchmarks.night_cases import CASES, Case
from benchmarks.night_service import NightService
from benchmarks.running import ONE_THREAD
from benchmarks.search import into_readme
from scheduler.nursery import IDLE_SECONDS

RESULTS = results.FOLDER / "nights.jsonl"
SETTINGS = {"FRUGAL_TICK_SECONDS": "5", "FRUGAL_REQUESTS_PER_MINUTE": "1000000"}
SYSTEMS = ("followed", "frozen", "anew")
METRICS = ("average_precision", "roc_auc")
N_REPLICATES = 2000
# After so long no process is kept from which children are forked.
COLD_SECONDS = IDLE_SECONDS + 5
Row = dict[str, Any]


def run(case: Case, *, nights: int | None, anew: int) -> Row:
    """All nights of a set."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalService(Path(folder), settings=SETTINGS) as service,
    ):
        watch = Watch(service.process.pid)
        try:
            return _run(case, NightService(service, Path(folder)), watch, nights=nights, anew=anew)
        finally:
            watch.close()


def _run(case: Case, service: NightService, watch: Watch, *, nights: int | None, anew: int) -> Row:
    assert case.key is not None
    moments = case.clock if nights is None else case.clock[: nights + 2]
    model, start = case.name, moments[0]
    before = watch.cpu_seconds()
    sources = {
        name: service.upload(name, case.rows(name, start), key=_key(case, name))
        for name in case.frames
    }
    base = service.together(model, case.spec, sources)
    first = service.search(base, model=model)
    whole = watch.cpu_seconds() - before
    print(f"{case.name}: first search {whole:.1f} CPU-s", file=sys.stderr, flush=True)
    first_bytes = service.bytes_of(base)["kept"]
    schedule = service.schedule(model)
    told: list[Row] = []
    scored: list[pd.DataFrame] = []
    newest_search = model, 1  # until there is one anew
    for number, (since, until) in enumerate(pairwise(moments), start=1):
        time.sleep(COLD_SECONDS)
        began = watch.cpu_seconds()
        newest = {
            name: service.append(one, case.rows(name, until, since=since))
            for name, one in sources.items()
        }
        sent = watch.cpu_seconds() - began
        asked = {
            "followed": (model, service.serving(model)),
            "frozen": (model, 1),
            "anew": newest_search,
        }
        scored.append(_scored(case, service, newest, asked, since=since, until=until))
        if until == moments[-1]:  # the last period is only predicted
            break
        began = watch.cpu_seconds()
        service.labels(model, case.late(until, since=since))
        run = service.night(schedule, days=case.days)
        spent = sent + watch.cpu_seconds() - began
        bill = service.bill(run["job"]) if run["job"] else {}
        told.append(
            {**_night(run), "bill": bill, "cpu_seconds": round(spent, 2), "sent": round(sent, 2)}
        )
        told[-1]["bytes"] = service.bytes_of(base)
        if anew and number % anew == 0:
            began = watch.cpu_seconds()
            _anew(case, service, newest, until=until)
            newest_search = "anew", service.serving("anew")
            told[-1]["anew_cpu_seconds"] = round(watch.cpu_seconds() - began, 2)
        print(json.dumps(told[-1]), file=sys.stderr, flush=True)
    return {
        "set": case.name,
        "seed": 0,
        "system": "nights",
        "step": case.step,
        "delay": case.delay,
        "first_cpu_seconds": round(whole, 2),
        "first_bill": service.bill(first["id"]),
        "first_bytes": first_bytes,
        "n_first": len(case.known(case.entities, start)),
        "anew_every": anew,
        "nights": told,
        "load_average": round(os.getloadavg()[0], 2),
        **judged(scored),
    }


def _key(case: Case, table: str) -> str | None:
    return case.key if table == case.entities else None


def _anew(case: Case, service: NightService, sources: Mapping[str, str], *, until: float) -> None:
    """A search from nothing on all that is known: a data set of its own, a model of its own."""
    rows = case.rows(case.entities, until)
    own = service.upload("anew", rows, key=case.key)
    made = service.together("anew", case.spec, {**sources, case.entities: own})
    service.search(made, model="anew")
    service.forget(made, own)


def _scored(
    case: Case,
    service: NightService,
    sources: Mapping[str, str],
    asked: Mapping[str, tuple[str, int]],
    *,
    since: float,
    until: float,
) -> pd.DataFrame:
    """The true labels of a period's entities beside what each model said of them."""
    found = case.known(case.entities, until, since=since)
    rows = case.frames[case.entities].iloc[found]
    own = service.upload("period", rows.drop(columns=[case.target]), key=case.key)
    spec = {name: one for name, one in case.spec.items() if name not in ("target", "positive")}
    made = service.together("period", spec, {**sources, case.entities: own})
    by_model = {
        one: service.predict(one[0], made, key=str(case.key), version=one[1])
        for one in set(asked.values())
    }
    said = {name: by_model[one] for name, one in asked.items()}
    service.forget(made, own)
    table = pd.DataFrame(said).loc[rows[case.key]]
    return table.assign(y=case.is_positive(found), period=until)


def _night(run: Mapping[str, Any]) -> Row:
    """What became of a night, from its run."""
    decision, outcome = run["decision"] or {}, run["outcome"] or {}
    numbers = decision.get("numbers") or {}
    return {
        "state": run["state"],
        "promoted": bool(run["promoted"]),
        "because": decision.get("because"),
        "outcome": outcome.get("because"),
        **{name: numbers.get(name) for name in ("n_new_rows", "n_new_labels", "n_new_positive")},
    }


def judged(scored: Sequence[pd.DataFrame]) -> Row:
    """Average precision and area under the curve of each system over all periods.

    The differences have the 95 % interval of a paired bootstrap over the entities.
    """
    table = pd.concat(scored, ignore_index=True)
    y = table["y"].to_numpy(dtype=np.int8)
    systems = [name for name in SYSTEMS if name in table]
    bootstrap = Bootstrap(y, np.ones(len(y)), seed=0, n=N_REPLICATES)
    found: Row = {
        "n_rows": len(y),
        "n_positive": int(y.sum()),
        "n_periods": int(table["period"].nunique()),
    }
    for name in METRICS:
        objective = Objective(metric=name)
        score = {one: objective.score(y, table[one].to_numpy()) for one in systems}
        drawn = {one: objective.replicates(bootstrap, table[one].to_numpy()) for one in systems}
        found[name] = {one: round(score[one], 4) for one in systems}
        for other in systems[1:]:
            spread = interval(drawn["followed"] - drawn[other], level=0.95) or (np.nan, np.nan)
            difference = score["followed"] - score[other]
            found[f"{name}_over_{other}"] = [round(float(x), 4) for x in (difference, *spread)]
    return found


def table(rows: Sequence[Row]) -> str:
    """One line for each set; CPU-seconds of the whole service, in brackets by the job's bill."""
    lines = [
        "| set, a night every | first search | nights skipped | trained | promoted | searched anew "
        "| a version | average precision followed | over frozen | over anew |",
        "|---|" + "---:|" * 7 + "---|---|",
    ]
    for row in rows:
        nights = row["nights"]
        skipped = [one for one in nights if one["state"] == "SKIPPED"]
        trained = [one for one in nights if one["state"] == "DONE"]
        kept = nights[-1]["bytes"]
        lines.append(
            f"| {row['set']}, {row['step']} | {row['first_cpu_seconds']:.1f} "
            f"({_own(row['first_bill']):.1f}) | {_each(skipped)} | {_each(trained)} "
            f"| {sum(one['promoted'] for one in nights)} "
            f"| {_mean([one['anew_cpu_seconds'] for one in nights if 'anew_cpu_seconds' in one])} "
            f"| {kept['kept'] / kept['versions'] / 1000:.0f} kB "
            f"| {row['average_precision']['followed']:.3f} "
            f"| {_spread(row, 'average_precision_over_frozen')} "
            f"| {_spread(row, 'average_precision_over_anew')} |"
        )
    return "\n".join(lines)


def _each(nights: Sequence[Row]) -> str:
    """How many, and what one takes."""
    if not nights:
        return "0"
    own = [_own(one["bill"]) for one in nights if one["bill"]]
    bill = f" ({_mean(own)})" if own else ""
    return f"{len(nights)}: {_mean([one['cpu_seconds'] for one in nights])}{bill}"


def _own(bill: Mapping[str, float]) -> float:
    """What a job bills beside the reading of its data."""
    return sum(seconds for phase, seconds in bill.items() if phase != "ingest")


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f}" if len(values) else "-"


def _spread(row: Row, name: str) -> str:
    if name not in row:
        return "-"
    difference, low, high = row[name]
    return f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, write down. Exits 1 where a night failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nights", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sets", default=",".join(CASES))
    parser.add_argument("--nights", type=int, help="only so many first ones")
    parser.add_argument(
        "--anew", type=int, default=3, help="a search from nothing every so many nights; 0: none"
    )
    parser.add_argument("--table", action="store_true", help="run nothing, print the table")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    os.environ.update(ONE_THREAD)
    names = options.sets.split(",")
    if not options.table:
        for name in names:
            row = run(CASES[name](), nights=options.nights, anew=options.anew)
            results.append(options.results, [{**row, **results.provenance()}])
    known = results.read(options.results)
    rows = [known[name, 0, "nights"] for name in names if (name, 0, "nights") in known]
    text = table(rows)
    print(text)
    if options.readme:
        into_readme("nights-table", text)
    return int(any(one["state"] == "FAILED" for row in rows for one in row["nights"]))


if __name__ == "__main__":
    sys.exit(main())
