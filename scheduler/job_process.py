"""The process of a job: how it is asked to stop, and what it may say."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scheduler.child import where

log = logging.getLogger(__name__)


class Stopping(BaseException):
    """The service stops: give the job back at once. No model's `except Exception` catches it."""


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
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=log_level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.CRITICAL)  # they may quote cells

    def told(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.error("%s at %s", type(args.exc_value).__name__, where(args.exc_value))

    threading.excepthook = told
