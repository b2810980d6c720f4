"""How long it takes to plan one job: `python -m benchmarks.carbon_planner`.

A forecast of 96 hours at 5-minute steps, every reading different; a job in one piece and one in
slots, of several lengths. Prints the middle and the worst CPU-milliseconds of a plan with its five
alternatives, each over a forecast that was just received, and ends with 1 where a plan in one
piece takes 5 ms or more in the middle.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from statistics import median

from automl.search.expectation import Expectation
from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.plan import LOW_CARBON, Plan, When
from scheduler.planner import plan

NOW = datetime(2026, 11, 23, 9, 2, 30, tzinfo=UTC)
STEP = timedelta(minutes=5)
HOURS = 96
MOST_MILLISECONDS = 5.0


def forecast(seed: int) -> IntensitySeries:
    """Days with a dip at noon, and noise at every step."""
    draw = random.Random(seed)
    first = NOW.replace(minute=0, second=0)
    n_steps = round(HOURS * 3600 / STEP.total_seconds())
    return IntensitySeries(
        zone="DE",
        source="made up",
        factor_type="lifecycle",
        issued_at=NOW,
        readings=tuple(
            Reading(
                start=first + i * STEP,
                end=first + (i + 1) * STEP,
                grams_per_kwh=350
                - 80 * math.cos(2 * math.pi * (i / 288 - 0.1))
                + draw.uniform(0, 60),
            )
            for i in range(n_steps)
        ),
    )


def planned(hours: float, *, interruptible: bool, seed: int) -> tuple[Plan, float]:
    """A plan and the CPU-milliseconds that it took."""
    series = forecast(seed)
    seconds = 3600 * hours
    expectation = Expectation(
        cpu_seconds=seconds,
        p95_cpu_seconds=seconds,
        seconds=seconds,
        p95_seconds=seconds,
        joules=4 * seconds,
        pause_seconds=30,
    )
    when = When(
        policy=LOW_CARBON, interruptible=interruptible, finish_by=NOW + timedelta(hours=HOURS - 1)
    )
    began = time.process_time()
    found = plan(when, expectation, series, now=NOW)
    return found, 1000 * (time.process_time() - began)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 where a plan in one piece takes too long."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.carbon_planner")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args(arguments)
    whole = time.process_time()
    worst = 0.0
    print("| job | in | slots | middle ms | worst ms |\n|---|---|---|---|---|")
    for hours in (0.1, 1.0, 4.0, 12.0, 24.0):
        for interruptible in (False, True):
            runs = [
                planned(hours, interruptible=interruptible, seed=n) for n in range(options.repeats)
            ]
            took = [milliseconds for _, milliseconds in runs]
            n_slots = median(len(found.slots) for found, _ in runs)
            kind = "slots" if interruptible else "one piece"
            print(f"| {hours:g} h | {kind} | {n_slots:g} | {median(took):.2f} | {max(took):.2f} |")
            if not interruptible:
                worst = max(worst, median(took))
    print(f"\n{time.process_time() - whole:.1f} CPU-seconds; the floor is {MOST_MILLISECONDS:g} ms")
    return int(worst >= MOST_MILLISECONDS)


if __name__ == "__main__":
    sys.exit(main())
