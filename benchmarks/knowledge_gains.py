"""How well the knowledge tells, of a source left out, which family lives and what a step adds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from automl.meta.alive import fit_alive, log_loss
from automl.meta.knowledge import Knowledge
from automl.meta.portfolio import portfolio
from automl.trial import Candidate

LEAST_GROUPS = 3  # where a family was alive, and where it was not, before a model may tell


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


def ordered(knowledge: Knowledge, mode: str) -> list[str]:
    """Ids in the order of a mode."""
    models = knowledge.portfolio(mode)
    return [c.id for c in (*models.first, *sum(models.expand.values(), ()))]


def candidates(mode: str) -> list[Candidate]:
    """What a mode may try, as the portfolio has it."""
    models = portfolio(mode)
    return [*models.first, *sum(models.expand.values(), ())]


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
