"""A backup holds everything, says when it does not, and comes back whole."""

from __future__ import annotations

import itertools
import json
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from scheduler.artifacts import ArtifactStore, folder_sha256
from scheduler.backup import backup, restore, verify
from scheduler.config import Settings
from scheduler.errors import Conflict, Corrupt, IncompatibleStore, StorageFull
from scheduler.records import Batch, JobState, Model, Phase
from scheduler.records_schedules import Outcomes, Schedule, ScheduleState
from scheduler.records_uploads import Chunk, Upload, chunk_key
from scheduler.store import Store
from scheduler.store_outbox import Call
from scheduler.tables import metadata
from tests.contracts.records import (
    COST,
    Tenant,
    a_dataset,
    a_model,
    a_tenant,
    a_trial,
    claim,
    new_id,
    submit,
)

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A service with its data below `tmp_path/live`, on each database in turn."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return Settings(data_dir=tmp_path / "live", database_url=url)


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """An empty service to restore into; on PostgreSQL a second database of the same server."""
    url = settings.database_url
    if url:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        name = f"{engine.url.database}_2"
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        url = engine.url.set(database=name).render_as_string(hide_password=False)
        engine.dispose()
    return Settings(data_dir=tmp_path / "elsewhere", database_url=url)


def fill(settings: Settings) -> tuple[Store, ArtifactStore]:
    store = Store(settings.resolved_database_url)
    store.migrate()
    artifacts = ArtifactStore(settings.resolved_artifacts_url)
    tenant = a_tenant(store)
    store.add_token(tenant.project_id, name="été", now=NOW)
    store.reserve_key(tenant.project_id, "k", fingerprint="f", now=NOW)
    dataset = store.get_dataset(tenant.project_id, tenant.dataset_id)
    artifacts.put_stream(f"{dataset.artifact}/rows.parquet", [b"PAR1", b"\x00" * 5000])
    job = submit(store, tenant)
    claim(store)
    for number in range(3):
        store.end_trial(job.id, epoch=1, trial=a_trial(number), now=NOW)
    store.add_phase(Phase(job_id=job.id, epoch=1, name="search", cost=COST))
    model = a_model(job)
    artifacts.put_stream(f"{model.artifact}/manifest.json", [b"{}"])
    store.finish_job(job.id, epoch=1, state=JobState.DONE, model=model, now=NOW)
    fill_nights(store, artifacts, tenant, model)
    fill_uploads(store, artifacts, tenant)
    fill_relations(store, tenant, model)
    return store, artifacts


def fill_uploads(store: Store, artifacts: ArtifactStore, tenant: Tenant) -> None:
    """An upload of which one piece is there."""
    upload = Upload(
        id=new_id(),
        project_id=tenant.project_id,
        name="été.csv",
        size=9,
        chunk_bytes=5,
        state="OPEN",
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    store.add_upload(upload, most=9, most_bytes=99, now=NOW)
    _, sha256 = artifacts.put_stream(chunk_key(upload.id, 0), [b"a;b\n1"])
    chunk = Chunk(number=0, n_bytes=5, sha256=sha256)
    store.add_chunk(upload.id, chunk, expires_at=upload.expires_at, now=NOW)


def fill_relations(store: Store, tenant: Tenant, model: Model) -> None:
    """A data set of tables, and predictions that are being made."""
    tables = {"loans": {"role": "entities", "source": {"dataset": tenant.dataset_id}}}
    options = {"spec": {"tables": tables}}
    store.add_dataset(a_dataset(tenant.project_id, upload=None, options=options))
    batch = Batch(
        id=new_id(),
        project_id=tenant.project_id,
        model_id=model.id,
        dataset_id=tenant.dataset_id,
        format="csv",
        state="RUNNING",
        created_at=NOW,
    )
    store.add_batch(batch)


def fill_nights(store: Store, artifacts: ArtifactStore, tenant: Tenant, model: Model) -> None:
    """A schedule with a run, a promotion, late labels, histograms, a call and a bill."""
    name = f"outcomes/{new_id()}"
    artifacts.put_stream(name, [b"PAR1"])
    store.add_outcomes(
        Outcomes(
            id=new_id(),
            project_id=tenant.project_id,
            model_name=model.name,
            root_id=tenant.dataset_id,
            received_at=NOW,
            artifact=name,
            sha256="0" * 64,
            n_labels=2,
            n_positive=1,
        )
    )
    store.put_observation(model.id, day="training", n_rows=9, histograms={"columns": {}})
    store.promote(tenant.project_id, model.name, 1, actor="été", reason={}, now=NOW)
    schedule = store.add_schedule(
        Schedule(
            id=new_id(),
            project_id=tenant.project_id,
            name="nightly",
            request={"model": model.name},
            state=ScheduleState.ACTIVE,
            created_at=NOW,
            next_at=NOW,
            next_date="2026-11-22",
        ),
        actor="été",
    )
    store.open_run(
        schedule,
        local_date=date(2026, 11, 22),
        due_at=NOW,
        missed=0,
        next_at=NOW + timedelta(days=1),
        next_date=date(2026, 11, 23),
    )
    call = Call(project_id=tenant.project_id, url="https://x/y", payload={"event": "x"})
    store.add_calls([call], now=NOW)
    with store.write() as connection:
        connection.execute(
            metadata.tables["ledger"]
            .insert()
            .values(
                job_id=model.job_id,
                phase="search",
                day="2026-11-22",
                project_id=tenant.project_id,
                dataset_id=tenant.dataset_id,
                cpu_seconds=1.5,
                joules=6.0,
                grams_per_kwh=50.0,
                gco2e=0.1,
                meter="cpu_time",
                intensity={"zone": "FR"},
            )
        )


def rows(store: Store) -> dict[str, list[Any]]:
    """Every row of every table, as records would be made of them."""
    with store.read() as connection:
        return {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(table.select()))
            for table in metadata.sorted_tables
        }


def test_a_service_comes_back_whole(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    store, artifacts = fill(settings)
    copy = tmp_path / "copy"
    manifest = backup(settings, copy, now=NOW)
    assert manifest == json.loads((copy / "manifest.json").read_text()) == verify(copy)
    assert manifest["missing"] == []
    assert manifest["created_at"] == "2026-11-22T20:00:00+00:00"
    assert restore(elsewhere, copy) == manifest
    restored = Store(elsewhere.resolved_database_url)
    assert rows(restored) == rows(store)
    assert [name for name, found in rows(store).items() if not found] == []
    root = ArtifactStore(elsewhere.resolved_artifacts_url).root
    assert folder_sha256(root) == folder_sha256(artifacts.root)
    # and the restored service works
    project = restored.list_projects()[0]
    assert claim_after(restored, project.id) is not None
    for opened in (store, restored):
        opened.close()


def claim_after(store: Store, project_id: str) -> object:
    found, _ = store.list_datasets(project_id, limit=9)
    [dataset] = [one for one in found if one.spec is None]
    [job], _ = store.list_jobs(project_id, limit=9)
    assert job.dataset_id == dataset.id
    store.add_event(job.id, kind="warning", data={}, now=NOW)
    return store.get_model(project_id, job.model_name)


def test_a_backup_of_a_busy_service_is_of_one_moment(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    store, _ = fill(settings)
    [project] = store.list_projects()
    [job], _ = store.list_jobs(project.id, limit=9)
    stop = threading.Event()

    def work() -> None:
        """One transaction writes a key, and another one an event with the number of keys."""
        mine = Store(settings.resolved_database_url)
        for number in itertools.count():
            if stop.is_set():
                break
            mine.reserve_key(project.id, str(number), fingerprint="f", now=NOW)
            mine.add_event(job.id, kind="phase", data={"keys": number}, now=NOW)
        mine.close()

    thread = threading.Thread(target=work)
    thread.start()
    while len(store.events(job.id)) < 20:
        time.sleep(0.01)
    backup(settings, tmp_path / "copy", now=NOW)
    stop.set()
    thread.join()
    restore(elsewhere, tmp_path / "copy")
    restored = Store(elsewhere.resolved_database_url)
    events = [event.data for event in restored.events(job.id) if event.kind == "phase"]
    found = rows(restored)
    assert 0 < len(events) <= len(store.events(job.id))
    assert [data["keys"] for data in events] == list(range(len(events)))
    assert len(found["idempotency_keys"]) - 1 - len(events) in (0, 1)
    for opened in (store, restored):
        opened.close()


def test_a_restore_never_overwrites(settings: Settings, tmp_path: Path) -> None:
    store, _ = fill(settings)
    backup(settings, tmp_path / "copy", now=NOW)
    before = rows(store)
    with pytest.raises(Conflict) as error:
        restore(settings, tmp_path / "copy")
    assert error.value.code == "not_empty"
    other_artifacts = settings.model_copy(update={"artifacts_url": str(tmp_path / "other")})
    with pytest.raises(Conflict):
        restore(other_artifacts, tmp_path / "copy")
    assert rows(store) == before
    assert ArtifactStore(tmp_path / "other").names() == []
    with pytest.raises(Conflict):
        backup(settings, tmp_path / "copy", now=NOW)
    store.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "add", "manifest", "no manifest"])
def test_a_damaged_backup_is_refused_before_anything_is_written(
    damage: str, tmp_path: Path
) -> None:
    settings, copy = Settings(data_dir=tmp_path / "live"), tmp_path / "copy"
    store, _ = fill(settings)
    store.close()
    backup(settings, copy, now=NOW)
    victim = next((copy / "artifacts").rglob("rows.parquet"))
    if damage == "flip":
        content = bytearray(victim.read_bytes())
        content[100] ^= 1
        victim.write_bytes(content)
    elif damage == "cut":
        (copy / "database.sqlite").write_bytes((copy / "database.sqlite").read_bytes()[:-1])
    elif damage == "remove":
        victim.unlink()
    elif damage == "add":
        (victim.parent / "more").write_bytes(b"")
    elif damage == "manifest":
        (copy / "manifest.json").write_text("[]")
    else:
        (copy / "manifest.json").unlink()
    target = Settings(data_dir=tmp_path / "target")
    with pytest.raises(Corrupt):
        restore(target, copy)
    assert not (tmp_path / "target").exists()


def test_a_backup_of_another_kind_or_a_newer_version_is_refused(tmp_path: Path) -> None:
    settings, copy = Settings(data_dir=tmp_path / "live"), tmp_path / "copy"
    store, _ = fill(settings)
    store.close()
    manifest = backup(settings, copy, now=NOW)
    target = Settings(data_dir=tmp_path / "target")
    for database in (
        {"dialect": "postgresql", "revision": "0001"},
        {"dialect": "sqlite", "revision": "9999"},
    ):
        (copy / "manifest.json").write_text(json.dumps({**manifest, "database": database}))
        with pytest.raises(IncompatibleStore):
            restore(target, copy)
    assert not (tmp_path / "target" / "frugal.db").exists()


def test_no_service_is_no_backup(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "never")
    with pytest.raises(Conflict) as error:
        backup(settings, tmp_path / "copy", now=NOW)
    assert error.value.code == "nothing_to_back_up"
    assert list(tmp_path.iterdir()) == []


def test_a_lost_file_is_named(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "live")
    store, artifacts = fill(settings)
    model = store.list_models(store.list_projects()[0].id, limit=1)[0][0]
    artifacts.delete(model.artifact)
    assert backup(settings, tmp_path / "copy", now=NOW)["missing"] == [model.artifact]
    store.close()


def test_a_backup_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path / "live")
    store, _ = fill(settings)
    store.close()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scheduler.backup.shutil.copyfile", full)
    with pytest.raises(StorageFull):
        backup(settings, tmp_path / "copy", now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["live"]
