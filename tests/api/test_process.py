"""The process that answers stays light: what reads and trains lives in children."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = (
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "numpy",
    "lightgbm",
    "imblearn",
    "codecarbon",
    "optuna",
    "skops",
    "duckdb",
    "polars",
)

SCRIPT = """
import sys
from pathlib import Path
from datetime import datetime, timezone

from api import create_app
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.ingestion import Ingestor
from scheduler.predictor import Predictor
from scheduler.service import Service
from scheduler.store import Store

folder = Path(sys.argv[1])
settings = Settings(data_dir=folder)
store = Store(f"sqlite:///{folder / 'frugal.db'}")
store.migrate()
artifacts = ArtifactStore(folder / "artifacts")
app = create_app(
    store=store,
    artifacts=artifacts,
    ingestor=Ingestor(store, artifacts, settings),
    service=Service(store, artifacts, settings),
    predictor=Predictor(artifacts, settings),
    settings=settings,
)
now = datetime.now(timezone.utc)
secret, _ = store.add_token(store.add_project("p", now=now).id, name="t", now=now)
client = app.test_client()
headers = {"Authorization": f"Bearer {secret}"}
answer = client.post(
    "/v1/datasets", data=b"a,y\\n1,0\\n2,1\\n", content_type="text/csv", headers=headers
)
assert answer.status_code == 201, answer.text
for path in ("/", "/docs", "/openapi.json", "/readyz", "/metrics", "/v1/datasets", "/v1/jobs",
             "/v1/models", answer.headers["Location"]):
    assert client.get(path, headers=headers).status_code == 200, path
heavy = sorted(name for name in sys.argv[2:] if name in sys.modules)
assert not heavy, heavy
resident = next(
    int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines()
    if line.startswith("VmRSS")
)
print(resident // 1024)
"""


def test_serving_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), *HEAVY],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 150  # MB, what the service may hold at rest
