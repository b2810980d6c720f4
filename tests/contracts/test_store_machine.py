"""Whatever is asked in whatever order, a job makes legal moves only and loses nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scheduler.errors import Conflict, LostLease
from scheduler.records import JobState
from scheduler.store import Store
from tests.contracts.conftest import at
from tests.contracts.records import (
    EXPECTED,
    a_model,
    a_proposal,
    a_tenant,
    a_trial,
    claim,
    submit,
)
from tests.postgres import PostgresServer

LEASE = 30
LEGAL = {
    "SUBMITTED": {"RUNNING", "PAUSED", "CANCELLED"},
    "RUNNING": {"RUNNING", "SUBMITTED", "PAUSED", "DONE", "FAILED", "CANCELLED", "QUARANTINED"},
    "PAUSED": {"PAUSED", "RUNNING", "SUBMITTED", "CANCELLED"},
}


@dataclass
class Expected:
    """What a job must look like, kept beside the store in plain Python."""

    id: str
    order: int
    state: JobState = JobState.SUBMITTED
    epoch: int = 0
    deaths: int = 0
    lease_until: float = 0.0
    cancel: bool = False
    pause: bool = False
    start: float | None = 0.0  # None: not until it is resumed
    begun: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    version: int | None = None


class LifeOfJobs(RuleBasedStateMachine):
    """Clients and workers, some of them with an epoch that is long gone."""

    def __init__(self, opened: Callable[[], Any]) -> None:
        super().__init__()
        self._context = opened()
        self.store: Store = self._context.__enter__()
        self.tenant = a_tenant(self.store)
        self.jobs: list[Expected] = []
        self.seconds, self.version = 0.0, 0

    def teardown(self) -> None:
        self._context.__exit__(None, None, None)

    def pick(self, number: int) -> Expected:
        return self.jobs[number % len(self.jobs)]

    @rule()
    def submit(self) -> None:
        self.seconds += 1
        job = submit(self.store, self.tenant, submitted_at=at(self.seconds))
        self.jobs.append(Expected(id=job.id, order=len(self.jobs)))

    @rule(seconds=st.sampled_from([1, LEASE - 1, LEASE, LEASE + 1, 10 * LEASE]))
    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    @rule()
    def claim(self) -> None:
        found = self.store.claim_job(owner="w", lease_seconds=LEASE, now=at(self.seconds))
        wanted = None
        for job in self.jobs:  # they were submitted in this order
            expired = job.state is JobState.RUNNING and job.lease_until <= self.seconds
            over = job.start is not None and job.start <= self.seconds
            paused = job.state is JobState.PAUSED and over
            if not expired and not paused and job.state is not JobState.SUBMITTED:
                continue
            job.deaths += expired
            if job.deaths >= 3:
                job.state = JobState.QUARANTINED
                continue
            job.state, job.epoch = JobState.RUNNING, job.epoch + 1
            job.lease_until = self.seconds + LEASE
            wanted = job
            break
        assert (None if found is None else found.id) == (None if wanted is None else wanted.id)

    def held(self, job: Expected, stale: bool) -> tuple[int, bool]:
        """An epoch to write under, and whether the store must take it."""
        epoch = job.epoch - 1 if stale else job.epoch
        return epoch, job.state is JobState.RUNNING and not stale

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9), stale=st.booleans())
    def heartbeat(self, number: int, stale: bool) -> None:
        job = self.pick(number)
        epoch, ok = self.held(job, stale)
        with self.refused(ok):
            found = self.store.heartbeat(
                job.id, epoch=epoch, lease_seconds=LEASE, now=at(self.seconds)
            )
            assert (found.cancel_requested, found.pause_requested) == (job.cancel, job.pause)
            job.lease_until = self.seconds + LEASE

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9), stale=st.booleans(), trial=st.integers(0, 3))
    def begin_trial(self, number: int, stale: bool, trial: int) -> None:
        job = self.pick(number)
        epoch, ok = self.held(job, stale)
        with self.refused(ok, conflict=trial in job.begun):
            self.store.begin_trial(
                job.id,
                epoch=epoch,
                number=trial,
                proposal=a_proposal(trial),
                expected=EXPECTED,
                now=at(self.seconds),
            )
            job.begun.add(trial)

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9), stale=st.booleans(), trial=st.integers(0, 3))
    def end_trial(self, number: int, stale: bool, trial: int) -> None:
        job = self.pick(number)
        epoch, ok = self.held(job, stale)
        with self.refused(ok, conflict=trial in job.ended):
            self.store.end_trial(job.id, epoch=epoch, trial=a_trial(trial), now=at(self.seconds))
            job.begun.add(trial)
            job.ended.add(trial)

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9), stale=st.booleans(), died=st.booleans())
    def release(self, number: int, stale: bool, died: bool) -> None:
        job = self.pick(number)
        epoch, ok = self.held(job, stale)
        with self.refused(ok):
            self.store.release_job(job.id, epoch=epoch, now=at(self.seconds), died=died)
            job.deaths += died
            if not died:  # the trial under way is tried again
                job.begun &= job.ended
            job.state = JobState.QUARANTINED if job.deaths >= 3 else JobState.SUBMITTED

    @precondition(lambda self: self.jobs)
    @rule(
        number=st.integers(0, 9),
        stale=st.booleans(),
        state=st.sampled_from([JobState.DONE, JobState.FAILED, JobState.CANCELLED]),
    )
    def finish(self, number: int, stale: bool, state: JobState) -> None:
        job = self.pick(number)
        epoch, ok = self.held(job, stale)
        with self.refused(ok):
            record = self.store.job(job.id)
            model = a_model(record) if state is JobState.DONE else None
            self.store.finish_job(
                job.id, epoch=epoch, state=state, model=model, now=at(self.seconds)
            )
            stopped = job.cancel and state is JobState.DONE
            job.state = JobState.CANCELLED if stopped else state
            if model is not None:
                self.version += 1
                job.version = self.version

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9))
    def cancel(self, number: int) -> None:
        job = self.pick(number)
        final = job.state.is_final and job.state is not JobState.CANCELLED
        with self.refused(True, conflict=final):
            self.store.request_cancel(self.tenant.project_id, job.id, now=at(self.seconds))
            if not job.state.is_final:
                job.cancel = True
            if job.state in (JobState.SUBMITTED, JobState.PAUSED):
                job.state = JobState.CANCELLED

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9))
    def pause(self, number: int) -> None:
        job = self.pick(number)
        stopping = job.state is JobState.RUNNING and job.cancel and not job.pause
        with self.refused(True, conflict=job.state.is_final or stopping):
            self.store.request_pause(self.tenant.project_id, job.id, now=at(self.seconds))
            if job.state is JobState.RUNNING:
                job.pause = True
            else:
                job.state, job.start = JobState.PAUSED, None

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9))
    def resume(self, number: int) -> None:
        job = self.pick(number)
        asked = job.state is JobState.RUNNING and job.pause
        with self.refused(True, conflict=not asked and job.state is not JobState.PAUSED):
            self.store.resume(self.tenant.project_id, job.id, now=at(self.seconds))
            if not asked:
                job.state, job.start = JobState.SUBMITTED, self.seconds
            job.pause = False

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 9), stale=st.booleans(), wait=st.sampled_from([None, 1.0, 100.0]))
    def make_way(self, number: int, stale: bool, wait: float | None) -> None:
        job = self.pick(number)
        epoch, ok = self.held(job, stale)
        until = None if wait is None else self.seconds + wait
        with self.refused(ok):
            self.store.pause_job(
                job.id,
                epoch=epoch,
                now=at(self.seconds),
                reason="example",
                until=None if until is None else at(until),
            )
            job.begun &= job.ended
            job.pause = False
            job.state, job.start = JobState.PAUSED, until
            if job.cancel:
                job.state = JobState.SUBMITTED

    @contextmanager
    def refused(self, ok: bool, *, conflict: bool = False) -> Iterator[None]:
        """LostLease unless the epoch holds; Conflict when it does and the move is not legal."""
        try:
            yield
        except LostLease:
            assert not ok
        except Conflict:
            assert ok
            assert conflict
        else:
            assert ok
            assert not conflict

    @invariant()
    def the_store_agrees(self) -> None:
        for job in self.jobs:
            record = self.store.get_job(self.tenant.project_id, job.id)
            assert (record.state, record.epoch, record.deaths) == (
                job.state,
                job.epoch,
                job.deaths,
            )
            assert (record.finished_at is not None) == job.state.is_final
            assert (record.owner is not None) == (job.state is JobState.RUNNING)
            trials = self.store.trials(job.id)
            assert {trial.number for trial in trials} == job.begun
            assert {trial.number for trial in trials if trial.trial} == job.ended
            model = self.store.model_of_job(self.tenant.project_id, job.id)
            assert (None if model is None else model.version) == job.version
            self.history_is_legal(job)

    def history_is_legal(self, job: Expected) -> None:
        events = self.store.events(job.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        states = [event.data["state"] for event in events if event.kind in ("state", "end")]
        assert states[0] == "SUBMITTED"
        assert states[-1] == job.state
        for before, after in pairwise(states):
            assert after in LEGAL[before]
        assert sum(event.kind == "trial" for event in events) == len(job.ended)
        ends = [event.seq for event in events if event.kind == "end"]
        assert ends == ([len(events)] if job.state.is_final else [])


def run(opened: Callable[[], Any], *, examples: int) -> None:
    run_state_machine_as_test(
        lambda: LifeOfJobs(opened),
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_life_of_jobs_on_sqlite(tmp_path: Path) -> None:
    template = tmp_path / "template.db"
    made = Store(f"sqlite:///{template}")
    made.migrate()
    made.close()

    @contextmanager
    def opened() -> Iterator[Store]:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            shutil.copyfile(template, Path(folder) / "frugal.db")
            store = Store(f"sqlite:///{folder}/frugal.db")
            yield store
            store.close()

    run(opened, examples=25)


@pytest.mark.postgres
def test_the_life_of_jobs_on_postgresql(postgres_server: PostgresServer, postgres_url: str) -> None:
    made = Store(postgres_url)
    made.migrate()
    template = made.engine.url.database
    made.close()

    @contextmanager
    def opened() -> Iterator[Store]:
        name = f"{template}_example"
        postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        store = Store(postgres_server.url(name))
        yield store
        store.close()
        postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    run(opened, examples=10)


def test_the_control_without_fencing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the epoch in the condition two workers write, and the suite can see it."""
    import scheduler.store_trials as module

    store = Store(f"sqlite:///{tmp_path / 'frugal.db'}")
    store.migrate()
    job = submit(store, a_tenant(store))
    claim(store)
    claim(store, now=at(60))
    monkeypatch.setattr(module, "_held", lambda _: ())
    store.end_trial(job.id, epoch=1, trial=a_trial(0), now=at(61))  # the dead worker's
    with pytest.raises(Conflict):
        store.end_trial(job.id, epoch=2, trial=a_trial(0), now=at(62))
    monkeypatch.undo()
    with pytest.raises(LostLease):
        store.end_trial(job.id, epoch=1, trial=a_trial(1), now=at(63))
    store.close()
