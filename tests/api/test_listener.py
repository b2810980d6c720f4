"""The listener over raw sockets: what a polite client library would never send."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from api import listener as module
from api.gate import FREE_BODY_BYTES, Gate
from api.listener import Listener

LIMIT = 1_000_000
UPLOAD_LIMIT = 4_000_000
GOOD = {"Authorization": "Bearer good"}
FULL = 3_000_001  # a body of exactly this size finds the disk full


class Application:
    """Counts the bytes of every body; knows which requests it saw."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.release = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.seen.append(path)
        if path == "/hold":
            self.release.wait(120)
        if path == "/broken":
            raise RuntimeError("a cell's value")
        if path.endswith("/events"):
            start("200 OK", [("Content-Type", "text/event-stream")])
            return self.stream()
        size = 0
        while chunk := environ["wsgi.input"].read(65536):
            size += len(chunk)
        answer = str(size).encode()
        start("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]

    def stream(self) -> Iterator[bytes]:
        for number in range(1000):
            yield b"data: %d\n\n" % number
            time.sleep(0.05)


class Server:
    def __init__(self) -> None:
        self.application = Application()
        self.asked: list[str] = []
        gate = Gate(
            max_upload_bytes=UPLOAD_LIMIT,
            max_body_bytes=LIMIT,
            knows=self.knows,
            has_room=lambda n_bytes: n_bytes != FULL,
        )
        self.listener = Listener(self.application, gate=gate, host="127.0.0.1", port=0, threads=4)
        self.thread = threading.Thread(target=self.listener.run, kwargs={"grace_seconds": 40})
        self.thread.start()

    def knows(self, secret: str) -> bool:
        self.asked.append(secret)
        if secret == "broken":
            raise RuntimeError("the database is away")
        return secret == "good"

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.listener.port))
        client.settimeout(120)
        return client

    def look_for_the_slow(self, *, until: socket.socket) -> None:
        """As it does now and then, until this connection is told; at first it may not be there."""
        while not select.select([until], [], [], 0.2)[0]:
            self.listener.next_channel_cleanup = 0
            self.listener.pull_trigger()

    def exchange(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes and read one whole answer."""
        with self.connect() as client:
            client.sendall(data)
            return answer(client)


def answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    file = client.makefile("rb", buffering=0)  # reads not a byte of the next answer
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    while missing := int(headers.get("content-length", 0)) - len(body):
        body += file.read(missing) or b""
    return status, headers, body


def head(line: str, **headers: object) -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.application.release.set()
    running.listener.stop()
    running.thread.join(120)
    assert not running.thread.is_alive()


def assert_problem(got: tuple[int, dict[str, str], bytes], status: int, code: str) -> None:
    assert got[0] == status
    assert got[1]["content-type"] == "application/problem+json"
    problem = json.loads(got[2])
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]


@pytest.mark.parametrize(
    ("request_head", "status", "code"),
    [
        pytest.param(head("POST /v1/datasets"), 411, "length_required", id="no length"),
        pytest.param(head("POST /v1/models/a/predict"), 411, "length_required", id="predict"),
        pytest.param(
            head("POST /v1/jobs", Transfer_Encoding="chunked"), 411, "length_required", id="chunked"
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length=-1), 400, "bad_request", id="negative length"
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length="12x"), 400, "bad_request", id="no number"
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length="9" * 5000),
            400,
            "bad_request",
            id="5000 digits",
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length="5, 6"), 400, "bad_request", id="two lengths"
        ),
        pytest.param(
            head("POST /v1/jobs", Content_Length=LIMIT + 1, Authorization="Bearer good"),
            413,
            "body_too_large",
            id="above the limit",
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length=UPLOAD_LIMIT + 1, Authorization="Bearer good"),
            413,
            "upload_too_large",
            id="upload above the limit",
        ),
        pytest.param(
            head("PUT /v1/datasets", Content_Length=LIMIT + 1, Authorization="Bearer good"),
            413,
            "body_too_large",
            id="only POST is an upload",
        ),
        pytest.param(
            head("PUT /v1/uploads/a/chunks/0", Content_Length=UPLOAD_LIMIT + 1, **GOOD),
            413,
            "chunk_too_large",
            id="piece above the limit",
        ),
        pytest.param(
            head("PUT /v1/uploads/a/chunks/0", Content_Length=FULL, **GOOD),
            507,
            "disk_full",
            id="disk full for a piece",
        ),
        pytest.param(
            head("PUT /v1/uploads/a/chunks/0", Content_Length=FREE_BODY_BYTES + 1),
            401,
            "token_required",
            id="piece without a token",
        ),
        pytest.param(
            head("PUT /v1/uploads/a/chunks/0", **GOOD),
            411,
            "length_required",
            id="piece without a length",
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length=FREE_BODY_BYTES + 1),
            401,
            "token_required",
            id="no token",
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length=LIMIT, Authorization="Basic good"),
            401,
            "token_required",
            id="another scheme",
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length=LIMIT, Authorization="Bearer bad"),
            401,
            "invalid_token",
            id="unknown token",
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length=LIMIT, Authorization="Bearer broken"),
            503,
            "unavailable",
            id="database away",
        ),
        pytest.param(
            head("POST /v1/datasets", Content_Length=FULL, Authorization="Bearer good"),
            507,
            "disk_full",
            id="disk full",
        ),
        pytest.param(head("GET /", X="a" * 40_000), 431, "headers_too_large", id="long headers"),
        pytest.param(b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400, "bad_request", id="bare line feed"),
        pytest.param(b"no http at all\r\n\r\n", 400, "bad_request", id="no HTTP"),
        pytest.param(head("GET http://[::1"), 400, "bad_request", id="broken address"),
        pytest.param(
            head("POST /v1/jobs", Transfer_Encoding="gzip"), 501, "not_implemented", id="coding"
        ),
    ],
)
def test_refused_by_its_headers(
    server: Server, request_head: bytes, status: int, code: str
) -> None:
    got = server.exchange(request_head)
    assert_problem(got, status, code)
    assert got[1]["connection"] == "close"
    assert server.application.seen == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("coding", ["chunked", "identity", "Chunked", " chunked", "x, chunked", ""])
def test_two_lengths_never_reach_the_application(server: Server, version: str, coding: str) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    data = (
        f"POST /v1/jobs HTTP/{version}\r\nHost: localhost\r\nContent-Length: 5\r\n"
        f"Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n"
    ).encode() + smuggled
    with server.connect() as client:
        client.sendall(data)
        status, headers, _ = answer(client)
        assert status in (400, 501)
        assert headers["connection"] == "close"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""  # nothing follows: the connection ends
    assert server.application.seen == []


def test_the_length_is_all_that_is_read_of_a_body(server: Server) -> None:
    """A length that lies makes the rest the next request, which is no HTTP: refused."""
    with server.connect() as client:
        client.sendall(head("POST /v1/jobs", Content_Length=3) + b"abcdefgh\r\n\r\n")
        assert answer(client)[2] == b"3"
        assert answer(client)[0] == 400


def test_a_large_body_with_a_token_is_streamed_to_the_application(server: Server) -> None:
    body = b"x" * 3_500_000
    request_head = head("POST /v1/datasets", Content_Length=len(body), Authorization="Bearer good")
    assert server.exchange(request_head + body)[::2] == (200, b"3500000")
    assert server.asked == ["good"]


def test_small_bodies_are_judged_by_the_application(server: Server) -> None:
    body = b"x" * FREE_BODY_BYTES
    assert server.exchange(head("POST /v1/jobs", Content_Length=len(body)) + body)[2] == b"65536"
    assert server.asked == []


def test_a_post_that_needs_no_body_may_come_without_a_length(server: Server) -> None:
    assert server.exchange(head("POST /v1/jobs/1/cancel"))[0] == 200


def test_who_asks_before_sending_is_told_before_sending(server: Server) -> None:
    expecting = {"Content_Length": LIMIT, "Expect": "100-continue"}
    with server.connect() as client:
        client.sendall(head("POST /v1/datasets", **expecting, Authorization="Bearer bad"))
        assert answer(client)[0] == 401
    with server.connect() as client:
        client.sendall(head("POST /v1/datasets", **expecting, Authorization="Bearer good"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"x" * LIMIT)
        assert answer(client)[2] == str(LIMIT).encode()


def test_a_client_that_sends_on_still_reads_why_it_was_refused(server: Server) -> None:
    with server.connect() as client:
        client.sendall(head("POST /v1/datasets", Content_Length=UPLOAD_LIMIT))
        for _ in range(40):
            client.sendall(b"x" * 65536)
        assert_problem(answer(client), 401, "token_required")


def test_an_error_of_the_application_shows_nothing_of_it(server: Server) -> None:
    got = server.exchange(head("GET /broken"))
    assert_problem(got, 500, "unexpected")
    assert b"cell" not in got[2]


def test_health_answers_while_all_threads_are_at_work_and_uploads_drip(server: Server) -> None:
    held = [server.connect() for _ in range(8)]
    drips = [server.connect() for _ in range(50)]
    for client in held:
        client.sendall(head("GET /hold"))
    for client in drips:
        client.sendall(
            head("POST /v1/datasets", Content_Length=LIMIT, Authorization="Bearer good") + b"x"
        )
    for _ in range(5):
        assert server.exchange(head("GET /healthz"))[0] == 200
    server.application.release.set()
    assert [answer(client)[0] for client in held] == [200] * 8
    for client in held + drips:
        client.close()


def test_headers_that_dawdle_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEADER_SECONDS", -1.0)
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        server.look_for_the_slow(until=client)
        assert_problem(answer(client), 408, "timeout")


def test_bodies_without_a_token_that_dawdle_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FREE_BODY_SECONDS", -1.0)
    with server.connect() as slow, server.connect() as upload:
        slow.sendall(head("POST /v1/jobs", Content_Length=10) + b"x")
        upload.sendall(head("POST /v1/datasets", Content_Length=LIMIT, Authorization="Bearer good"))
        server.look_for_the_slow(until=slow)
        assert_problem(answer(slow), 408, "timeout")
        upload.sendall(b"x" * LIMIT)  # one with a token may take its time
        assert answer(upload)[0] == 200


def test_one_address_cannot_take_all_connections(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ADDRESS_LIMIT", 3)
    held = [server.connect() for _ in range(3)]
    with server.connect() as refused:
        assert refused.recv(1) == b""
    other = socket.create_connection(
        ("127.0.0.1", server.listener.port), timeout=120, source_address=("127.0.0.2", 0)
    )
    with other:
        other.sendall(head("GET /healthz"))
        assert answer(other)[0] == 200
    held.pop().close()
    while len(server.listener.active_channels) > 2:
        time.sleep(0.01)
    with server.connect() as again:
        again.sendall(head("GET /healthz"))
        assert answer(again)[0] == 200
    for client in held:
        client.close()


def test_events_flow_one_by_one_and_do_not_hold_up_the_end(server: Server) -> None:
    with server.connect() as client:
        client.sendall(head("GET /v1/jobs/1/events"))
        file = client.makefile("rb")
        lines = [file.readline() for _ in range(12)]
        assert b"data: 0\n" in lines
        server.listener.stop()
        server.thread.join(30)  # less than the grace, and than the stream has to say
        assert not server.thread.is_alive()


def test_the_end_waits_for_an_answer_under_way(server: Server) -> None:
    with server.connect() as client:
        client.sendall(head("GET /hold"))
        while not server.application.seen:
            time.sleep(0.01)
        server.listener.stop()
        time.sleep(0.2)
        server.application.release.set()
        assert answer(client)[0] == 200
