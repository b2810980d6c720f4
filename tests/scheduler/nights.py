"""A service whose clock a test turns: real store, files, readers and searches, one thread."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.execution import execute
from scheduler.ingestion import Ingestor
from scheduler.late import take_outcomes
from scheduler.late_reader import LateReader
from scheduler.local_days import DailyWindow
from scheduler.records import DatasetState, Job, JobState, Model, StoredDataset
from scheduler.records_schedules import Run, Schedule, ScheduleState
from scheduler.retraining import Retraining, window_of
from scheduler.store import Store
from tests.scheduler.test_child import wait_until

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NAME = "bank-y"
GATE = {"min_new_labels": 50, "psi": 0.2, "score_psi": 0.2, "min_days": 0, "max_days": None}


@dataclass
class Nights:
    """One project, its model, and the hands of its clock."""

    store: Store
    artifacts: ArtifactStore
    settings: Settings
    project: str
    now: datetime = START
    ingestor: Ingestor = field(init=False)
    retraining: Retraining = field(init=False)

    def __post_init__(self) -> None:
        self.ingestor = Ingestor(self.store, self.artifacts, self.settings, clock=lambda: self.now)
        self.retraining = self.service()

    def service(self) -> Retraining:
        """One more service over the same store."""
        return Retraining(
            self.store, self.artifacts, self.settings, self.ingestor, clock=lambda: self.now
        )

    def upload(self, body: bytes, *, base: str | None = None, **options: Any) -> StoredDataset:
        made, _ = self.ingestor.accept(
            self.project,
            stream_chunks=[body],
            name="bank.csv",
            options=options,
            now=self.now,
            base_id=base,
        )
        self.read_in(made.id)
        return self.store.get_dataset(self.project, made.id)

    def read_in(self, dataset_id: str) -> None:
        wait_until(
            lambda: (
                self.store.get_dataset(self.project, dataset_id).state is not DatasetState.INGESTING
            )
        )

    def train(self, dataset: StoredDataset, **request: Any) -> Model:
        """The first champion, of a plain job."""
        asked = {"target": "y", "positive": None, "mode": "eco", "seed": 0, "model": NAME}
        asked |= request
        admission = self.ingestor.admit({"exclude": [], "accept_leakage": [], **asked}, dataset)
        self.store.add_job(
            Job(
                id=uuid.uuid4().hex,
                project_id=self.project,
                dataset_id=dataset.id,
                request={**asked, "admission": admission},
                state=JobState.SUBMITTED,
                submitted_at=self.now,
                model_name=NAME,
            ),
            max_queued=9,
        )
        self.work()
        return self.store.get_model(self.project, NAME)

    def work(self) -> list[Job]:
        """Run every job that is due, as workers would."""
        done: list[Job] = []
        while True:
            job = self.store.claim_job(owner="test", lease_seconds=600, now=self.now)
            if job is None:
                return done
            execute(
                job.id,
                job.epoch,
                store=self.store,
                artifacts=self.artifacts,
                settings=self.settings,
                clock=self._ticking(),
                leave=lambda status: None,
            )
            done.append(self.store.job(job.id))

    def _ticking(self) -> Callable[[], datetime]:
        """A clock that goes on from the hands as the real one does: a search takes its time."""
        begin, begun = self.now, time.monotonic()
        return lambda: begin + timedelta(seconds=time.monotonic() - begun)

    def schedule(self, **changes: Any) -> Schedule:
        request = {
            "model": NAME,
            "job": None,
            "at": {"start": "02:30", "finish_by": None, "hours": 4.0},
            "time_zone": "Europe/Paris",
            "feed": {"dataset": None, "folder": None},
            "gate": {**GATE, **changes.pop("gate", {})},
            "promote": "auto",
            "when": {"policy": "now", "zone": None, "floor": 0.03, "interruptible": None},
            "webhook": None,
            **changes,
        }
        day, begins = window_of(request).after(self.now)
        return self.store.add_schedule(
            Schedule(
                id=uuid.uuid4().hex,
                project_id=self.project,
                name="nightly",
                request=request,
                state=ScheduleState.ACTIVE,
                created_at=self.now,
                next_at=begins,
                next_date=day.isoformat(),
            ),
            actor="token laptop",
        )

    def outcomes(self, rows: dict[int, int]) -> Any:
        body = "key,label\n" + "".join(f"{key},{label}\n" for key, label in rows.items())
        reader = LateReader(self.settings)
        try:
            return take_outcomes(
                self.store.get_model(self.project, NAME),
                body.encode(),
                content_type="text/csv",
                store=self.store,
                artifacts=self.artifacts,
                reader=reader,
                now=self.now,
            )
        finally:
            reader.stop()

    def night(self, schedule: Schedule) -> Run:
        """Turn the clock to the next due moment and let the service do all there is to do."""
        self.now = self.store.get_schedule(self.project, schedule.id).next_at + timedelta(seconds=5)
        self.retraining.due(self.now)
        self.now += timedelta(minutes=1)
        self.work()
        self.now += timedelta(minutes=1)
        self.retraining.due(self.now)
        return self.runs(schedule)[0]

    def runs(self, schedule: Schedule) -> list[Run]:
        return self.store.list_runs(self.project, schedule.id, limit=1000)[0]


def window(schedule: Schedule) -> DailyWindow:
    return window_of(schedule.request)


def rows(
    first: int, last: int, *, seed: int, turned: bool = False, labelled: bool = True
) -> tuple[bytes, dict[int, int]]:
    """Rows of a made-up bank as CSV, and their labels; `turned`, the event has another cause."""
    rng = np.random.default_rng(seed)
    n = last - first
    age, income = rng.integers(18, 90, n), rng.lognormal(7, 1, n)
    town = rng.choice(["Lyon", "Nice", "Metz"], n)
    cause = -0.08 * age if not turned else 0.08 * age
    odds = cause + 1.5 * (town == "Nice") + rng.gumbel(size=n)
    y = (odds > np.quantile(odds, 0.95)).astype(int)
    lines = ["id,age,income,town,y"]
    for i in range(n):
        label = str(y[i]) if labelled else ""
        lines.append(f"{first + i},{age[i]},{income[i]:.2f},{town[i]},{label}")
    return "\n".join(lines).encode() + b"\n", {first + i: int(y[i]) for i in range(n)}
