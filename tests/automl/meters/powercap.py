"""A powercap tree in a folder, with counters that tests move."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class Powercap:
    """Writes what Linux would show below /sys/class/powercap and in /proc/stat."""

    def __init__(self, folder: Path) -> None:
        self.root, self.proc_stat = folder / "powercap", folder / "stat"
        self.root.mkdir()
        self._lock = threading.Lock()
        self.busy(0.0)

    def zone(self, folder: str, name: str, energy: int, *, wrap: int | None = 2**32) -> Path:
        path = self.root / folder
        path.mkdir()
        (path / "name").write_text(name + "\n")
        (path / "energy_uj").write_text(f"{energy}\n")
        if wrap is not None:
            (path / "max_energy_range_uj").write_text(f"{wrap}\n")
        return path

    def set(self, folder: str, energy: int) -> None:
        """Replaced in one step, as a counter is."""
        new = self.root / folder / f"new-{threading.get_ident()}"
        new.write_text(f"{energy}\n")
        new.replace(self.root / folder / "energy_uj")

    def advance(self, folder: str, energy: int) -> None:
        with self._lock:
            self.set(folder, int((self.root / folder / "energy_uj").read_text()) + energy)

    def busy(self, seconds: float) -> None:
        """Busy time of the machine: user, nice, system, idle, iowait, irq, softirq, steal."""
        ticks = int(seconds * os.sysconf("SC_CLK_TCK"))
        self.proc_stat.write_text(f"cpu  {ticks} 0 0 987654 1234 0 0 0 55 55\ncpu0 1 2 3\n")
