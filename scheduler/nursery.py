"""A process that has imported what readers of tables need, from which a service's children fork.

A fresh interpreter with pyarrow and pandas takes 0.6 CPU-seconds before it reads a row, one with
the libraries of a champion 2; a fork takes some 0.02. One night asks six or more questions one
after the other: they pay for imports once. Each is still a process of its own, with its own limits,
lifeline and process group, and a crash takes no other down (`scheduler.child`).

It is started by the first child, and ends when there was none for a while: an idle service keeps
nothing. It is not the server of jobs: that one may hold credentials of storage, and every job hands
it settings with the address of the database, of which a process that reads other people's bytes is
to have no copy. This one has the environment of a child, and what its forks do goes past it. What
forks share is the layout of their addresses.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from typing import BinaryIO

from scheduler.child import environment

log = logging.getLogger(__name__)

# What nearly every child imports. What only some need they name: `scheduler.child.call`.
PRELOAD = ("numpy", "pandas", "pyarrow.parquet", "scheduler.reading", "automl.data.tables")
# Of a champion's children, and of those that say whether a job may run: both within one night.
MODELS = ("sklearn.linear_model", "lightgbm")
# The questions of a night come within seconds of each other, some a tick of the service later.
IDLE_SECONDS = 30.0
POLL_SECONDS = 0.2
# What is killed ends at once, unless the kernel or the server hangs.
KILL_SECONDS = 30.0


class _Server:
    """A running fork server and this process's end of its socket."""

    def __init__(self, imports: Sequence[str]) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.lock = threading.Lock()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scheduler.forkserver", str(theirs.fileno()), *imports],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment(),
                start_new_session=True,
            )

    def send(self, order: dict[str, object], fds: Sequence[int] = ()) -> bool:
        """Whether the order could be sent."""
        try:
            with self.lock:
                socket.send_fds(self.socket, [json.dumps(order).encode()], list(fds))
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.socket.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # still importing
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Forked:
    """A child that a server forked, as `scheduler.child.Process`."""

    def __init__(self, server: _Server, lifeline_fd: int, imports: Sequence[str]) -> None:
        """Raises OSError where the server is gone."""
        self._server, self._id = server, uuid.uuid4().hex
        self._lock = threading.Lock()
        self._told = bytearray()
        self._status: int | None = None
        self._over = False
        self._answers, answers = os.pipe()
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.stdin: BinaryIO = os.fdopen(ours_in, "wb")
        self.stdout: BinaryIO = os.fdopen(ours_out, "rb")
        sent = server.send(
            {"id": self._id, "preload": list(imports)},
            [lifeline_fd, answers, theirs_in, theirs_out],
        )
        for fd in (answers, theirs_in, theirs_out):
            os.close(fd)
        if not sent:
            self.close()
            raise OSError("the server of children is gone")

    @property
    def pid(self) -> int:
        """Process id, which is its process group's too; 0 where it was never started."""
        while (known := self._known("pid")) is None and not self._over:
            self._read(POLL_SECONDS)
        return known or 0

    def poll(self) -> int | None:
        """How it ended, as `subprocess.Popen.poll`."""
        self._read(0)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ended: for good only for what was killed, and then not for a hung server.

        Raises subprocess.TimeoutExpired.
        """
        end = time.monotonic() + (KILL_SECONDS if timeout is None else timeout)
        while self._status is None:
            left = end - time.monotonic()
            if left <= 0:
                if timeout is not None:
                    raise subprocess.TimeoutExpired(self._id, timeout)
                self._end(-signal.SIGKILL)
                break
            self._read(min(left, POLL_SECONDS))
        return self._status or 0

    def kill_group(self) -> None:
        """End it and what it started; only its server knows that the process id is still its."""
        self._server.send({"signal": signal.SIGKILL, "id": self._id})

    def close(self) -> None:
        """Let go of the pipes; harmless when that was done."""
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._end(-signal.SIGKILL)

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.poll() is not None

    def _read(self, seconds: float) -> None:
        """Read what the server tells of it; when that is over without its end, the server died."""
        with self._lock:
            if self._over or not select.select([self._answers], [], [], seconds)[0]:
                return
            chunk = os.read(self._answers, 4096)
            self._told += chunk
            status = self._known("status")
        if status is not None or not chunk:
            self._end(-signal.SIGKILL if status is None else status)

    def _end(self, status: int) -> None:
        with self._lock:
            if not self._over:
                self._over, self._status = True, status
                os.close(self._answers)

    def _known(self, name: str) -> int | None:
        for line in bytes(self._told).split(b"\n")[:-1]:
            told = json.loads(line)
            if name in told:
                return int(told[name])
        return None


class Nursery:
    """Starts children from a warm process, which is there only while it is used.

    Parameters
    ----------
    preload : modules that it imports at its start
    idle_seconds : it ends when for so long no child was there
    """

    def __init__(
        self, *, preload: Sequence[str] = PRELOAD, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._preload, self._idle_seconds = tuple(preload), idle_seconds
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._children: list[Forked] = []
        self._timer: threading.Timer | None = None
        self._used = time.monotonic()
        self._closed = False

    def start(self, lifeline_fd: int, imports: Sequence[str] = ()) -> Forked | None:
        """A child bound to a lifeline; None where there is no server to fork it."""
        with self._lock:
            if self._closed:
                return None
            self._used = time.monotonic()
            for _ in range(2):  # the server may have died since it was last used
                if self._server is None or self._server.process.poll() is not None:
                    self._drop()
                    self._server = _Server(self._preload)
                try:
                    child = Forked(self._server, lifeline_fd, imports)
                except OSError:
                    self._drop()
                    continue
                self._children = [one for one in self._children if not one.is_over()]
                self._children.append(child)
                self._look_again(self._idle_seconds)
                return child
        return None

    def server_pid(self) -> int | None:
        """Process id of the warm process, None where none is kept."""
        with self._lock:
            return None if self._server is None else self._server.process.pid

    def close(self) -> None:
        """End the warm process, and start no more; children end by their lifelines."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            self._drop()

    def _drop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _look_again(self, seconds: float) -> None:
        """One timer at a time; no polling while there is no warm process."""
        if self._timer is None:
            self._timer = threading.Timer(seconds, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            if self._closed or self._server is None:
                return
            self._children = [one for one in self._children if not one.is_over()]
            if self._children:
                self._used = time.monotonic()
            left = self._idle_seconds - (time.monotonic() - self._used)
            if left > 0:
                self._look_again(left)
                return
            self._drop()
            log.info(
                "the process that children are forked from ended after %g s", self._idle_seconds
            )
