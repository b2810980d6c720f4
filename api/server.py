"""The service as one process: store, scheduler and HTTP listener, started and stopped together."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

from api.gate import Gate
from api.greeting import greeting
from api.listener import CONNECTION_LIMIT, Listener

if TYPE_CHECKING:
    from scheduler.config import Settings
    from scheduler.store import Store

log = logging.getLogger(__name__)

# Never filled by uploads: the smaller of 1 GiB and 5 % of the disk.
RESERVE_BYTES = 2**30
RESERVE_SHARE = 0.05
# An upload lies on the disk twice for a moment: as it came in, and as what is stored.
COPIES = 2
# Each connection may hold its socket and two temporary files.
DESCRIPTORS = 3 * CONNECTION_LIMIT + 512


class LineFormatter(logging.Formatter):
    """One line for each record, for people.

    Of an exception only its type and places are written: the message of an unforeseen error may
    hold a value of a cell.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{self.moment(record)} {record.levelname} {record.name}: {message}"
        places = self.places(record)
        return f"{line} [{places}]" if places else line

    def moment(self, record: logging.LogRecord) -> str:
        """When, in UTC to the millisecond."""
        at = datetime.fromtimestamp(record.created, UTC)
        return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"

    def places(self, record: logging.LogRecord) -> str | None:
        """Type of the record's exception and the innermost places it passed."""
        if not record.exc_info or record.exc_info[1] is None:
            return None
        error = record.exc_info[1]
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
        return f"{type(error).__name__} at {where}"


class JsonFormatter(LineFormatter):
    """One JSON object on a line for each record, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        values = {
            "at": self.moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "error": self.places(record),
        }
        return json.dumps({key: value for key, value in values.items() if value is not None})


def start_logging(level: str) -> None:
    """Log to stderr: lines for people on a terminal, JSON lines elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter() if sys.stderr.isatty() else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("alembic", "apscheduler"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # It warns of every small burst, which the queue is there for.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def serve(
    settings: Settings, *, with_scheduler: bool = True, until_stdin_closes: bool = False
) -> int:
    """Run the service until SIGTERM or SIGINT.

    Prints the address to stdout, and on the very first start a token, which is never logged and
    not shown again.

    Parameters
    ----------
    with_scheduler : bool
        False where `python -m scheduler` runs the jobs, on the same database and artifacts.
    until_stdin_closes : bool
        Also end when stdin does: a service that a program started for itself must not outlive it,
        however that program ends.

    Returns
    -------
    int
        0 after a clean stop.

    Raises
    ------
    OSError
        The address is in use, or the data folder cannot be written.
    """
    # Not at the top: `frugal --help` must be quick.
    from api import create_app
    from scheduler.artifacts import ArtifactStore
    from scheduler.batches import Batches
    from scheduler.carbon.sources import make_source
    from scheduler.ingestion import Ingestor
    from scheduler.late_reader import LateReader
    from scheduler.predictor import Predictor
    from scheduler.service import Service
    from scheduler.store import Store

    start_logging(settings.log_level)
    os.umask(0o077)  # personal data: for this user only
    _allow_descriptors()
    spool = settings.data_dir / "tmp"
    spool.mkdir(parents=True, exist_ok=True)
    with suppress(PermissionError):  # another user's, who has chosen who reads it
        settings.data_dir.chmod(0o700)
    tempfile.tempdir = str(spool.absolute())  # uploads that arrive lie on the data's own disk

    intensity = make_source(settings)  # first: a wrong setting ends it here
    store = Store(settings.resolved_database_url)
    store.migrate()
    artifacts = ArtifactStore(settings.resolved_artifacts_url)
    ingestor = Ingestor(store, artifacts, settings)
    predictor = Predictor(artifacts, settings)
    batches = Batches(store, artifacts, settings)
    labels = LateReader(settings)
    service = None
    if with_scheduler:
        service = Service(
            store, artifacts, settings, ingestor=ingestor, batches=batches, intensity=intensity
        )
    app = create_app(
        store=store,
        artifacts=artifacts,
        ingestor=ingestor,
        service=service,
        predictor=predictor,
        settings=settings,
        intensity=intensity,
        labels=labels,
        batches=batches,
    )
    listener = Listener(
        app,
        gate=_gate(store, settings),
        host=settings.host,
        port=settings.port,
        threads=settings.http_threads,
    )

    def stop(number: int, _frame: FrameType | None) -> None:
        log.info("%s: stopping", signal.Signals(number).name)
        listener.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    listener.wake_on_signals()
    if until_stdin_closes:
        threading.Thread(target=_wait_for_stdin, args=(listener,), daemon=True).start()
    lines = greeting(store, settings, port=listener.port, now=datetime.now(UTC))
    if service is not None:
        service.start()
    try:
        sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()
        listener.run()
    finally:
        if service is None:
            ingestor.stop()
        else:
            service.stop()
        predictor.stop()
        batches.stop()
        labels.stop()
        store.close()
    log.info("stopped")
    return 0


def _wait_for_stdin(listener: Listener) -> None:
    # By the descriptor: a thread inside sys.stdin's lock would block the end of the interpreter.
    while os.read(0, 4096):
        pass
    log.info("stdin was closed: stopping")
    listener.stop()


def _gate(store: Store, settings: Settings) -> Gate:
    def knows(secret: str) -> bool:
        return store.token_by_secret(secret, now=datetime.now(UTC)) is not None

    def has_room(n_bytes: int) -> bool:
        usage = shutil.disk_usage(settings.data_dir)
        reserve = min(RESERVE_BYTES, RESERVE_SHARE * usage.total)
        return usage.free - COPIES * n_bytes > reserve

    return Gate(
        max_upload_bytes=settings.max_upload_bytes,
        max_body_bytes=settings.max_body_bytes,
        knows=knows,
        has_room=has_room,
    )


def _allow_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
