"""The processor's own energy counters, through Linux's powercap files."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from automl.errors import MeterUnavailable
from automl.meters.base import cpu_seconds

POWERCAP = Path("/sys/class/powercap")
PROC_STAT = Path("/proc/stat")


@dataclass(kw_only=True)
class _Zone:
    """One counter in microjoules that starts again at `wrap`."""

    path: Path
    name: str
    wrap: int
    last: int

    def advance(self) -> int:
        """Microjoules since the last call."""
        now = _read(self.path / "energy_uj")
        gone = now - self.last
        self.last = now
        return gone if gone >= 0 else max(gone + self.wrap, 0)


class RaplMeter:
    """Joules of all packages and their memory, times this process's share of the busy CPU.

    The share is the CPU time of this process and its finished children over all busy time of the
    machine between two readings, so idle power is billed to whoever works, by CPU time. Readings
    closer than the kernel's tick (10 ms) count as alone on the machine. Packages that mirror one
    another, and the second interface to the same package, are counted once.

    Parameters
    ----------
    root : Path
        The powercap folder; another one in tests.
    proc_stat : Path
        Where the machine's busy time is read.

    Raises
    ------
    MeterUnavailable
        No readable package counter: current kernels let only root read them (CVE-2020-8694).
    """

    name = "rapl"

    def __init__(self, *, root: Path = POWERCAP, proc_stat: Path = PROC_STAT) -> None:
        self._proc_stat = proc_stat
        self._lock = threading.Lock()
        self._zones = _zones(root)
        self._busy, self._own = _busy_seconds(proc_stat), cpu_seconds()
        self._joules = 0.0

    def joules(self) -> float:
        """Joules of this process since the meter was made; never falls."""
        with self._lock:
            spent = sum(zone.advance() for zone in self._zones) / 1e6
            busy, own = _busy_seconds(self._proc_stat), cpu_seconds()
            mine = max(own - self._own, 0.0)
            everyones = max(busy - self._busy, mine)
            if everyones > 0:
                self._joules += spent * mine / everyones
            self._busy, self._own = busy, own
            return self._joules

    @property
    def zones(self) -> list[str]:
        """The counters that are summed, by folder and name."""
        return [zone.name for zone in self._zones]

    def describe(self) -> dict[str, object]:
        """Name and counters, for a receipt."""
        return {"meter": self.name, "zones": self.zones}


def _zones(root: Path) -> list[_Zone]:
    """Each package once, and its memory where that is a counter of its own."""
    packages: list[_Zone] = []
    memory: list[_Zone] = []
    try:
        # intel-rapl before intel-rapl-mmio, a second interface to the same packages.
        folders = sorted(root.glob("*rapl*:*"), key=lambda path: (path.name.count("-"), path.name))
        for folder in folders:
            name = (folder / "name").read_text().strip()
            nested = folder.name.count(":") > 1
            if not (name.startswith("package") if not nested else name == "dram"):
                continue
            zone = _Zone(
                path=folder,
                name=f"{folder.name} {name}",
                wrap=_wrap(folder),
                last=_read(folder / "energy_uj"),
            )
            if nested:
                memory.append(zone)
            elif not any(_mirrors(zone, kept) for kept in packages):
                packages.append(zone)
    except OSError as error:
        raise MeterUnavailable(
            f"the energy counters cannot be read: {type(error).__name__}"
        ) from None
    if not packages:
        raise MeterUnavailable("this machine shows no package energy counter")
    kept = {zone.path.name for zone in packages}
    return packages + [zone for zone in memory if zone.path.name.rpartition(":")[0] in kept]


def _mirrors(zone: _Zone, other: _Zone) -> bool:
    """Whether two packages are one: the same name, or the same count read around the other."""
    if zone.path.name.partition(":")[0] != other.path.name.partition(":")[0]:
        return zone.name.split()[-1] == other.name.split()[-1]
    before = _read(other.path / "energy_uj")
    between = _read(zone.path / "energy_uj")
    return before <= between <= _read(other.path / "energy_uj")


def _wrap(folder: Path) -> int:
    try:
        return _read(folder / "max_energy_range_uj")
    except FileNotFoundError:
        return 0


def _read(path: Path) -> int:
    return int(path.read_text())


def _busy_seconds(proc_stat: Path) -> float:
    """Busy CPU-seconds of the whole machine since it started: all but idle and waiting."""
    fields = proc_stat.read_text().split("\n", 1)[0].split()[1:]
    ticks = [int(field) for field in fields[:8]]
    return float(sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
