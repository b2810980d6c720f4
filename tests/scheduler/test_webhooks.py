"""Webhooks against a local server, and hosts that must not be called."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.store import Store
from scheduler.store_outbox import Call
from scheduler.webhooks import MOST_ATTEMPTS, checked_url, deliver, is_public
from tests.scheduler.conftest import NOW

SECRET = "not-a-real-one"


class Hook:
    """A server that hears calls and answers with the statuses it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.heard.append((self.path, dict(self.headers), body))
                self.send_response(hook.statuses.pop(0) if hook.statuses else 204)
                self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?a=1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.stop()


def add(store: Store, project: str, url: str) -> None:
    payload = {"event": "job.failed", "job": "0" * 32}
    store.add_calls([Call(project_id=project, url=url, payload=payload)], now=NOW)


def send(store: Store, hook: Hook, *, now: Any = NOW, **changes: Any) -> int:
    hosts = changes.pop("hosts", [f"127.0.0.1:{hook.port}"])
    return deliver(store, now=now, **{"hosts": hosts, "secret": SECRET, "seconds": 30.0, **changes})


def told(store: Store, project: str) -> dict[str, Any]:
    (one,) = store.calls(project, limit=9)
    return one


def test_a_call_is_heard_once_signed_and_with_its_id(
    store: Store, project: str, hook: Hook
) -> None:
    add(store, project, hook.url)
    assert send(store, hook) == 1
    assert send(store, hook, now=NOW + timedelta(days=9)) == 0
    ((path, headers, body),) = hook.heard
    assert path == "/hook?a=1"
    assert json.loads(body)["event"] == "job.failed"
    assert json.loads(body)["id"] == headers["Webhook-Id"] == told(store, project)["id"]
    at, given = headers["Webhook-Signature"].removeprefix("t=").split(",v1=")
    expected = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert given == expected
    assert told(store, project)["delivered_at"] == NOW


def test_without_a_secret_nothing_is_signed(store: Store, project: str, hook: Hook) -> None:
    add(store, project, hook.url)
    assert send(store, hook, secret="") == 1
    assert "Webhook-Signature" not in hook.heard[0][1]


def test_what_is_not_heard_comes_again_with_longer_pauses_then_is_given_up(
    store: Store, project: str, hook: Hook
) -> None:
    add(store, project, hook.url)
    hook.statuses = [500] * 99
    moment, pauses = NOW, []
    for _ in range(MOST_ATTEMPTS - 1):
        assert send(store, hook, now=moment) == 0
        assert told(store, project)["problem"]["code"] == "webhook_unheard"
        pause = timedelta(seconds=30)
        while not store.take_calls(now=moment + pause, seconds=0, limit=1):
            pause *= 2
        pauses.append(pause)
        moment += pause
        store_attempts(store, project)
    assert pauses == sorted(pauses)
    send(store, hook, now=moment)
    assert told(store, project)["problem"]["code"] == "webhook_given_up"
    assert send(store, hook, now=moment + timedelta(days=99)) == 0
    assert len(hook.heard) == MOST_ATTEMPTS
    assert len({headers["Webhook-Id"] for _, headers, _ in hook.heard}) == 1


def store_attempts(store: Store, project: str) -> None:
    """Take back the attempt that looking for the pause counted."""
    from sqlalchemy import update

    from scheduler.tables import outbox

    with store.write() as connection:
        connection.execute(update(outbox).values(attempts=outbox.c.attempts - 1))


def test_a_redirect_is_not_followed(store: Store, project: str, hook: Hook) -> None:
    add(store, project, hook.url)
    hook.statuses = [302]
    assert send(store, hook) == 0
    assert len(hook.heard) == 1
    assert "302" in told(store, project)["problem"]["detail"]


def test_a_name_that_leads_home_is_not_called(store: Store, project: str, hook: Hook) -> None:
    for address in ("127.0.0.1", "10.0.0.7", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1"):
        add(store, project, f"http://hooks.example:{hook.port}/x")
        sent = send(
            store,
            hook,
            hosts=[f"hooks.example:{hook.port}"],
            resolve=lambda host, port, found=address: [found],
        )
        assert sent == 0
    assert hook.heard == []


def test_a_private_address_that_the_operator_named_is_called_by_name(
    store: Store, project: str, hook: Hook
) -> None:
    add(store, project, f"http://hooks.example:{hook.port}/x")
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    hosts = [f"hooks.example:{hook.port}", "127.0.0.1"]
    assert send(store, hook, hosts=hosts, resolve=resolve) == 1
    assert asked == ["hooks.example"]  # once: what was checked is what is called
    assert hook.heard[0][1]["Host"] == f"hooks.example:{hook.port}"


def test_a_host_no_longer_allowed_is_given_up(store: Store, project: str, hook: Hook) -> None:
    add(store, project, hook.url)
    assert send(store, hook, hosts=["hooks.example"]) == 0
    assert told(store, project)["problem"]["code"] == "webhook_not_allowed"
    assert send(store, hook, now=NOW + timedelta(days=1)) == 0
    assert hook.heard == []


def test_silence_dripping_and_a_closed_port_end_in_time(store: Store, project: str) -> None:
    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            for _ in range(1200):  # a minute
                try:
                    connection.sendall(b"H")
                except OSError:
                    return
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as slow:
        thread = threading.Thread(target=drip, args=(slow,))
        thread.start()
        port = slow.getsockname()[1]
        add(store, project, f"http://127.0.0.1:{port}/")
        began = time.monotonic()
        hosts = [f"127.0.0.1:{port}"]
        assert deliver(store, now=NOW, hosts=hosts, seconds=0.2) == 0
        assert time.monotonic() - began < 30
        thread.join()
    add(store, project, f"http://127.0.0.1:{port}/")
    assert deliver(store, now=NOW, hosts=hosts, seconds=0.2) == 0


def test_https_to_what_speaks_no_tls_is_not_heard(store: Store, project: str, hook: Hook) -> None:
    add(store, project, hook.url.replace("http:", "https:"))
    assert send(store, hook, seconds=0.5) == 0
    assert hook.heard == []


def test_urls_that_are_refused_at_once() -> None:
    hosts = ["hooks.example", "127.0.0.1", "hooks.example:8443"]
    for good in ("https://hooks.example/a?b=c", "HTTPS://Hooks.Example", "http://127.0.0.1:80/"):
        assert checked_url(good, hosts) == good
    assert checked_url("https://hooks.example:8443/", hosts)
    for bad in (
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "https://other.example/",
        "https://hooks.example.evil.example/",
        "https://a@hooks.example/",
        "https://u:p@hooks.example/",
        "https://hooks.example:99999/",
        "https://hooks.example:6379/",
        "http://hooks.example:443/",
        "https://hooks.example:0/",
        "https://hooks.example\\@evil.example/",
        "https://hooks.example/a b",
        "https://hooks.example/\r\nX: y",
        "https://hooks.\u0435xample/",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://2130706433/",
        "http://[::1]/",
        "https://[",
        "//hooks.example/",
        "",
        "https://hooks.example/" + "a" * 3000,
    ):
        with pytest.raises(DataError) as refused:
            checked_url(bad, hosts)
        assert refused.value.code == "webhook_not_allowed"
    with pytest.raises(DataError):
        checked_url("https://hooks.example/", [])


def test_addresses_that_are_not_of_the_public_internet() -> None:
    for address in ("8.8.8.8", "2606:4700::1111"):
        assert is_public(address)
    for address in (
        "127.0.0.1", "10.1.1.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1",
        "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:10.0.0.1", "hooks.example",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ):  # fmt: skip
        assert not is_public(address), address
