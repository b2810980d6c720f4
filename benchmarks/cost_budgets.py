"""Whole searches under hard limits: how far each limit was overrun.

Limits are shares of what the search takes without any, in each of the units; the first is little
more than the cheapest trial.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automl.cost import Budget, Cost
from automl.data.dataset import Dataset
from automl.errors import BudgetExhausted
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.ledger import is_ensemble
from automl.search.run import SearchResult, search

SHARES = (0.15, 0.3, 0.6, 0.9)
GRAMS_PER_KWH = 50.0
UNITS: dict[str, Callable[[Cost], float]] = {
    "cpu_seconds": lambda cost: cost.cpu_seconds,
    "joules": lambda cost: cost.joules,
    "gco2e": lambda cost: cost.grams(GRAMS_PER_KWH),
    "wall_seconds": lambda cost: cost.wall_seconds,
}
Row = dict[str, Any]


def searches(
    names: Sequence[str],
    *,
    load: Callable[[str, int], Dataset],
    seed: int,
    rows: Path | None = None,
) -> Iterator[Row]:
    """One row for each set, unit and share; kept in `rows` beside those of earlier calls."""
    known = [] if rows is None or not rows.exists() else rows.read_text().splitlines()
    done = [row for row in map(json.loads, known) if row.get("step") == "budget"]
    yield from done
    for name in names:
        if any(row["set"] == name for row in done):
            continue
        data, meter = load(name, seed), CpuTimeMeter()
        own = []
        free = search(data, meter=meter, seed=seed)
        # Each unit at one half of the shares: they go through the same gate.
        for i, (unit, of) in enumerate(UNITS.items()):
            for share in SHARES[i % 2 :: 2] if i else SHARES:
                limit = share * of(free.cost)
                row = {"step": "budget", "set": name, "unit": unit, "share": share, "limit": limit}
                budget = Budget(**{unit: limit}, grams_per_kwh=GRAMS_PER_KWH)
                try:
                    found = search(data, meter=meter, seed=seed, budget=budget)
                except BudgetExhausted:
                    own.append({**row, "refused": True})
                else:
                    own.append({**row, "refused": False, **about(found, of=of, limit=limit)})
        yield from own
        if rows is not None:
            with rows.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in own)


def about(found: SearchResult, *, of: Callable[[Cost], float], limit: float) -> Row:
    """What a search used of its limit, and the largest trial beside it."""
    fits = [t for t in found.trials if not is_ensemble(t)]
    return {
        "used": of(found.cost) / limit,
        "largest_trial": max(of(t.cost) for t in fits) / limit,
        "n_trials": len(fits),
        "stop": found.stop.reason,
        "models": sum(len(member.models) for member in found.champion.members),
    }


def report(rows: Iterable[Row]) -> None:
    """Print used / limit by unit and share."""
    found = list(rows)
    print("unit          share   searches refused   used / limit: median 95 % most   overrun")
    for unit in UNITS:
        for share in SHARES:
            own = [row for row in found if (row["unit"], row["share"]) == (unit, share)]
            if not own:
                continue
            ran = [row for row in own if not row["refused"]]
            if not ran:
                print(f"{unit:13} {share:5.2f} {len(own):9} {len(own):7}")
                continue
            used = np.array([row["used"] for row in ran])
            print(
                f"{unit:13} {share:5.2f} {len(own):9} {len(own) - len(ran):7}   "
                f"{np.median(used):20.2f} {np.quantile(used, 0.95):5.2f} {used.max():5.2f}   "
                f"{np.mean(used > 1):6.0%}"
            )
    ran = [row for row in found if not row["refused"]]
    over = [row for row in ran if row["used"] > 1]
    beyond = sum(row["used"] - 1 > row["largest_trial"] for row in over)
    print(
        f"{len(over)} of {len(ran)} searches overran their limit, {beyond} by more than their "
        "largest trial took"
    )
