"""What every test gets: the real data if it is here, no network, and chance that repeats."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports LightGBM: OpenMP threads that spin on two shared cores burn ten times
# the work they do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

ROOT = Path(__file__).resolve().parent.parent
MARKS = ("slow", "data", "postgres", "server", "browser")

# tests/postgres.py starts a throw-away server; its fixtures are for every test.
if importlib.util.find_spec("tests.postgres") is not None:
    pytest_plugins = ["tests.postgres"]

settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write each test's marks into the JUnit report, where `.ci/skipped.py` looks for them."""
    for item in items:
        item.user_properties += [("mark", m) for m in MARKS if item.get_closest_marker(m)]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets: FRUGAL_SHARED_DATA, or shared/data beside the checkout."""
    named = os.environ.get("FRUGAL_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "catalog.json").is_file():
        pytest.skip(f"no real data sets in {folder}: name their folder in FRUGAL_SHARED_DATA")
    return folder


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """No test process may speak to another machine: a call out fails loudly."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def allowed(sock: socket.socket, address: Any) -> None:
        if sock.family == socket.AF_UNIX:
            return
        host = str(address[0])
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return
        raise RuntimeError(f"a test tried to connect to {host}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        allowed(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        allowed(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are counted, not spelled: a gzip has its time in it, and workers must agree on ids."""
    return argname if isinstance(val, bytes) else None
