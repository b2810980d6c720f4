"""Calls out: bounded, unredirected, by the environment's proxies, and silent about keys."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scheduler.carbon.transport import Call, within
from scheduler.errors import ForecastUnavailable


class Handler(BaseHTTPRequestHandler):
    seen: list[tuple[str, dict[str, str]]]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.seen.append((self.path, dict(self.headers)))
        body = b'{"a": 1}'
        try:
            if "headers" in self.path:  # a header that never ends
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                for _ in range(1200):  # a minute
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.05)
                return
            text = self.path[1:4]
            self.send_response(int(text) if text.isdigit() else 502)
            self.send_header("Location", "/200")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[tuple[str, dict]]]]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    seen: list[tuple[str, dict]] = []
    handler = type("H", (Handler,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        served.daemon_threads = True
        threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}", seen
        served.shutdown()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"[" * 33 + b"]" * 33,
        b'[{"a[[\\"]": ' * 20 + b"1" + b"}]" * 20,
    ],
)
def test_what_is_nested_too_deeply_is_never_parsed(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    def parse(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(Call, "body", lambda *_, **__: body)
    monkeypatch.setattr("scheduler.carbon.transport.json.loads", parse)
    with pytest.raises(ForecastUnavailable, match="more than 32 deep") as caught:
        call("http://nowhere").json("/")
    assert caught.value.code == "bad_answer"


@pytest.mark.parametrize(
    "body",
    [
        b'[{"a": "' + b"[" * 1000 + b'"}]',
        b'["' + rb"\"" * 1000 + b"[" * 100 + b'"]',
        b"[" + b",".join([b"[{}]"] * 1000) + b"]",
        b"[" * 32 + b"]" * 32,
    ],
)
def test_brackets_within_texts_or_side_by_side_are_not_depth(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(Call, "body", lambda *_, **__: body)
    assert call("http://nowhere").json("/")


def test_depth_is_told_in_time_that_grows_with_the_bytes() -> None:
    from scheduler.carbon.transport import _is_deep

    began = time.process_time()
    for body in (rb"\"" * 2**21, b'"' + rb"\"" * 2**21, b'"' * 2**22):
        _is_deep(b"[" * 32 + body + b"[")
    assert time.process_time() - began < 20  # with the square of the bytes it takes hours


def call(url: str, seconds: float = 60) -> Call:
    return Call(base_url=url, until=time.monotonic() + seconds)


def test_an_answer(server) -> None:
    assert call(server[0] + "/").json("/200", {"x": "a b"}) == {"a": 1}
    ((path, headers),) = server[1]
    assert path == "/200?x=a+b"
    assert headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "bad_answer"), (302, "bad_answer"), (307, "bad_answer"), (401, "refused"),
        (402, "refused"), (403, "refused"), (404, "bad_answer"), (429, "rate_limited"),
        (500, "bad_answer"), (503, "bad_answer"), (204, "bad_answer"),
    ],
)  # fmt: skip
def test_any_other_status_is_an_error_and_nothing_is_followed(status: int, code: str, server):
    with pytest.raises(ForecastUnavailable, match=str(status)) as error:
        call(server[0]).json(f"/{status}")
    assert error.value.code == code
    assert len(server[1]) == 1


def test_an_answer_that_is_too_long_is_not_read(server) -> None:
    long = Call(base_url=server[0], until=time.monotonic() + 60, max_bytes=7)
    with pytest.raises(ForecastUnavailable, match="longer than 7 bytes"):
        long.json("/200")


def test_headers_that_drip_end_with_patience(server) -> None:
    began = time.monotonic()
    with pytest.raises(ForecastUnavailable) as error:
        within(0.3, lambda: call(server[0], 0.3).json("/headers"))
    assert error.value.code == "slow"
    assert time.monotonic() - began < 30


def test_the_environments_proxy_is_asked(server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is behind a proxy says so once, for all that speaks HTTP."""
    monkeypatch.setenv("http_proxy", server[0])
    with pytest.raises(ForecastUnavailable):
        call("http://provider.example").json("/x")  # our proxy does not understand
    assert server[1][0][0] == "http://provider.example/x"  # a proxy is asked for whole addresses


def test_a_netrc_file_adds_no_password(
    server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password CANARY\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    call(server[0]).json("/200", headers={"auth-token": "mine"})
    assert "Authorization" not in server[1][0][1]
    assert server[1][0][1]["auth-token"] == "mine"
    call(server[0]).json("/200", login=("you", "secret"))
    assert server[1][1][1]["Authorization"].startswith("Basic ")


def test_no_line_of_the_log_holds_an_address_with_a_key(
    server, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("urllib3.connectionpool").setLevel(logging.NOTSET)
    with caplog.at_level(logging.DEBUG):
        call(server[0]).json("/200", {"securityToken": "CANARY"})
        with pytest.raises(ForecastUnavailable) as error:
            call("http://127.0.0.1:1").json("/200", {"securityToken": "CANARY"})
    assert "CANARY" not in caplog.text + str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("url", ["", "provider.example", "ftp://x", "http://", "http://[::1", "\0"])
def test_an_address_that_is_none_is_one_error(url: str) -> None:
    with pytest.raises(ForecastUnavailable):
        call(url).json("/x")


def test_what_work_raises_comes_out_of_the_thread() -> None:
    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        within(1, fails)
    assert within(1, lambda: 5) == 5
