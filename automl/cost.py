"""Joules and seconds: what work takes, and where it must stop."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import inf
from numbers import Real
from typing import Any

JOULES_PER_KWH = 3.6e6
LEAST = 1e-9  # of a limit; a budget is above nothing


def grams_co2e(joules: float, *, grams_per_kwh: float) -> float:
    """Grams of CO2e of so many joules at that carbon intensity.

    >>> grams_co2e(3.6e6, grams_per_kwh=56.0)
    56.0
    """
    return joules / JOULES_PER_KWH * grams_per_kwh


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a piece of work took, from the first reading to the last.

    cpu_seconds are those of the process and its finished children, all threads; wall_seconds are
    for people only and never used to compare.
    """

    cpu_seconds: float
    joules: float
    wall_seconds: float = 0.0
    meter: str  # which counter answered: "rapl", "cpu_time", or "expected" for a prediction

    def __add__(self, other: Cost) -> Cost:
        if other.meter == self.meter or not other.joules:
            meter = self.meter
        else:
            meter = other.meter if not self.joules else "mixed"
        return Cost(
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            joules=self.joules + other.joules,
            wall_seconds=self.wall_seconds + other.wall_seconds,
            meter=meter,
        )

    def __mul__(self, factor: float) -> Cost:
        return replace(
            self,
            cpu_seconds=self.cpu_seconds * factor,
            joules=self.joules * factor,
            wall_seconds=self.wall_seconds * factor,
        )

    def grams(self, grams_per_kwh: float) -> float:
        """Grams of CO2e at a carbon intensity in g/kWh."""
        return grams_co2e(self.joules, grams_per_kwh=grams_per_kwh)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `Cost(**value)` is the way back."""
        return asdict(self)


ZERO = Cost(cpu_seconds=0.0, joules=0.0, meter="none")


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """What an expected CPU-second is on this machine: for budgets, never for choices.

    seconds are measured CPU-seconds for one that was expected, watts joules and wall wall-seconds
    for one that was measured.
    """

    seconds: float = 1.0
    watts: float
    wall: float = 1.0

    def cost(self, expected_seconds: float) -> Cost:
        """So many expected CPU-seconds as they are likely to be measured."""
        seconds = expected_seconds * self.seconds
        return Cost(
            cpu_seconds=seconds,
            joules=seconds * self.watts,
            wall_seconds=seconds * self.wall,
            meter="expected",
        )

    def to_json(self) -> dict[str, float]:
        """Plain JSON values; `Speed(**value)` is the way back."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """What does not fit a budget, in the unit that `name` says: a field of `Budget`."""

    name: str
    used: float
    expected: float
    limit: float

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.used:.4g} spent + {self.expected:.4g} expected > "
            f"{self.limit:.4g} allowed"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Where a search must stop, whichever comes first; a hard limit.

    It is checked before each proposal with the proposal's expected cost. A limit in `gco2e` needs
    `grams_per_kwh`, since a library knows no grid.

    `least_gain_per_gram` is no limit but a price: percent of the score that a gram of CO2e has to
    be expected to gain, below which nothing more is tried. None is the mode's own, relative to
    what brute force would cost. It needs `grams_per_kwh` too.
    """

    gco2e: float = inf
    joules: float = inf
    cpu_seconds: float = inf
    wall_seconds: float = inf
    trials: float = inf
    grams_per_kwh: float | None = None
    least_gain_per_gram: float | None = None

    def __post_init__(self) -> None:
        for name in ("gco2e", "joules", "cpu_seconds", "wall_seconds", "trials"):
            if not isinstance(getattr(self, name), Real):
                kind = type(getattr(self, name)).__name__
                raise ValueError(f"{name} is a {kind}; a budget is a number")
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; a budget must be above 0")
        for name in ("grams_per_kwh", "least_gain_per_gram"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, Real):
                raise ValueError(f"{name} is a {type(given).__name__}; it is a number")
        if self.grams_per_kwh is not None and not 0 <= self.grams_per_kwh < inf:
            raise ValueError(f"grams_per_kwh is {self.grams_per_kwh}; it is at least 0")
        if self.gco2e < inf and self.grams_per_kwh is None:
            raise ValueError("a budget in gco2e needs grams_per_kwh, the carbon intensity to use")
        if self.least_gain_per_gram is not None:
            if not 0 <= self.least_gain_per_gram < inf:
                raise ValueError(
                    f"least_gain_per_gram is {self.least_gain_per_gram}; it is at least 0"
                )
            if self.grams_per_kwh is None:
                raise ValueError("a least gain per gram needs grams_per_kwh")

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        limits = (self.gco2e, self.joules, self.cpu_seconds, self.wall_seconds, self.trials)
        return min(limits) < inf

    def less(self, spent: Cost) -> Budget:
        """What is left of the limits once this was spent: all but nothing where it was more.

        >>> Budget(cpu_seconds=60).less(Cost(cpu_seconds=20, joules=80, meter="x")).cpu_seconds
        40
        """
        taken = {
            "joules": spent.joules,
            "cpu_seconds": spent.cpu_seconds,
            "wall_seconds": spent.wall_seconds,
            "gco2e": spent.grams(self.grams_per_kwh or 0.0),
        }
        return replace(
            self, **{name: max(getattr(self, name) - one, LEAST) for name, one in taken.items()}
        )

    def refusal(self, spent: Cost, *, n_trials: int, expected: Cost) -> Refusal | None:
        """Why `expected` no longer fits after `spent`; None when it fits.

        >>> budget = Budget(cpu_seconds=10)
        >>> spent = Cost(cpu_seconds=9.5, joules=38.0, meter="cpu_time")
        >>> print(budget.refusal(spent, n_trials=3, expected=Cost(
        ...     cpu_seconds=1.0, joules=4.0, meter="expected")))
        cpu_seconds: 9.5 spent + 1 expected > 10 allowed
        """
        limits = [
            ("cpu_seconds", spent.cpu_seconds, expected.cpu_seconds, self.cpu_seconds),
            ("wall_seconds", spent.wall_seconds, expected.wall_seconds, self.wall_seconds),
            ("joules", spent.joules, expected.joules, self.joules),
            ("trials", n_trials, 1, self.trials),
        ]
        if self.grams_per_kwh is not None:
            grams = spent.grams(self.grams_per_kwh), expected.grams(self.grams_per_kwh)
            limits.append(("gco2e", *grams, self.gco2e))
        for name, used, more, limit in limits:
            if used + more > limit:
                return Refusal(name=name, used=used, expected=more, limit=limit)
        return None
