"""CPU-seconds and memory by the operating system, of this process and its finished children."""

from __future__ import annotations

import resource


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
