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
import math
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automl.meta.alive import fit_alive, log_loss
from automl.meta.features import LANDMARKS, META_NAMES, meta_features
from automl.meta.gains import Evidence, greedy_order, pair
from automl.meta.knowledge import SHIPPED_FILE, Knowledge
from automl.meta.likeness import TableSketch
from automl.meta.portfolio import portfolio
from automl.meta.sketching import sketch_table
from automl.meta.task import Config, Task
from automl.models.catalog import family
from automl.models.expected import CostModel
from automl.trial import Candidate
from benchmarks import sets
from benchmarks.knowledge_trials import (
    MOST_ROWS,
    RESULTS,
    SPLIT_SEEDS,
    configurations,
    measure,
    read,
)

LARGEST_BYTES = 200_000
KINDS = ("fixed order by hand", "order of the base", "nearest tables weigh more", "at random")
DEPTHS = (1, 2, 3, 4, 6)
LEAST_GROUPS = 3  # where a family was alive, and where it was not, before a model may tell
NEAREST = 6  # tasks, two a set


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


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much a family's model improves on its base rate, group by group left out, in nats."""

    base: float
    model: float
    mean: float  # over the groups
    error: float

    @property
    def helps(self) -> bool:
        """Better by more than two standard errors over the groups."""
        return self.mean > 2 * self.error


def alive_gains(knowledge: Knowledge) -> dict[str, Gain]:
    """By family: log-loss of the base rate and of the model, leaving one group out at a time."""
    found = {}
    for name in knowledge.alive:
        examples = knowledge.examples(name)
        rarer = min(len({e.group for e in examples if e.alive is was}) for was in (True, False))
        if rarer < LEAST_GROUPS:
            continue
        base: list[float] = []
        model: list[float] = []
        differences = []
        kept = []
        for group in sorted({one.group for one in examples}):
            inside = [one for one in examples if one.group == group]
            rest = [one for one in examples if one.group != group]
            probabilities = [
                [fit_alive(name, rest, modelled=modelled).probability(one.meta) for one in inside]
                for modelled in (False, True)
            ]
            differences.append(
                log_loss(inside, probabilities[0]) - log_loss(inside, probabilities[1])
            )
            base += probabilities[0]
            model += probabilities[1]
            kept += inside
        mean, error = mean_and_error(differences)
        found[name] = Gain(
            base=log_loss(kept, base), model=log_loss(kept, model), mean=mean, error=error
        )
    return found


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    if len(values) < 2:
        return statistics.fmean(values), math.inf
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


def report(knowledge: Knowledge) -> None:
    """Print what the base is worth where it has not been."""
    names = {config.id: config.name for config in knowledge.configs}
    text = json.dumps(knowledge.to_json(), separators=(",", ":"))
    groups = sorted({task.group for task in knowledge.tasks})
    print(
        f"{len(knowledge.tasks)} tasks of {len(groups)} sources, {len(names)} configurations, "
        f"{len(text):,} bytes, digest {knowledge.digest}"
    )
    print("order of all: " + ", ".join(names[key] for key in knowledge.order))
    for mode in ("eco", "balanced"):
        own = ordered(knowledge, mode)
        print(f"\norder of {mode}: " + ", ".join(names[key] for key in own))
        for group in groups:
            other = ordered(knowledge.without(group), mode)
            if other != own:
                print(f"  without {group}: " + ", ".join(names[key] for key in other))
    print("\nscore reached / best of all, percent, group left out (mean over sources; +- s.e. of")
    print("the difference to the order by hand)")
    print(f"{'first so many':28}" + "".join(f"{depth:>15}" for depth in DEPTHS))
    by_hand = [reached(knowledge, KINDS[0], depth) for depth in DEPTHS]
    for kind in KINDS:
        text = f"{kind:28}"
        for hand, depth in zip(by_hand, DEPTHS, strict=True):
            shares = reached(knowledge, kind, depth)
            _, error = mean_and_error([a - b for a, b in zip(shares, hand, strict=True)])
            text += f"{statistics.fmean(shares):9.2f} +-{error:4.2f}"
        print(text)
    told = gain_errors(knowledge)
    print(
        "\ngain of an expansion, percent, told of a group left out against what it was there: "
        f"mean absolute error {told.plain:.2f} by the mean of all tasks, {told.conditional:.2f} by "
        f"those where the family did alike (better by {told.mean:+.3f} +- {told.error:.3f}; "
        f"{'used' if told.conditional_helps else 'not used'}), {told.zero:.2f} by zero; rank "
        f"correlation {told.correlation:.2f}, n {told.n}"
    )
    print("mean gain of each step, percent, +- s.e. over sources")
    for mode in ("balanced",):
        own = ordered(knowledge, mode)
        for position in range(1, len(own)):
            mean, error = step_gain(knowledge, own[position], own[:position])
            print(f"  {names[own[position]]:12} {mean:+.2f} +- {error:.2f}")
    print("\nalive or not, log-loss in nats, group left out")
    for name, gain in alive_gains(knowledge).items():
        print(
            f"  {name:12} rate {knowledge.alive[name].rate:.2f}, base {gain.base:.3f}, model "
            f"{gain.model:.3f}: better by {gain.mean:+.3f} +- {gain.error:.3f}, "
            f"{'model' if gain.helps else 'base rate'} used"
        )


def ordered(knowledge: Knowledge, mode: str) -> list[str]:
    """Ids in the order of a mode."""
    models = knowledge.portfolio(mode)
    return [c.id for c in (*models.first, *sum(models.expand.values(), ()))]


def candidates(mode: str) -> list[Candidate]:
    """What a mode may try, as the portfolio has it."""
    models = portfolio(mode)
    return [*models.first, *sum(models.expand.values(), ())]


def reached(knowledge: Knowledge, kind: str, depth: int) -> list[float]:
    """By source, in percent: what the first so many reach, of what all reach."""
    listed = [c.id for c in candidates("balanced")]
    ids = [key for key in listed if any((key, key) in t.options for t in knowledge.tasks)]
    shares: dict[str, list[float]] = {}
    for task, evidence in zip(knowledge.tasks, knowledge.evidence, strict=True):
        others = [
            (other, told)
            for other, told in zip(knowledge.tasks, knowledge.evidence, strict=True)
            if other.group != task.group
        ]
        rests = [chosen_order(kind, ids, others, task, seed) for seed in range(repeats(kind))]
        values = [evidence.value(rest[:depth]) for rest in rests]
        # What any number of configurations can reach by choosing on the same rows.
        most = evidence.value(ids)
        if most and all(values):
            shares.setdefault(task.group, []).append(statistics.fmean(values) / most)
    return [100 * statistics.fmean(shares[group]) for group in sorted(shares)]


def repeats(kind: str) -> int:
    return 20 if kind == "at random" else 1


def chosen_order(
    kind: str,
    ids: Sequence[str],
    others: Sequence[tuple[Task, Evidence]],
    task: Task,
    seed: int,
) -> list[str]:
    """The order that a kind of advice gives for a task, told by the other groups only."""
    if kind == KINDS[0]:
        return list(ids)
    if kind == KINDS[3]:
        return random.Random(seed).sample(list(ids), len(ids))
    evidence = [told for _, told in others]
    if kind == KINDS[2]:
        free = [META_NAMES.index(name) for name in META_NAMES[:6]]  # known before the race
        ranked = sorted(others, key=lambda other: _distance(other[0], task, free, others))
        nearest = [told for _, told in ranked[:NEAREST]]
        # The nearest take half of the weight.
        share = sum(one.weight for one in evidence) / max(sum(one.weight for one in nearest), 1e-9)
        evidence = [
            *evidence,
            *(Evidence(options=n.options, weight=n.weight * share, shipped=True) for n in nearest),
        ]
    by_id = {c.id: family(c) for c in candidates("balanced")}
    return greedy_order(evidence, list(ids), family=by_id.__getitem__)


def _distance(
    one: Task, other: Task, places: Sequence[int], all_tasks: Sequence[tuple[Task, Evidence]]
) -> float:
    total = 0.0
    for place in places:
        values = [task.meta[place] or 0.0 for task, _ in all_tasks]
        spread = statistics.pstdev(values) or 1.0
        total += (((one.meta[place] or 0.0) - (other.meta[place] or 0.0)) / spread) ** 2
    return total


def step_gain(knowledge: Knowledge, config: str, known: Sequence[str]) -> tuple[float, float]:
    """Mean over sources and standard error of what a configuration adds, in percent."""
    gains: dict[str, list[float]] = {}
    for task, evidence in zip(knowledge.tasks, knowledge.evidence, strict=True):
        gain = evidence.gain(config, known)
        if gain is not None:
            gains.setdefault(task.group, []).append(gain)
    return mean_and_error([statistics.fmean(own) for own in gains.values()])


@dataclass(frozen=True, kw_only=True)
class Errors:
    """How well gains of expansions are told on groups left out: mean absolute errors, percent."""

    plain: float
    conditional: float
    zero: float
    correlation: float
    mean: float  # plain less conditional, over groups
    error: float
    n: int

    @property
    def conditional_helps(self) -> bool:
        return self.mean > 2 * self.error


def gain_errors(knowledge: Knowledge) -> Errors:
    """Tell each expansion's gain without its group, in both ways."""
    by_id = {c.id: c for c in candidates("balanced")}
    rows: list[tuple[float, float, float]] = []
    better: dict[str, list[float]] = {}
    n_first = len(portfolio("balanced").first)
    for group in sorted({task.group for task in knowledge.tasks}):
        ways = [
            replace(knowledge.without(group), conditional=conditional)
            for conditional in (False, True)
        ]
        order = [key for key in ordered(ways[0], "balanced") if ways[0].config(by_id[key])]
        for task, evidence in zip(knowledge.tasks, knowledge.evidence, strict=True):
            if task.group != group:
                continue
            for position in range(n_first, len(order)):
                known, candidate = order[:position], by_id[order[position]]
                true = evidence.gain(candidate.id, known)
                scores = {key: s for key in known if (s := evidence.single(key)) is not None}
                told = [way.gain(candidate, scores=scores, meta=task.meta) for way in ways]
                if true is None or told[0] is None or told[1] is None:
                    continue
                rows.append((told[0].gain_percent, told[1].gain_percent, true))
                off = [abs(one.gain_percent - true) for one in told if one is not None]
                better.setdefault(group, []).append(off[0] - off[1])
    if not rows:
        return Errors(
            plain=0, conditional=0, zero=0, correlation=math.nan, mean=0, error=math.inf, n=0
        )
    mean, error = mean_and_error([statistics.fmean(own) for own in better.values()])
    return Errors(
        plain=statistics.fmean(abs(plain - true) for plain, _, true in rows),
        conditional=statistics.fmean(abs(one - true) for _, one, true in rows),
        zero=statistics.fmean(abs(true) for _, _, true in rows),
        correlation=_rank_correlation([one for one, _, _ in rows], [true for _, _, true in rows]),
        mean=mean,
        error=error,
        n=len(rows),
    )


def _rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    def ranks(values: Sequence[float]) -> list[float]:
        order = sorted(range(len(values)), key=values.__getitem__)
        placed = [0.0] * len(values)
        for rank, at in enumerate(order):
            placed[at] = float(rank)
        return placed

    if len(one) < 3:
        return math.nan
    return statistics.correlation(ranks(one), ranks(other))


if __name__ == "__main__":
    sys.exit(main())
