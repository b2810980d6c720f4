"""A service of one's own in a subprocess: for the demo, and for whoever has none running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from api.client import FrugalClient
from api.greeting import FIRST_TOKEN, READY
from automl.errors import FrugalError

if TYPE_CHECKING:
    from scheduler.store import Store

OWN = "local"  # the name of such a token, and who the audit says revoked it
# A job gives itself back, or is ended, within some 20 s; on a busy machine it takes longer.
STOP_SECONDS = 60.0
LOG_LINES = 20


class ServiceFailed(FrugalError):
    """The service did not start; the message has the end of its log."""

    code = "service_failed"


class LocalService:
    """Starts `python -m api` on a free port and stops it at the end of the `with` block.

    Attributes
    ----------
    url, token : str
        Where it listens, and a token of its own.
    first_token : str
        The token that its greeting showed; empty if its data folder had one before.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: dict[str, str] | None = None,
        with_scheduler: bool = True,
    ) -> None:
        self.data_dir = data_dir
        self.with_scheduler = with_scheduler  # without one, jobs that wait are not begun
        self.settings = settings or {}  # environment variables, e.g. {"FRUGAL_ZONE": "FR"}
        self.url = self.first_token = self.token = ""
        self._token_id = ""  # of a token that was made for this run only
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.process: subprocess.Popen[str]
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Start it, and return when it listens.

        Raises
        ------
        ServiceFailed
            It ended instead.
        """
        environment = {
            **os.environ,
            "FRUGAL_DATA_DIR": str(self.data_dir),
            "FRUGAL_HOST": "127.0.0.1",
            "FRUGAL_PORT": "0",
            # Not the database of a service that these variables may be meant for.
            "FRUGAL_DATABASE_URL": "",
            "FRUGAL_ARTIFACTS_URL": "",
            **self.settings,
        }
        command = [sys.executable, "-m", "api", "--until-stdin-closes"]
        if not self.with_scheduler:
            command.append("--without-scheduler")
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,  # closes when we end, however that comes; so does the service
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches only us, and we end it in order
        )
        self._read(self._keep_log)
        for line in self._lines(self.process.stdout):
            if line.startswith(FIRST_TOKEN):
                self.first_token = line.removeprefix(FIRST_TOKEN).split()[0]
            if line.startswith(READY):
                self.url = line.removeprefix(READY).split()[0]
                self.token = self.first_token or self._new_token()
                self._read(lambda: deque(self._lines(self.process.stdout), maxlen=0))
                return self
        self.stop()
        raise ServiceFailed("the service did not start:\n" + "\n".join(self.log))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> int:
        """End it in order and return its exit code; kill it when it does not follow."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self._revoke_token()
        return code

    def client(self) -> FrugalClient:
        """A client with the first token."""
        return FrugalClient(self.url, self.token)

    def _new_token(self) -> str:
        with self._store() as store:
            project = store.list_projects()[0]
            secret, token = store.add_token(project.id, name=OWN, now=datetime.now(UTC))
        self._token_id = token.id
        return secret

    def _revoke_token(self) -> None:
        """A token of a run ends with it; the first one stays, since it may have been kept."""
        if self._token_id:
            with self._store() as store:
                store.revoke_token(self._token_id, now=datetime.now(UTC), actor=OWN)
            self._token_id = ""

    @contextlib.contextmanager
    def _store(self) -> Iterator[Store]:
        from scheduler.config import Settings
        from scheduler.store import Store

        settings = Settings(data_dir=self.data_dir, database_url="")
        store = Store(settings.resolved_database_url)
        try:
            yield store
        finally:
            store.close()

    def _read(self, read: Callable[[], object]) -> None:
        # To the end: a full pipe would block the service.
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self._readers.append(reader)

    def _keep_log(self) -> None:
        self.log.extend(line.rstrip() for line in self._lines(self.process.stderr))

    @staticmethod
    def _lines(pipe: IO[str] | None) -> Iterator[str]:
        return iter(()) if pipe is None else iter(pipe)
