"""Appending to a data set through the real ingestor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.clock import utc_now
from scheduler.config import Settings
from scheduler.errors import Conflict
from scheduler.ingestion import Ingestor
from scheduler.records import DatasetState, StoredDataset
from scheduler.store import Store
from tests.scheduler.test_child import wait_until


@pytest.fixture
def ingestor(store: Store, artifacts: ArtifactStore, settings: Settings) -> Iterator[Ingestor]:
    made = Ingestor(store, artifacts, settings)
    yield made
    made.stop()


def csv(first: int, last: int, *, key: str = "id") -> bytes:
    lines = [f"{key};age;day;y"]
    lines += [
        f"{i};{20 + i % 50};{1 + i % 28:02}/{1 + i % 12:02}/2026;{int(i % 9 == 0)}"
        for i in range(first, last)
    ]
    return "\n".join(lines).encode() + b"\n"


def sent(
    ingestor: Ingestor,
    store: Store,
    project: str,
    body: bytes,
    base: str | None = None,
    **options: Any,
) -> StoredDataset:
    made, _ = ingestor.accept(
        project, stream_chunks=[body], name="x.csv", options=options, now=utc_now(), base_id=base
    )
    wait_until(lambda: store.get_dataset(project, made.id).state is not DatasetState.INGESTING)
    return store.get_dataset(project, made.id)


def test_rows_are_appended_read_alike_and_stored_once(
    ingestor: Ingestor, store: Store, artifacts: ArtifactStore, project: str
) -> None:
    base = sent(ingestor, store, project, csv(0, 300), key="id")
    # So few rows would not tell day and month apart: the format of the rows before does.
    second = sent(ingestor, store, project, csv(300, 302), base.id)
    assert (second.state, second.version, second.n_rows) == (DatasetState.READY, 2, 302)
    assert second.profile["appended"]["n_rows"] == 2
    assert "key" in second.profile["columns"][0]["roles"]
    assert second.bytes_stored < base.bytes_stored
    assert store.get_dataset(project, base.id).n_rows == 300  # the old one stays as it was
    admission = ingestor.admit({"target": "y", "exclude": [], "accept_leakage": []}, second)
    assert admission["n_rows"] == 302
    again = sent(ingestor, store, project, csv(300, 302), second.id)
    assert again.id == second.id
    with pytest.raises(Conflict) as caught:
        sent(ingestor, store, project, csv(400, 402), base.id)
    assert caught.value.code == "newer_version"


def test_a_missing_column_is_refused_at_once_and_nothing_is_kept(
    ingestor: Ingestor, store: Store, artifacts: ArtifactStore, project: str
) -> None:
    base = sent(ingestor, store, project, csv(0, 300), key="id")
    before = artifacts.names()
    with pytest.raises(DataError) as caught:
        sent(ingestor, store, project, b"id;age;y\n1;2;0\n", base.id)
    assert (caught.value.code, caught.value.column) == ("missing_columns", "day")
    assert artifacts.names() == before
    bad = sent(ingestor, store, project, csv(300, 5300) + b"x;old;01/01/2026;1\n", base.id)
    assert (bad.state, bad.problem["code"]) == (DatasetState.INVALID, "type_conflict")
    assert store.newest_version(project, base.id).id == base.id


def test_deleting_deletes_the_versions_built_on_it(
    ingestor: Ingestor, store: Store, artifacts: ArtifactStore, project: str
) -> None:
    base = sent(ingestor, store, project, csv(0, 300), key="id")
    second = sent(ingestor, store, project, csv(300, 310), base.id)
    ids = ingestor.delete(project, base.id, force=False, now=utc_now())
    assert ids == [base.id, second.id]
    assert artifacts.names() == []
