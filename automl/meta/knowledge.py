"""What earlier searches tell of the next: which configuration to try when, and what it may add.

One JSON file is shipped (`kb/`, written by benchmarks/build_knowledge.py from development sets);
a service adds its own finished jobs. Everything derived here, the order and every gain, follows
from the tasks, so that leaving a table out leaves out all that it taught.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from automl.meta.alive import Alive, Example, fit_alive
from automl.meta.features import META_NAMES, Meta
from automl.meta.gains import Evidence, Expectation, Pair, expected_gain, greedy_order, pair
from automl.meta.likeness import TableSketch
from automl.meta.portfolio import Portfolio, portfolio
from automl.meta.task import Config, Task
from automl.trial import Candidate

FORMAT = 1
SHIPPED_FILE = Path(__file__).parent / "kb" / "knowledge-1.json"
# A knowledge base that only repeats its favourites learns nothing new: one job in so many tries
# one configuration that its mode would not.
EXPLORE_EVERY = 20
MOST_TASKS = 300
COST_UNIT = "CPU-seconds of L15 on the same rows"


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """Configurations, the tasks they were tried on, and what was fitted to them; immutable.

    `modelled` names the families whose being alive is told by a model, where leaving groups out
    showed that it helps; of the others only the base rate. `conditional` says likewise that a
    gain is told by the tasks in which the family did as it does here, else by all. `explore` is
    one more configuration that this search is to try, whatever it is expected to gain. `costs`
    are coefficients of the expected cost, as `automl.models.expected` reads them.
    """

    configs: tuple[Config, ...] = field(repr=False)
    tasks: tuple[Task, ...] = field(repr=False)
    modelled: frozenset[str] = frozenset()
    conditional: bool = False
    costs: Mapping[str, Any] | None = None
    explore: Candidate | None = None
    built: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def shipped(cls) -> Knowledge:
        """What comes with the package; read and worked out once in a process."""
        return _shipped()

    @classmethod
    def empty(cls) -> Knowledge:
        """None at all: the order by hand, gains as `automl.search.effort` has them."""
        return cls(configs=(), tasks=())

    @cached_property
    def digest(self) -> str:
        """Of all that a search can tell apart: the same digest, the same proposals."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def config(self, candidate: Candidate) -> Config | None:
        """The configuration of a candidate, if it is one."""
        return self._by_id.get(candidate.id)

    def portfolio(self, mode: str, *, n_rows: int | None = None) -> Portfolio:
        """The mode's own candidates, in the order in which they add most.

        The mode decides what may be tried, and how many families are raced; the tasks decide
        which comes first. What no task tells of stays where the mode has it, at the end. Small
        tables, of `n_rows`, have a portfolio of their own.
        """
        usual = portfolio(mode, n_rows=n_rows)
        key = (mode, *(candidate.id for candidate in usual.first))
        if key not in self._portfolios:
            self._portfolios[key] = self._ordered(usual)
        return self._portfolios[key]

    @cached_property
    def _portfolios(self) -> dict[tuple[str, ...], Portfolio]:
        return {}

    def _ordered(self, models: Portfolio) -> Portfolio:
        listed = [*models.first, *(c for own in models.expand.values() for c in own)]
        known = {c.id: c for c in listed if self._told(c)}
        if len(known) < 2:
            return models
        families = {c.id: self._by_id[c.id].family for c in known.values()}
        order = greedy_order(self._evidence, list(known), family=lambda one: families[one])
        raced = {families[c.id] for c in models.first if c.id in known}
        first: list[Candidate] = []
        for key in order:
            if families[key] in raced:
                raced.remove(families[key])
                first.append(known[key])
        first += [c for c in models.first if c.id not in known]
        chosen = {c.id for c in first}
        rest = [known[key] for key in order if key not in chosen]
        expand: dict[str, tuple[Candidate, ...]] = {}
        for family, own in models.expand.items():
            mine = [c for c in rest if families[c.id] == family]
            mine += [c for c in own if c.id not in known]
            expand[family] = tuple(mine)
        # What the mode races first but the tasks put later is still worth trying.
        for candidate in rest:
            family = families[candidate.id]
            if all(candidate.id != c.id for c in expand.get(family, ())):
                expand[family] = (*expand.get(family, ()), candidate)
        return replace(models, first=tuple(first), expand=expand)

    def gain(
        self, candidate: Candidate, *, scores: Mapping[str, float], meta: Meta = ()
    ) -> Expectation | None:
        """Percent of the score that a candidate is expected to add; None when nothing tells it.

        Parameters
        ----------
        scores : score by id of each candidate that was scored on the same rung
        meta : features of the table, as far as they are known
        """
        config = self.config(candidate)
        if config is None:
            return None
        alive = self.alive.get(config.family)
        return expected_gain(
            self._evidence,
            config.id,
            scores={key: score for key, score in scores.items() if key in self._by_id},
            family=lambda one: self._by_id[one].family,
            probability=None if alive is None else alive.probability(meta),
            conditional=self.conditional,
        )

    @cached_property
    def alive(self) -> Mapping[str, Alive]:
        """By family, how likely its first configuration is near the best of the others'."""
        families = dict.fromkeys(config.family for config in self.configs)
        return {
            family: fit_alive(family, found, modelled=family in self.modelled)
            for family in families
            if (found := self.examples(family))
        }

    def examples(self, family: str) -> list[Example]:
        """Each task that tells whether a family was alive among the configurations raced first."""
        raced = [c.id for c in portfolio("balanced").first if c.id in self._by_id]
        own = [c.id for c in self.configs if c.family == family]
        own = [one for one in own if one in raced] or own[:1]
        return [
            Example(meta=task.meta, alive=alive, weight=task.weight, group=task.group)
            for task, evidence in zip(self.tasks, self._evidence, strict=True)
            if (alive := evidence.alive(own, raced)) is not None
        ]

    def without(self, *groups: str) -> Knowledge:
        """As if the tables of these groups had never been seen."""
        return replace(self, tasks=tuple(task for task in self.tasks if task.group not in groups))

    def unlike(self, sketch: TableSketch) -> Knowledge:
        """As if this table had never been seen: without the group of every table related to it."""
        alike = {t.group for t in self.tasks if t.sketch is not None and t.sketch.related(sketch)}
        return self.without(*alike)

    def merged(self, tasks: Sequence[Task]) -> Knowledge:
        """With tasks of one's own, oldest first; at most 300 in all, the shipped ones included."""
        room = max(MOST_TASKS - len(self.tasks), 0)
        return replace(self, tasks=(*self.tasks, *thinned(tasks, room)))

    def exploring(self, *, n_jobs: int, mode: str) -> Knowledge:
        """With a configuration to explore, if the job after `n_jobs` others is one that does."""
        if (n_jobs + 1) % EXPLORE_EVERY:
            return self
        usual = {
            c.id
            for models in (portfolio(mode), portfolio(mode, n_rows=1))
            for c in (*models.first, *sum(models.expand.values(), ()))
        }
        others = [config.candidate for config in self.configs if config.id not in usual]
        if not others:
            return self
        chosen = random.Random(n_jobs).choice(others)
        return replace(self, explore=chosen)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values of all that is not derived from the rest."""
        ids = [config.id for config in self.configs]
        return {
            "format": FORMAT,
            "built": dict(self.built),
            "meta_names": list(META_NAMES),
            "cost_unit": COST_UNIT,
            "configs": [config.to_json() for config in self.configs],
            "modelled": sorted(self.modelled),
            "conditional": self.conditional,
            "costs": None if self.costs is None else dict(self.costs),
            "explore": None if self.explore is None else self.explore.id,
            "tasks": [task.to_json(ids) for task in self.tasks],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Knowledge:
        """The way back. Raises ValueError for another format."""
        if value.get("format") != FORMAT or value.get("meta_names") != list(META_NAMES):
            raise ValueError(f"this is no knowledge of format {FORMAT}")
        configs = tuple(Config.from_json(one) for one in value["configs"])
        ids = [config.id for config in configs]
        explored = [config.candidate for config in configs if config.id == value["explore"]]
        return cls(
            configs=configs,
            tasks=tuple(Task.from_json(one, ids) for one in value["tasks"]),
            modelled=frozenset(value["modelled"]),
            conditional=value["conditional"],
            costs=value["costs"],
            explore=explored[0] if explored else None,
            built=value["built"],
        )

    def derived(self) -> dict[str, Any]:
        """What follows from the tasks, for readers of the file: order and models of families."""
        alive = {family: one.to_json() for family, one in self.alive.items()}
        return {"order": self.order, "alive": alive}

    @cached_property
    def order(self) -> list[str]:
        """Ids of all configurations, each adding the most to those before it."""
        ids = [config.id for config in self.configs if self._told(config.candidate)]
        return greedy_order(self._evidence, ids, family=lambda one: self._by_id[one].family)

    @cached_property
    def evidence(self) -> tuple[Evidence, ...]:
        """The tasks, means of two filled in where they were not measured."""
        bonus = _bonuses([task for task in self.tasks if task.source == "shipped"])
        return tuple(
            Evidence(
                options=task.options
                if task.source == "shipped"
                else _completed(task.options, bonus),
                weight=task.weight,
                shipped=task.source == "shipped",
            )
            for task in self.tasks
        )

    @property
    def _evidence(self) -> tuple[Evidence, ...]:
        return self.evidence

    def _told(self, candidate: Candidate) -> bool:
        key = (candidate.id, candidate.id)
        return candidate.id in self._by_id and any(key in task.options for task in self.tasks)

    @cached_property
    def _by_id(self) -> Mapping[str, Config]:
        return {config.id: config for config in self.configs}


@cache
def _shipped() -> Knowledge:
    return Knowledge.from_json(json.loads(SHIPPED_FILE.read_text(encoding="utf-8")))


def thinned(tasks: Sequence[Task], room: int) -> list[Task]:
    """At most `room` tasks, read from the oldest: a new one drives out the older most like it.

    >>> thinned([], 3)
    []
    """
    kept: list[Task] = []
    for task in tasks:
        if room > 0 and len(kept) >= room:
            nearest = min(range(len(kept)), key=lambda i: (_distance(kept[i].meta, task.meta), i))
            del kept[nearest]
        if room > 0:
            kept.append(task)
    return kept


def _distance(one: Meta, other: Meta) -> float:
    return sum(
        (a - b) ** 2 for a, b in zip(one, other, strict=True) if a is not None and b is not None
    )


def _bonuses(tasks: Sequence[Task]) -> dict[Pair, float]:
    """How much better than its better member the mean of two is, over the shipped tasks."""
    sums: dict[Pair, tuple[float, float]] = {}
    for task in tasks:
        for key, halves in task.options.items():
            members = [task.options.get((one, one)) for one in key]
            if key[0] == key[1] or None in members:
                continue
            better = max(sum(member) for member in members if member is not None)
            if better > 0:
                weight, total = sums.get(key, (0.0, 0.0))
                sums[key] = (weight + task.weight, total + task.weight * sum(halves) / better)
    return {key: total / weight for key, (weight, total) in sums.items()}


def _completed(
    options: Mapping[Pair, tuple[float, float]], bonus: Mapping[Pair, float]
) -> dict[Pair, tuple[float, float]]:
    """With the mean of each two as good as it is elsewhere, beside its better member."""
    whole = dict(options)
    singles = [one for one, other in options if one == other]
    for i, one in enumerate(singles):
        for other in singles[:i]:
            key = pair(one, other)
            if key not in whole and key in bonus:
                better = max(options[(one, one)], options[(other, other)], key=sum)
                whole[key] = (better[0] * bonus[key], better[1] * bonus[key])
    return whole
