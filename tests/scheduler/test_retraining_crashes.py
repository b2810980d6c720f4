"""A service that dies at any point of a night: the next one goes on, and nothing is done twice."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.ledger import LedgerFilter
from scheduler.local_days import local_time
from scheduler.records import Job, JobState, Model
from scheduler.records_schedules import Run, RunState, Schedule, ScheduleState
from scheduler.retraining import Retraining, window_of
from scheduler.store import Store
from tests.scheduler.conftest import add_ready_dataset
from tests.stores import hurried

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DUE = datetime(2026, 6, 2, 0, 30, tzinfo=UTC)
NUMBERS = {
    "n_new_rows": 900,
    "n_new_labels": 900,
    "n_new_positive": 90,
    "drift": None,
    "decay": None,
    "histograms": {"training": {"columns": {}, "scores": {}}, "new": None},
    "cost": {"cpu_seconds": 2.0, "joules": 9.0, "wall_seconds": 3.0, "meter": "cpu_time"},
}
REQUEST = {
    "model": "bank-y",
    "job": None,
    "at": {"start": "02:30", "finish_by": None, "hours": 4.0},
    "time_zone": "Europe/Paris",
    "feed": {"dataset": None, "folder": None},
    "gate": {},
    "promote": "auto",
    "when": {"policy": "now"},
    "webhook": "https://hooks.example/x",
}


class Crash(BaseException):
    """The process is killed here."""


class Dying:
    """A store whose user is killed before, or just after, one of its calls."""

    def __init__(self, store: Store, *, at: int, after: bool) -> None:
        self._store, self._at, self._after = store, at, after
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            dies = len(self.calls) == self._at
            if dies and not self._after:
                raise Crash
            result = method(*args, **kwargs)
            if dies:
                raise Crash
            return result

        return call


class Reader:
    def admit(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"warnings": [], "excluded": []}

    def accept(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is fed here")


def finish(store: Store, job: Job, *, result: dict[str, Any]) -> None:
    claimed = store.claim_job(owner="w", lease_seconds=60, now=DUE + timedelta(hours=1))
    assert claimed is not None
    assert claimed.id == job.id
    store.finish_job(
        job.id,
        epoch=claimed.epoch,
        state=JobState.DONE,
        now=DUE + timedelta(hours=1),
        result=result,
        model=Model(
            id=uuid.uuid4().hex,
            project_id=job.project_id,
            name="bank-y",
            version=0,
            job_id=job.id,
            dataset_id=job.dataset_id,
            created_at=START,
            artifact=f"models/{uuid.uuid4().hex}",
            sha256="0" * 64,
            card={},
        ),
    )


@pytest.fixture
def schedule(store: Store, project: str) -> Schedule:
    dataset = add_ready_dataset(store, project)
    job = Job(
        id=uuid.uuid4().hex,
        project_id=project,
        dataset_id=dataset.id,
        request={"target": "y"},
        state=JobState.SUBMITTED,
        submitted_at=START,
        model_name="bank-y",
    )
    store.add_job(job, max_queued=9)
    finish(store, job, result={})
    return store.add_schedule(
        Schedule(
            id=uuid.uuid4().hex,
            project_id=project,
            name="nightly",
            request=REQUEST,
            state=ScheduleState.ACTIVE,
            created_at=START,
            next_at=DUE,
            next_date="2026-06-02",
        ),
        actor="test",
    )


def killed(
    own: Store, artifacts: ArtifactStore, settings: Settings, *, at: int, after: bool, now: datetime
) -> bool:
    """Whether a service died at one of its calls, rather than ending before."""
    dying: Any = Dying(own, at=at, after=after)
    try:
        Retraining(dying, artifacts, settings, Reader(), clock=lambda: now).due(now)
    except Crash:
        return True
    return False


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("worth", [False, True])
def test_a_death_at_every_call_of_a_night(
    schedule: Schedule,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    worth: bool,
    after: bool,
) -> None:
    numbers = NUMBERS if worth else {**NUMBERS, "n_new_labels": 3}
    monkeypatch.setattr("scheduler.appraisal.call", lambda *_, **__: dict(numbers))
    project = schedule.project_id
    later = DUE + timedelta(seconds=settings.lease_seconds + 1)
    before = Path(settings.resolved_database_url.removeprefix("sqlite:///")).read_bytes()
    n_deaths = 0
    for at in range(1, 100):
        file = tmp_path / f"{at}.db"
        file.write_bytes(before)
        own = hurried(Store(f"sqlite:///{file}"))
        died = killed(own, artifacts, settings, at=at, after=after, now=DUE)
        n_deaths += died
        for _ in range(2):  # two more services, one after the other
            Retraining(own, artifacts, settings, Reader(), clock=lambda: later).due(later)
        (run,) = own.list_runs(project, schedule.id, limit=9)[0]
        n_jobs = len(own.list_jobs(project, limit=99)[0])
        if worth:
            assert (run.state, n_jobs) == (RunState.SUBMITTED, 2), at
            assert [one.version for one in own.promotions(project, "bank-y")] == [1]
        else:
            assert (run.state, n_jobs) == (RunState.SKIPPED, 1), at
            assert len(own.calls(project, limit=9)) == 1
        assert own.verify_audit(project) is None
        own.close()
        if not died:
            break
    assert n_deaths >= 10


def test_each_run_is_claimed_by_the_clock_of_its_own_moment(
    schedule: Schedule,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a decision of twenty minutes the next lease does not begin twenty minutes ago."""
    store.add_schedule(replace(schedule, id=uuid.uuid4().hex), actor="test")
    clock = [DUE]
    leases = []

    def decided(self: Retraining, own: Schedule, run: Run, now: datetime) -> bool:
        assert run.lease_until is not None
        leases.append((run.lease_until - clock[0]).total_seconds())
        clock[0] += timedelta(minutes=20)
        self._skip(own, run, "nothing is new", now)
        return False

    monkeypatch.setattr(Retraining, "_decided", decided)
    Retraining(store, artifacts, settings, Reader(), clock=lambda: clock[0]).due(DUE)
    assert leases == [settings.lease_seconds] * 2


@pytest.mark.parametrize("after", [False, True])
def test_a_death_at_every_call_of_a_promotion(
    schedule: Schedule,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
) -> None:
    monkeypatch.setattr("scheduler.appraisal.call", lambda *_, **__: dict(NUMBERS))
    project = schedule.project_id
    Retraining(store, artifacts, settings, Reader(), clock=lambda: DUE).due(DUE)
    (run,) = store.list_runs(project, schedule.id, limit=9)[0]
    challenge = {"wins": True, "champion": 1, "because": "better", "interval": [0.1, 0.2]}
    finish(store, store.job(str(run.job_id)), result={"challenge": challenge})
    assert store.get_model(project, "bank-y").version == 1
    at = 1
    while killed(store, artifacts, settings, at=at, after=after, now=DUE):
        at += 1
    assert at > 3
    (run,) = store.list_runs(project, schedule.id, limit=9)[0]
    assert (run.state, run.outcome["promoted"]) == (RunState.DONE, True)
    assert [one.version for one in store.promotions(project, "bank-y")] == [2, 1]
    assert store.get_model(project, "bank-y").version == 2
    # However often it was decided anew, its energy is in the ledger, and once.
    assert store.ledger_total(project, LedgerFilter(phase="worth")).joules == 9.0
    assert store.verify_audit(project) is None


ZONES = (
    ("Europe/Paris", "02:30"),
    ("America/New_York", "02:00"),
    ("Australia/Lord_Howe", "02:15"),
    ("Asia/Kolkata", "00:00"),
    ("Pacific/Tongatapu", "23:30"),
    ("Pacific/Pago_Pago", "03:00"),
)


@pytest.mark.slow
def test_a_year_of_six_zones_has_one_run_for_each_local_date(
    schedule: Schedule,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        Retraining,
        "_decided",
        lambda self, own, run, now: bool(self._skip(own, run, "nothing is new", now)),
    )
    project, begin = schedule.project_id, datetime(2026, 3, 1, tzinfo=UTC)
    store.move_schedule(
        project,
        schedule.id,
        state=ScheduleState.DELETED,
        next_at=None,
        next_date=None,
        actor="test",
        now=begin,
    )
    made = []
    for zone, at in ZONES:
        request = {**REQUEST, "webhook": None, "time_zone": zone}
        request["at"] = {"start": at, "finish_by": None, "hours": 10.0}
        day, begins = window_of(request).after(begin)
        one = replace(schedule, id=uuid.uuid4().hex, request=request, next_at=begins)
        made.append(store.add_schedule(replace(one, next_date=day.isoformat()), actor="test"))
    services = [
        Retraining(store, artifacts, settings, Reader(), clock=lambda: begin) for _ in range(2)
    ]
    now, end = begin, begin + timedelta(days=366)
    while now < end:
        for service in services:
            service.due(now)
        now += timedelta(hours=8)
    for own, (zone, at) in zip(made, ZONES, strict=True):
        runs: list[Run] = []
        cursor = None
        while cursor is not None or not runs:
            page, cursor = store.list_runs(project, own.id, limit=100, after=cursor)
            runs += page
        dates = [run.local_date for run in runs]
        assert len(dates) == len(set(dates)), zone
        assert abs(len(dates) - 366) <= 1, zone
        days = sorted(date.fromisoformat(one) for one in dates)
        assert (days[-1] - days[0]).days == len(days) - 1, zone  # none is left out
        assert not any(run.missed for run in runs), zone
        first = datetime.combine(days[0], local_time(at), tzinfo=ZoneInfo(zone))
        assert begin < first <= begin + timedelta(days=1), zone
