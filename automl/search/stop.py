"""Why a search tried nothing more, in words and in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from automl.cost import Refusal


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The end of a search: `text` is for people, the rest for programs.

    reason is ``rate`` (the next step's gain is not worth its cost), ``frugal_limit`` (its cost
    does not fit the share of brute force that a frugal search may take), ``plateau``, ``tried``
    (nothing is left in this mode), ``budget``, ``stopped`` (from outside) or ``no_score``.

    expected_gain is in percent of the best score. expected_cost, used and limit are in `unit`,
    which is a field of `Budget`, or ``expected_cpu_seconds``, in which choices are made. rate and
    least_rate are percent of the score per percent of brute force's expected cost; where the
    carbon intensity is known, the same per gram of CO2e stands beside. brute_joules is what the
    brute-force search is expected to take that a search of any mode is compared with.
    """

    reason: str
    text: str
    expected_gain: float | None = None
    expected_cost: float | None = None
    used: float | None = None
    limit: float | None = None
    unit: str | None = None
    rate: float | None = None
    least_rate: float | None = None
    rate_per_gram: float | None = None
    least_rate_per_gram: float | None = None
    brute_joules: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; null is what does not apply."""
        return asdict(self)


def refused(refusal: Refusal) -> Stop:
    """The end by a budget."""
    return Stop(
        reason="budget",
        text=f"budget: {refusal}",
        expected_cost=refusal.expected,
        used=refusal.used,
        limit=refusal.limit,
        unit=refusal.name,
    )
