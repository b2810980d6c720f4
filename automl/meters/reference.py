"""codecarbon beside our own meter: one process tracker per job."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from automl.cost import JOULES_PER_KWH
from automl.meters.cpu_time import WATTS_PER_CORE, WATTS_PER_GB, resident_gb


@dataclass(kw_only=True)
class Reference:
    """What codecarbon measured, filled in when the block ends; None with a reason otherwise.

    Processor and memory apart: the processor's joules are CPU-seconds x W and must agree with
    the sum of trials within 5 %; the memory's are a constant x wall time and grow with other
    people's load.
    """

    cpu_joules: float | None = None
    ram_joules: float | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for a receipt."""
        return {
            "tool": "codecarbon",
            "cpu_joules": self.cpu_joules,
            "ram_joules": self.ram_joules,
            "reason": self.reason,
        }


@contextmanager
def reference(
    *,
    watts_per_core: float = WATTS_PER_CORE,
    watts_per_gb: float = WATTS_PER_GB,
    country: str = "FRA",
) -> Iterator[Reference]:
    """Run a block under codecarbon's process tracker, with our constants.

    Nothing goes over the network and no file is written; a tracker that fails never fails the
    block. `country` only satisfies its constructor: grams are ours. The first tracker of a
    process takes about a second (0.6 CPU-seconds), outside the block's own measurement. Not
    seen by it: children that end within the block.
    """
    result = Reference()
    tracker = _start(result, watts_per_core, watts_per_gb, country)
    try:
        yield result
    finally:
        if tracker is not None:
            _stop(tracker, result)


def preload() -> None:
    """Pay for codecarbon's import and its look at the hardware once, for later forks too.

    About a second; starts no thread and leaves none running.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _tracker(watts_per_core=WATTS_PER_CORE, watts_per_gb=WATTS_PER_GB, country="FRA")


def _start(
    result: Reference, watts_per_core: float, watts_per_gb: float, country: str
) -> Any | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tracker = _tracker(
                watts_per_core=watts_per_core, watts_per_gb=watts_per_gb, country=country
            )
            tracker.start()
            # Its timers sample each second. A sample reads the clock, then scans all processes;
            # where Python code holds the interpreter that takes a second, and 5 CPU-seconds were
            # billed as 8. One reading at the start and one at the end are exact.
            tracker._scheduler.stop()
            tracker._scheduler_monitor_power.stop()
    except Exception as error:  # a foreign tool; the job goes on without it
        result.reason = f"codecarbon did not start: {type(error).__name__}"
        return None
    if getattr(tracker, "_start_time", None) is None:
        result.reason = "codecarbon did not start"
        return None
    return tracker


def _tracker(*, watts_per_core: float, watts_per_gb: float, country: str) -> Any:
    import psutil
    from codecarbon import OfflineEmissionsTracker

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    tracker = OfflineEmissionsTracker(
        country_iso_code=country,
        tracking_mode="process",
        # In this mode it bills force_cpu_power x CPU-seconds / (wall x logical CPUs).
        force_cpu_power=watts_per_core * (psutil.cpu_count() or 1),
        force_ram_power=max(watts_per_gb * resident_gb(), 1e-6),
        output_methods=[],
        gpu_ids=[],
        allow_multiple_runs=True,
        log_level="critical",
    )
    tracker.get_detected_hardware()
    return tracker


def _stop(tracker: Any, result: Reference) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tracker.stop()
            data = tracker.final_emissions_data
            result.cpu_joules = float(data.cpu_energy) * JOULES_PER_KWH
            result.ram_joules = float(data.ram_energy) * JOULES_PER_KWH
    except Exception as error:  # as above
        result.reason = f"codecarbon did not answer: {type(error).__name__}"
