"""What the service takes at rest: CPU and memory of its whole process tree.

    python -m benchmarks.idle

Starts a service on an empty data folder, waits until it has settled, and looks for a minute.
Exits with 1 when it takes more than promised.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import psutil

from api.local_service import LocalService

MAX_CPU_PERCENT = 0.5  # of one core
MAX_MEGABYTES = 150
SETTLE_SECONDS = 5.0


def usage(pid: int) -> tuple[float, float, int]:
    """CPU-seconds, megabytes and number of a process and its children."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    cpu = 0.0
    for member in family:
        times = member.cpu_times()
        cpu += times.user + times.system + times.children_user + times.children_system
    return cpu, sum(member.memory_info().rss for member in family) / 2**20, len(family)


def main() -> int:
    """Measure, print one JSON object, and say whether the promise is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, LocalService(Path(folder)) as service:
        with service.client() as client:
            client.jobs()
        time.sleep(SETTLE_SECONDS)
        before, _, _ = usage(service.process.pid)
        time.sleep(seconds)
        after, megabytes, n_processes = usage(service.process.pid)
    cpu_percent = 100 * (after - before) / seconds
    figures = {"cpu_percent": cpu_percent, "megabytes": megabytes, "processes": n_processes}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return int(cpu_percent >= MAX_CPU_PERCENT or megabytes > MAX_MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
