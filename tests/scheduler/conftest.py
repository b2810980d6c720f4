"""The state of a service in a temporary folder, over SQLite or over both databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.records import DatasetState, StoredDataset
from scheduler.store import Store
from tests.stores import hurried

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(data_dir=tmp_path / "data", zone="FR", watts_per_core=4.0, job_nice=0)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    made = hurried(Store(settings.resolved_database_url))
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def artifacts(settings: Settings) -> ArtifactStore:
    return ArtifactStore(settings.resolved_artifacts_url)


@pytest.fixture
def project(store: Store) -> str:
    return store.add_project("bank", now=NOW).id


def add_ready_dataset(store: Store, project: str) -> StoredDataset:
    """A data set on record, without files."""
    dataset, _ = store.add_dataset(
        StoredDataset(
            id=uuid.uuid4().hex,
            project_id=project,
            name="x",
            fingerprint="0" * 64,
            state=DatasetState.INGESTING,
            created_at=NOW,
            upload="uploads/x",
            bytes_in=1,
        )
    )
    return store.finish_dataset(
        dataset.id,
        artifact="datasets/x",
        n_rows=1,
        bytes_stored=1,
        profile={},
        cost=None,
        now=NOW,
    )
