"""What every meter promises."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from automl.meters.base import Meter, measure
from automl.meters.cpu_time import CpuTimeMeter
from automl.meters.rapl import RaplMeter
from tests.automl.meters.powercap import Powercap


@pytest.fixture(params=["cpu_time", "rapl"])
def meter(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "cpu_time":
        return CpuTimeMeter()
    machine = Powercap(tmp_path)
    machine.zone("intel-rapl:0", "package-0", 1_000_000)
    machine.busy(100.0)
    meter = RaplMeter(root=machine.root, proc_stat=machine.proc_stat)

    class Ticking:
        """The same meter on a machine whose counters move at each reading."""

        name = meter.name

        def joules(self) -> float:
            machine.advance("intel-rapl:0", 50_000)
            return meter.joules()

    return Ticking()


def burn(n: int = 1_500_000) -> int:
    """Some 0.1 CPU-seconds: some kernels count in ticks of 4 or 10 ms."""
    return sum(i * i for i in range(n))


def test_never_falls_and_rises_with_work(meter: Meter) -> None:
    readings = []
    for _ in range(20):
        burn(100_000)
        readings.append(meter.joules())
    assert readings == sorted(readings)
    assert readings[-1] > readings[0] >= 0


def test_measuring_a_block(meter: Meter) -> None:
    with measure(meter) as reading:
        burn()
    assert reading.cost.meter == meter.name
    assert reading.cost.cpu_seconds > 0
    assert reading.cost.joules > 0
    assert reading.cost.wall_seconds > 0


def test_a_block_that_raises_is_measured_too(meter: Meter) -> None:
    measuring = measure(meter)
    reading = measuring.__enter__()
    burn()
    assert measuring.__exit__(RuntimeError, RuntimeError(), None) is False
    assert reading.cost.joules > 0


def test_blocks_add_up_to_the_whole(meter: Meter) -> None:
    with measure(meter) as whole:
        parts = []
        for _ in range(3):
            with measure(meter) as part:
                burn()
            parts.append(part.cost.joules)
    assert sum(parts) <= whole.cost.joules * 1.001


def test_readings_from_threads_do_not_break_it(meter: Meter) -> None:
    falls = []

    def read() -> None:
        last = 0.0
        for _ in range(100):
            now = meter.joules()
            falls.append(now < last)
            last = now

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(falls)
