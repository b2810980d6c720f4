"""Build the shipped knowledge base, and say what it is worth on tables it has not seen.

    python -m benchmarks.build_knowledge               # measure what is missing, build, report
    python -m benchmarks.build_knowledge --report      # report on what is shipped
    python -m benchmarks.build_knowledge --costs       # after a new fit of the cost model

Development sets only, and of them only train parts: see benchmarks/knowledge_trials.py. The report
leaves out all tables of one source at a time and asks what the others would have advised there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automl.meta.features import LANDMARKS, meta_features
from automl.meta.gains import pair
from automl.meta.knowledge import SHIPPED_FILE, Knowledge
from automl.meta.likeness import TableSketch
from automl.meta.sketching import sketch_table
from automl.meta.task import Config, Task
from automl.models.catalog import family
from automl.models.expected import CostModel
from benchmarks import sets
from benchmarks.knowledge_gains import alive_gains, gain_errors
from benchmarks.knowledge_report import report
from benchmarks.knowledge_trials import (
    MOST_ROWS,
    RESULTS,
    SPLIT_SEEDS,
    configurations,
    measure,
    read,
)

LARGEST_BYTES = 200_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.build_knowledge")
    parser.add_argument("--report", action="store_true", help="only report on what is shipped")
    parser.add_argument("--costs", action="store_true", help="only renew the cost model in it")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=SHIPPED_FILE)
    options = parser.parse_args(arguments)
    if options.costs:
        value = json.loads(options.out.read_text(encoding="utf-8"))
        save(replace(Knowledge.from_json(value), costs=CostModel.shipped().to_json()), options.out)
        return 0
    if not options.report:
        measure(list(sets.SETS), path=options.results)
        write(options.results, options.out)
    knowledge = Knowledge.from_json(json.loads(options.out.read_text(encoding="utf-8")))
    report(knowledge)
    return 0


def write(results: Path, out: Path) -> None:
    """Make the file from the measured lines."""
    earlier = json.loads(out.read_text(encoding="utf-8")) if out.exists() else None
    save(built(read(results), earlier=earlier), out)


def save(knowledge: Knowledge, out: Path) -> None:
    """Write the file, with what is derived for its readers."""
    text = json.dumps(knowledge.to_json() | knowledge.derived(), separators=(",", ":"))
    if len(text) > LARGEST_BYTES:
        raise ValueError(f"the knowledge takes {len(text):,} bytes; at most {LARGEST_BYTES:,}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text + "\n", encoding="utf-8")
    print(
        f"{out.name}: {len(text):,} bytes, {len(knowledge.tasks)} tasks, digest {knowledge.digest}"
    )


def built(
    lines: Mapping[tuple[str, int], Mapping[str, Any]], *, earlier: Mapping[str, Any] | None
) -> Knowledge:
    """The knowledge of the measured lines, with the cost model as it is shipped now."""
    named = configurations()
    # Positions only ever grow: what was measured before keeps its place.
    order = {one["id"]: i for i, one in enumerate((earlier or {}).get("configs", ()))}
    configs = sorted(
        (Config(name=name, family=family(c), candidate=c) for name, c in named.items()),
        key=lambda config: order.get(config.id, len(order)),
    )
    names = {candidate.id: name for name, candidate in named.items()}
    sketches: dict[str, TableSketch] = {}
    tasks = []
    for (name, seed), found in sorted(lines.items(), key=lambda item: (item[0][1], item[0][0])):
        if name not in sets.SETS or seed not in SPLIT_SEEDS:
            continue
        if name not in sketches:
            sketches[name] = sketch_table(sets.load(name).X)
        kept = {key: line for key, line in found.items() if key in names and "scores" in line}
        tasks.append(task_of(name, seed, kept, names=names, sketch=sketches[name]))
    knowledge = Knowledge(
        configs=tuple(configs),
        tasks=tuple(tasks),
        costs=CostModel.shipped().to_json(),
        built={
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "command": "python -m benchmarks.build_knowledge",
            "metric": "average_precision, out of fold within the train part",
            "split_seeds": list(SPLIT_SEEDS),
            "rows_at_most": MOST_ROWS,
        },
    )
    helped = frozenset(name for name, gain in alive_gains(knowledge).items() if gain.helps)
    knowledge = replace(knowledge, modelled=helped)
    return replace(knowledge, conditional=gain_errors(knowledge).conditional_helps)


def task_of(
    name: str,
    seed: int,
    lines: Mapping[str, Mapping[str, Any]],
    *,
    names: Mapping[str, str],
    sketch: TableSketch,
) -> Task:
    """One set and seed; two seeds of a set are not two sets, so each weighs a half."""
    best = max(sum(line["scores"]) / 2 for line in lines.values())
    options = {}
    for key, line in lines.items():
        options[(key, key)] = _relative(line["scores"], best)
        for other, halves in line["pairs"].items():
            if other in lines:
                options[pair(key, other)] = _relative(halves, best)
    table = next(iter(lines.values()))["table"]
    by_name = {names[key]: line for key, line in lines.items()}
    unit = by_name["L15"]["cpu_seconds"]
    return Task(
        id=f"{name}/{seed}",
        group=sets.SETS[name].entry,
        source="shipped",
        weight=1 / len(SPLIT_SEEDS),
        n_rows=table["n"],
        n_positive=table["pos"],
        n_columns=table["d"],
        meta=meta_features(
            n_rows=table["n"],
            n_positive=table["pos"],
            n_columns=table["d"],
            n_categories=table["categories"],
            most_levels=table["levels"],
            landmarks={one: sum(by_name[one]["scores"]) / 2 for one in LANDMARKS if one in by_name},
        ),
        options=options,
        costs={key: round(line["cpu_seconds"] / unit, 2) for key, line in lines.items()},
        sketch=sketch if seed == SPLIT_SEEDS[0] else None,
    )


def _relative(halves: Sequence[float], best: float) -> tuple[float, float]:
    first, second = (round(one / best, 3) for one in halves)
    return first, second


if __name__ == "__main__":
    sys.exit(main())
