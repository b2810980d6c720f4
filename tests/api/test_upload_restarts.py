"""Files in pieces over HTTP: a service that is killed between them goes on afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler.config import Settings
from tests.api.parts import Site
from tests.api.pieces import CSV, N, complete, kept, put

KILLED = """
import os, sys, tests.api.pieces as own
from pathlib import Path
from tests.api.parts import build
site = build(Path(sys.argv[1]))
upload = own.begin(site).json["id"]
for number in range(own.N - 1):
    own.put(site, upload, number)
real = site.artifacts._publish
def publish(part, target):
    real(part, target)
    if sys.argv[2] == "stored" or not target.name.isdigit():
        kill()
def kill():
    print(upload, site.secret, flush=True)
    os.kill(os.getpid(), 9)
site.artifacts._publish = publish
if sys.argv[2] == "between":
    kill()
own.put(site, upload, own.N - 1)
site.store.complete_upload = lambda *_, **__: kill()
own.complete(site, upload)
"""


@pytest.mark.parametrize("moment", ["between", "stored", "complete"])
def test_a_service_that_is_killed_goes_on_afterwards(tmp_path: Path, moment: str) -> None:
    """Between two pieces, between a piece and its row, between the data set and the end."""
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), moment],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    upload, secret = ended.stdout.split()
    site = reopened(tmp_path)
    there = site.get(f"/v1/uploads/{upload}", secret=secret).json["received"]
    assert there == list(range(N if moment == "complete" else N - 1))
    for number in sorted(set(range(N)) - set(there)):
        assert put(site, upload, number, secret=secret).status_code == 200
    done = complete(site, upload, secret=secret)
    assert done.status_code == (200 if moment == "complete" else 201)
    items = site.get("/v1/datasets", secret=secret).json["items"]
    assert [one["id"] for one in items] == [done.json["id"]]
    assert site.upload(CSV, secret=secret) == done.json["id"]
    assert kept(site) == []
    site.store.close()


def reopened(folder: Path) -> Site:
    """A site over what another process left."""
    from api import create_app
    from scheduler.artifacts import ArtifactStore
    from scheduler.store import Store
    from tests.api.parts import FakeIngestor, FakePredictor, FakeService

    store = Store(f"sqlite:///{folder / 'frugal.db'}")
    artifacts, configured = ArtifactStore(folder / "artifacts"), Settings(data_dir=folder)
    parts: dict[str, Any] = {
        "ingestor": FakeIngestor(store),
        "service": FakeService(),
        "predictor": FakePredictor(),
        "settings": configured,
    }
    app = create_app(store=store, artifacts=artifacts, **parts)
    return Site(
        app=app,
        store=store,
        artifacts=artifacts,
        client=app.test_client(),
        project="",
        secret="",
        other_secret="",
        token_id="",
        **parts,
    )
