"""Who is compared, in which environment, on which sets and splits, with what to spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Where the 300-second peers run: tiny to middling, categories, time; named before any result.
SIX_SETS = (
    "wine_quality_white",
    "stroke",
    "mammography",
    "hmeq_5pct",
    "bank_marketing_5pct",
    "customs_fraud",
)


@dataclass(frozen=True, kw_only=True)
class System:
    """One row of a table.

    `answers` are the rows that one run writes (by-products beside the first). `budget` names a
    system and a factor: this one may spend that multiple of what the other took on the same split.
    """

    module: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: str = "ours"
    answers: tuple[str, ...] = ()
    one_split: bool = False
    sets: tuple[str, ...] | None = None
    budget: tuple[str, float] | None = None


def _peer(module: str, seconds: int, **options: Any) -> System:
    return System(
        module=module,
        environment=module,
        options={"seconds": seconds, **options},
        one_split=True,
        sets=SIX_SETS if seconds > 60 else None,
    )


SYSTEMS: Mapping[str, System] = {
    "lightgbm": System(module="defaults", options={"model": "lightgbm"}),
    "histgb": System(module="defaults", options={"model": "histgb"}),
    "frugal": System(module="frugal", options={"mode": "balanced"}),
    "frugal-eco": System(module="frugal", options={"mode": "eco"}),
    "brute": System(module="brute", answers=("brute", "brute-bag")),
    "brute-wide": System(module="brute_wide", one_split=True, budget=("brute", 1.0)),
    "flaml-1x": System(module="flaml", environment="flaml", budget=("frugal", 1.0)),
    "flaml-4x": System(module="flaml", environment="flaml", budget=("frugal", 4.0)),
    "flaml-10x": System(module="flaml", environment="flaml", budget=("frugal", 10.0)),
    "autogluon-60": _peer("autogluon", 60, presets="medium_quality"),
    "lightautoml-60": _peer("lightautoml", 60),
    "mljar-60": _peer("mljar", 60),
    "frugal-best": System(
        module="frugal", options={"mode": "best"}, one_split=True, budget=("autogluon-60", 1.0)
    ),
    "autogluon-best-300": _peer("autogluon", 300, presets="best_quality"),
    "lightautoml-300": _peer("lightautoml", 300),
    "mljar-300": _peer("mljar", 300),
    "frugal-best-300": System(
        module="frugal",
        options={"mode": "best"},
        one_split=True,
        sets=SIX_SETS,
        budget=("autogluon-best-300", 1.0),
    ),
}


def answers(name: str) -> tuple[str, ...]:
    """The rows that a run of the system writes."""
    return SYSTEMS[name].answers or (name,)
