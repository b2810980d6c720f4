"""How two systems compare over sets: means over splits first, then geometric means over sets.

Only sets are independent evidence: splits of one set share its rows. So a set's ratio is that of
the two means over the splits that both were run on, and the interval resamples sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.results import Key, Row

N_BOOTSTRAP = 10_000
SATURATED = 0.98
# Any small model triples the default's score there.
EASY_PANELS = ("credit_next_month", "credit_next_month_forward")
# Of a score that is 0.
LEAST_SCORE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A geometric mean over sets with its 95 % interval."""

    mean: float
    low: float
    high: float
    n_sets: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One system against another on one set, over the splits of both."""

    name: str
    n_splits: int
    n_rows: int
    score: tuple[float, float]  # mean average precision
    cpu_seconds: tuple[float, float]  # mean


def good(rows: Mapping[Key, Row]) -> dict[Key, Row]:
    """Without failures."""
    return {key: row for key, row in rows.items() if row.get("error") is None}


def pairs(rows: Mapping[Key, Row], one: str, other: str, sets: Sequence[str]) -> list[Pair]:
    """Sets on which both were run on the same split at least once."""
    found = []
    for name in sets:
        seeds = [
            seed
            for (of, seed, system) in rows
            if of == name and system == one and (name, seed, other) in rows
        ]
        if not seeds:
            continue
        both = [[rows[name, seed, system] for seed in seeds] for system in (one, other)]
        found.append(
            Pair(
                name=name,
                n_splits=len(seeds),
                n_rows=both[0][0]["n_rows"],
                score=_means(both, "ap"),
                cpu_seconds=_means(both, "cpu_seconds"),
            )
        )
    return found


def _means(both: Sequence[Sequence[Row]], field: str) -> tuple[float, float]:
    one, other = (float(np.mean([row[field] for row in rows])) for rows in both)
    return one, other


def geometric(ratios: Sequence[float], *, seed: int = 0) -> Ratio:
    """Geometric mean and percentile bootstrap over sets.

    >>> str(geometric([0.5, 2.0, 1.0, 1.0]))[:5]
    '1.000'
    """
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    drawn = np.random.default_rng(seed).integers(len(logs), size=(N_BOOTSTRAP, len(logs)))
    low, high = np.quantile(logs[drawn].mean(axis=1), (0.025, 0.975))
    return Ratio(
        mean=float(np.exp(logs.mean())),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        n_sets=len(logs),
    )


def score_ratio(compared: Sequence[Pair]) -> Ratio:
    """Of average precision."""
    return geometric(
        [max(p.score[0], LEAST_SCORE) / max(p.score[1], LEAST_SCORE) for p in compared]
    )


def cpu_ratio(compared: Sequence[Pair]) -> float:
    """Of the CPU-seconds summed over sets, each the mean of its splits."""
    return sum(p.cpu_seconds[0] for p in compared) / sum(p.cpu_seconds[1] for p in compared)


def saturated(rows: Mapping[Key, Row]) -> set[str]:
    """Sets whose best mean average precision of any system is 0.98 or more."""
    scores: dict[tuple[str, str], list[float]] = {}
    for (name, _, system), row in rows.items():
        scores.setdefault((name, system), []).append(row["ap"])
    return {name for (name, _), values in scores.items() if np.mean(values) >= SATURATED}
