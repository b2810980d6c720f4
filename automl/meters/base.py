"""Energy counters, and the one way to read them."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from automl.cost import Cost


class Meter(Protocol):
    """A counter of joules with an arbitrary origin that never falls.

    Subtraction happens in one place only, `measure`.
    """

    @property
    def name(self) -> str: ...

    def joules(self) -> float: ...


class Reading:
    """Filled in when the block ends."""

    cost: Cost


def cpu_seconds() -> float:
    """CPU-seconds of this process, all its threads, and its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@contextmanager
def measure(meter: Meter) -> Iterator[Reading]:
    """Measure a block.

    >>> from automl.meters.cpu_time import CpuTimeMeter
    >>> with measure(CpuTimeMeter()) as reading:
    ...     _ = sum(range(1000))
    >>> reading.cost.joules >= 0
    True
    """
    reading = Reading()
    wall, cpu, joules = time.perf_counter(), cpu_seconds(), meter.joules()
    try:
        yield reading
    finally:
        reading.cost = Cost(
            cpu_seconds=cpu_seconds() - cpu,
            joules=meter.joules() - joules,
            wall_seconds=time.perf_counter() - wall,
            meter=meter.name,
        )
