"""Where jobs run: `concurrent.futures.Executor` is the whole seam.

`ForkserverExecutor` gives every job a process of its own, forked from a warm one;
`InlineExecutor` runs it in the caller, for tests and one-shot commands.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, BinaryIO, Protocol, TypeVar

from scheduler.child import environment, result_of
from scheduler.errors import ChildDied, Conflict
from scheduler.forkserver import MAX_MESSAGE
from scheduler.lifeline import Lifeline

T = TypeVar("T")

# What a job imports anyway; codecarbon's detection of the processor takes seconds, once.
PRELOAD = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "lightgbm",
    "optuna",
    "skops.io",  # of every champion with a forest or a linear member: 0.7 CPU-seconds
    "automl.search.run",
    "automl.meters.reference:preload",
    "scheduler.knowledge:preload",
    "scheduler.execution",
)


class JobExecutor(Protocol):
    """An Executor whose first argument after the function is the job's id, and can kill it."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]: ...

    def kill(self, job_id: str) -> None: ...

    def interrupt(self, job_id: str) -> None: ...

    def pid(self, job_id: str) -> int | None: ...

    def release_idle(self, *, idle_seconds: float) -> bool: ...

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...


class InlineExecutor(Executor):
    """Runs each job at once in the calling thread; there is nothing to kill or release."""

    def __init__(self) -> None:
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn(*args)`` and return its finished future."""
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def kill(self, job_id: str) -> None:
        """Do nothing: a job is over before anybody can ask."""

    def interrupt(self, job_id: str) -> None:
        """Do nothing, as above."""

    def pid(self, job_id: str) -> int | None:
        """Return None: a job has no process of its own."""
        return None

    def release_idle(self, *, idle_seconds: float) -> bool:
        """Return False: nothing is kept warm."""
        return False

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs."""
        self._closed = True


class _Server:
    """A running fork server and this process's end of its socket."""

    def __init__(self, preload: tuple[str, ...], passed: tuple[str, ...]) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scheduler.forkserver", str(theirs.fileno()), *preload],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # libraries print there; logs go to standard error
                pass_fds=(theirs.fileno(),),
                env=environment(passed),
                start_new_session=True,
            )

    def close(self) -> None:
        self.socket.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # still importing
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class _Running:
    """A job under way: its future, its lifeline, and the process when it is known."""

    def __init__(self, lifeline: Lifeline) -> None:
        self.future: Future[Any] = Future()
        self.lifeline = lifeline
        self.server: _Server | None = None
        self.pid: int | None = None


class ForkserverExecutor(Executor):
    """One process per job, forked from a server that is started at first use.

    A job is a module-level function with JSON arguments and result; its first argument is the
    job's id. It has its own process group and niceness and dies with this process. A job whose
    process dies gives `ChildDied`; a `DataError` crosses as it is.

    Parameters
    ----------
    nice : int
        Niceness of jobs, 0 to 19.
    preload : names of modules, or ``module:function`` to call, once in the server.
    passed : names of variables that jobs may know beside the few of every child.
    """

    def __init__(
        self,
        *,
        nice: int = 10,
        preload: tuple[str, ...] = PRELOAD,
        passed: tuple[str, ...] = (),
    ) -> None:
        self._nice, self._preload, self._passed = nice, preload, passed
        self._lock = threading.RLock()
        self._server: _Server | None = None
        self._jobs: dict[str, _Running] = {}
        self._idle_since = time.monotonic()
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Start ``fn(*args)`` in a process of its own; ``args[0]`` is the job's id.

        Raises
        ------
        Conflict
            That job is running here already.
        """
        if kwargs or not args or not isinstance(args[0], str):
            raise TypeError("a job takes its id first, and positional JSON values only")
        job_id = args[0]
        order = {
            "id": job_id,
            "function": f"{fn.__module__}:{fn.__qualname__}",
            "arguments": args,
            "nice": self._nice,
        }
        message = json.dumps(order).encode()
        if len(message) > MAX_MESSAGE:
            raise ValueError(f"the job's arguments take {len(message):,} bytes of JSON")
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if job_id in self._jobs:
                raise Conflict(f"job {job_id} is running here already", code="already_running")
            job = _Running(Lifeline())
            answers_read, answers_write = os.pipe()
            try:
                self._send(message, [job.lifeline.child_fd, answers_write])
            except BaseException:
                job.lifeline.cut()
                os.close(answers_read)
                raise
            finally:
                os.close(answers_write)
                job.lifeline.passed()
            job.server = self._server
            self._jobs[job_id] = job
        job.future.set_running_or_notify_cancel()
        threading.Thread(
            target=self._watch,
            args=(job_id, job, os.fdopen(answers_read, "rb")),
            name=f"job {job_id}",
            daemon=True,
        ).start()
        return job.future

    def _send(self, message: bytes, fds: list[int]) -> None:
        if self._server is not None and self._server.process.poll() is None:
            with contextlib.suppress(OSError):  # it is dying just now
                socket.send_fds(self._server.socket, [message], fds)
                return
        self._drop_server()
        self._server = _Server(self._preload, self._passed)
        socket.send_fds(self._server.socket, [message], fds)

    def _drop_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _watch(self, job_id: str, job: _Running, answers: BinaryIO) -> None:
        outcome: dict[str, Any] = {}
        with answers:
            for line in answers:
                with contextlib.suppress(ValueError):
                    outcome |= json.loads(line)
                job.pid = outcome.get("pid")
                if "status" in outcome:
                    break
        with self._lock:
            self._jobs.pop(job_id, None)
            self._idle_since = time.monotonic()
        # If the server itself died, its jobs are orphans that hold no answer any more.
        job.lifeline.cut()
        try:
            if "result" in outcome or "error" in outcome:
                result = result_of(outcome)
            else:
                raise _death(outcome.get("status"))
        except Exception as error:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)

    def kill(self, job_id: str) -> None:
        """End the job's process and all it started; harmless when it ended already."""
        self._signal(job_id, signal.SIGKILL)

    def interrupt(self, job_id: str) -> None:
        """Ask the job's process to end by itself (SIGTERM); harmless when it ended already."""
        self._signal(job_id, signal.SIGTERM)

    def _signal(self, job_id: str, number: signal.Signals) -> None:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None:
                return
            if job.server is not None and job.server.process.poll() is None:
                with contextlib.suppress(OSError):
                    job.server.socket.send(json.dumps({"signal": number, "id": job_id}).encode())
                    return
            job.lifeline.cut()  # its server is dead: nobody is left who could end its whole group

    def pid(self, job_id: str) -> int | None:
        """Return the process id of a running job, None when it has none (yet)."""
        with self._lock:
            job = self._jobs.get(job_id)
            return None if job is None else job.pid

    def server_pid(self) -> int | None:
        """Return the process id of the fork server, None when none is kept."""
        with self._lock:
            return None if self._server is None else self._server.process.pid

    def release_idle(self, *, idle_seconds: float) -> bool:
        """Stop the server if no job has run for so long; return whether it was stopped."""
        with self._lock:
            idle = time.monotonic() - self._idle_since
            if self._server is None or self._jobs or idle < idle_seconds:
                return False
            self._drop_server()
            return True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs; wait for those running, or end them with `cancel_futures`."""
        with self._lock:
            self._closed = True
            running = dict(self._jobs)
        if cancel_futures:
            for job_id in running:
                self.kill(job_id)
        if wait or cancel_futures:
            for job in running.values():
                with contextlib.suppress(Exception):
                    job.future.exception()
        with self._lock:
            if not self._jobs:
                self._drop_server()


def _death(status: int | None) -> ChildDied:
    if status is None:
        return ChildDied("the server of job processes died", code="child_crashed")
    if status < 0:
        name = signal.Signals(-status).name
        return ChildDied(
            f"the job's process was ended by {name}", code="child_crashed", status=status
        )
    return ChildDied(f"the job's process exited with {status}", code="child_crashed", status=status)


def make_executor(url: str, *, nice: int = 10, passed: tuple[str, ...] = ()) -> JobExecutor:
    """Return the executor that `url` names: ``processes`` or ``inline``.

    `nice` and `passed` are those of `ForkserverExecutor`.

    >>> type(make_executor("inline")).__name__
    'InlineExecutor'
    """
    if url == "processes":
        return ForkserverExecutor(nice=nice, passed=passed)
    if url == "inline":
        return InlineExecutor()
    raise ValueError(f"executor {url!r} is unknown; known are 'processes' and 'inline'")
