"""Work on other people's bytes happens in a process of its own with limits.

It is a fresh interpreter, or a fork of one that has only imported (`scheduler.nursery`).

`call` runs a named function there with JSON in and out. A `DataError` crosses with its code and
place; whatever else goes wrong comes back as `ChildDied` with a reason in its code, and never with
the text of an exception, which may quote a cell. A hostile file can only take its own child down.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import resource
import selectors
import signal
import site
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, Protocol, cast

from automl.errors import DataError
from scheduler.errors import ChildDied
from scheduler.lifeline import Lifeline, hold

# What a child may know of its environment: no database URL, no token.
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONWARNINGS")
_SET = {
    # jemalloc and mimalloc reserve more address space than they use, which RLIMIT_AS counts.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    # Arrow's CSV reader takes as much as a block has for each column of text and gives most of it
    # back. Unless it comes from mmap it leaves holes that the next column does not fit into, and a
    # block of 4 MiB with 1,000 columns fills 4 GiB of addresses. Setting the threshold also keeps
    # glibc from raising it.
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    # Waiting OpenMP threads that spin burn 19 times the energy of the work on contended cores.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "1",
}
_POLL_SECONDS = 0.2
_MAX_LINE = 64 * 2**20  # a profile of 5,000 columns takes about 5 MB


class Process(Protocol):
    """A process that was started, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> BinaryIO: ...
    @property
    def stdout(self) -> BinaryIO: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill_group(self) -> None: ...


class _Fresh:
    """A fresh interpreter: nothing is imported, nothing is shared."""

    def __init__(self, lifeline_fd: int, *, passed: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scheduler.child", str(lifeline_fd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(lifeline_fd,),
            env=environment(passed),
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.stdin = cast(BinaryIO, self._process.stdin)
        self.stdout = cast(BinaryIO, self._process.stdout)
        self.poll, self.wait = self._process.poll, self._process.wait

    def kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


# Starts a process from one that has imported what it needs, given the read end of its lifeline and
# what it is to have imported; None where it cannot. A service sets it (`scheduler.nursery`).
Starter = Callable[[int, Sequence[str]], "Process | None"]
_warm: Starter | None = None


def start_from(starter: Starter | None) -> None:
    """Let `call` start its children so from now on; None: each is a fresh interpreter."""
    global _warm
    _warm = starter


class Child:
    """A fresh interpreter running one named function; ends with this process or at `close`.

    Parameters
    ----------
    function : str
        ``module:name``. It is called with `arguments` and, if it has a parameter ``channel``,
        with its `Channel`.
    memory_bytes, cpu_seconds : limits of the child's address space and CPU time; None for none.
    passed : names of variables that it may know beside the few of every child
    warm : modules that it needs, where it may be forked from a process that has them, as
        `start_from` says; None: a fresh interpreter in any case
    """

    def __init__(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        memory_bytes: int | None,
        cpu_seconds: float | None,
        passed: Sequence[str] = (),
        warm: Sequence[str] | None = None,
    ) -> None:
        self.function = function
        self._buffer = bytearray()
        self._lifeline = Lifeline()
        try:
            self._process = self._started(passed, warm)
        except BaseException:
            self._lifeline.cut()
            raise
        self._lifeline.passed()
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self.write_line(
            {
                "function": function,
                "arguments": dict(arguments),
                "memory_bytes": memory_bytes,
                "cpu_seconds": cpu_seconds,
            }
        )

    def _started(self, passed: Sequence[str], warm: Sequence[str] | None) -> Process:
        found: Process | None = None
        # The warm process has the environment of every child: one with secrets is never its fork.
        if (
            warm is not None
            and _warm is not None
            and not any(name in os.environ for name in passed)
        ):
            found = _warm(self._lifeline.child_fd, warm)
        return found or _Fresh(self._lifeline.child_fd, passed=passed)

    @property
    def pid(self) -> int:
        """Process id, which is its process group's too."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def write(self, data: bytes) -> None:
        """Send bytes; a child that is gone is noticed by the next read."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(data)
            self._stdin.flush()

    def write_line(self, value: object) -> None:
        """Send a JSON value as one line."""
        self.write(json.dumps(value).encode() + b"\n")

    def read_line(
        self, *, deadline: float | None, cancelled: Callable[[], bool] | None = None
    ) -> dict[str, Any]:
        """Return the next JSON line of the child.

        `deadline` is of `time.monotonic()`.

        Raises
        ------
        ChildDied
            The child ended, was too slow, or was cancelled; its code says which.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_LINE:
                self.close()
                raise ChildDied("the child's answer is too long", code="child_crashed")
            self._fill(deadline, cancelled)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self.close()
            raise ChildDied("the child's answer is not JSON", code="child_crashed")
        return value

    def read_exactly(self, n_bytes: int, *, deadline: float | None) -> bytes:
        """Return the next `n_bytes` of the child; raises as `read_line`."""
        while len(self._buffer) < n_bytes:
            self._fill(deadline, None)
        data = bytes(self._buffer[:n_bytes])
        del self._buffer[:n_bytes]
        return data

    def _fill(self, deadline: float | None, cancelled: Callable[[], bool] | None) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            while True:
                wait = None if deadline is None else max(0.0, deadline - time.monotonic())
                if cancelled is not None:
                    wait = _POLL_SECONDS if wait is None else min(wait, _POLL_SECONDS)
                if selector.select(wait):
                    break
                if cancelled is not None and cancelled():
                    self.close()
                    raise ChildDied("the work was cancelled", code="child_cancelled")
                if deadline is not None and time.monotonic() >= deadline:
                    self.close()
                    raise ChildDied("the work took too long", code="child_timed_out")
        chunk = os.read(self._stdout.fileno(), 2**20)
        if not chunk:
            raise self._ended()
        self._buffer += chunk

    def _ended(self) -> ChildDied:
        # Output ended, so the process is ending; one that closed its output and goes on is killed.
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self.close()
        return _death(status)

    def close(self) -> None:
        """End the child and whatever it started; harmless when it ended already."""
        if self._process.poll() is None:
            self._process.kill_group()
            self._process.wait()
        self._lifeline.cut()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def call(
    function: str,
    arguments: Mapping[str, Any],
    *,
    memory_bytes: int | None,
    cpu_seconds: float | None,
    wall_seconds: float | None,
    passed: Sequence[str] = (),
    imports: Sequence[str] = (),
    on_message: Callable[[Any], Any] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Any:
    """Run ``module:name`` in a process of its own and return its JSON result.

    It is a fresh interpreter, or a fork of one that has imported what such calls need and nothing
    else (`start_from`); `imports` are modules that it needs beside what readers of tables do.

    `on_message` answers what the function sends through its `Channel` before it ends; while it
    answers the clock stands still. Whatever it raises ends the child and is raised here.

    Raises
    ------
    DataError
        As raised by the function.
    ChildDied
        Codes ``child_out_of_memory``, ``child_timed_out``, ``child_crashed``, ``child_cancelled``.
    """
    deadline = None if wall_seconds is None else time.monotonic() + wall_seconds
    with Child(
        function,
        arguments,
        memory_bytes=memory_bytes,
        cpu_seconds=cpu_seconds,
        passed=passed,
        warm=imports,
    ) as child:
        while True:
            line = child.read_line(deadline=deadline, cancelled=cancelled)
            if "message" not in line:
                return result_of(line)
            began = time.monotonic()
            reply = None if on_message is None else on_message(line["message"])
            if deadline is not None:
                deadline += time.monotonic() - began
            child.write_line(reply)


def result_of(line: Mapping[str, Any]) -> Any:
    """Return the result of a child's last line, or raise the error that it carries."""
    if "result" in line:
        return line["result"]
    error = line.get("error", {})
    kind = error.get("kind")
    if kind == "data":
        raise DataError(
            error["message"],
            code=error["code"],
            table=error["table"],
            column=error["column"],
            row=error["row"],
            details=error["details"],
        )
    if kind == "memory":
        raise ChildDied("the work needs more memory than allowed", code="child_out_of_memory")
    raise ChildDied(
        f"the work failed: {error.get('type', 'unknown')} at {error.get('where', 'unknown')}",
        code="child_crashed",
    )


def error_line(error: BaseException) -> dict[str, Any]:
    """Return what may be told of an error: all of a `DataError`, type and place of any other."""
    if isinstance(error, DataError):
        return {
            "error": {
                "kind": "data",
                "message": str(error),
                "code": error.code,
                "table": error.table,
                "column": error.column,
                "row": error.row,
                "details": error.details,
            }
        }
    if isinstance(error, MemoryError):
        return {"error": {"kind": "memory"}}
    return {"error": {"kind": "internal", "type": type(error).__name__, "where": where(error)}}


def where(error: BaseException) -> str:
    """Return ``file.py:line`` of the innermost frame of this project, or of all when none is."""
    frames = traceback.extract_tb(error.__traceback__)
    root = str(Path(__file__).parents[1])
    ours = [f for f in frames if f.filename.startswith(root) and "site-packages" not in f.filename]
    for frame in reversed(ours or list(frames)):
        return f"{Path(frame.filename).name}:{frame.lineno}"
    return "unknown"


def environment(more: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment of a child: no secret of the service, this project importable.

    `more` are names of variables that this child needs beside the others.
    """
    passed = {name: os.environ[name] for name in (*_PASSED, *more) if name in os.environ}
    root = str(Path(__file__).parents[1])
    if root not in site.getsitepackages():
        passed["PYTHONPATH"] = os.pathsep.join(filter(None, [root, passed.get("PYTHONPATH")]))
    return passed | _SET


def _death(status: int) -> ChildDied:
    if status == -signal.SIGXCPU:
        return ChildDied("the work took too much CPU time", code="child_timed_out")
    if status < 0:
        name = signal.Signals(-status).name
        return ChildDied(f"the process that did the work was ended by {name}", code="child_crashed")
    return ChildDied(f"the process that did the work exited with {status}", code="child_crashed")


class Channel:
    """The child's end: messages to the starter, which answers each."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def send(self, message: object) -> Any:
        """Send a JSON value and wait for the answer."""
        self.write_line({"message": message})
        return self.read_line()

    def read_line(self) -> Any:
        """Return the starter's next JSON line; ends the process when the starter hung up."""
        line = self._incoming.readline()
        if not line:
            raise SystemExit(0)
        return json.loads(line)

    def read_exactly(self, n_bytes: int) -> bytes:
        """Return the starter's next `n_bytes`."""
        return self._incoming.read(n_bytes)

    def write_line(self, value: object) -> None:
        """Send a JSON value as one line; NaN and infinity are refused."""
        self.write(json.dumps(value, allow_nan=False).encode() + b"\n")

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._outgoing.write(data)
        self._outgoing.flush()


def limit(*, memory_bytes: int | None, cpu_seconds: float | None) -> None:
    """Limit this process for good: address space, CPU time, open files, no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_files = 256 if hard == resource.RLIM_INFINITY else min(256, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if cpu_seconds is not None:
        seconds = max(1, int(cpu_seconds))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


def main(lifeline_fd: int) -> None:
    """Run the function named on standard input."""
    hold(lifeline_fd)
    answer()


def answer() -> NoReturn:
    """Do what standard input says, in this process, and end it."""
    # Whatever a library prints must not mix with the answers: they get a descriptor of their own.
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    channel = Channel(os.fdopen(0, "rb", closefd=False), outgoing)
    order = channel.read_line()
    limit(memory_bytes=order["memory_bytes"], cpu_seconds=order["cpu_seconds"])
    try:
        module, _, name = order["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        arguments = order["arguments"]
        if "channel" in inspect.signature(function).parameters:
            arguments["channel"] = channel
        line: dict[str, Any] = {"result": function(**arguments)}
        channel.write_line(line)
    except Exception as error:
        channel.write_line(error_line(error))
    # Not sys.exit: a library's exit handlers have no say over an answer that is given.
    outgoing.flush()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
