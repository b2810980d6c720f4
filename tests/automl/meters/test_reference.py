"""Our meter against codecarbon on the same work."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from automl.meters.base import measure
from automl.meters.cpu_time import CpuTimeMeter
from automl.meters.reference import Reference, reference


def burn(cpu_seconds: float) -> None:
    until = time.process_time() + cpu_seconds
    while time.process_time() < until:
        sum(i * i for i in range(10_000))


def test_trials_add_up_to_codecarbons_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of many short trials is within 5 % of the processor's joules of the job."""
    monkeypatch.chdir(tmp_path)
    meter = CpuTimeMeter(watts_per_core=6.0)
    costs = []
    with reference(watts_per_core=6.0) as job:
        for _ in range(25):
            with measure(meter) as trial:
                burn(0.2)
            costs.append(trial.cost)
    assert job.reason is None
    assert job.cpu_joules is not None
    trials = 6.0 * sum(cost.cpu_seconds for cost in costs)
    assert trials / job.cpu_joules == pytest.approx(1.0, abs=0.05)
    assert job.ram_joules is not None
    assert 0 < job.ram_joules < job.cpu_joules
    assert list(tmp_path.iterdir()) == [], "no file is written"


def test_a_reference_that_cannot_start_says_why_and_the_job_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with reference() as job:
        done = True
    assert done
    assert job == Reference(reason="codecarbon did not start: ModuleNotFoundError")
    assert job.to_json()["cpu_joules"] is None


def test_an_error_of_the_job_stays_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(KeyError), reference():
        raise KeyError
