"""A process that dies with the one that started it, even inside C code and after a kill -9.

PR_SET_PDEATHSIG watches the parent only, and the parent of a job is the fork server, not the
service. So the starter keeps the write end of a pipe and never writes to it; the child asks the
kernel for SIGIO on the read end, whose default action ends it, when the last write end closes.
No thread, no polling, and nothing for the child to run.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from types import TracebackType


class Lifeline:
    """The starter's end: the child lives while this object is open.

    `child_fd` is to be passed to the child and then closed here by `passed()`.
    """

    def __init__(self) -> None:
        self.child_fd, self._fd = os.pipe()

    def passed(self) -> None:
        """Close this process's copy of the child's end."""
        if self.child_fd >= 0:
            os.close(self.child_fd)
            self.child_fd = -1

    def cut(self) -> None:
        """End the child, if it still runs."""
        self.passed()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Lifeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()


def hold(fd: int) -> None:
    """Bind this process to the read end `fd` of its starter's lifeline.

    The descriptor must be of an open file that no other process has bound itself to: the owner of
    the signal belongs to the open file, not to the descriptor.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGIO])
    fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    # The starter may have died before the two lines above: then no signal will come any more.
    if select.select([fd], [], [], 0)[0]:
        os._exit(128 + signal.SIGIO)
