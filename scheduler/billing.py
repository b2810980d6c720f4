"""What the bill of a job is made from: its phases, the watts of its meter, codecarbon beside."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from automl.cost import ZERO, Cost
from scheduler.receipt import spent
from scheduler.records import StoredDataset
from scheduler.work import Work

if TYPE_CHECKING:
    from automl.meters.reference import Reference


def phases_of(work: Work, stored: StoredDataset) -> dict[str, Cost]:
    """Return what each phase took over all processes of the job, in the order to show."""
    ingest = {"ingest": stored.cost} if stored.cost is not None else {}
    phases = work.patiently(lambda: work.store.phases(work.job.id))
    found = spent(phases, epoch=work.epoch)
    order = [name for name in ("features", "search", "refit", "predict") if name in found]
    return ingest | {name: found.get(name, ZERO) for name in order}


def constants_of(meter: Any) -> dict[str, float]:
    """Return the watts that codecarbon is to use, which are ours where we use any."""
    names = ("watts_per_core", "watts_per_gb")
    return {name: getattr(meter, name) for name in names if hasattr(meter, name)}


def reference_of(constants: Mapping[str, float]) -> AbstractContextManager[Reference]:
    """Return codecarbon as it watches this process, with the same watts as the meter."""
    from automl.meters.cpu_time import WATTS_PER_CORE, WATTS_PER_GB
    from automl.meters.reference import reference

    return reference(
        watts_per_core=constants.get("watts_per_core", WATTS_PER_CORE),
        watts_per_gb=constants.get("watts_per_gb", WATTS_PER_GB),
    )


def processor_joules(cpu_seconds: float, constants: Mapping[str, float]) -> float | None:
    """Return the processor's part of a cost; a counter of the hardware cannot tell it apart."""
    watts = constants.get("watts_per_core")
    return None if watts is None else watts * cpu_seconds
