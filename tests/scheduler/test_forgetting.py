"""Of rows that are deleted no label stays, whatever it came with."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.late_labels import SCHEMA
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.errors import ChildDied
from scheduler.ingestion import Ingestor
from scheduler.records import DatasetState, StoredDataset
from scheduler.records_schedules import Outcomes
from scheduler.store import Store
from tests.scheduler.conftest import NOW
from tests.scheduler.test_child import wait_until


class Series:
    """Three versions of a table by key: 1 to 3, then 3 to 5, then 6; labels for all and for 9."""

    def __init__(
        self, store: Store, artifacts: ArtifactStore, settings: Settings, project: str
    ) -> None:
        self.store, self.artifacts, self.project = store, artifacts, project
        self.ingestor = Ingestor(store, artifacts, settings, clock=lambda: NOW)
        self.versions: list[StoredDataset] = []
        for keys in ((1, 2, 3), (3, 4, 5), (6,)):
            self._upload("id,a,y\n" + "".join(f"{key},{key / 7},\n" for key in keys))
        self.files = [self._labels(1, 4, 6, 9), self._labels(2, 3)]

    def _upload(self, text: str) -> None:
        base = self.versions[-1].id if self.versions else None
        options = {} if base else {"key": "id"}
        made, _ = self.ingestor.accept(
            self.project,
            stream_chunks=[text.encode()],
            name="t.csv",
            options=options,
            now=NOW,
            base_id=base,
        )

        def state() -> DatasetState:
            return self.store.get_dataset(self.project, made.id).state

        wait_until(lambda: state() is not DatasetState.INGESTING)
        self.versions.append(self.store.get_dataset(self.project, made.id))
        assert state() is DatasetState.READY, self.versions[-1].problem

    def _labels(self, *keys: int) -> str:
        name = f"outcomes/{uuid.uuid4().hex}"
        table = pa.table(
            [[str(key) for key in keys], ["1"] * len(keys), [None] * len(keys)], schema=SCHEMA
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        self.artifacts.put_stream(name, [sink.getvalue().to_pybytes()])
        self.store.add_outcomes(
            Outcomes(
                id=uuid.uuid4().hex,
                project_id=self.project,
                model_name="m",
                root_id=self.versions[0].id,
                received_at=NOW,
                artifact=name,
                sha256=uuid.uuid4().hex * 2,
                n_labels=len(keys),
                n_positive=len(keys),
            )
        )
        return name

    def kept(self) -> list[list[str]]:
        """The keys of the labels, file by file, under the names that the files always had."""
        found = {one.artifact for one in self.store.outcomes_of(self.versions[0].id)}
        assert found == set(self.files)
        return [pq.read_table(self.artifacts.path(name))["key"].to_pylist() for name in self.files]

    def delete(self, version: int) -> None:
        self.ingestor.delete(self.project, self.versions[version - 1].id, force=False, now=NOW)


@pytest.fixture
def series(
    store: Store, artifacts: ArtifactStore, settings: Settings, project: str
) -> Iterator[Series]:
    made = Series(store, artifacts, settings, project)
    yield made
    made.ingestor.stop()


def test_labels_go_with_the_rows_that_only_deleted_versions_had(series: Series) -> None:
    series.delete(3)
    assert series.kept() == [["1", "4", "9"], ["2", "3"]]
    series.delete(2)  # row 3 is in the first version, too; row 9 has not come yet
    assert series.kept() == [["1", "9"], ["2", "3"]]


def test_versions_built_on_it_lose_theirs_too_and_a_first_version_takes_all(
    series: Series,
) -> None:
    series.delete(2)
    assert series.kept() == [["1", "9"], ["2", "3"]]
    series.delete(1)
    assert series.store.outcomes_of(series.versions[0].id) == []
    assert not any(series.artifacts.exists(name) for name in series.files)


def test_what_cannot_be_told_apart_goes_as_a_whole(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(*_: Any, **__: Any) -> None:
        raise ChildDied("the child ended", code="child_crashed")

    monkeypatch.setattr("scheduler.forgetting.call", died)
    series.delete(3)
    assert series.store.outcomes_of(series.versions[0].id) == []
    assert not any(series.artifacts.exists(name) for name in series.files)
    assert not Path(series.artifacts.path(series.files[0])).exists()
