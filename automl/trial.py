"""Candidate -> Proposal -> Trial: what may be tried, what to try, what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automl.cost import Cost

RUNGS = ("screening", "refinement", "final")  # only scores of one rung compare


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A model of the catalog with its hyperparameters; not yet built, cheap to ship.

    Params are JSON values. The id is immutable: a changed parameter is a new id. A weighted mean
    of candidates is itself a candidate, of model ``ensemble``.

    >>> Candidate(model="logistic", params={"C": 0.1}).id == Candidate(
    ...     model="logistic", params={"C": 0.1}).id
    True
    """

    model: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        text = json.dumps([self.model, self.params], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A candidate to try on the first so many rows of the sampler's order."""

    candidate: Candidate
    rung: str  # one of RUNGS
    n_rows: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for a store or a response."""
        return {
            "candidate": {"model": self.candidate.model, "params": dict(self.candidate.params)},
            "rung": self.rung,
            "n_rows": self.n_rows,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Proposal:
        """The way back; other entries of `value` do not matter."""
        return cls(
            candidate=Candidate(**value["candidate"]), rung=value["rung"], n_rows=value["n_rows"]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What came of a proposal. A failed trial has an error and no score.

    `score` is the objective on validation rows (higher is better) with its bootstrap interval;
    `scores` has it beside the other metrics. `predict_joules` is per 1,000 rows.
    """

    number: int  # from 0, in the order they ran; stable over a resume
    proposal: Proposal
    cost: Cost  # as measured in this run
    expected: Cost  # as the catalog expects: what choices are made by
    score: float | None = None
    interval: tuple[float, float] | None = None  # 90 % percentile bootstrap
    scores: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of the scores
    predict_joules: float | None = None
    peak_memory_bytes: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # e.g. best_iteration, members
    error: str | None = None

    @property
    def candidate(self) -> Candidate:
        return self.proposal.candidate

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for a store or a response."""
        return {
            "number": self.number,
            **self.proposal.to_json(),
            "cost": self.cost.to_json(),
            "expected": self.expected.to_json(),
            "score": self.score,
            "interval": None if self.interval is None else list(self.interval),
            "scores": dict(self.scores),
            "intervals": {name: list(spread) for name, spread in self.intervals.items()},
            "predict_joules": self.predict_joules,
            "peak_memory_bytes": self.peak_memory_bytes,
            "details": dict(self.details),
            "error": self.error,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Trial:
        interval = value["interval"]
        return cls(
            number=value["number"],
            proposal=Proposal.from_json(value),
            cost=Cost(**value["cost"]),
            expected=Cost(**value["expected"]),
            score=value["score"],
            interval=None if interval is None else (interval[0], interval[1]),
            scores=value["scores"],
            intervals={
                name: (low, high) for name, (low, high) in value.get("intervals", {}).items()
            },
            predict_joules=value["predict_joules"],
            peak_memory_bytes=value["peak_memory_bytes"],
            details=value["details"],
            error=value["error"],
        )
