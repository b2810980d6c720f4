from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from automl.errors import DataError
from automl.search.expectation import Expectation
from scheduler.artifacts import ArtifactStore
from scheduler.child import environment
from scheduler.clock import utc_now
from scheduler.config import Settings
from scheduler.errors import ChildDied, Conflict, TooLarge
from scheduler.ingestion import Ingestor, fingerprint
from scheduler.readings import refusal
from scheduler.records import DatasetState, StoredDataset
from scheduler.store import Store
from tests.scheduler.test_child import wait_until

GOOD = b"age;income;y\n" + b"".join(b"%d;%d,5;%d\n" % (20 + i, i, i % 7 == 0) for i in range(50))


@pytest.fixture
def ingestor(store: Store, artifacts: ArtifactStore, settings: Settings) -> Iterator[Ingestor]:
    made = Ingestor(store, artifacts, settings)
    yield made
    made.stop()


def accept(ingestor: Ingestor, project: str, body: bytes, **options: Any) -> StoredDataset:
    return ingestor.accept(
        project, stream_chunks=[body], name="customers.csv", options=options, now=utc_now()
    )[0]


def stored(artifacts: ArtifactStore) -> list[str]:
    """Path of every file that was stored, from the root."""
    # os.walk passes over folders that are deleted while it looks, which rglob does not.
    files = [Path(at, name) for at, _, names in os.walk(artifacts.root) for name in names]
    paths = [path.relative_to(artifacts.root).as_posix() for path in files]
    return sorted(path for path in paths if not path.startswith("tmp/"))


def settled(store: Store, dataset: StoredDataset) -> StoredDataset:
    def done() -> bool:
        found = store.get_dataset(dataset.project_id, dataset.id)
        return found.state is not DatasetState.INGESTING

    wait_until(done)
    return store.get_dataset(dataset.project_id, dataset.id)


def test_an_upload_becomes_ready(
    ingestor: Ingestor, store: Store, artifacts: ArtifactStore, project: str
) -> None:
    dataset = settled(store, accept(ingestor, project, GOOD))
    assert dataset.state is DatasetState.READY
    assert dataset.n_rows == 50
    assert dataset.bytes_in == len(GOOD)
    assert dataset.profile is not None
    assert [column["name"] for column in dataset.profile["columns"]] == ["age", "income", "y"]
    assert dataset.artifact is not None
    artifacts.verify(dataset.artifact, dataset.profile["sha256"])
    rows = artifacts.path(dataset.artifact) / "rows.parquet"
    assert dataset.bytes_stored == rows.stat().st_size
    assert dataset.cost is not None
    assert dataset.cost.cpu_seconds > 0
    wait_until(lambda: stored(artifacts) == [f"{dataset.artifact}/rows.parquet"])


def test_the_same_bytes_are_the_same_data_set(
    ingestor: Ingestor, store: Store, artifacts: ArtifactStore, project: str
) -> None:
    first = settled(store, accept(ingestor, project, GOOD))
    again, created = ingestor.accept(
        project, stream_chunks=[GOOD[:10], GOOD[10:]], name="x", options={}, now=utc_now()
    )
    assert (again.id, created) == (first.id, False)
    other = accept(ingestor, project, GOOD, key="age")
    assert other.id != first.id
    settled(store, other)
    wait_until(lambda: not [key for key in stored(artifacts) if key.startswith("uploads/")])


@pytest.mark.parametrize(
    ("body", "options", "code"),
    [
        (b"", {}, "empty_file"),
        (b"a;b\n", {}, "no_rows"),
        (b"PAR1 is not Parquet PAR1", {}, "corrupt_parquet"),
        (GOOD, {"colour": "blue"}, "invalid_option"),
    ],
)
def test_what_the_first_look_refuses_leaves_nothing(
    ingestor: Ingestor,
    store: Store,
    artifacts: ArtifactStore,
    project: str,
    body: bytes,
    options: dict[str, Any],
    code: str,
) -> None:
    with pytest.raises(DataError) as caught:
        accept(ingestor, project, body, **options)
    assert caught.value.code == code
    assert store.list_datasets(project, limit=10)[0] == []
    assert stored(artifacts) == []


def test_what_a_later_row_refuses_is_invalid_with_its_place(
    ingestor: Ingestor, store: Store, artifacts: ArtifactStore, project: str
) -> None:
    body = b"a,b\n" + b"1,2\n" * 2_000_000 + b"1,2,3\n"
    dataset = settled(store, accept(ingestor, project, body))
    assert dataset.state is DatasetState.INVALID
    assert dataset.problem is not None
    assert dataset.problem["code"] == "ragged_row"
    assert dataset.problem["row"] == 2_000_001
    wait_until(lambda: stored(artifacts) == [])


def test_too_many_bytes_are_refused(
    store: Store, artifacts: ArtifactStore, project: str, settings: Settings
) -> None:
    ingestor = Ingestor(store, artifacts, settings.model_copy(update={"max_upload_bytes": 100}))
    with pytest.raises(TooLarge):
        accept(ingestor, project, GOOD)
    assert stored(artifacts) == []


def test_memory_of_the_child_is_limited(
    store: Store, artifacts: ArtifactStore, project: str, settings: Settings
) -> None:
    small = settings.model_copy(update={"child_memory_bytes": 80 * 2**20})
    with pytest.raises(DataError, match="cannot be read"):
        accept(Ingestor(store, artifacts, small), project, GOOD)
    assert stored(artifacts) == []


@pytest.mark.parametrize(
    ("code", "head", "expected"),
    [
        ("child_crashed", b"PAR1", "corrupt_parquet"),
        ("child_timed_out", b"a;b\n", "unreadable"),
        ("child_out_of_memory", b"PAR1", "decoded_too_large"),
    ],
)
def test_a_file_that_kills_its_child_is_refused(code: str, head: bytes, expected: str) -> None:
    told = refusal(ChildDied("it died", code=code), head)
    assert isinstance(told, DataError)
    assert told.code == expected


def test_a_fingerprint_is_of_bytes_and_options() -> None:
    assert fingerprint("ab", {}) == fingerprint("ab", {"types": {}, "key": None})
    assert fingerprint("ab", {}) != fingerprint("ab", {"key": "id"})
    assert fingerprint("ab", {}) != fingerprint("ac", {})


def test_deleting_ends_the_reading(
    ingestor: Ingestor, store: Store, artifacts: ArtifactStore, project: str
) -> None:
    body = b"a,b\n" + b"1,2\n" * 3_000_000
    dataset = accept(ingestor, project, body)
    deleted = ingestor.delete(project, dataset.id, force=False, now=utc_now())
    assert deleted == [dataset.id]
    wait_until(lambda: stored(artifacts) == [])
    time.sleep(0.5)
    assert stored(artifacts) == []
    assert store.get_dataset(project, dataset.id).state is DatasetState.DELETED


def test_admission_needs_a_ready_data_set(ingestor: Ingestor, store: Store, project: str) -> None:
    dataset = accept(ingestor, project, GOOD)
    with pytest.raises(Conflict, match="not READY"):
        ingestor.admit({"target": "y"}, dataset)
    dataset = settled(store, dataset)
    with pytest.raises(DataError) as caught:
        ingestor.admit({"target": "z", "exclude": [], "accept_leakage": []}, dataset)
    assert caught.value.code == "target_not_found"


def test_an_admission_says_what_the_job_is_expected_to_take(
    ingestor: Ingestor, store: Store, project: str
) -> None:
    rows = "".join(f"{i % 7},{i * 37 % 101},{int(i % 10 == 0)}\n" for i in range(400))
    dataset = settled(store, accept(ingestor, project, f"a,b,y\n{rows}".encode()))
    request = {"target": "y", "positive": None, "limits": {"cpu_seconds": 60.0}, "mode": "eco"}
    told = Expectation.from_json(ingestor.admit(request, dataset)["expected"])
    assert 0 < told.pause_seconds < told.seconds < told.p95_seconds
    assert told.joules > told.cpu_seconds
    alone = ingestor.expect(request, n_rows=400, n_positive=40, n_columns=2)
    # The same counts; the machine's speed was measured twice.
    assert 0.1 < Expectation.from_json(alone).cpu_seconds / told.cpu_seconds < 10
    unlabelled = ingestor.admit({"target": None, "limits": {"joules": 1e6}}, dataset)
    assert unlabelled["expected"]["cpu_seconds"] > 0


def test_a_reading_whose_service_died_is_taken_up(
    ingestor: Ingestor,
    store: Store,
    artifacts: ArtifactStore,
    project: str,
    settings: Settings,
    tmp_path: Path,
) -> None:
    source = tmp_path / "big.csv"
    source.write_bytes(b"a,b\n" + b"1,2\n" * 3_000_000)
    service = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from scheduler.artifacts import ArtifactStore\n"
            "from scheduler.clock import utc_now\n"
            "from scheduler.config import Settings\n"
            "from scheduler.ingestion import Ingestor\n"
            "from scheduler.store import Store\n"
            "settings = Settings.model_validate_json(sys.argv[1])\n"
            "ingestor = Ingestor(Store(settings.resolved_database_url),"
            " ArtifactStore(settings.resolved_artifacts_url), settings)\n"
            "dataset, _ = ingestor.accept(sys.argv[2], stream_chunks=open(sys.argv[3], 'rb'),"
            " name='big', options={}, now=utc_now())\n"
            "print(dataset.id, flush=True)\n"
            "time.sleep(600)\n",
            settings.model_dump_json(),
            project,
            str(source),
        ],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    with service.stdout:
        dataset_id = service.stdout.readline().strip()
    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    assert store.get_dataset(project, dataset_id).state is DatasetState.INGESTING
    assert ingestor.recover(utc_now()) == 0  # the lease of the dead one still holds
    later = utc_now() + timedelta(seconds=settings.lease_seconds + 1)
    assert ingestor.recover(later) == 1
    assert ingestor.recover(later) == 0
    dataset = settled(store, store.get_dataset(project, dataset_id))
    assert (dataset.state, dataset.n_rows) == (DatasetState.READY, 3_000_000)
    wait_until(lambda: stored(artifacts) == [f"{dataset.artifact}/rows.parquet"])
