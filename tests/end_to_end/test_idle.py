"""A service at rest is light: the process that waits imports nothing that computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from api.local_service import LocalService

HEAVY = (
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "lightgbm",
    "imblearn",
    "codecarbon",
    "optuna",
    "duckdb",
    "skops",
)
IDLE_BYTES = 150 * 2**20

CREATE = """
import json, sys
import api.server
from api import create_app
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.ingestion import Ingestor
from scheduler.predictor import Predictor
from scheduler.service import Service
from scheduler.store import Store

settings = Settings()
store = Store(settings.resolved_database_url)
store.migrate()
artifacts = ArtifactStore(settings.resolved_artifacts_url)
ingestor = Ingestor(store, artifacts, settings)
service = Service(store, artifacts, settings, ingestor=ingestor)
app = create_app(
    store=store,
    artifacts=artifacts,
    ingestor=ingestor,
    service=service,
    predictor=Predictor(artifacts, settings),
    settings=settings,
)
service.start()
client = app.test_client()
for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/jobs"):
    client.get(path)
service.stop()
store.close()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_waiting_process_imports_nothing_heavy(tmp_path: Path) -> None:
    environment = {**os.environ, "FRUGAL_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CREATE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout.splitlines()[-1])
    assert "api" in modules
    assert [name for name in HEAVY if name in modules] == []


@pytest.mark.server
def test_a_service_at_rest_is_one_small_process(tmp_path: Path) -> None:
    with LocalService(tmp_path) as service:
        with service.client() as client:
            assert client.jobs() == []
        process = psutil.Process(service.process.pid)
        family = [process, *process.children(recursive=True)]
        assert sum(member.memory_info().rss for member in family) <= IDLE_BYTES
        assert service.stop() == 0
        _, alive = psutil.wait_procs(family, timeout=120)
        assert not alive
