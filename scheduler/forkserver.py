"""A process that has imported the heavy libraries once and forks a copy of itself for each job.

A fresh interpreter with LightGBM and scikit-learn costs about 2 CPU-seconds, a fork of this one
0.05. It stays single-threaded, so that forking is safe, and waits in one `select` without polling.
It is not `multiprocessing`'s: that one imports the starter's main module (the web server) into
every job, speaks pickle, keeps a second helper process, and cannot be stopped while unused.

The starter holds a socket. One message starts a job: JSON, and with it two descriptors, the job's
lifeline and the pipe on which it answers. Another ends one. When the socket closes the server
exits; jobs die by their lifelines.

With two descriptors more, its standard input and output, a message starts a child that does what
`scheduler.child.answer` reads there: the server itself never sees what that is.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterable
from typing import Any

from scheduler.child import answer, error_line
from scheduler.lifeline import hold

MAX_MESSAGE = 2**20


class ForkServer:
    """Forks jobs on demand, reaps them, and tells how each ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._jobs: dict[int, tuple[str, int]] = {}  # process id -> (job id, answer descriptor)

    def serve(self) -> None:
        """Serve until the starter closes the socket."""
        wakeup_read, wakeup_write = os.pipe()
        os.set_blocking(wakeup_write, False)
        os.set_blocking(wakeup_read, False)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        while True:
            ready, _, _ = select.select([self._control.fileno(), wakeup_read], [], [])
            if wakeup_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wakeup_read, 4096)
                self._reap()
            if self._control.fileno() in ready:
                message, fds, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, 4)
                if not message:
                    return
                order = json.loads(message)
                if "signal" in order:
                    self._signal(order["id"], order["signal"])
                else:
                    self._start(order, *fds)

    def _start(self, order: dict[str, Any], lifeline: int, answers: int, *streams: int) -> None:
        preload(order.get("preload", ()))
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.setpgid(0, 0)
                hold(lifeline)
                os.nice(order.get("nice", 0))
                self._control.close()
                for _, fd in self._jobs.values():
                    os.close(fd)
                if streams:
                    os.close(answers)  # how it ended is for the server to say
                    for number, fd in enumerate(streams):
                        os.dup2(fd, number)
                        os.close(fd)
                    answer()
                run(order, answers)
            finally:
                os._exit(70)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # here too: a kill may come before the job gets to it
        for fd in (lifeline, *streams):
            os.close(fd)
        self._jobs[pid] = order["id"], answers
        tell(answers, {"pid": pid})

    def _reap(self) -> None:
        for pid in list(self._jobs):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _, answers = self._jobs.pop(pid)
                # What the job itself started goes with it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                tell(answers, {"status": os.waitstatus_to_exitcode(status)})
                os.close(answers)

    def _signal(self, job_id: str, number: int) -> None:
        # Only here is it certain that the process id is still the job's: it is reaped here.
        for pid, (known, _) in self._jobs.items():
            if known == job_id:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, number)


def run(order: dict[str, Any], answers: int) -> None:
    """Run the job's function in this process, tell its result, and exit."""
    try:
        module, _, name = order["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        line: dict[str, Any] = {"result": function(*order["arguments"])}
        text = json.dumps(line)
    except Exception as error:
        text = json.dumps(error_line(error))
    tell(answers, text)
    sys.stderr.flush()
    os._exit(0)


def tell(fd: int, value: object) -> None:
    """Write a JSON line; a reader that is gone does not matter."""
    data = (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n"
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(fd, data) :]


def preload(names: Iterable[str]) -> None:
    """Import modules, or call ``module:function``; one that fails is left to the job to report."""
    for name in names:
        module, _, function = name.partition(":")
        with contextlib.suppress(Exception):
            imported = importlib.import_module(module)
            if function:
                getattr(imported, function)()


def main(control_fd: int, names: list[str]) -> None:
    """Preload, then serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends us
    control = socket.socket(fileno=control_fd)
    preload(names)
    ForkServer(control).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
