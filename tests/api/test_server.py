"""The service as one process: what it prints, logs and leaves behind."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from api.local_service import LocalService, ServiceFailed
from api.server import JsonFormatter, LineFormatter


def record(
    message: str, *arguments: object, error: BaseException | None = None
) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("api.x", logging.WARNING, __file__, 1, message, arguments, info)


def caught() -> ValueError:
    try:
        raise ValueError("could not convert 'FR76 3000'")
    except ValueError as error:
        return error


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    line = LineFormatter().format(record("name %s", "a\r\nINFO forged"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z WARNING api\.x: .*", line)
    assert "\\r\\nINFO forged" in line
    assert json.loads(JsonFormatter().format(record("a\nb")))["message"] == "a\nb"


@pytest.mark.parametrize("formatter", [LineFormatter(), JsonFormatter()])
def test_an_exception_is_logged_without_its_message(formatter: LineFormatter) -> None:
    line = formatter.format(record("reading failed", error=caught()))
    assert "ValueError at" in line
    assert "test_server.py" in line
    assert "FR76" not in line
    assert len(line.splitlines()) == 1


def start(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a service that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "api"],
        env={**os.environ, "FRUGAL_DATA_DIR": str(folder), "FRUGAL_PORT": "0", **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.server
def test_the_first_token_is_shown_on_the_first_start_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    tokens = []
    for _ in range(2):
        with LocalService(folder) as service:
            tokens.append(service.first_token)
            answer = requests.get(f"{service.url}/healthz", timeout=60)
            assert answer.status_code == 200
            assert requests.get(f"{service.url}/v1/jobs", timeout=60).status_code == 401
            with service.client() as client:
                assert client.jobs() == []
            assert service.stop() == 0
            assert not [line for line in service.log if service.token in line]
    assert tokens[0].startswith("frugal_")
    assert tokens[1] == ""
    assert stat.S_IMODE((folder / "frugal.db").stat().st_mode) == 0o600


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with LocalService(tmp_path) as service:
        service.process.send_signal(number)
        service.process.send_signal(number)
        assert service.process.wait(timeout=120) == 0
        service.stop()  # what reads its log has read all of it
        lines = [json.loads(line) for line in service.log]
    assert lines[-1]["message"] == "stopped"
    assert not [line for line in lines if line["level"] in ("ERROR", "WARNING")]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{service.url}/healthz", timeout=60)


OWNER = """
import sys, time
from pathlib import Path
from api.local_service import LocalService
with LocalService(Path(sys.argv[1])) as service:
    print(service.process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.server
def test_a_local_service_does_not_outlive_its_owner(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        service = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    service.wait(timeout=120)


@pytest.mark.server
def test_an_address_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = start(tmp_path, FRUGAL_PORT=str(other.getsockname()[1]))
    assert done.returncode == 1
    assert "is taken" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.server
def test_an_unknown_zone_is_said_before_anything_listens(tmp_path: Path) -> None:
    done = start(tmp_path, FRUGAL_ZONE="Mars")
    assert done.returncode == 1
    assert "unknown_zone" in done.stderr
    assert "listening" not in done.stdout


@pytest.mark.server
def test_a_service_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(ServiceFailed, match="FRUGAL_HTTP_THREADS"),
        LocalService(tmp_path, settings={"FRUGAL_HTTP_THREADS": "many"}),
    ):
        pass


@pytest.mark.server
def test_a_large_body_without_a_token_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with LocalService(tmp_path) as service:
        port = int(service.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(
                b"POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
            )
            answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"code": "token_required"' in answer
