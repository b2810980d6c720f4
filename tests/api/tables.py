"""Small tables with a rare target, as CSV."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

N_ROWS = 400
N_POSITIVE = 60


def rows(
    n_rows: int = N_ROWS, *, n_positive: int = N_POSITIVE, seed: int = 0
) -> list[dict[str, Any]]:
    """Rows with two informative columns, a segment and a 0/1 target `y`, shuffled."""
    chance = random.Random(seed)
    made = []
    for number in range(n_rows):
        y = int(number < n_positive)
        made.append(
            {
                "balance": round(chance.gauss(1000 - 600 * y, 500), 2),
                "age": chance.randint(18, 90),
                "segment": chance.choice(["retail", "private", "pro"]),
                "y": y,
            }
        )
    chance.shuffle(made)
    return made


def csv(table: Iterable[Mapping[str, Any]]) -> bytes:
    """The rows as CSV; None is an empty cell."""
    listed = list(table)
    names = list(listed[0])
    lines = [",".join(names)]
    lines += [
        ",".join("" if row[name] is None else str(row[name]) for name in names) for row in listed
    ]
    return ("\n".join(lines) + "\n").encode()


def changed(change: Callable[[int, dict[str, Any]], dict[str, Any]], **kwargs: Any) -> bytes:
    """The table with every row changed by its number and itself, as CSV."""
    return csv(change(number, row) for number, row in enumerate(rows(**kwargs)))
