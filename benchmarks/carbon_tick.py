"""How long a tick takes with 10,000 jobs that wait for their windows.

The real service over a SQLite store on disk, with an executor that starts nothing. A tick when
nothing is due, one at which a window opens, and a round of planning all of them again by a newer
forecast, which the service does every ten minutes and apart from its tick. Part of
`python -m benchmarks.carbon`.
"""

from __future__ import annotations

import random
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import insert, select

from automl.search.expectation import Expectation
from benchmarks.carbon_year import Simulated
from benchmarks.fault_worker import project_data
from scheduler.artifacts import ArtifactStore
from scheduler.carbon.typical import Typical
from scheduler.config import Settings
from scheduler.plan import When
from scheduler.planner import plan
from scheduler.records import Job, JobState
from scheduler.service import Service
from scheduler.store import Store
from scheduler.tables import jobs

NOW = datetime(2026, 6, 1, 0, 10, tzinfo=UTC)
ZONE = "DE"
SECONDS = 20.0  # of a job; 10,000 of them fill two and a half days


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """CPU-seconds in the middle of several rounds."""

    n_jobs: int
    idle: float
    starting: float
    replanning: float


def measure(n_jobs: int, *, rounds: int = 5, seed: int = 4) -> Ticks:
    """Fill a queue and look at it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(data_dir=Path(folder), zone=ZONE)
        store = Store(settings.resolved_database_url)
        store.migrate()
        _fill(store, n_jobs, seed=seed)
        service = Service(
            store,
            ArtifactStore(str(Path(folder) / "artifacts")),
            settings,
            executor=Simulated(),
            intensity=Typical(),
            clock=lambda: NOW,
        )
        idle = _middle(lambda i: service.tick(NOW + i * timedelta(seconds=15)), rounds)
        replanning = _middle(lambda i: service.replan(NOW + i * timedelta(minutes=10)), 2)
        opens = min(one.start_at for one in store.deadlines())
        starting = _middle(lambda i: service.tick(opens + i * timedelta(seconds=15)), 1)
        if not service.running():
            raise AssertionError("no job started when its window opened")
        store.close()
    return Ticks(n_jobs=n_jobs, idle=idle, starting=starting, replanning=replanning)


def _middle(act: Callable[[int], object], rounds: int) -> float:
    taken = []
    for i in range(rounds):
        began = time.process_time()
        act(i)
        taken.append(time.process_time() - began)
    return median(taken)


def _fill(store: Store, n_jobs: int, *, seed: int) -> None:
    """Jobs with deadlines in the week after next, so that all of them may wait."""
    draw = random.Random(seed)
    expected = Expectation(
        cpu_seconds=SECONDS,
        p95_cpu_seconds=SECONDS,
        seconds=SECONDS,
        p95_seconds=SECONDS,
        joules=4 * SECONDS,
    )
    series = Typical().forecast(ZONE, NOW, NOW + timedelta(days=7), now=NOW)
    project_id, dataset_id = project_data(store)
    made = []
    for _ in range(50):
        finish_by = NOW + timedelta(days=7 + 7 * draw.random())
        when = When(policy="low_carbon", zone=ZONE, finish_by=finish_by)
        made.append((finish_by, plan(when, expected, series, now=NOW)))
    finish_by, first = made[0]
    store.add_job(
        Job(
            id=uuid.UUID(int=draw.getrandbits(128)).hex,
            project_id=project_id,
            dataset_id=dataset_id,
            request={"target": "y"},
            state=JobState.PLANNED,
            submitted_at=NOW,
            plan=first.to_json(),
            start_at=first.start_at,
            finish_by=finish_by,
            expected_seconds=SECONDS,
        ),
        max_queued=10**6,
    )
    # One was stored as the service does it; the others are its like, all at once.
    with store.engine.begin() as connection:
        row = dict(connection.execute(select(jobs)).mappings().one())
        rows = []
        for i in range(1, n_jobs):
            finish_by, one = made[i % len(made)]
            rows.append(
                {
                    **row,
                    "id": uuid.UUID(int=draw.getrandbits(128)).hex,
                    "plan": one.to_json(),
                    "start_at": one.start_at,
                    "finish_by": finish_by,
                }
            )
        connection.execute(insert(jobs), rows)


if __name__ == "__main__":
    print(measure(10_000))
