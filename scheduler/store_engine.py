"""The connection to the database: one engine, two kinds of transaction, errors in our own words."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, select
from sqlalchemy.engine import URL, make_url

from scheduler.columns import dump_json, load_json
from scheduler.errors import Conflict, IncompatibleStore, StorageFull, StoreUnavailable
from scheduler.tables import projects

logger = logging.getLogger(__name__)

# https://www.sqlite.org/wal.html section 11: in WAL mode, 3.7.0 to 3.51.2 can lose committed rows
# when two connections write and checkpoint at the same time.
SAFE_WAL = (3, 51, 3)
# PostgreSQL gives up on what takes longer than these, so that no request hangs on a lock.
_LIMITS = (
    "-c timezone=utc -c statement_timeout=60000 -c lock_timeout=15000"
    " -c idle_in_transaction_session_timeout=60000"
)


def parsed_url(url: str) -> URL:
    """The database URL with its driver; `postgresql://` and `postgres://` mean psycopg 3.

    Raises IncompatibleStore when it is no URL, or of another database.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise IncompatibleStore("the database URL cannot be read") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise IncompatibleStore(f"the database is {backend!r}; SQLite and PostgreSQL are supported")
    if parsed.database in (None, "", ":memory:"):
        raise IncompatibleStore("the SQLite URL names no file; several processes must share it")
    return parsed


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """The journal of SQLite that loses nothing with this version of the library.

    >>> journal_mode((3, 51, 2)), journal_mode((3, 51, 3))
    ('DELETE', 'WAL')
    """
    return "WAL" if version >= SAFE_WAL else "DELETE"


def make_engine(url: str, *, busy_seconds: float) -> Engine:
    """An engine of which every connection is set up for durability and clear failure."""
    parsed = parsed_url(url)
    # At DEBUG it would log every row that is read, which `hide_parameters` does not prevent.
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
    common: dict[str, Any] = {
        "hide_parameters": True,
        "json_serializer": dump_json,
        "json_deserializer": load_json,
        "pool_size": 5,
        "max_overflow": 27,
        "pool_timeout": busy_seconds,
    }
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed, common, busy_seconds=busy_seconds)
    arguments: dict[str, Any] = {"connect_timeout": 5}
    if "options" not in parsed.query:
        arguments["options"] = _LIMITS
    try:
        return create_engine(
            parsed, pool_pre_ping=True, pool_recycle=1800, connect_args=arguments, **common
        )
    except ModuleNotFoundError:
        raise IncompatibleStore(
            "PostgreSQL needs psycopg: pip install 'frugal-automl[postgres]'"
        ) from None


def _sqlite_engine(parsed: URL, common: dict[str, Any], *, busy_seconds: float) -> Engine:
    path = Path(str(parsed.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"cannot open the database {path}: {error.strerror}") from None
    engine = create_engine(parsed, connect_args={"timeout": busy_seconds}, **common)
    mode = journal_mode()

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, never by the driver
        for pragma in (f"journal_mode={mode}", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that writes after it has read fails at once when another one wrote
        # in between; asking for the lock first makes it wait for its turn instead.
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


class Database:
    """One database, by URL; what the parts of the store have in common."""

    def __init__(self, url: str, *, busy_seconds: float = 15.0) -> None:
        self.engine = make_engine(url, busy_seconds=busy_seconds)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Give every connection back; the store may not be used afterwards."""
        self.engine.dispose()

    def ping(self) -> None:
        """Read from a table: a sign of life. Raises StoreUnavailable or IncompatibleStore."""
        with self.read() as connection:
            connection.execute(select(projects.c.id).limit(1)).first()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: all of it or nothing; on SQLite it waits for its turn."""
        with (
            translated(),
            self.engine.connect().execution_options(write=True) as connection,
            connection.begin(),
        ):
            yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the driver in our own words, without statement, parameters or row values.

    The driver's own error is left out of the chain on purpose: PostgreSQL's names the values.
    Raises StoreUnavailable, StorageFull, Conflict, IncompatibleStore, or ValueError for a value of
    the caller that no column takes.
    """
    try:
        yield
    except exc.IntegrityError as error:
        kind = type(error.orig).__name__
        failure: Exception = Conflict(f"the record contradicts another one ({kind})")
    except exc.TimeoutError:
        failure = StoreUnavailable("all connections to the database are busy")
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError) as error:
        failure = _unavailable(error)
    except exc.ProgrammingError as error:
        kind = type(error.orig).__name__
        failure = IncompatibleStore(f"the database has another shape than this version ({kind})")
    except exc.DBAPIError as error:
        kind = type(error.orig).__name__
        failure = (
            _unavailable(error)
            if error.connection_invalidated
            else ValueError(f"the database refused a value ({kind})")
        )
    except exc.StatementError as error:  # a value that no column takes: a mistake of the caller
        failure = ValueError(str(error.orig))
    else:
        return
    raise failure from None


def _unavailable(error: exc.DBAPIError) -> Exception:
    if isinstance(error.orig, sqlite3.Error):
        name = getattr(error.orig, "sqlite_errorname", "SQLITE_ERROR")
        if name == "SQLITE_FULL":
            return StorageFull("the disk of the database is full")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreUnavailable("the database is locked by another process; try again")
        if name == "SQLITE_ERROR":  # no such table, no such column
            return IncompatibleStore("the database has another shape than this version expects")
        return StoreUnavailable(f"the database cannot be used ({name})")
    kind = type(error.orig).__name__
    if kind == "DiskFull":
        return StorageFull("the disk of the database is full")
    return StoreUnavailable(f"the database does not answer ({kind}); try again")
