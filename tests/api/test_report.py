"""Tables for people: what they show and that they fit."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from api.report import leaderboard_table, number, picks_table, receipt_table


def text(*renderables: object, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    for renderable in renderables:
        console.print(renderable)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def trial(at: int, **values: Any) -> dict[str, Any]:
    score = 0.5 - at / 100
    return {
        "number": at,
        "model": f"model{at}",
        "rung": "refinement",
        "metric": "average_precision",
        "score": score,
        "score_low": score - 0.05,
        "score_high": score + 0.05,
        "cpu_seconds": 1.234,
        "joules": 12.34,
        "gco2e": 0.00123,
        "predict_joules": 0.0456,
        "front": False,
        "picks": [],
        "error": None,
        **values,
    }


TRIALS = [
    trial(0, front=True, picks=["most_accurate"]),
    *[trial(at) for at in range(1, 30)],
    trial(30, front=True, picks=["most_frugal", "recommended"], gco2e=None),
    trial(31, score=None, score_low=None, score_high=None, error="ValueError"),
]


def test_a_long_leaderboard_keeps_front_and_picks_in_their_rank() -> None:
    lines = text(leaderboard_table(TRIALS, limit=6)).splitlines()
    ranks = [int(line.split()[0]) for line in lines if "model" in line and "#" not in line]
    assert ranks == [1, 2, 3, 4, 5, 31]
    assert lines[2].rstrip().endswith("FA")
    assert "FRE" in next(line for line in lines if "model30" in line)
    assert f"{len(TRIALS) - 6} more" in lines[-1]


def test_a_failed_trial_is_said() -> None:
    assert "failed" in text(leaderboard_table(TRIALS[-1:]))


def test_tables_fit_into_80_columns() -> None:
    wide = [trial(at, model="ensemble12", score=0.123, joules=123456.0) for at in range(3)]
    shown = text(leaderboard_table(TRIALS, limit=20), leaderboard_table(wide), picks_table(TRIALS))
    assert "…" not in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80


def test_picks_name_their_trials() -> None:
    shown = text(picks_table(TRIALS))
    assert "model0 (trial 0)" in shown
    assert shown.count("model30 (trial 30)") == 2


def test_a_receipt_ends_with_its_total() -> None:
    phase = {"name": "search", "cpu_seconds": 10.0, "joules": 40.0, "kwh": 1.1e-5, "gco2e": 6e-4}
    total = {"cpu_seconds": 10.0, "joules": 40.0, "kwh": 1.1e-5, "gco2e": 6e-4}
    lines = text(receipt_table({"phases": [phase], "total": total})).splitlines()
    assert lines[1].split() == ["Phase", "CPU-s", "kWh", "gCO2e"]
    assert lines[2].split() == ["search", "10.0", "0.0000110", "0.000600"]
    assert lines[3].split() == ["total", "10.0", "0.0000110", "0.000600"]


def test_numbers_have_no_exponent() -> None:
    values = [number(value) for value in (3.2e-9, 0.05, 99.95, 999.6, 1e7, -0.0)]
    assert values == ["0.00000000320", "0.0500", "100", "1,000", "10,000,000", "0"]
