"""One site per test, its command line and client, and a machine that is not busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from werkzeug.serving import make_server

from api import client_calls, client_jobs
from api.cli import app
from api.client import FrugalClient
from automl.meters.cpu_time import CpuTimeMeter
from automl.meters.probe import probe
from tests.api.parts import Site, build
from tests.api.script import Script, handler


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = build(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every probe of this process finds the machine as fast as it is when nothing else runs.

    A limit is judged by one probe, in a child, and kept by another: where the machine is busy only
    then, they differ by more than the estimates do.
    """
    quickest = min((probe(CpuTimeMeter()) for _ in range(20)), key=lambda took: took.cpu_seconds)
    monkeypatch.setattr("automl.search.speed.probe", lambda meter: quickest)


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    """Address of the site over HTTP."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def frugal(site: Site, url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`frugal` asking the site; ends with the status that is expected."""
    monkeypatch.setenv("FRUGAL_URL", url)
    monkeypatch.setenv("FRUGAL_TOKEN", site.secret)

    def run(*arguments: str, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def script() -> Script:
    """What the server of `client` answers."""
    return Script()


@pytest.fixture
def client(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrugalClient]:
    """A client of a server that answers by `script`."""
    monkeypatch.setattr(client_calls, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(client_jobs, "POLL_SECONDS", 0.01)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(script))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with FrugalClient(f"http://127.0.0.1:{server.server_port}/", "secret", timeout=60) as made:
        yield made
    server.shutdown()
    thread.join()
    server.server_close()
