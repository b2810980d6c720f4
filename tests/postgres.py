"""A throw-away PostgreSQL for the tests: Debian's package, a temporary folder, a unix socket."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

# Nothing here outlives the machine, so nothing needs to reach the disk; a commit still survives a
# killed server, which tests count on.
_SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=32MB",
    "log_min_messages=fatal",
)
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def _find(name: str) -> Path | None:
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = sorted(versions, key=lambda path: float(path.parts[4]), reverse=True)
    if newest:
        return newest[0]
    on_path = shutil.which(name) or shutil.which(name, path="/usr/local/bin:/usr/local/pgsql/bin")
    return None if on_path is None else Path(on_path)


def _user() -> str | None:
    """Somebody else when we are root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is neither postgres nor nobody")


class PostgresServer:
    """One cluster in a temporary folder; `kill` and `start` are for tests of an outage."""

    def __init__(self, folder: Path, *, postgres: Path, user: str | None) -> None:
        self.folder, self._postgres, self._user = folder, postgres, user
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """For SQLAlchemy and psycopg, over the unix socket."""
        return f"postgresql+psycopg://frugal@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        libc = ctypes.CDLL(None)
        command = [str(self._postgres), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        command += [part for setting in _SETTINGS for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                preexec_fn=lambda: libc.prctl(_DIES_WITH_PARENT, signal.SIGINT),
                cwd="/",
                **_as(self._user),
            )
        deadline = time.monotonic() + 240
        while True:
            try:
                psycopg.connect(f"host={self.folder} user=frugal dbname=postgres").close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL did not start: {said}") from None
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT rolls open transactions back, SIGQUIT and SIGKILL are a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=240)
            self._process = None

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction, in the server's own database."""
        with psycopg.connect(
            f"host={self.folder} user=frugal dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


def _as(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def cluster() -> Iterator[PostgresServer]:
    """A running server; skips the test, with a reason, where there is none to run."""
    initdb, postgres = _find("initdb"), _find("postgres")
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    user = _user()
    # Directly below /tmp: the path of a unix socket may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="frugal-pg-", dir="/tmp"))
    try:
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        folder.chmod(0o755)
        command = [str(initdb), "-D", str(folder / "data"), "-U", "frugal", "--no-sync"]
        subprocess.run(
            [*command, "--auth=trust", "--encoding=UTF8", "--locale=C"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **_as(user),
        )
        server = PostgresServer(folder, postgres=postgres, user=user)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server, one per test session; skips with a reason where there is none to run."""
    with cluster() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database that is dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
