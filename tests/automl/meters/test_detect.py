"""Which meter, and whose watts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from automl.meters.cpu_time import CpuTimeMeter
from automl.meters.detect import core_watts, detect_meter
from automl.meters.rapl import RaplMeter
from tests.automl.meters.powercap import Powercap

DESKTOP = """processor\t: 0
model name\t: Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz
physical id\t: 0
flags\t\t: fpu vme sse
processor\t: 1
model name\t: Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz
physical id\t: 0
flags\t\t: fpu vme sse
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "cpu_power.csv"
    path.write_text("Name,TDP\nIntel Core i7-8650UX,99\nIntel Core i7-8650U,15\n")
    return path


def cpuinfo(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    return path


def test_design_power_is_shared_by_the_logical_cpus(tmp_path: Path, table: Path) -> None:
    core = core_watts(cpuinfo=cpuinfo(tmp_path, DESKTOP), table=table)
    assert core.watts == 7.5
    assert core.source == "15 W design power of Intel Core i7-8650U"
    two = DESKTOP + DESKTOP.replace("physical id\t: 0", "physical id\t: 1")
    assert core_watts(cpuinfo=cpuinfo(tmp_path, two), table=table).watts == 7.5


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (DESKTOP.replace("fpu vme", "fpu hypervisor vme"), "virtual machine"),
        (DESKTOP.replace("8650U", "1U"), "in no table"),
        ("Hardware : other\n", "unknown"),
    ],
)
def test_four_watts_where_the_design_power_says_nothing(
    tmp_path: Path, table: Path, text: str, why: str
) -> None:
    core = core_watts(cpuinfo=cpuinfo(tmp_path, text), table=table)
    assert core.watts == 4.0
    assert why in core.source


def test_no_cpuinfo_at_all(tmp_path: Path, table: Path) -> None:
    assert core_watts(cpuinfo=tmp_path / "none", table=table).watts == 4.0


def test_the_table_that_ships_with_codecarbon_is_found(tmp_path: Path) -> None:
    info = cpuinfo(tmp_path, DESKTOP.replace("i7-8650U CPU @ 1.90GHz", "i7-8700K"))
    core = core_watts(cpuinfo=info)
    assert core.watts == pytest.approx(95 / 2)


def test_rapl_where_it_can_be_read_else_cpu_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Powercap(tmp_path)
    info = cpuinfo(tmp_path, "")
    with caplog.at_level("INFO", logger="automl.meters.detect"):
        meter = detect_meter(root=machine.root, cpuinfo=info, watts_per_core=2.0)
        assert isinstance(meter, CpuTimeMeter)
        assert (meter.watts_per_core, meter.source) == (2.0, "settings")
        machine.zone("intel-rapl:0", "package-0", 1)
        assert isinstance(detect_meter(root=machine.root, cpuinfo=info), RaplMeter)
    assert len(caplog.messages) == 2
    assert "cpu_time at 2 W per core (settings)" in caplog.messages[0]
    assert "intel-rapl:0 package-0" in caplog.messages[1]


def test_codecarbon_is_not_imported() -> None:
    code = (
        "import sys; from automl.meters.detect import detect_meter; detect_meter();"
        "print([m for m in ('codecarbon', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
