"""Migrations, and a database that is locked, away, newer or in the wrong hands."""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from scheduler.errors import Conflict, IncompatibleStore, StorageFull, StoreUnavailable
from scheduler.migrations import current, downgrade, head, upgrade
from scheduler.store import Store
from scheduler.tables import metadata
from tests.contracts.conftest import NOW
from tests.contracts.records import a_dataset, a_job, a_tenant, new_id, submit
from tests.postgres import PostgresServer


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_migrations_make_the_tables_that_the_code_means(store: Store) -> None:
    with store.read() as connection:
        assert current(connection) == head()
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        with warnings.catch_warnings():  # SQLite cannot say in which direction an index goes
            warnings.filterwarnings("ignore", "autogenerate skipping", UserWarning)
            assert compare_metadata(context, metadata) == []
        indexes = {index["name"] for index in inspect(connection).get_indexes("trials")}
    assert indexes == {str(index.name) for index in metadata.tables["trials"].indexes}


def test_migrations_go_up_and_down_and_up_again(make_store: Callable[[], Store]) -> None:
    store = make_store()
    assert store.is_empty()
    store.migrate()
    assert not store.is_empty()
    made = tables(store.engine)
    store.migrate()  # a second time changes nothing
    downgrade(store.engine, "base")
    assert tables(store.engine) == {"alembic_version"}
    assert store.is_empty()
    upgrade(store.engine)
    assert tables(store.engine) == made == set(metadata.tables) | {"alembic_version"}
    a_tenant(store)


def test_several_processes_may_migrate_at_once(make_store: Callable[[], Store]) -> None:
    stores = [make_store() for _ in range(4)]
    failures: list[BaseException] = []

    def migrate(store: Store) -> None:
        try:
            store.migrate()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=migrate, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    a_tenant(stores[0])


def test_a_newer_database_is_refused_and_left_alone(store: Store) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(IncompatibleStore, match="newer version of Frugal") as error:
        store.migrate()
    assert error.value.code == "incompatible_store"
    with store.read() as connection:
        assert current(connection) == "9999"


def test_a_database_without_tables_says_so(make_store: Callable[[], Store]) -> None:
    with pytest.raises(IncompatibleStore, match="another shape"):
        make_store().list_tokens()


def test_errors_carry_no_statement_and_no_value(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        tenant = a_tenant(store)
        job = submit(store, tenant, model_name="CANARY")
        with pytest.raises(Conflict) as error:
            store.add_job(job, max_queued=10)  # the same id
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
    assert "CANARY" not in str(error.value)
    assert "INSERT" not in str(error.value)
    assert "CANARY" not in caplog.text


def test_a_failed_write_leaves_nothing_of_itself(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = a_tenant(store)
    store.reserve_key(tenant.project_id, "k", fingerprint="f", now=NOW)

    def fail(*_: object) -> None:
        raise RuntimeError("killed before the commit")

    monkeypatch.setattr("scheduler.store_jobs._job", fail)
    job = a_job(tenant.project_id, tenant.dataset_id)
    with pytest.raises(RuntimeError):
        store.add_job(job, idempotency_key="k", max_queued=10)
    monkeypatch.undo()
    assert store.list_jobs(tenant.project_id, limit=9) == ([], None)
    assert store.events(job.id) == []
    assert store.add_job(job, idempotency_key="k", max_queued=10).id == job.id


def test_a_locked_sqlite_is_unavailable_and_then_works_again(tmp_path: Path) -> None:
    path = tmp_path / "frugal.db"
    store = Store(f"sqlite:///{path}", busy_seconds=0.2)
    store.migrate()
    with closing(sqlite3.connect(path)) as other:
        other.isolation_level = None
        other.execute("BEGIN EXCLUSIVE")
        for call in (
            lambda: store.add_project("bank", now=NOW),
            store.list_tokens,
            store.ping,
            lambda: store.claim_job(owner="w", lease_seconds=1, now=NOW),
        ):
            with pytest.raises(StoreUnavailable) as error:
                call()
            assert error.value.code == "store_unavailable"
        other.execute("ROLLBACK")
    store.add_project("bank", now=NOW)
    store.close()


def test_a_short_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "frugal.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    other = sqlite3.connect(path, check_same_thread=False)
    other.isolation_level = None
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.4, lambda: other.execute("COMMIT"))
    timer.start()
    store.add_project("bank", now=NOW)
    timer.join()
    other.close()
    store.close()


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'new' / 'frugal.db'}")
    store.migrate()
    with store.read() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "foreign_keys", "busy_timeout", "journal_mode")
        }
    safe = sqlite3.sqlite_version_info >= (3, 51, 3)
    assert values == {
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 15_000,
        "journal_mode": "wal" if safe else "delete",
    }
    assert (tmp_path / "new" / "frugal.db").stat().st_mode & 0o777 == 0o600
    store.close()


def test_the_journal_is_said_in_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'frugal.db'}")
    with caplog.at_level(logging.INFO, logger="scheduler.store"):
        store.migrate()
    store.close()
    assert "journal_mode=" in caplog.text
    assert sqlite3.sqlite_version in caplog.text


def test_a_full_disk_is_storage_full(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'frugal.db'}")
    store.migrate()
    project = store.add_project("bank", now=NOW)
    with store.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageFull) as error:
        store.add_dataset(a_dataset(project.id, name="x" * 100_000))
    assert error.value.code == "storage_full"
    store.close()


@pytest.mark.parametrize(
    "url",
    ["", "mysql://root@localhost/x", "sqlite://", "sqlite:///:memory:", "not a url", "oracle://x"],
)
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(IncompatibleStore):
        Store(url)


def test_a_path_that_is_no_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        Store(f"sqlite:///{tmp_path / 'file' / 'frugal.db'}")


@pytest.mark.postgres
def test_a_postgresql_that_is_killed_is_unavailable_and_comes_back(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store = Store(postgres_url)
    store.migrate()
    tenant = a_tenant(store)
    job = submit(store, tenant)
    postgres_server.stop(signal.SIGQUIT)
    try:
        with pytest.raises(StoreUnavailable) as error:
            store.get_job(tenant.project_id, job.id)
        assert "host=" not in str(error.value)
        with pytest.raises(StoreUnavailable):
            store.request_cancel(tenant.project_id, job.id, now=NOW)
    finally:
        postgres_server.start()
    assert store.get_job(tenant.project_id, job.id) == job
    store.close()


@pytest.mark.postgres
def test_a_connection_that_is_cut_inside_a_transaction_is_unavailable(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.migrate()
    other = create_engine(postgres_url)
    with pytest.raises(StoreUnavailable), store.write() as connection:  # noqa: PT012
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with other.begin() as second:
            second.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        connection.execute(text("SELECT 1"))
    other.dispose()
    store.ping()
    assert store.list_projects() == []
    store.close()


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    store = Store(f"postgresql://frugal@/x?host={tmp_path}")
    with pytest.raises(StoreUnavailable):
        store.migrate()
    store.close()


def test_an_unknown_dataset_is_not_claimed(store: Store) -> None:
    assert not store.claim_dataset(new_id(), owner="a", lease_seconds=1, now=NOW)
