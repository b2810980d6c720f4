"""The service's parts in one process: real store and files, small stand-ins for the children."""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from flask.testing import FlaskClient

from api import create_app
from automl.cost import Cost
from automl.errors import DataError
from automl.search.expectation import Expectation
from automl.trial import Candidate, Proposal, Trial
from scheduler.answering import Answering
from scheduler.artifacts import ArtifactStore
from scheduler.carbon.series import IntensitySource
from scheduler.config import Settings
from scheduler.ingestion import Ingestor
from scheduler.predictor import Predictor
from scheduler.records import DatasetState, Job, JobState, Model, StoredDataset
from scheduler.store import Store
from tests.stores import hurried

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COST = Cost(cpu_seconds=0.5, joules=2.0, wall_seconds=0.6, meter="cpu_time")
EXPECTED = Expectation(
    cpu_seconds=3600,
    p95_cpu_seconds=7200,
    seconds=3600,
    p95_seconds=7200,
    joules=3.6e4,
    pause_seconds=60,
)
PROFILE = {
    "n_rows": 3,
    "n_columns": 2,
    "bytes_in": 20,
    "bytes_stored": 10,
    "dialect": {"delimiter": ";"},
    "columns": [{"name": "age", "type": "integer"}, {"name": "y", "type": "integer"}],
    "warnings": [],
    "target_candidates": ["y"],
}


class FakeIngestor:
    """Takes any bytes as a table that is ready at once; `refusal` is what admission raises."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.refusal: Exception | None = None
        self.warnings: list[Mapping[str, Any]] = []
        self.finish = True
        self.admitted: list[Mapping[str, Any]] = []
        self.expected = EXPECTED
        self.counts: Mapping[str, int] = {}

    def accept(
        self,
        project_id: str,
        *,
        stream_chunks: Iterable[bytes],
        name: str,
        options: Mapping[str, Any],
        now: datetime,
        base_id: str | None = None,
    ) -> tuple[StoredDataset, bool]:
        if base_id is not None:
            self.store.get_dataset(project_id, base_id)
        body = b"".join(stream_chunks)
        if not body:
            raise DataError("the file is empty", code="empty_file")
        text = body + json.dumps(options, sort_keys=True).encode()
        dataset, created = self.store.add_dataset(
            StoredDataset(
                id=uuid.uuid4().hex,
                project_id=project_id,
                name=name,
                fingerprint=hashlib.sha256(text).hexdigest(),
                state=DatasetState.INGESTING,
                created_at=now,
                upload="uploads/x",
                bytes_in=len(body),
                options=options,
                base_id=base_id,
            )
        )
        if created and self.finish:
            self.ready(dataset.id)
        return dataset, created

    def renew(
        self, project_id: str, *, base_id: str, sources: Any, name: str | None, now: datetime
    ) -> tuple[StoredDataset, bool]:
        self.store.get_dataset(project_id, base_id)
        raise DataError("the data set is of one table", code="not_several_tables")

    def ready(self, dataset_id: str) -> None:
        self.store.finish_dataset(
            dataset_id,
            artifact=f"datasets/{dataset_id}",
            n_rows=3,
            bytes_stored=10,
            profile=PROFILE,
            cost=COST,
            now=NOW,
        )

    def admit(self, request: Mapping[str, Any], dataset: StoredDataset, **_: Any) -> dict[str, Any]:
        self.admitted.append(request)
        if self.refusal is not None:
            raise self.refusal
        counts = {"n_rows": 3, "n_positive": 1}
        expected = self.expected.to_json()
        return {"warnings": list(self.warnings), "excluded": [], **counts, "expected": expected}

    def expect(self, request: Mapping[str, Any], **counts: int) -> dict[str, float]:
        self.counts = counts
        return self.expected.to_json()

    def delete(
        self, project_id: str, dataset_id: str, *, force: bool, now: datetime, actor: str
    ) -> list[str]:
        ids = [dataset_id, *self.store.built_on(project_id, dataset_id)]
        self.store.delete_dataset(project_id, dataset_id, force=force, now=now, actor=actor)
        return ids


class FakeService:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


class FakePredictor:
    """Answers with one probability per row of a JSON body."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.calls: list[dict[str, Any]] = []
        self.answering = Answering()

    def pids(self) -> list[int]:
        return []

    def predict(
        self, model: Model, body: bytes, *, content_type: str, accept: str, n_reasons: int = 0
    ) -> tuple[bytes, str, dict[str, str]]:
        self.calls.append({"model": model, "content_type": content_type, "accept": accept})
        if self.refusal is not None:
            raise self.refusal
        try:
            rows = json.loads(body)["rows"] if content_type == "application/json" else []
            answer = [{"probability": 0.1, "alert": False} for _ in rows]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DataError("the body has no rows", code="invalid_rows") from None
        about = {"model": model.name, "version": model.version, "report": {}}
        return json.dumps({"predictions": answer, **about}).encode(), "application/json", {}


@dataclass
class Site:
    """An app, its parts, and a token of each of two projects."""

    app: APIFlask
    store: Store
    artifacts: ArtifactStore
    ingestor: FakeIngestor
    service: FakeService
    predictor: FakePredictor
    settings: Settings
    client: FlaskClient
    project: str
    secret: str
    other_secret: str
    token_id: str
    _jobs: int = field(default=0)

    def call(self, method: str, path: str, *, secret: str | None = None, **kwargs: Any) -> Any:
        """A request with the first project's token, or another; "" is none."""
        headers = dict(kwargs.pop("headers", {}))
        secret = self.secret if secret is None else secret
        if secret:
            headers.setdefault("Authorization", f"Bearer {secret}")
        kwargs.setdefault("buffered", True)
        return self.client.open(path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Any:
        return self.call("POST", path, **kwargs)

    def upload(self, body: bytes = b"age;y\n41;0\n42;1\n43;0\n", **kwargs: Any) -> str:
        """Id of a data set that is READY."""
        answer = self.post("/v1/datasets", data=body, content_type="text/csv", **kwargs)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json["id"])

    def submit(self, **request: Any) -> Any:
        """The answer to a job request with these fields."""
        headers = request.pop("headers", {})
        body = {"dataset": request.pop("dataset", None) or self.upload(), "target": "y", **request}
        return self.post("/v1/jobs", json=body, headers=headers)

    def job(self, **request: Any) -> str:
        """Id of a job that waits."""
        answer = self.submit(**request)
        assert answer.status_code == 202, answer.text
        return str(answer.json["id"])

    def claim(self) -> Job:
        """The oldest job, RUNNING under this test."""
        job = self.store.claim_job(owner="test", lease_seconds=600, now=NOW)
        assert job is not None
        return job

    def trial(self, job: Job, number: int, **changes: Any) -> Trial:
        """A trial of the job, begun and ended."""
        model = changes.pop("model", "linear")
        proposal = Proposal(
            candidate=Candidate(model=model, params={"C": 0.1}), rung="final", n_rows=100
        )
        values: dict[str, Any] = {
            "score": 0.1 * (number + 1),
            "interval": (0.05, 0.5),
            "predict_joules": 0.01,
            "peak_memory_bytes": 10**6,
            **changes,
        }
        joules = values.pop("joules", 2.0 * (number + 1))
        cost = Cost(cpu_seconds=joules / 4, joules=joules, meter="cpu_time")
        expected = Cost(cpu_seconds=joules / 4, joules=joules, meter="expected")
        trial = Trial(number=number, proposal=proposal, cost=cost, expected=expected, **values)
        self.store.begin_trial(
            job.id, epoch=job.epoch, number=number, proposal=proposal, expected=expected, now=NOW
        )
        self.store.end_trial(job.id, epoch=job.epoch, trial=trial, now=NOW)
        return trial

    def finish(self, job: Job, *, model: Model | None = None, **changes: Any) -> Job:
        """The job DONE."""
        values: dict[str, Any] = {
            "state": JobState.DONE,
            "stop_reason": "no refinement is worth its energy",
            "result": {"front": [0, 1], "picks": {"recommended": 1, "most_frugal": 0}},
            "receipt": {"totals": {"joules": 6.0}},
            **changes,
        }
        return self.store.finish_job(job.id, epoch=job.epoch, now=NOW, model=model, **values)

    def model(self, name: str = "customers-y", files: Mapping[str, str] | None = None) -> Model:
        """A registered model with the files of a champion."""
        job_id = self.job(model=name)
        job = self.claim()
        assert job.id == job_id
        key = f"models/{uuid.uuid4().hex}"
        contents = dict(files or {"trial-0.txt": "tree\nversion=v4\n"})
        sums = {file: hashlib.sha256(text.encode()).hexdigest() for file, text in contents.items()}
        manifest = json.dumps({"format": 1, "files": sums})
        with self.artifacts.staging() as folder:
            for file, text in {**contents, "manifest.json": manifest}.items():
                (folder / file).write_text(text)
            self.artifacts.put_folder(key, folder)
        model = Model(
            id=uuid.uuid4().hex,
            project_id=self.project,
            name=name,
            version=0,
            job_id=job.id,
            dataset_id=job.dataset_id,
            created_at=NOW,
            artifact=key,
            sha256=hashlib.sha256(manifest.encode()).hexdigest(),
            card={"target": "y", "columns": ["age", "<script>alert(1)</script>"], "ap": 0.4},
        )
        self.finish(job, model=model)
        return self.store.get_model(self.project, name)


@functools.cache
def _empty_database() -> bytes:
    """Migrations take most of the time of a short test, so they run once."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frugal.db"
        store = Store(f"sqlite:///{file}")
        store.migrate()
        store.close()
        return file.read_bytes()


def build(
    folder: Path,
    *,
    reads_files: bool = False,
    intensity: IntensitySource | None = None,
    **settings: Any,
) -> Site:
    """A site in an empty folder; with `reads_files` the real children read and predict."""
    configured = Settings(data_dir=folder, **settings)
    file = folder / "frugal.db"
    file.write_bytes(_empty_database())
    store = hurried(Store(f"sqlite:///{file}"))
    artifacts = ArtifactStore(folder / "artifacts")
    service = FakeService()
    ingestor: Any = FakeIngestor(store)
    predictor: Any = FakePredictor()
    if reads_files:
        ingestor = Ingestor(store, artifacts, configured)
        predictor = Predictor(artifacts, configured)
    app = create_app(
        store=store,
        artifacts=artifacts,
        ingestor=ingestor,
        service=service,  # type: ignore[arg-type]
        predictor=predictor,
        settings=configured,
        intensity=intensity,
    )
    app.config.update(EVENT_POLL_SECONDS=0.01, EVENT_STREAM_SECONDS=0.2)
    now = datetime.now(UTC)
    project, other = store.add_project("one", now=now), store.add_project("two", now=now)
    secret, token = store.add_token(project.id, name="test", now=now)
    other_secret, _ = store.add_token(other.id, name="test", now=now)
    return Site(
        app=app,
        store=store,
        artifacts=artifacts,
        ingestor=ingestor,
        service=service,
        predictor=predictor,
        settings=configured,
        client=app.test_client(),
        project=project.id,
        secret=secret,
        other_secret=other_secret,
        token_id=token.id,
    )
