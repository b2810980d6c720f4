"""Configurations, and what came of them on one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from automl.meta.features import META_NAMES, Meta
from automl.meta.gains import Pair, pair
from automl.meta.likeness import TableSketch
from automl.trial import Candidate


@dataclass(frozen=True, kw_only=True)
class Config:
    """A configuration under its name. The id is the candidate's: a changed parameter is new."""

    name: str
    family: str
    candidate: Candidate

    @property
    def id(self) -> str:
        return self.candidate.id

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        candidate = {"model": self.candidate.model, "params": dict(self.candidate.params)}
        return {"id": self.id, "name": self.name, "family": self.family, **candidate}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Config:
        """The way back. Raises ValueError when the id is not that of the parameters."""
        candidate = Candidate(model=value["model"], params=value["params"])
        if candidate.id != value["id"]:
            raise ValueError(f"configuration {value['name']!r} is not what its id was made of")
        return cls(name=value["name"], family=value["family"], candidate=candidate)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What came of the configurations on one table.

    `options` are relative to the best single score, on two halves of the validation rows: of a
    configuration (its id twice) and of the mean of two. `costs` are in CPU-seconds of `L15`.
    """

    id: str
    group: str  # tables of one source: what one of them taught is nothing the others may use
    source: str  # shipped | local
    weight: float
    n_rows: int
    n_positive: int
    n_columns: int
    meta: Meta
    options: Mapping[Pair, tuple[float, float]]
    costs: Mapping[str, float] = field(default_factory=dict)
    sketch: TableSketch | None = None

    def to_json(self, ids: Sequence[str]) -> dict[str, Any]:
        """Plain JSON values; scores in thousandths, row by row of the lower triangle of `ids`."""
        pairs = [pair(one, ids[j]) for i, one in enumerate(ids) for j in range(i + 1)]
        halves = [self.options.get(key) for key in pairs]
        return {
            "id": self.id,
            "group": self.group,
            "source": self.source,
            "w": self.weight,
            "n": self.n_rows,
            "pos": self.n_positive,
            "d": self.n_columns,
            "meta": list(self.meta),
            "rel": [
                [None if one is None else round(1000 * one[half]) for one in halves]
                for half in (0, 1)
            ],
            "cost": [self.costs.get(one) for one in ids],
            "sketch": None if self.sketch is None else self.sketch.to_text(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], ids: Sequence[str]) -> Task:
        """The way back. Raises ValueError, TypeError or KeyError for what is no task."""
        pairs = [pair(one, ids[j]) for i, one in enumerate(ids) for j in range(i + 1)]
        first, second = value["rel"]
        options = {
            key: (one / 1000, other / 1000)
            for key, one, other in zip(pairs, first, second, strict=True)
            if one is not None and other is not None
        }
        costs = {
            key: cost for key, cost in zip(ids, value["cost"], strict=True) if cost is not None
        }
        if len(value["meta"]) != len(META_NAMES):
            raise ValueError(f"a task has {len(META_NAMES)} meta-features")
        sketch = value.get("sketch")
        return cls(
            id=value["id"],
            group=value["group"],
            source=value["source"],
            weight=float(value["w"]),
            n_rows=value["n"],
            n_positive=value["pos"],
            n_columns=value["d"],
            meta=tuple(value["meta"]),
            options=options,
            costs=costs,
            sketch=None if sketch is None else TableSketch.from_text(sketch),
        )
