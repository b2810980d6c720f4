"""Jobs that wait: started in their window, planned anew once, hastened when the queue is long."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from automl.cost import Cost
from automl.search.expectation import Expectation
from automl.trial import Candidate, Proposal, Trial
from scheduler.artifacts import ArtifactStore
from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.config import Settings
from scheduler.errors import ForecastUnavailable
from scheduler.plan import Plan, When
from scheduler.planner import MARGIN, plan
from scheduler.records import Job, JobState
from scheduler.service import Service
from scheduler.store import Store
from scheduler.waiting import (
    MAKES_WAY_SECONDS,
    hasten_urgent,
    makes_way_seconds,
    replan_waiting,
)
from tests.scheduler.conftest import NOW, add_ready_dataset
from tests.scheduler.test_service import ManualExecutor

HOUR = timedelta(hours=1)


@dataclass
class Source:
    """A forecast of one hour after the other, issued when the test says."""

    grams: list[float]
    issued_at: datetime = NOW
    asked: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    fails: bool = False

    name = "example"

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        self.asked.append((zone, start, end))
        if self.fails:
            raise ForecastUnavailable("the server is out of reach")
        return IntensitySeries(
            zone=zone,
            source="example",
            factor_type="lifecycle",
            issued_at=self.issued_at,
            readings=tuple(
                Reading(start=NOW + i * HOUR, end=NOW + (i + 1) * HOUR, grams_per_kwh=grams)
                for i, grams in enumerate(self.grams)
            ),
        )

    history = forecast

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        return self.forecast(zone, now, now + HOUR, now=now)


@pytest.fixture
def submit(store: Store, project: str) -> Callable[..., Job]:
    dataset = add_ready_dataset(store, project)

    def add(source: Source, *, hours: float = 1, finish_by: datetime | None = None) -> Job:
        seconds = hours * 3600
        expected = Expectation(
            cpu_seconds=seconds,
            p95_cpu_seconds=seconds,
            seconds=seconds,
            p95_seconds=seconds,
            joules=3.6e6,
        )
        when = When(policy="low_carbon", zone="DE", finish_by=finish_by)
        made = plan(when, expected, source.forecast("DE", NOW, NOW, now=NOW), now=NOW)
        return store.add_job(
            Job(
                id=uuid.uuid4().hex,
                project_id=project,
                dataset_id=dataset.id,
                request={"target": "y"},
                state=JobState.PLANNED,
                submitted_at=NOW,
                plan=made.to_json(),
                start_at=made.start_at,
                finish_by=finish_by,
                expected_seconds=seconds,
            ),
            max_queued=10_000,
        )

    return add


@pytest.fixture
def executor() -> ManualExecutor:
    return ManualExecutor()


@pytest.fixture
def service(
    store: Store, artifacts: ArtifactStore, settings: Settings, executor: ManualExecutor
) -> Any:
    made = Service(store, artifacts, settings, executor=executor, clock=lambda: NOW)
    yield made
    made.stop()


def test_a_job_starts_in_its_window(
    service: Service, store: Store, executor: ManualExecutor, submit: Callable[..., Job]
) -> None:
    job = submit(Source([400, 400, 200, 400, 400]))
    assert job.start_at == NOW + 2 * HOUR
    service.tick(NOW)
    service.tick(NOW + 2 * HOUR - timedelta(seconds=1))
    assert executor.started == []
    service.tick(NOW + 2 * HOUR)
    assert executor.started == [(job.id, 1)]


def test_a_newer_forecast_moves_a_waiting_job_and_an_old_one_does_not(
    store: Store, submit: Callable[..., Job]
) -> None:
    source = Source([400, 400, 200, 400, 400])
    job = submit(source)
    source.grams = [400, 400, 400, 100, 400]
    assert replan_waiting(store, source, zone="FR", now=NOW + HOUR / 2) == 0  # not issued anew
    source.issued_at = NOW + HOUR / 2
    assert replan_waiting(store, source, zone="FR", now=NOW + HOUR / 2) == 1
    moved = store.job(job.id)
    assert moved.start_at == NOW + 3 * HOUR
    assert moved.plan is not None
    assert Plan.from_json(moved.plan).grams_per_kwh == 100
    assert {zone for zone, _, _ in source.asked} == {"DE"}
    last = store.events(job.id)[-1].data
    assert last["start_at"] == (NOW + 3 * HOUR).isoformat()


def test_without_a_newer_forecast_the_old_plan_holds(
    store: Store, submit: Callable[..., Job]
) -> None:
    source = Source([400, 400, 200])
    job = submit(source)
    source.fails = True
    assert replan_waiting(store, source, zone="FR", now=NOW) == 0
    assert store.job(job.id).start_at == job.start_at


def test_a_long_job_makes_way_for_one_whose_deadline_is_near(
    service: Service, store: Store, executor: ManualExecutor, submit: Callable[..., Job]
) -> None:
    source = Source([400.0] * 30)
    long = submit(source, hours=4, finish_by=NOW + 20 * HOUR)
    service.tick(NOW)
    assert executor.started == [(long.id, 1)]
    short = submit(source, hours=1, finish_by=NOW + 1.21 * HOUR)
    service.tick(NOW + timedelta(seconds=20))
    asked = store.job(long.id)
    assert (asked.state, asked.yield_requested) == (JobState.RUNNING, True)
    now = NOW + timedelta(seconds=25)
    paused = store.pause_job(long.id, epoch=1, now=now, reason="makes way", until=now)
    assert (paused.yield_requested, paused.expected_seconds) == (False, 4 * 3600 - 25 / MARGIN)
    executor.futures[long.id].set_result({"state": "PAUSED"})
    service.tick(now)
    assert executor.started[1:] == [(short.id, 1)]
    store.finish_job(short.id, epoch=1, state=JobState.DONE, now=now + HOUR)
    executor.futures[short.id].set_result({"state": "DONE"})
    service.tick(now + HOUR)
    assert executor.started[2:] == [(long.id, 2)]


def test_a_running_job_is_asked_so_early_that_its_trial_can_end_first(
    service: Service, store: Store, executor: ManualExecutor, submit: Callable[..., Job]
) -> None:
    """Asked at the last tick only, one of a thousand made another miss its deadline."""
    long = submit(Source([400.0] * 30), hours=4, finish_by=NOW + 20 * HOUR)
    service.tick(NOW)
    store.heartbeat(long.id, epoch=1, lease_seconds=9 * 3600, now=NOW)
    due = NOW + 4 * HOUR
    submit(Source([400.0] * 2 + [100.0] * 28), hours=1, finish_by=due)
    latest = due - MARGIN * HOUR
    service.tick(latest - timedelta(seconds=MAKES_WAY_SECONDS + 60))
    assert not store.job(long.id).yield_requested
    service.tick(latest - timedelta(seconds=MAKES_WAY_SECONDS))
    assert store.job(long.id).yield_requested


def test_long_trials_are_reckoned_with(store: Store, submit: Callable[..., Job]) -> None:
    job = submit(Source([400.0] * 30), hours=4, finish_by=NOW + 20 * HOUR)
    claimed = store.claim_job(owner="w", lease_seconds=9, now=NOW)
    assert claimed is not None
    assert makes_way_seconds(store, [job.id]) == MAKES_WAY_SECONDS
    cost = Cost(cpu_seconds=1, joules=4, meter="cpu_time")
    proposal = Proposal(candidate=Candidate(model="linear"), rung="screening", n_rows=10)
    at = NOW
    for number, minutes in enumerate((1, 10, 2)):
        store.begin_trial(job.id, epoch=1, number=number, proposal=proposal, expected=cost, now=at)
        at += timedelta(minutes=minutes)
        trial = Trial(number=number, proposal=proposal, cost=cost, expected=cost, score=0.5)
        store.end_trial(job.id, epoch=1, trial=trial, now=at)
    assert makes_way_seconds(store, [job.id]) == 3 * 600


def test_what_is_left_of_a_job_keeps_the_margin_of_the_whole(
    store: Store, submit: Callable[..., Job]
) -> None:
    """Ten pauses of work that takes all of its margin leave all that is still to do."""
    job = submit(Source([400.0] * 30), hours=4, finish_by=NOW + 20 * HOUR)
    done, at = 0.0, NOW
    for epoch in range(1, 11):
        assert store.claim_job(owner="w", lease_seconds=9, now=at) is not None
        at, done = at + timedelta(minutes=20), done + 1200
        paused = store.pause_job(job.id, epoch=epoch, now=at, reason="x", until=at)
        assert MARGIN * (paused.expected_seconds or 0) == pytest.approx(MARGIN * 4 * 3600 - done)


def test_jobs_of_one_window_start_before_it_when_they_would_be_late(
    store: Store, submit: Callable[..., Job]
) -> None:
    """Five jobs of an hour whose best hour is the same, all due two hours after it."""
    source = Source([400.0] * 4 + [100.0] + [400.0] * 4)
    jobs = [submit(source, finish_by=NOW + 7 * HOUR) for _ in range(5)]
    assert {job.start_at for job in jobs} == {NOW + 4 * HOUR}
    given: Any = {"running": (), "n_processes": 1, "notice_seconds": 30.0}
    assert hasten_urgent(store, now=NOW, **given) == 0  # six hours of work with the margin
    assert hasten_urgent(store, now=NOW + HOUR, **given) == 5
    assert hasten_urgent(store, now=NOW + HOUR, **given) == 0
    told = store.events(jobs[0].id)[-1].data
    assert "would miss its deadline" in told["reason"]
    assert store.claim_job(owner="w", lease_seconds=9, now=NOW + HOUR) is not None
