"""What is shown of a job while one waits for it, and jobs as one holds them."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from api.client import FrugalClient, Job, JobFailed
from api.client_calls import JobEvent
from api.client_watch import Progress, Shown
from tests.api.script import Script, event_stream, reply

JOB = {"id": "a", "request": {"limits": {"cpu_seconds": 10.0, "trials": None}}}


def trial(number: int, score: float | None, *, rung: str = "screening", **more: Any) -> JobEvent:
    data = {
        "number": number,
        "candidate": {"model": "lightgbm"},
        "rung": rung,
        "n_rows": 1000,
        "score": score,
        "cost": {"cpu_seconds": 2.0, "joules": 8.0},
        "error": None if score is not None else "ValueError",
        **more,
    }
    return JobEvent(seq=number + 1, kind="trial", data=data)


def state(name: str, **more: Any) -> JobEvent:
    return JobEvent(seq=1, kind="state", data={"state": name, **more})


def test_only_what_got_better_or_failed_is_a_line() -> None:
    limits = {"cpu_seconds": 10.0}
    seen = Progress({"id": "a", "request": {"limits": limits, "objective": {"metric": "roc_auc"}}})
    told = [
        seen.told(one)
        for one in (trial(0, 0.5), trial(1, 0.4), trial(2, 0.6), trial(3, None),
                    trial(4, 0.3, rung="final", eta_seconds=70.0))
    ]  # fmt: skip
    assert [len(one) for one in told] == [1, 0, 1, 1, 1]  # a new rung begins anew
    assert "AUC 0.600" in told[2][0]
    assert told[3][0].endswith("failed")
    line = seen.line()
    for word in ("final", "5 trials, 1 failed", "40 J", "best AUC 0.300", "at most 1 min left"):
        assert word in line
    assert seen.share() == ("of 10 CPU-s", 1.0)


def test_why_it_waits_is_said_once() -> None:
    seen = Progress(JOB)
    waits = state("PLANNED", reason="waits until 13:00 (384 -> 296 g/kWh)")
    assert seen.told(waits) == ["waits until 13:00 (384 -> 296 g/kWh)"]
    assert seen.told(waits) == []
    assert seen.told(state("PAUSED", reason="paused by the user")) == ["paused: paused by the user"]
    assert "is kept" in seen.told(state("RUNNING", cancel_requested=True))[0]
    assert seen.share() == ("of 10 CPU-s", 0.0)


@pytest.mark.parametrize("terminal", [True, False])
def test_it_is_shown_within_80_columns(terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal, highlight=False)
    with Shown(JOB, console) as shown:
        for event in (state("RUNNING"), trial(0, 0.5), trial(1, None)):
            shown(event)
    file = console.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue()
    assert "AP" in text or "score 0.500" in text
    assert ("\x1b[" in text) is terminal
    if not terminal:
        assert max(map(len, text.splitlines())) <= 80


def ended(script: Script, name: str, **more: Any) -> None:
    script.add("GET /v1/jobs/a/events", event_stream({"seq": 1, "kind": "end", "data": {}}))
    script.add("GET /v1/jobs/a/events", (204, {}, b""))
    script.add("GET /v1/jobs/a", reply(200, {"id": "a", "state": name, **more}))


def test_a_job_is_waited_for_and_read(client: FrugalClient, script: Script) -> None:
    script.add("POST /v1/jobs", reply(202, {"id": "a", "state": "SUBMITTED", "model": "m"}))
    ended(script, "DONE", model="m")
    job = client.submit({"target": "y"})
    assert (job["id"], job.ended) == ("a", False)
    assert job.wait(progress=False) is job
    assert (job.state, job.ended, job["model"]) == ("DONE", True, "m")
    page = {"items": [{"number": 0, "score": 0.5}], "total": 1}
    script.add("GET /v1/jobs/a/leaderboard", reply(200, page))
    board = job.leaderboard()
    assert isinstance(board, pd.DataFrame)
    assert board.score.tolist() == [0.5]


def test_a_job_without_a_model_is_an_error(client: FrugalClient, script: Script) -> None:
    ended(script, "FAILED", problem={"detail": "no trial ended"}, model="m")
    with pytest.raises(JobFailed, match="no trial ended") as caught:
        Job(client, {"id": "a", "state": "RUNNING"}).wait(progress=False)
    assert caught.value.code == "job_failed"
    assert caught.value.job["state"] == "FAILED"
