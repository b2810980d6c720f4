"""API and scheduler apart on one PostgreSQL, as `deploy/compose.yaml` runs them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.client import FrugalClient
from api.greeting import FIRST_TOKEN, READY

COMMANDS = {
    "api": [sys.executable, "-m", "api", "--without-scheduler"],
    "scheduler": [sys.executable, "-m", "scheduler"],
}


@contextlib.contextmanager
def running(name: str, environment: dict[str, str], output: Path) -> Iterator[None]:
    """One of the two processes; it must end by SIGTERM with status 0."""
    with output.open("w") as file:
        process = subprocess.Popen(
            COMMANDS[name], env={**os.environ, **environment}, stdout=file, stderr=file
        )
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0, output.read_text()[-2000:]
    finally:
        process.kill()
        process.wait()


def greeted(output: Path) -> tuple[str, str]:
    """Address and first token of the API, as soon as it has printed them."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        said = output.read_text()
        address = re.search(f"^{READY}(\\S+)", said, re.MULTILINE)
        token = re.search(f"^{FIRST_TOKEN}(\\S+)", said, re.MULTILINE)
        if address and token:
            return address[1], token[1]
        time.sleep(0.05)
    raise AssertionError(output.read_text()[-2000:])


def table() -> str:
    rows = ["age,balance,fragile"]
    for n in range(2000):
        fragile = int(n % 40 == 0)
        rows.append(f"{20 + n * 7 % 60},{(n * 37 % 1000) - 700 * fragile},{fragile}")
    return "\n".join(rows) + "\n"


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.postgres
def test_a_job_crosses_from_one_process_to_the_other(postgres_url: str, tmp_path: Path) -> None:
    environment = {
        "FRUGAL_DATABASE_URL": postgres_url,
        "FRUGAL_DATA_DIR": str(tmp_path / "data"),
        "FRUGAL_PORT": "0",
        "FRUGAL_TICK_SECONDS": "0.5",
    }
    file = tmp_path / "customers.csv"
    file.write_text(table())
    output = {name: tmp_path / f"{name}.log" for name in COMMANDS}
    with running("api", environment, output["api"]):
        url, token = greeted(output["api"])
        with FrugalClient(url, token) as client:
            dataset: dict[str, Any] = client.upload(file)
            assert dataset["state"] == "READY"
            request = {"dataset": dataset["id"], "target": "fragile", "limits": {"trials": 3}}
            job = client.submit({**request, "model": "fragile"})
            assert client.job(job["id"])["state"] == "SUBMITTED", "nothing runs jobs yet"
            with running("scheduler", environment, output["scheduler"]):
                assert client.wait(job["id"])["state"] == "DONE"
            answer = client.predict("fragile", [{"age": 30, "balance": -650}])
            assert 0 <= answer["predictions"][0]["probability"] <= 1
