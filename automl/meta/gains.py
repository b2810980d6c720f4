"""What one more configuration is worth, told by the tables where all were tried.

A task has the scores of each configuration and of the mean of each two, on two halves of its
validation rows. The best of many by the rows it was chosen on is too high, the mere best of noise;
chosen on one half and judged on the other, both ways round, it is too low, since half of the rows
choose worse than all. The mean of both is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Pair: TypeAlias = tuple[str, str]
Options: TypeAlias = Mapping[Pair, tuple[float, float]]

# A family this far below the best score is still alive (docs/method.md, The steps).
TOLERANCE = 0.10
# Standard errors within which two configurations are level.
LEVEL_ERRORS = 2.0
# The shipped mean counts as much as so many tasks: of one's own tables a handful moves it.
SHRINKAGE = 5.0


def pair(one: str, other: str) -> Pair:
    """The key of two configurations' mean; of one with itself, its own score."""
    return (one, other) if one <= other else (other, one)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One task as the functions here see it.

    `options` has, by pair of ids, the relative score on each half; what was not run is not there.
    """

    options: Options
    weight: float
    shipped: bool

    def single(self, config: str) -> float | None:
        """Relative score of one configuration, the mean of the halves."""
        found = self.options.get((config, config))
        return None if found is None else (found[0] + found[1]) / 2

    def best(self, configs: Iterable[str]) -> float | None:
        """The best of single configurations; None when none of them was run."""
        scores = [s for s in map(self.single, configs) if s is not None]
        return max(scores) if scores else None

    def value(self, configs: Sequence[str]) -> float | None:
        """About the score of the best single or mean of two; None when none was run."""
        found = [
            self.options[key]
            for position, one in enumerate(configs)
            for other in configs[: position + 1]
            if (key := pair(one, other)) in self.options
        ]
        if not found:
            return None
        first = max(found, key=lambda halves: halves[0])
        second = max(found, key=lambda halves: halves[1])
        other_half = (first[1] + second[0]) / 2
        same_rows = max(map(sum, found)) / 2
        return (other_half + same_rows) / 2

    def gain(self, config: str, known: Sequence[str]) -> float | None:
        """Percent that `config` adds to the known ones; None where it cannot be told."""
        if (config, config) not in self.options:
            return None
        before, after = self.value(known), self.value([*known, config])
        if before is None or after is None or before <= 0:
            return None
        return 100 * (after / before - 1)

    def alive(self, own: Iterable[str], known: Iterable[str]) -> bool | None:
        """Whether the best of `own` is near the best of all; None where none was run."""
        mine, best = self.best(own), self.best([*own, *known])
        return None if mine is None or best is None else mine >= (1 - TOLERANCE) * best


def shrunk_mean(values: Iterable[tuple[Evidence, float]]) -> tuple[float, float]:
    """The shipped mean, moved by one's own tasks; and the weight of all that was averaged.

    (k0 mean_shipped + sum of w x own) / (k0 + sum of w), k0 = 5. Without shipped ones 0 takes
    their place, so that few own ones do not promise much.
    """
    shipped_weight = shipped_sum = own_weight = own_sum = 0.0
    for task, value in values:
        if task.shipped:
            shipped_weight += task.weight
            shipped_sum += task.weight * value
        else:
            own_weight += task.weight
            own_sum += task.weight * value
    mean = shipped_sum / shipped_weight if shipped_weight else 0.0
    whole = (SHRINKAGE * mean + own_sum) / (SHRINKAGE + own_weight)
    return whole, shipped_weight + own_weight


def mean_gain(tasks: Sequence[Evidence], config: str, known: Sequence[str]) -> float:
    """Percent that `config` adds to the known ones, over all tasks."""
    gains = [(task, gain) for task in tasks if (gain := task.gain(config, known)) is not None]
    return shrunk_mean(gains)[0]


def greedy_order(
    tasks: Sequence[Evidence], configs: Sequence[str], *, family: Callable[[str], str]
) -> list[str]:
    """The configurations so that each adds the most to those before; one of each family first.

    Greedy maximisation of a mean over data sets is within 63 % of the best portfolio (Feurer et
    al., "Auto-Sklearn 2.0", arXiv 2007.04074). What is behind by less than two standard errors
    of the difference is level, and of those that are level the first in the order given comes
    first. One table that differs alone lies one error from nothing: it must not set the order.
    """
    order: list[str] = []
    left = list(configs)
    while left:
        raced = {family(config) for config in order}
        fresh = [config for config in left if family(config) not in raced] or left
        adds = [_adds(tasks, config, order) for config in fresh]
        means = [_shrunk(tasks, own) for own in adds]
        best = max(range(len(fresh)), key=lambda i: (means[i], -i))
        level = (
            i
            for i in range(best + 1)
            if i == best
            or means[best] - means[i] <= LEVEL_ERRORS * _standard_error(tasks, adds[best], adds[i])
        )
        chosen = fresh[next(level)]
        order.append(chosen)
        left.remove(chosen)
    return order


Adds: TypeAlias = Sequence[float | None]  # percent, by task


def _adds(tasks: Sequence[Evidence], config: str, known: Sequence[str]) -> Adds:
    if known:
        return [task.gain(config, known) for task in tasks]
    alone = [task.single(config) for task in tasks]
    return [None if score is None else 100 * score for score in alone]


def _shrunk(tasks: Sequence[Evidence], values: Adds) -> float:
    pairs = zip(tasks, values, strict=True)
    return shrunk_mean((task, value) for task, value in pairs if value is not None)[0]


def _standard_error(tasks: Sequence[Evidence], one: Adds, other: Adds) -> float:
    """Of the mean difference, over the tasks that tell both; 0 where fewer than two weigh."""
    found = [
        (task.weight, a - b)
        for task, a, b in zip(tasks, one, other, strict=True)
        if a is not None and b is not None
    ]
    weight = sum(w for w, _ in found)
    if weight <= 1:
        return 0.0
    mean = sum(w * difference for w, difference in found) / weight
    variance = sum(w * (difference - mean) ** 2 for w, difference in found) / (weight - 1)
    return float((variance / weight) ** 0.5)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a configuration is expected to add, and what that rests on."""

    gain_percent: float
    standard_error: float  # of that mean, over the tasks
    weight: float  # of the tasks that it was told by
    alive: float | None  # probability that its family is; 1 or 0 once the family was raced
    why: str

    def after(self, prior: float) -> float:
        """The gain after one expected before any task was seen, each weighed by its precision.

        The prior's own standard deviation is taken to be as large as it is. Without it one table
        on which a configuration won or lost much would decide for all the others.
        """
        if self.standard_error <= 0 or prior <= 0:
            return self.gain_percent
        before, told = prior**-2, self.standard_error**-2
        return (before * prior + told * self.gain_percent) / (before + told)


def expected_gain(
    tasks: Sequence[Evidence],
    config: str,
    *,
    scores: Mapping[str, float],
    family: Callable[[str], str],
    probability: float | None,
    conditional: bool,
) -> Expectation | None:
    """The gain of `config` after the scores so far; None when nothing tells it.

    It is the mean over the tasks. If `conditional`, those tasks count in which the family of
    `config` was as alive as it is here; not raced yet, those where it was alive and those where
    it was not by their `probability`. Each mean is then drawn towards that of all tasks, so that
    few alike promise nothing extraordinary.
    """
    known = [other for other in scores if any((other, other) in task.options for task in tasks)]
    if config in known or not known:
        return None
    own = [other for other in known if family(other) == family(config)]
    gains: list[tuple[Evidence, float, bool]] = []
    for task in tasks:
        gain = task.gain(config, known)
        alive = task.alive(own or [config], known)
        if gain is not None and alive is not None:
            gains.append((task, gain, alive))
    if not gains:
        return None
    overall, weight = shrunk_mean((task, gain) for task, gain, _ in gains)

    def among(alive: bool) -> tuple[float, float]:
        like = [(task, gain) for task, gain, was in gains if was is alive]
        weight = sum(task.weight for task, _ in like)
        mean = shrunk_mean(like)[0] if like else 0.0
        return (SHRINKAGE * overall + weight * mean) / (SHRINKAGE + weight), weight

    state = "was not raced yet"
    if own:
        mine, best = max(scores[other] for other in own), max(scores.values())
        probability = float(mine >= (1 - TOLERANCE) * best)
        state = "is alive" if probability else "is behind"
    elif probability is not None:
        state = f"was not raced yet, alive with probability {probability:.2f}"
    gain, among_which = overall, "over"
    if conditional and own:
        gain, weight = among(probability == 1.0)
        among_which = "where it was so, among"
    elif conditional and probability is not None:
        gain = probability * among(True)[0] + (1 - probability) * among(False)[0]
    return Expectation(
        gain_percent=gain,
        standard_error=_spread(gains, weight),
        weight=weight,
        alive=probability,
        why=f"its family {state}; mean gain {among_which} tasks of weight {weight:.3g}",
    )


def _spread(gains: Sequence[tuple[Evidence, float, bool]], weight: float) -> float:
    """Standard error of a mean gain told by tasks of such a weight; infinite for one or none."""
    whole = sum(task.weight for task, _, _ in gains)
    if whole <= 1 or weight <= 1:
        return float("inf")
    mean = sum(task.weight * gain for task, gain, _ in gains) / whole
    variance = sum(task.weight * (gain - mean) ** 2 for task, gain, _ in gains) / (whole - 1)
    return float((variance / weight) ** 0.5)
