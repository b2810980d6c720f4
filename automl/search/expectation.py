"""What a whole search is expected to take, before it begins. Imports no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from automl.cost import JOULES_PER_KWH


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """What a job is expected to take on this machine, and what 19 of 20 take less than.

    `seconds` are of the clock on the wall, `pause_seconds` those of coming back from a pause.
    """

    cpu_seconds: float
    p95_cpu_seconds: float
    seconds: float
    p95_seconds: float
    joules: float
    pause_seconds: float = 0.0

    @property
    def kwh(self) -> float:
        """The energy in kWh."""
        return self.joules / JOULES_PER_KWH

    def rest(self, share: float) -> Expectation:
        """What is left when a share of the work, 0 to 1, remains.

        >>> whole = Expectation(cpu_seconds=60, p95_cpu_seconds=90, seconds=70, p95_seconds=100,
        ...                     joules=240)
        >>> whole.rest(0.5).seconds
        35.0
        """
        return replace(
            self,
            cpu_seconds=self.cpu_seconds * share,
            p95_cpu_seconds=self.p95_cpu_seconds * share,
            seconds=self.seconds * share,
            p95_seconds=self.p95_seconds * share,
            joules=self.joules * share,
        )

    def to_json(self) -> dict[str, float]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Expectation:
        """From what `to_json` gave."""
        return cls(**{name: float(one) for name, one in value.items()})
