"""Joules from CPU-seconds and memory, against the formula."""

from __future__ import annotations

import subprocess
import sys

import pytest

from automl.meters import cpu_time
from automl.meters.base import cpu_seconds
from automl.meters.cpu_time import CpuTimeMeter, resident_gb


def test_processor_joules_are_watts_times_cpu_seconds() -> None:
    meter = CpuTimeMeter(watts_per_core=7.0, watts_per_gb=0.0)
    outer, joules, inner = cpu_seconds(), meter.joules(), cpu_seconds()
    sum(i * i for i in range(1_000_000))
    inner = cpu_seconds() - inner
    joules = meter.joules() - joules
    outer = cpu_seconds() - outer
    assert 0 < inner <= outer
    assert 7.0 * inner * (1 - 1e-9) <= joules <= 7.0 * outer * (1 + 1e-9)


def test_memory_joules_are_a_trapezoid(monkeypatch: pytest.MonkeyPatch) -> None:
    gigabytes, seconds = [1.0], [50.0]
    monkeypatch.setattr(cpu_time, "resident_gb", lambda: gigabytes[0])
    monkeypatch.setattr("automl.meters.cpu_time.time.monotonic", lambda: seconds[0])
    meter = CpuTimeMeter(watts_per_core=0.0, watts_per_gb=0.5)
    gigabytes[0], seconds[0] = 3.0, 54.0
    assert meter.parts()[1] == pytest.approx(0.5 * 2.0 * 4.0)
    seconds[0] = 55.0
    assert meter.joules() == pytest.approx(4.0 + 0.5 * 3.0 * 1.0)


def test_finished_children_count() -> None:
    meter = CpuTimeMeter(watts_per_gb=0.0)
    before = meter.joules()
    code = "import time\nwhile time.process_time() < 0.6: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert meter.joules() - before > 4.0 * 0.5


def test_resident_memory_is_that_of_this_process() -> None:
    psutil = pytest.importorskip("psutil")
    assert resident_gb() == pytest.approx(psutil.Process().memory_info().rss / 1e9, rel=0.05)


@pytest.mark.parametrize("watts", [-1.0, float("nan"), float("inf")])
def test_watts_that_are_none_are_refused(watts: float) -> None:
    with pytest.raises(ValueError, match="watts"):
        CpuTimeMeter(watts_per_core=watts)
    with pytest.raises(ValueError, match="watts"):
        CpuTimeMeter(watts_per_gb=watts)


def test_the_receipt_has_the_constants() -> None:
    assert CpuTimeMeter(watts_per_core=2.5, source="settings").describe() == {
        "meter": "cpu_time",
        "watts_per_core": 2.5,
        "watts_per_gb": 0.375,
        "source": "settings",
    }
