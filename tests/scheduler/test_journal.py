"""The journal in the store keeps the contract of every journal, and is fenced besides."""

from __future__ import annotations

import uuid

import pytest

from scheduler.artifacts import ArtifactStore
from scheduler.clock import utc_now
from scheduler.errors import LostLease
from scheduler.journal import StoreJournal
from scheduler.records import Job
from scheduler.store import Store
from tests.contracts.test_journal import *  # noqa: F403
from tests.contracts.test_journal import EXPECTED, arrays, proposal, trial
from tests.scheduler.conftest import NOW, add_ready_dataset


@pytest.fixture
def job(store: Store, project: str) -> Job:
    dataset = add_ready_dataset(store, project)
    store.add_job(
        Job(
            id=uuid.uuid4().hex,
            project_id=project,
            dataset_id=dataset.id,
            request={},
            state="SUBMITTED",  # type: ignore[arg-type]
            submitted_at=NOW,
        ),
        max_queued=1,
    )
    claimed = store.claim_job(owner="me", lease_seconds=30, now=NOW)
    assert claimed is not None
    return claimed


@pytest.fixture  # type: ignore[no-redef]
def journal(store: Store, artifacts: ArtifactStore, job: Job) -> StoreJournal:
    return StoreJournal(store, artifacts, job_id=job.id, epoch=job.epoch, clock=utc_now)


def test_whoever_lost_the_job_writes_nothing(
    store: Store, artifacts: ArtifactStore, job: Job, journal: StoreJournal
) -> None:
    journal.begin(0, proposal(), EXPECTED)
    store.release_job(job.id, epoch=job.epoch, now=NOW)
    claimed = store.claim_job(owner="other", lease_seconds=30, now=NOW)
    assert claimed is not None
    with pytest.raises(LostLease):
        journal.end(trial(0), arrays())
    other = StoreJournal(store, artifacts, job_id=job.id, epoch=claimed.epoch, clock=utc_now)
    other.end(trial(0, error="its process died"), None)
    with pytest.raises(LostLease):
        journal.begin(1, proposal(), EXPECTED)
    assert [one.error for one in other.finished()] == ["its process died"]


def test_progress_is_told(store: Store, artifacts: ArtifactStore, job: Job) -> None:
    told: list[tuple[int | None, float]] = []
    journal = StoreJournal(
        store,
        artifacts,
        job_id=job.id,
        epoch=job.epoch,
        clock=utc_now,
        progress=lambda number, seconds: told.append((number, seconds)),
    )
    journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0), arrays())
    assert told == [(0, EXPECTED.cpu_seconds), (None, 0.0)]
