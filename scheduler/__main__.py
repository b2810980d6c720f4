"""The scheduler alone: `python -m scheduler`, for deployments where the API runs elsewhere."""

from __future__ import annotations

import logging
import os
import signal
import sys

from automl.errors import FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.carbon.sources import make_source
from scheduler.config import Settings
from scheduler.job_process import set_up
from scheduler.service import Service
from scheduler.store import Store

log = logging.getLogger("scheduler")


def expect(*numbers: signal.Signals) -> int:
    """Return a descriptor that can be read once one of these signals has come.

    A lock or an event of `threading` would not do: the kernel may hand the signal to any thread,
    and a main thread that waits for a lock is not woken then to run Python's handler.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return read


def main() -> int:
    """Run until SIGTERM or SIGINT; return 0 after a clean stop, 1 when it cannot start."""
    try:
        settings = Settings.load()
        set_up(settings.log_level)
        os.umask(0o077)  # personal data: for this user only
        store = Store(settings.resolved_database_url)
        store.migrate()
        service = Service(
            store,
            ArtifactStore(settings.resolved_artifacts_url),
            settings,
            intensity=make_source(settings),
        )
        stopped = expect(signal.SIGTERM, signal.SIGINT)
        service.start()
    except FrugalError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return 1
    try:
        os.read(stopped, 1)
    finally:
        service.stop()
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
