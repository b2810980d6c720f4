"""A job under way: what its steps share, how it reads its data, and how its end is written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from automl.cost import Cost
from scheduler.artifacts import ArtifactStore
from scheduler.clock import Clock
from scheduler.config import Settings
from scheduler.errors import Gone, StoreUnavailable
from scheduler.heartbeat import Heartbeat, Progress
from scheduler.job_intensity import JobIntensity, yearly, zone_of
from scheduler.journal import StoreJournal
from scheduler.reading import ROWS_FILE, parts_of, source_of
from scheduler.records import DatasetState, Job, JobState, Phase, StoredDataset
from scheduler.store import Store

if TYPE_CHECKING:
    from automl.data.versions import Source

log = logging.getLogger(__name__)
T = TypeVar("T")

CANCELLED = "cancelled on request"


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job under way and all that its steps share."""

    job: Job
    epoch: int
    store: Store
    artifacts: ArtifactStore
    settings: Settings
    meter: Any
    clock: Clock
    progress: Progress
    heart: Heartbeat

    @property
    def intensity(self) -> JobIntensity:
        """The yearly mean of the job's zone: the same in each of its processes, so it repeats."""
        return yearly(zone_of(self.job, self.settings.zone))

    def patiently(self, write: Callable[[], T]) -> T:
        """Write, and again while the store is out of reach; the heartbeat says when to give up."""
        while True:
            try:
                return write()
            except StoreUnavailable:
                time.sleep(0.5)

    def phase(self, name: str, cost: Cost) -> None:
        """Write down what a phase took; it has just ended."""
        ended_at = self.clock()
        phase = Phase(
            job_id=self.job.id,
            epoch=self.epoch,
            name=name,
            cost=cost,
            started_at=ended_at - timedelta(seconds=cost.wall_seconds),
            ended_at=ended_at,
        )
        self.patiently(lambda: self.store.add_phase(phase))
        data = {"name": name, "cpu_seconds": cost.cpu_seconds, "joules": cost.joules}
        self.patiently(
            lambda: self.store.add_event(self.job.id, kind="phase", data=data, now=self.clock())
        )
        self.progress.enter(None, 0.0)


def end(work: Work, *, state: JobState, **values: Any) -> Job:
    """Write the end of a job and stop its heartbeat; `values` are what came of it."""
    work.heart.stop()  # what it would hear now is that the job has ended
    job = work.patiently(
        lambda: work.store.finish_job(
            work.job.id, epoch=work.epoch, state=state, now=work.clock(), **values
        )
    )
    reason = job.stop_reason or (job.problem or {}).get("code")
    log.info("job %s: %s, %s", job.id, job.state, reason)
    return job


def journal_of(work: Work) -> StoreJournal:
    """Return where the trials of a job are written."""
    return StoreJournal(
        work.store,
        work.artifacts,
        job_id=work.job.id,
        epoch=work.epoch,
        clock=work.clock,
        progress=work.progress.enter,
        on_cancel=work.heart.cancel_requested.set,
    )


def data_of(work: Work) -> StoredDataset:
    """Return the job's data set, the rows of all its parts verified. Raises Gone or Corrupt."""
    versions = work.store.versions_of(work.job.project_id, work.job.dataset_id)
    for stored in versions:
        if stored.state is not DatasetState.READY or stored.artifact is None:
            raise Gone("the data set was deleted")
        sha256 = (stored.profile or {}).get("sha256")
        if sha256 is not None:
            work.artifacts.verify(stored.artifact, sha256)
    return versions[-1]


def source_of_job(work: Work) -> Source:
    """Return where the rows of a job are, and the labels that came later. Raises Gone."""
    versions = work.store.versions_of(work.job.project_id, work.job.dataset_id)
    late = (work.job.request.get("retraining") or {}).get("labels") or {}
    files = [str(work.artifacts.path(key)) for key in late.get("artifacts", ())]
    return source_of(
        {
            "parts": parts_of(versions, work.artifacts),
            "labels": files,
            "key": late.get("key"),
            "target": late.get("target"),
        }
    )


def rows_of(work: Work, stored: StoredDataset) -> Path:
    """Return the file of a data set's rows, joined where there are versions. Raises Gone.

    What is joined lies with the job's other files and goes with them at its end.
    """
    folder = work.artifacts.path(f"jobs/{work.job.id}")
    folder.mkdir(parents=True, exist_ok=True)
    return source_of_job(work).write(folder / ROWS_FILE)
