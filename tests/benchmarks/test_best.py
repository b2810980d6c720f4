"""The table of what mode `best` is worth."""

from __future__ import annotations

from typing import Any

from benchmarks.best import table


def row(name: str, seed: int, system: str, ap: float, seconds: float) -> dict[str, Any]:
    return {"set": name, "seed": seed, "system": system, "ap": ap, "cpu_seconds": seconds,
            "n_rows": 1000}  # fmt: skip


def test_only_splits_of_both_count() -> None:
    rows = [
        row("stroke", 103, "balanced", 0.2, 1.0),
        row("stroke", 103, "best", 0.3, 3.0),
        row("stroke", 104, "balanced", 0.9, 1.0),
        row("hmeq", 103, "balanced", 0.4, 1.0),
        row("hmeq", 103, "best", 0.4, 5.0),
        row("mammography", 103, "balanced", 0.4, 1.0),
    ]
    lines = table({(r["set"], r["seed"], r["system"]): r for r in rows})
    assert "| stroke | 1 | 0.200 | 0.300 | 1.500 | 3.0 |" in lines
    assert "| hmeq | 1 | 0.400 | 0.400 | 1.000 | 5.0 |" in lines
    assert not any("mammography" in line for line in lines)
    assert lines[-1] == "\nbest / balanced: 1.225 [1.000, 1.500] at 4.0 of its CPU"
