"""The process of a job: how it is asked to stop, and what it may say."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from scheduler.child import where

log = logging.getLogger(__name__)


class Stopping(BaseException):
    """The service stops: give the job back at once. No model's `except Exception` catches it."""


class JsonLines(logging.Formatter):
    """One JSON object a line, as the service writes where no person watches."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON, an exception by its type and place."""
        at = datetime.fromtimestamp(record.created, UTC)
        values = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            values["exception"] = f"{type(error).__name__} at {where(error)}"
        return json.dumps(values)


class _Lines(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def formatException(self, ei: Any) -> str:
        return f"{ei[0].__name__} at {where(ei[1])}"


def line_formatter() -> logging.Formatter:
    """Return the format for people; exceptions by type and place, their text may hold a cell."""
    return _Lines("%(asctime)sZ %(levelname)s %(name)s: %(message)s")


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Raise `Stopping` in the main thread on SIGTERM, once."""

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        raise Stopping

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def set_up(log_level: str) -> None:
    """Log to standard error; of an error that nobody caught, its type and place only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(line_formatter() if sys.stderr.isatty() else JsonLines())
    logging.basicConfig(level=log_level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.CRITICAL)  # they may quote cells

    def told(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.error("%s at %s", type(args.exc_value).__name__, where(args.exc_value))

    threading.excepthook = told
