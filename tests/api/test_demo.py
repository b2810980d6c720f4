"""The demo: its lines, and the whole of it as a user starts it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from api.client import JobEvent
from api.demo import show


def lines_of(*events: JobEvent) -> list[str]:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    for event in events:
        show(console, event)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def ended_trial(number: int, **values: Any) -> JobEvent:
    data = {
        "number": number,
        "candidate": {"model": "L15", "params": {}},
        "rung": "screening",
        "n_rows": 6600,
        "score": 0.1234,
        "cost": {"cpu_seconds": 0.256},
        "error": None,
        **values,
    }
    return JobEvent(seq=number + 1, kind="trial", data=data)


def test_a_trial_is_a_line_that_fits() -> None:
    failed = ended_trial(11, score=None, error="ValueError", rung="refinement", n_rows=1_000_000)
    first, second = lines_of(ended_trial(0), failed)
    expected = "trial 0 screening L15 6,600 rows AP 0.123 0.256 CPU-s"
    assert first.split() == expected.split()
    assert "failed" in second
    assert max(len(first), len(second)) <= 80


def test_the_end_says_why() -> None:
    end = JobEvent(seq=9, kind="end", data={"stop_reason": "3 trials in a row gained < 0.001"})
    assert "3 trials in a row gained < 0.001" in "\n".join(lines_of(end))


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from api.cli import main; main()", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=400)


@pytest.mark.slow
@pytest.mark.server
def test_the_demo_finds_the_fragile_and_repeats_itself(tmp_path: Path) -> None:
    arguments = ("--customers", "6000", "--seed", "3", "--data-dir", str(tmp_path))
    shown = demo(*arguments)
    assert shown.returncode == 0, shown.stderr
    for title in ("Leaderboard", "Picks", "Receipt", "What each table adds", "stopped:"):
        assert title in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80

    # The same again, on the same folder: the same data set, and the same search.
    done = demo(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["job"]["state"] == "DONE"
    picks = {pick: row for row in found["leaderboard"] for pick in row["picks"]}
    assert picks.keys() == {"recommended", "most_accurate", "most_frugal"}
    # The generator's rate is 1.5 %; chance would score about that.
    assert picks["recommended"]["score"] > 2 * 0.015
    steps = found["steps"]
    assert [len(one["tables"]) for one in steps] == [1, 2, 3]
    assert steps[0]["groups"] == []
    assert steps[2]["score"] > steps[0]["score"], "balances and contacts know what others do not"
    assert "customers + balances + contacts" in shown.stdout
    for name, row in picks.items():
        line = f"{row['model']} (trial {row['number']})"
        assert line in shown.stdout, f"another {name} on the second run"
