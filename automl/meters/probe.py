"""How fast this machine is, by one small piece of work of a known size."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from automl.cost import Cost
from automl.meters.base import Meter, measure

# Sorting and adding up by codes is what fits mostly do. 2 ms each, so the whole is about 10 ms of
# CPU.
N_ROWS, N_COLUMNS, N_REPEATS = 10_000, 4, 5


def probe(meter: Meter) -> Cost:
    """What a fixed piece of work takes on this machine, as it is now.

    A cost model says what it took on the machine that it was fitted on (`probe_seconds`).

    >>> from automl.meters.cpu_time import CpuTimeMeter
    >>> probe(CpuTimeMeter()).cpu_seconds > 0
    True
    """
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(N_ROWS, N_COLUMNS)).astype(np.float32)
    repeats: list[float] = []
    with measure(meter) as whole:
        for _ in range(N_REPEATS):
            began = time.perf_counter()
            _work(cells)
            repeats.append(time.perf_counter() - began)
    # One thread that nothing interrupts takes as long by the wall as by its core. Some kernels
    # count CPU time in ticks of 4 ms, twice what a repeat takes; and the first pays for its memory.
    seconds = sorted(repeats)[1]
    joules = whole.cost.joules / max(whole.cost.cpu_seconds, seconds)
    return replace(
        whole.cost,
        cpu_seconds=seconds,
        joules=joules * seconds,
        wall_seconds=whole.cost.wall_seconds / N_REPEATS,
    )


def _work(cells: npt.NDArray[np.float32]) -> float:
    total = 0.0
    for j in range(cells.shape[1]):
        order = np.argsort(cells[:, j])
        codes = np.empty(len(order), dtype=np.intp)
        codes[order] = np.arange(len(order)) * 255 // len(order)
        total += float(np.bincount(codes, weights=cells[:, 0]).max())
    return total
