"""The estimate for machines without a counter."""

from __future__ import annotations

import os
import threading
import time

from automl.meters.base import cpu_seconds

# codecarbon's own default for processors it does not know, W per logical CPU.
WATTS_PER_CORE = 4.0
# codecarbon 2, eco2ai; Green Algorithms has 0.3725 W per GB.
WATTS_PER_GB = 0.375

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class CpuTimeMeter:
    """CPU-seconds times the watts of a busy core, and resident memory times time.

    E = W_core x CPU-seconds (this process with all threads, and finished children)
    + W_gb x the integral of resident memory over wall time, by trapezoids between readings.
    Make it in the process that it measures, after any fork. Not promised: absolute joules. W_core
    is a convention; only ratios between pieces of work are good, and they do not depend on it.
    """

    name = "cpu_time"

    def __init__(
        self,
        *,
        watts_per_core: float = WATTS_PER_CORE,
        watts_per_gb: float = WATTS_PER_GB,
        source: str = "default",
    ) -> None:
        for name, watts in (("watts_per_core", watts_per_core), ("watts_per_gb", watts_per_gb)):
            if not 0 <= watts < float("inf"):
                raise ValueError(f"{name} is {watts}; watts are finite and not below 0")
        self.watts_per_core, self.watts_per_gb = watts_per_core, watts_per_gb
        self.source = source
        self._lock = threading.Lock()
        self._began = self._cpu = cpu_seconds()
        self._wall, self._resident = time.monotonic(), resident_gb()
        self._memory_joules = 0.0

    def joules(self) -> float:
        """Joules since the meter was made; never falls."""
        processor, memory = self.parts()
        return processor + memory

    def parts(self) -> tuple[float, float]:
        """Joules of the processor and of memory since the meter was made."""
        with self._lock:
            wall, resident = time.monotonic(), resident_gb()
            mean = (resident + self._resident) / 2
            self._memory_joules += self.watts_per_gb * mean * (wall - self._wall)
            self._wall, self._resident = wall, resident
            self._cpu = max(self._cpu, cpu_seconds())
            return self.watts_per_core * (self._cpu - self._began), self._memory_joules

    def describe(self) -> dict[str, object]:
        """Name and constants, for a receipt."""
        return {
            "meter": self.name,
            "watts_per_core": self.watts_per_core,
            "watts_per_gb": self.watts_per_gb,
            "source": self.source,
        }


def resident_gb() -> float:
    """Resident memory of this process in GB (1e9 bytes); about 10 microseconds on Linux."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE / 1e9
    except OSError:
        import psutil

        return float(psutil.Process().memory_info().rss) / 1e9
