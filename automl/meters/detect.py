"""Which meter this machine can have, and how many watts a busy core is taken to draw."""

from __future__ import annotations

import csv
import importlib.util
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from automl.errors import MeterUnavailable
from automl.meters.base import Meter
from automl.meters.cpu_time import WATTS_PER_CORE, WATTS_PER_GB, CpuTimeMeter
from automl.meters.rapl import POWERCAP, RaplMeter

logger = logging.getLogger(__name__)
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, kw_only=True)
class CoreWatts:
    """Watts of one busy logical CPU, and where the figure is from."""

    watts: float
    source: str


def detect_meter(
    *,
    watts_per_core: float | None = None,
    watts_per_gb: float = WATTS_PER_GB,
    root: Path = POWERCAP,
    cpuinfo: Path = CPUINFO,
) -> Meter:
    """RAPL where it can be read, else CPU time; one log line says which and why.

    `watts_per_core` None looks the processor up (`core_watts`).
    """
    try:
        meter = RaplMeter(root=root)
    except MeterUnavailable as error:
        core = core_watts(cpuinfo=cpuinfo)
        if watts_per_core is not None:
            core = CoreWatts(watts=watts_per_core, source="settings")
        logger.info(
            "meter: cpu_time at %.3g W per core (%s), %.3g W per GB; no rapl: %s",
            core.watts,
            core.source,
            watts_per_gb,
            error,
        )
        return CpuTimeMeter(
            watts_per_core=core.watts, watts_per_gb=watts_per_gb, source=core.source
        )
    logger.info("meter: rapl, %s", ", ".join(meter.zones))
    return meter


def core_watts(*, cpuinfo: Path = CPUINFO, table: Path | None = None) -> CoreWatts:
    """Thermal design power over logical CPUs, if the model is in codecarbon's table; else 4 W.

    On a virtual machine the design power is shared with CPUs that cannot be seen from inside, so
    it is not used there. codecarbon is not imported, only its table is read.
    """
    try:
        text = cpuinfo.read_text()
    except OSError:
        return CoreWatts(watts=WATTS_PER_CORE, source="default: the processor is unknown")
    if re.search(r"^flags\s*:.*\bhypervisor\b", text, re.MULTILINE):
        return CoreWatts(watts=WATTS_PER_CORE, source="default: a virtual machine")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    table = _power_table() if table is None else table
    if model is None or table is None:
        return CoreWatts(watts=WATTS_PER_CORE, source="default: the processor is unknown")
    wanted = _plain(model.group(1))
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if _plain(row["Name"]) == wanted:
                sockets = set(re.findall(r"^physical id\s*:\s*(\d+)$", text, re.MULTILINE))
                n_logical = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
                watts = float(row["TDP"]) * max(len(sockets), 1)
                return CoreWatts(
                    watts=watts / (n_logical or os.cpu_count() or 1),
                    source=f"{watts:g} W design power of {row['Name']}",
                )
    return CoreWatts(watts=WATTS_PER_CORE, source="default: the processor is in no table")


def _power_table() -> Path | None:
    spec = importlib.util.find_spec("codecarbon")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "data" / "hardware" / "cpu_power.csv"
    return path if path.is_file() else None


def _plain(name: str) -> str:
    """A processor's name without marks, clock and filler.

    >>> _plain("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz") == _plain("Intel Core i7-8650U")
    True
    """
    name = re.sub(r"\((r|tm|c)\)|@.*$|\b(cpu|processor|\d+-core)\b", " ", name.lower())
    return " ".join(re.sub(r"with radeon.*$", " ", name).split())
