"""CPU-seconds and memory by the operating system, of this process and its finished children."""

from __future__ import annotations

import resource
import time


def cpu_seconds() -> float:
    """User and system time of all threads, and of children that were waited for."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mb() -> float:
    """The largest resident memory of this process or of one child, in MB (Linux counts in KB)."""
    return (
        max(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        / 1024
    )


def count_cpu() -> None:
    """From now on the clocks of this process count CPU-seconds, from the same origin.

    A peer's time limit is then what it may compute, however busy the machine is. Call it before
    the peer is imported. Not reached: clocks inside compiled code, and `datetime.now`.
    """
    for name in ("time", "monotonic", "perf_counter"):
        shift = getattr(time, name)() - cpu_seconds()
        setattr(time, name, lambda shift=shift: shift + cpu_seconds())
