"""How likely a family is near the best score: a base rate, or a small logistic regression.

In plain Python, since the service shows it from a process that loads no numerical library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Any

from automl.meta.features import META_NAMES, Meta

# With some forty tasks, coefficients beyond about one standard deviation's worth are noise.
RIDGE = 2.0
NEWTON_STEPS = 12
# What may tell of a family: what is known before it was raced, but not more than the tasks can
# carry. The landmarks compare linear and boosting, so they tell of neither of these two.
NAMES: Mapping[str, tuple[str, ...]] = {
    "linear": ("ln_pos", "ln_rate", "ln_d", "cat_share", "ln_levels"),
    "boosting": ("ln_pos", "ln_rate", "ln_d", "cat_share", "ln_levels"),
}
OTHERS = ("ln_pos", "ln_d", "cat_share", "ln_lift_linear", "ln_boost_over_linear")


@dataclass(frozen=True, kw_only=True)
class Alive:
    """Of one family: the rate at which it was alive, and a model where that helped.

    `weights` are of the standardised features `names`; empty is the base rate alone.
    """

    rate: float
    names: tuple[str, ...] = ()
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    bias: float = 0.0

    def probability(self, meta: Meta) -> float:
        """That the family is alive on a table; the rate where a feature is not known yet.

        >>> Alive(rate=0.7).probability(())
        0.7
        """
        values = [meta[META_NAMES.index(name)] for name in self.names] if meta else []
        if not values or any(value is None for value in values):
            return self.rate
        logit = self.bias + sum(
            weight * _standard(value or 0.0, centre, scale)
            for weight, value, centre, scale in zip(
                self.weights, values, self.centre, self.scale, strict=True
            )
        )
        return 1 / (1 + exp(-max(-30.0, min(30.0, logit))))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        if not self.names:
            return {"rate": self.rate}
        return {
            "rate": self.rate,
            "names": list(self.names),
            "centre": list(self.centre),
            "scale": list(self.scale),
            "weights": list(self.weights),
            "bias": self.bias,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Alive:
        """The way back."""
        listed = {key: tuple(value.get(key, ())) for key in ("names", "centre", "scale", "weights")}
        return cls(rate=value["rate"], bias=value.get("bias", 0.0), **listed)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A task: its features, whether the family was alive there, and what it counts."""

    meta: Meta
    alive: bool
    weight: float = 1.0
    group: str = field(default="")


def fit_alive(family: str, examples: Sequence[Example], *, modelled: bool) -> Alive:
    """The base rate (one alive and one dead example of weight 1 assumed), and the model if asked.

    Ridge-penalised maximum likelihood by Newton's method, features standardised.
    """
    total = sum(one.weight for one in examples)
    alive = sum(one.weight for one in examples if one.alive)
    rate = round((alive + 1) / (total + 2), 4)
    names = NAMES.get(family, OTHERS)
    places = [META_NAMES.index(name) for name in names]
    known = [one for one in examples if all(one.meta[place] is not None for place in places)]
    if not modelled or len({one.alive for one in known}) < 2:
        return Alive(rate=rate)
    columns = [[float(one.meta[place] or 0.0) for one in known] for place in places]
    centre = [sum(column) / len(known) for column in columns]
    scale = [
        max((sum((x - mean) ** 2 for x in column) / len(known)) ** 0.5, 1e-9)
        for column, mean in zip(columns, centre, strict=True)
    ]
    rows = [
        [1.0, *(_standard(c[i], m, s) for c, m, s in zip(columns, centre, scale, strict=True))]
        for i in range(len(known))
    ]
    weights = _newton(rows, known, start=log(rate / (1 - rate)))
    return Alive(
        rate=rate,
        names=names,
        centre=tuple(round(mean, 4) for mean in centre),
        scale=tuple(round(spread, 4) for spread in scale),
        weights=tuple(round(weight, 4) for weight in weights[1:]),
        bias=round(weights[0], 4),
    )


def log_loss(examples: Sequence[Example], probabilities: Sequence[float]) -> float:
    """Mean negative log-likelihood by weight, in nats."""
    total = sum(one.weight for one in examples)
    return (
        -sum(
            one.weight * log(max(p if one.alive else 1 - p, 1e-9))
            for one, p in zip(examples, probabilities, strict=True)
        )
        / total
    )


def _newton(rows: list[list[float]], examples: Sequence[Example], *, start: float) -> list[float]:
    weights = [start] + [0.0] * (len(rows[0]) - 1)
    size = len(weights)
    for _ in range(NEWTON_STEPS):
        gradient = [0.0] + [-RIDGE * weight for weight in weights[1:]]
        curvature = [[0.0] * size for _ in range(size)]
        for place in range(1, size):
            curvature[place][place] = RIDGE
        curvature[0][0] = 1e-6
        for row, one in zip(rows, examples, strict=True):
            logit = sum(w * x for w, x in zip(weights, row, strict=True))
            p = 1 / (1 + exp(-max(-30.0, min(30.0, logit))))
            off, bend = one.weight * (one.alive - p), one.weight * p * (1 - p)
            for i in range(size):
                gradient[i] += off * row[i]
                for j in range(i + 1):
                    curvature[i][j] += bend * row[i] * row[j]
        for i in range(size):
            for j in range(i):
                curvature[j][i] = curvature[i][j]
        step = _solved(curvature, gradient)
        weights = [weight + more for weight, more in zip(weights, step, strict=True)]
        if max(map(abs, step)) < 1e-7:
            break
    return weights


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric positive definite system by Gaussian elimination."""
    size = len(right)
    rows = [[*matrix[i], right[i]] for i in range(size)]
    for i in range(size):
        for k in range(i + 1, size):
            share = rows[k][i] / rows[i][i]
            rows[k] = [b - share * a for a, b in zip(rows[i], rows[k], strict=True)]
    solution = [0.0] * size
    for i in reversed(range(size)):
        rest = sum(rows[i][j] * solution[j] for j in range(i + 1, size))
        solution[i] = (rows[i][size] - rest) / rows[i][i]
    return solution


def _standard(value: float, centre: float, scale: float) -> float:
    return max(-3.0, min(3.0, (value - centre) / scale))
