"""The HTTP listener: waitress with the gate of `api.gate` in front of every body.

Chosen by measuring (benchmarks/server.py): hundreds of slow uploads cost it no thread each.
"""

# The published type hints of waitress lag behind it: attributes are missing or of another type.
# mypy: disable-error-code="attr-defined, arg-type, override, union-attr, assignment, return-value"

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, cast

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from api.gate import FREE_BODY_BYTES, Gate, GatedParser, Refusal

MAX_HEADER_BYTES = 32768
CONNECTION_LIMIT = 1000
# One address may not take all of them; a proxy in front, which is one address, has enough.
ADDRESS_LIMIT = 800
# A request that has not even sent its headers by then is a slow-loris; waitress alone only closes
# connections that are silent, and one byte a second is not silence.
HEADER_SECONDS = 20.0
# Same for the bodies that need no token.
FREE_BODY_SECONDS = 60.0
# After a refusal the rest of the body is read and thrown away for so long: closing at once would
# reset the connection and the client would never see the reason.
LINGER_SECONDS = 2.0
MAINTENANCE_SECONDS = 5
PARSER_ERRORS = {
    400: ("bad_request", "this is not valid HTTP"),
    413: ("body_too_large", "the body is larger than allowed"),
    431: ("headers_too_large", f"the headers have more than {MAX_HEADER_BYTES} bytes"),
    500: ("unexpected", "this is our fault; the log says where"),
    501: ("not_implemented", "this transfer coding is not supported"),
}


class ProblemTask(ErrorTask):
    """Answers a request that was refused before the application saw it."""

    def execute(self) -> None:
        """Write the response."""
        error = self.request.error
        if not isinstance(error, Refusal):  # one of waitress's own
            status = getattr(error, "code", 500)
            # Its own words may quote a header line, so not them.
            code, detail = PARSER_ERRORS.get(status, PARSER_ERRORS[500])
            self.request.error = Refusal(status, detail, code=code)
        cast("GatedChannel", self.channel).lingers = True
        super().execute()


class Judgement:
    """Asks the gate on a worker thread, since a database may take its time."""

    def __init__(self, channel: GatedChannel, request: GatedParser) -> None:
        self.channel, self.request = channel, request

    def service(self) -> None:
        """Ask, and hand the answer to the channel."""
        try:
            refusal = self.request.gate.judge(self.request)
        except Exception:
            self.channel.logger.exception("could not check the token of an upload")
            refusal = Refusal(503, "the token could not be checked")
        self.channel.judged(self.request, refusal)

    def cancel(self) -> None:
        """The server stops before the gate was asked."""
        self.channel.cancel()


class GatedChannel(HTTPChannel):
    """One connection."""

    error_task_class = ProblemTask
    lingers = False
    linger_until: float | None = None

    def __init__(self, server: Listener, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, addr, adj, map=map)
        self.parser_class = functools.partial(GatedParser, gate=server.gate)
        self.asked: GatedParser | None = None

    def received(self, data: bytes) -> bool:
        """Take bytes from the socket."""
        done = super().received(data)
        request = cast("GatedParser | None", self.request)
        if request is not None and request.awaits_judgement and self.asked is not request:
            self.asked = request
            self.server.add_task(Judgement(self, request))
        return done

    def judged(self, request: GatedParser, refusal: Refusal | None) -> None:
        """Take the gate's answer (on a worker thread): read on, or answer and close."""
        with self.requests_lock:
            if self.request is not request:  # timed out or gone meanwhile
                return
            request.awaits_judgement = False
            if refusal is not None:
                self._end(request, refusal)
            elif request.expect_continue and not self.requests and not self.sent_continue:
                super().send_continue()
        self.server.pull_trigger()

    def expire(self) -> None:
        """End a request that dawdles."""
        with self.requests_lock:
            request = cast("GatedParser | None", self.request)
            if request is not None and not self.requests:
                self._end(request, Refusal(408, "the request took too long to arrive"))

    def _end(self, request: GatedParser, refusal: Refusal) -> None:
        request.refuse(refusal)
        self.request = None
        self.requests.append(request)
        if len(self.requests) == 1:
            self.server.add_task(self)

    def send_continue(self) -> None:
        """Ask for the body (Expect: 100-continue), but not before it is judged."""
        if not cast("GatedParser", self.request).awaits_judgement:
            super().send_continue()

    def readable(self) -> bool:
        """Whether bytes are wanted now."""
        if self.linger_until is not None:
            return True
        request = cast("GatedParser | None", self.request)
        return super().readable() and not (request is not None and request.awaits_judgement)

    def writable(self) -> bool:
        """Whether there is something to send, or a connection to close."""
        return self.will_close if self.linger_until is not None else super().writable()

    def handle_read(self) -> None:
        """Bytes arrived."""
        if self.linger_until is None:
            super().handle_read()
            return
        try:
            self.recv(self.adj.recv_bytes)  # thrown away; closes itself at the end
        except OSError:
            self.handle_close()

    def handle_write(self) -> None:
        """Send; after a refusal, only half-close, so that the client can read it."""
        if not (self.lingers and self.close_when_flushed) or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if not self.total_outbufs_len and not self.will_close:
            self.close_when_flushed = False
            self.linger_until = time.monotonic() + LINGER_SECONDS
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)


class Listener(TcpWSGIServer):
    """Listens on one address; `run()` serves until `stop()`.

    `/healthz` has a thread of its own, so that it answers while all others are at work.
    """

    channel_class = GatedChannel

    def __init__(self, application: Any, *, gate: Gate, host: str, port: int, threads: int) -> None:
        adjustments = Adjustments(
            host=host,
            port=port,
            threads=threads,
            ident="frugal",
            connection_limit=CONNECTION_LIMIT,
            cleanup_interval=MAINTENANCE_SECONDS,
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=sys.maxsize,  # the gate knows the limit of each route
            recv_bytes=FREE_BODY_BYTES,
            asyncore_use_poll=True,  # select() ends at 1,024 descriptors
            log_socket_errors=False,
        )
        dispatcher, self.quick = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        dispatcher.set_thread_count(threads)
        self.quick.set_thread_count(1)
        self.gate = gate
        self._stopping = threading.Event()
        self._closing = threading.RLock()  # a signal may come while this thread holds it
        self._closed = False
        sockinfo = adjustments.listen[0]
        try:
            super().__init__(
                application, map={}, dispatcher=dispatcher, adj=adjustments, sockinfo=sockinfo
            )
        except OSError:
            dispatcher.shutdown(timeout=0)
            self.quick.shutdown(timeout=0)
            raise

    @property
    def port(self) -> int:
        """The port listened on, also when a free one was asked for."""
        return int(self.effective_port)

    def add_task(self, task: Any) -> None:
        """Queue a task for the worker threads."""
        is_health = (
            isinstance(task, GatedChannel)
            and task.requests
            and getattr(task.requests[0], "path", "") == "/healthz"
        )
        (self.quick if is_health else self.task_dispatcher).add_task(task)

    def accept(self) -> Any:
        """The next connection; None when it is hung up on because its address has too many."""
        accepted = super().accept()
        if accepted is None:
            return None
        connection, address = accepted
        held = [x for x in self.active_channels.values() if x.addr[0] == address[0]]
        if len(held) < ADDRESS_LIMIT:
            return accepted
        connection.close()
        return None

    def maintenance(self, now: float) -> None:
        """Close silent connections and end requests that dawdle."""
        super().maintenance(now)
        monotonic = time.monotonic()
        for channel in list(self.active_channels.values()):
            request = cast("GatedParser | None", channel.request)
            if request is None:
                continue
            age = monotonic - request.began
            is_free = request.content_length <= FREE_BODY_BYTES
            if (age > HEADER_SECONDS and not request.headers_finished) or (
                age > FREE_BODY_SECONDS and is_free
            ):
                cast(GatedChannel, channel).expire()

    def stop(self) -> None:
        """Make `run()` return soon; may be called from a signal handler."""
        if not self._stopping.is_set():
            self._stopping.set()
            self.pull_trigger()

    def pull_trigger(self) -> None:
        """Wake the loop; nothing once it is closed, when the descriptor may be another file's."""
        with self._closing, contextlib.suppress(BlockingIOError):  # full: it is about to wake
            if not self._closed:
                super().pull_trigger()

    def wake_on_signals(self) -> None:
        """Let every signal wake the loop, also one that comes just before it falls asleep.

        Only Python's own low-level handler is sure to write in time; a handler in Python runs
        when the sleep ends. Call it in the main thread.
        """
        os.set_blocking(self.trigger.trigger, False)
        signal.set_wakeup_fd(self.trigger.trigger, warn_on_full_buffer=False)

    def run(self, *, grace_seconds: float = 5.0) -> None:
        """Serve until `stop()`; then finish what is being answered, within the grace."""
        while not self._stopping.is_set():
            self._turn(float(MAINTENANCE_SECONDS))
        self.accepting = False
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline:
            for channel in self.active_channels.values():
                if any(getattr(x, "path", "").endswith("/events") for x in channel.requests):
                    channel.connected = False  # a stream of events has no end to wait for
            if not any(x.connected and x.requests for x in self.active_channels.values()):
                break
            self._turn(0.1)
        for channel in self.active_channels.values():
            channel.connected = False
        self.task_dispatcher.shutdown(timeout=1)
        self.quick.shutdown(timeout=1)
        with self._closing:
            self._closed = True
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(-1)
        wasyncore.close_all(self._map)

    def _turn(self, timeout: float) -> None:
        lingering = [
            x
            for x in cast("list[GatedChannel]", list(self.active_channels.values()))
            if x.linger_until is not None
        ]
        now = time.monotonic()
        for channel in lingering:
            if channel.linger_until is not None and channel.linger_until < now:
                channel.will_close = True
        wasyncore.loop(
            timeout=min(timeout, 0.25) if lingering else timeout,
            use_poll=True,
            map=self._map,
            count=1,
        )
