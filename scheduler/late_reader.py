"""A process that reads labels and stays a while: the next labels do not wait for its start.

A fresh interpreter with pyarrow and pandas costs more than a CPU-second, reading some labels a
hundredth of one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from automl.errors import DataError
from scheduler.child import Child, result_of
from scheduler.config import Settings
from scheduler.errors import ChildDied

READ_SECONDS = 300.0  # of one body


class LateReader:
    """Reads labels in at most one process that is kept; it ends after idle seconds without work.

    What comes while it is busy is read in a process of its own, which is kept if the other is not.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._idle: Child | None = None
        self._timer: threading.Timer | None = None
        self._stopped = False

    def read(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Call `scheduler.late.read_outcomes` with these arguments.

        Raises
        ------
        DataError
            As raised by the function.
        ChildDied
            The labels were too much for it, or killed it.
        """
        child = self._take()
        if child is not None:
            try:
                return self._ask(child, order)
            except ChildDied as error:
                if error.code != "child_crashed":
                    raise
                # It may have been killed while it was idle; these labels get a fresh one.
        return self._ask(self._start(), order)

    def _start(self) -> Child:
        return Child(
            "scheduler.late:serve",
            {},
            memory_bytes=self._settings.child_memory_bytes,
            cpu_seconds=None,
        )

    def _ask(self, child: Child, order: Mapping[str, Any]) -> dict[str, Any]:
        try:
            child.write_line(dict(order))
            line = child.read_line(deadline=time.monotonic() + READ_SECONDS)
            found: dict[str, Any] = result_of(line)
        except DataError:
            self._keep(child)
            raise
        except BaseException:
            child.close()
            raise
        self._keep(child)
        return found

    def _take(self) -> Child | None:
        with self._lock:
            child, self._idle = self._idle, None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        return child

    def _keep(self, child: Child) -> None:
        with self._lock:
            kept = not self._stopped and self._idle is None
            if kept:
                self._idle = child
                self._timer = threading.Timer(
                    self._settings.idle_seconds, self._release, args=(child,)
                )
                self._timer.daemon = True
                self._timer.start()
        if not kept:
            child.close()

    def _release(self, child: Child) -> None:
        """End a child that nobody has taken since."""
        with self._lock:
            if self._idle is not child:
                return
            self._idle = self._timer = None
        child.close()

    def pids(self) -> list[int]:
        """Return the process id of the child that is kept, if any."""
        with self._lock:
            return [] if self._idle is None else [self._idle.pid]

    def stop(self) -> None:
        """End the child that is kept; one that reads ends after its labels."""
        with self._lock:
            self._stopped = True
        child = self._take()
        if child is not None:
            child.close()
