"""What the knowledge is worth on tables it has not seen, printed: one source left out at a time."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Sequence

from automl.meta.features import META_NAMES
from automl.meta.gains import Evidence, greedy_order
from automl.meta.knowledge import Knowledge
from automl.meta.task import Task
from automl.models.catalog import family
from benchmarks.knowledge_gains import (
    alive_gains,
    candidates,
    gain_errors,
    mean_and_error,
    ordered,
    step_gain,
)

KINDS = ("fixed order by hand", "order of the base", "nearest tables weigh more", "at random")
DEPTHS = (1, 2, 3, 4, 6)
NEAREST = 6  # tasks, two a set


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
