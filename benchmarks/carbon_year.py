"""A year of jobs through the real store, service and planner, while the provider keeps failing.

The clock is simulated, the rest is not: jobs are planned and stored as the API does it, the
service's tick claims them, a provider on a local server answers in Energy-Charts' shape or fails
in one of eighteen ways, each for hours. Jobs take 0.5 to 1.15 times what was expected. The same
jobs, run at once and nearest deadline first, say which deadlines can be met at all: none of these
may be missed. Part of `python -m benchmarks.carbon`.
"""

from __future__ import annotations

import heapq
import logging
import random
import tempfile
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from automl.errors import DataError
from automl.search.expectation import Expectation
from benchmarks.fault_worker import project_data
from scheduler.artifacts import ArtifactStore
from scheduler.carbon.correction import corrected
from scheduler.carbon.energy_charts import EnergyCharts
from scheduler.carbon.fallback import Fallback
from scheduler.carbon.series import IntensitySource
from scheduler.carbon.typical import Typical
from scheduler.config import Settings
from scheduler.plan import When
from scheduler.planner import MARGIN, plan, span
from scheduler.planning import placed
from scheduler.records import Deadline, Job, JobState
from scheduler.service import Service
from scheduler.store import Store
from tests.contracts.providers import (
    DATA_FAULTS,
    PROVIDERS,
    TRANSPORT_FAULTS,
    World,
    serving,
    truth,
)
from tests.stores import hurried

START = datetime(2027, 1, 1, tzinfo=UTC)
ZONE = "DE"
TICK = timedelta(seconds=15)
# No longer than this is nothing looked at: a tick twenty times as slow as the service's.
STEP = timedelta(minutes=5)
REPLAN = timedelta(hours=1)  # the service asks six times as often
FAULTS = ("", *TRANSPORT_FAULTS, *DATA_FAULTS)
SHORTEST_SECONDS, LONGEST_SECONDS = 300.0, 4 * 3600.0
LONGEST_SLACK_HOURS = 24.0
OVERRUN = (0.5, 1.15)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job to be: when it comes, how long it takes, when it has to be done."""

    id: str
    submitted_at: datetime
    expected_seconds: float
    seconds: float
    finish_by: datetime


@dataclass(frozen=True, kw_only=True)
class Year:
    """What became of the jobs."""

    n_jobs: int
    n_refused: int  # with the earliest possible finish
    n_feasible: int  # deadlines that running at once meets
    n_missed: int  # of these, by waiting
    n_late: int  # of all accepted
    n_waited: int
    saving_percent: float  # beside the same jobs run at once
    forecasts: int  # asked for
    requests: int  # that reached the provider
    cpu_seconds: float


def tasks(n_jobs: int, *, days: float, seed: int) -> list[Task]:
    """Jobs at random moments of so many days, log-uniform in length."""
    rng = random.Random(seed)
    made = []
    for _ in range(n_jobs):
        at = START + timedelta(days=rng.uniform(0, days))
        expected = SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** rng.random()
        slack = timedelta(hours=rng.uniform(0, LONGEST_SLACK_HOURS), minutes=3)
        made.append(
            Task(
                id=uuid.UUID(int=rng.getrandbits(128)).hex,
                submitted_at=at,
                expected_seconds=expected,
                seconds=expected * rng.uniform(*OVERRUN),
                finish_by=at + timedelta(seconds=MARGIN * expected) + slack,
            )
        )
    return sorted(made, key=lambda task: task.submitted_at)


def at_once(given: list[Task]) -> dict[str, datetime]:
    """When each job ends that is run as soon as the process is free, nearest deadline first."""
    ends: dict[str, datetime] = {}
    queue: list[tuple[datetime, str]] = []
    by_id = {task.id: task for task in given}
    now, ahead = START, list(given)
    while ahead or queue:
        if not queue:
            now = max(now, ahead[0].submitted_at)
        while ahead and ahead[0].submitted_at <= now:
            task = ahead.pop(0)
            heapq.heappush(queue, (task.finish_by, task.id))
        _, job_id = heapq.heappop(queue)
        now += timedelta(seconds=by_id[job_id].seconds)
        ends[job_id] = now
    return ends


class Simulated:
    """An executor whose jobs end when the simulation says so."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.futures: dict[str, Future[Any]] = {}

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.started.append((args[0], args[1]))
        self.futures[args[0]] = Future()
        return self.futures[args[0]]

    def kill(self, job_id: str) -> None:
        raise AssertionError(f"job {job_id} was taken for dead")

    interrupt = kill

    def pid(self, job_id: str) -> int | None:
        return 1

    def release_idle(self, *, idle_seconds: float) -> bool:
        return False

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass


class Simulation:
    """The year, event by event: submissions, ends, windows, forecasts, and a tick after each."""

    def __init__(self, given: list[Task], *, folder: Path, world: World, url: str) -> None:
        self.given = {task.id: task for task in given}
        self.ahead = list(given)
        self.world = world
        settings = Settings.load(data_dir=folder, zone=ZONE, tick_seconds=STEP.total_seconds() / 2)
        self.store = hurried(Store(settings.resolved_database_url))
        self.store.migrate()
        self.project, self.dataset = project_data(self.store)
        self.source: IntensitySource = Fallback(
            [EnergyCharts(base_url=url, timeout=0.1)], typical=Typical(), correct=corrected
        )
        self.executor = Simulated()
        self.service = Service(
            self.store,
            ArtifactStore(str(folder / "artifacts")),
            settings,
            executor=self.executor,
            intensity=self.source,
            clock=lambda: self.world.now,
        )
        self.running: dict[str, tuple[int, datetime]] = {}  # epoch, end
        self.begun: dict[str, datetime] = {}
        self.running_since: dict[str, datetime] = {}
        self.left: dict[str, float] = {}  # seconds, of jobs that made way
        self.stretches: list[tuple[datetime, datetime]] = []  # in which something ran
        self.ends: dict[str, datetime] = {}
        self.n_refused = self.n_forecasts = 0

    def run(self, *, seed: int) -> None:
        """Until every job has ended."""
        rng = random.Random(seed)
        fault_ends, replans = START, START + REPLAN
        while self.ahead or self.running or self.store.deadlines():
            now = self.world.now
            if now >= fault_ends:
                self.world.fault = rng.choice(FAULTS)
                fault_ends = now + timedelta(hours=rng.uniform(2, 10))
            while self.ahead and self.ahead[0].submitted_at <= now:
                self._submit(self.ahead.pop(0))
            self._end(now)
            if now >= replans:
                self.service.replan(now)
                replans = now + REPLAN
            self._tick(now)
            self.world.now = self._next(now, replans)

    def _submit(self, task: Task) -> None:
        now = self.world.now
        seconds = task.expected_seconds
        expected = Expectation(
            cpu_seconds=seconds,
            p95_cpu_seconds=seconds,
            seconds=seconds,
            p95_seconds=seconds,
            joules=4 * seconds,
        )
        when = When(policy="low_carbon", zone=ZONE, finish_by=task.finish_by)
        start, end = span(when, expected, now=now)
        self.n_forecasts += 1
        series = self.source.forecast(ZONE, start, end, now=now)
        try:
            made = plan(when, expected, series, now=now)
        except DataError:
            self.n_refused += 1
            return
        self.store.add_job(
            placed(
                Job(
                    id=task.id,
                    project_id=self.project,
                    dataset_id=self.dataset,
                    request={"target": "y"},
                    state=JobState.SUBMITTED,
                    submitted_at=now,
                ),
                made,
            ),
            max_queued=10**6,
        )

    def _end(self, now: datetime) -> None:
        for job_id, (epoch, end) in list(self.running.items()):
            if end <= now:
                del self.running[job_id]
                self.store.finish_job(job_id, epoch=epoch, state=JobState.DONE, now=now)
                self.ends[job_id] = end
                self.stretches.append((self.running_since.pop(job_id), end))
                self.executor.futures[job_id].set_result({"state": "DONE"})

    def _tick(self, now: datetime) -> None:
        for job_id, (epoch, end) in list(self.running.items()):  # as its process does
            job = self.store.heartbeat(job_id, epoch=epoch, lease_seconds=3600, now=now)
            if job.yield_requested:
                self.left[job_id] = (end - now).total_seconds()
                self.stretches.append((self.running_since.pop(job_id), now))
                del self.running[job_id]
                self.store.pause_job(job_id, epoch=epoch, now=now, reason="makes way", until=now)
                self.executor.futures[job_id].set_result({"state": "PAUSED"})
        self.service.tick(now)
        for job_id, epoch in self.executor.started:
            length = timedelta(seconds=self.left.pop(job_id, self.given[job_id].seconds))
            self.running[job_id] = epoch, now + length
            self.running_since[job_id] = now
            self.begun.setdefault(job_id, now)
            self.store.heartbeat(job_id, epoch=epoch, lease_seconds=3600, now=now)
        self.executor.started.clear()

    def _next(self, now: datetime, replans: datetime) -> datetime:
        """The next moment at which something can happen; ticks stand at every 15 s."""
        deadlines: list[Deadline] = self.store.deadlines()
        moments = [end for _, end in self.running.values()]
        moments += [task.submitted_at for task in self.ahead[:1]]
        if deadlines:
            moments += [min(replans, now + timedelta(hours=1))]
            moments += [one.start_at for one in deadlines if one.start_at > now]
            # Between two moments the queue may become urgent: no later than the tightest allows.
            moments += [now + STEP]
        return max(min(moments, default=now + TICK), now + TICK)


def grams(start: datetime, end: datetime) -> float:
    """Seconds times the intensity that was, in steps of a minute."""
    total, at = 0.0, start
    while at < end:
        until = min(end, at + timedelta(minutes=1))
        total += (until - at).total_seconds() * truth(at)
        at = until
    return total


def simulate(n_jobs: int, *, days: float, seed: int) -> Year:
    """Run the jobs both ways, and compare."""
    logging.disable(logging.WARNING)
    given = tasks(n_jobs, days=days, seed=seed)
    world = World(now=START)
    began = time.process_time()
    provider = next(one for one in PROVIDERS if one.make is EnergyCharts)
    try:
        with tempfile.TemporaryDirectory() as folder, serving(provider, world) as url:
            year = Simulation(given, folder=Path(folder), world=world, url=url)
            year.run(seed=seed)
            year.store.close()
    finally:
        logging.disable(logging.NOTSET)
    accepted = [task for task in given if task.id in year.ends]
    soonest = at_once(accepted)
    feasible = [task for task in accepted if soonest[task.id] <= task.finish_by]
    waited = sum(grams(start, end) for start, end in year.stretches)
    now = sum(
        grams(soonest[task.id] - timedelta(seconds=task.seconds), soonest[task.id])
        for task in accepted
    )
    return Year(
        n_jobs=n_jobs,
        n_refused=year.n_refused,
        n_feasible=len(feasible),
        n_missed=sum(year.ends[task.id] > task.finish_by for task in feasible),
        n_late=sum(year.ends[task.id] > task.finish_by for task in accepted),
        n_waited=sum(
            year.begun[task.id] - task.submitted_at > timedelta(minutes=30) for task in accepted
        ),
        saving_percent=100 * (1 - waited / now),
        forecasts=year.n_forecasts,
        requests=len(world.requests),
        cpu_seconds=time.process_time() - began,
    )


if __name__ == "__main__":
    print(simulate(1000, days=365, seed=0))
