"""RAPL counters on a fake machine whose truth is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.errors import MeterUnavailable
from automl.meters import rapl
from automl.meters.rapl import RaplMeter
from tests.automl.meters.powercap import Powercap


@pytest.fixture
def machine(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """CPU-seconds of this process, as the test says."""
    seconds = [10.0]
    monkeypatch.setattr(rapl, "cpu_seconds", lambda: seconds[0])
    return seconds


def made(machine: Powercap) -> RaplMeter:
    return RaplMeter(root=machine.root, proc_stat=machine.proc_stat)


def test_energy_is_shared_by_cpu_time(machine: Powercap, own: list[float]) -> None:
    machine.zone("intel-rapl:0", "package-0", 5_000_000)
    machine.busy(100)
    meter = made(machine)
    machine.set("intel-rapl:0", 25_000_000)
    machine.busy(104)
    own[0] += 1
    assert meter.joules() == pytest.approx(20 / 4)
    # Nothing of one's own: nothing billed.
    machine.set("intel-rapl:0", 45_000_000)
    machine.busy(108)
    assert meter.joules() == pytest.approx(5)
    # A reading within a tick of the kernel: all of it, never more.
    machine.set("intel-rapl:0", 46_000_000)
    own[0] += 0.001
    assert meter.joules() == pytest.approx(6)


def test_idle_and_waiting_are_not_busy(machine: Powercap) -> None:
    machine.busy(12)
    assert rapl._busy_seconds(machine.proc_stat) == pytest.approx(12)


def test_a_counter_that_starts_again(machine: Powercap, own: list[float]) -> None:
    machine.zone("intel-rapl:0", "package-0", 262_143_000_000, wrap=262_143_328_850)
    meter = made(machine)
    machine.set("intel-rapl:0", 671_150)
    own[0] += 1
    assert meter.joules() == pytest.approx(1.0)


def test_a_counter_that_was_reset_without_a_range_adds_nothing(
    machine: Powercap, own: list[float]
) -> None:
    machine.zone("intel-rapl:0", "package-0", 5_000_000, wrap=None)
    meter = made(machine)
    machine.set("intel-rapl:0", 1_000_000)
    own[0] += 1
    assert meter.joules() == 0
    machine.set("intel-rapl:0", 3_000_000)
    own[0] += 1
    assert meter.joules() == pytest.approx(2)


def test_packages_and_their_memory_count_cores_and_platform_do_not(
    machine: Powercap, own: list[float]
) -> None:
    for folder, name in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "uncore"),
        ("intel-rapl:0:2", "dram"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:1:0", "dram"),
        ("intel-rapl:2", "psys"),
    ):
        machine.zone(folder, name, 1000 * len(list(machine.root.iterdir())))
    meter = made(machine)
    assert meter.zones == [
        "intel-rapl:0 package-0",
        "intel-rapl:1 package-1",
        "intel-rapl:0:2 dram",
        "intel-rapl:1:0 dram",
    ]
    for path in machine.root.iterdir():
        machine.advance(path.name, 1_000_000)
    own[0] += 1
    assert meter.joules() == pytest.approx(4)


def test_mirrored_packages_count_once(machine: Powercap, own: list[float]) -> None:
    machine.zone("intel-rapl:0", "package-0", 7_000_000)
    machine.zone("intel-rapl:1", "package-1", 7_000_000)  # the same counter again
    machine.zone("intel-rapl:1:0", "dram", 500)
    machine.zone("intel-rapl-mmio:0", "package-0", 6_900_000)  # another way to the first
    meter = made(machine)
    assert meter.zones == ["intel-rapl:0 package-0"]


def test_no_counter_or_none_that_may_be_read(
    machine: Powercap, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MeterUnavailable, match="no package"):
        made(machine)
    with pytest.raises(MeterUnavailable, match="no package"):
        RaplMeter(root=machine.root / "nowhere", proc_stat=machine.proc_stat)
    machine.zone("intel-rapl:0", "package-0", 7_000_000)

    def refused(path: Path) -> int:
        raise PermissionError(str(path))  # what a kernel does to others than root

    monkeypatch.setattr(rapl, "_read", refused)
    with pytest.raises(MeterUnavailable, match="PermissionError"):
        made(machine)
