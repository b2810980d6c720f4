"""A job in one process: real data, real search, real store."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Any

import numpy as np
import pytest

from automl.models import catalog
from automl.search.champion import Champion
from scheduler.artifacts import ArtifactStore
from scheduler.clock import utc_now
from scheduler.config import Settings
from scheduler.execution import budget_of, execute
from scheduler.heartbeat import EXIT_DATA_DELETED, EXIT_LOST, EXIT_STUCK, Heartbeat, Progress
from scheduler.ingestion import Ingestor
from scheduler.ledger import LedgerFilter
from scheduler.records import DatasetState, Job, JobState, StoredDataset
from scheduler.store import Store
from tests.scheduler.test_child import wait_until

Start = Callable[..., Job]


def table(n_rows: int = 3000) -> bytes:
    """A table with numbers, a category, and 3 % positives."""
    rng = np.random.default_rng(1)
    age, income = rng.integers(18, 90, n_rows), rng.lognormal(7, 1, n_rows)
    town = rng.choice(["Lyon", "Nice", "Metz"], n_rows)
    odds = -0.05 * age + 1.5 * (town == "Nice") + rng.gumbel(size=n_rows)
    y = odds > np.quantile(odds, 0.97)
    lines = ["age,income,town,y"]
    for row in zip(age, income, town, y, strict=True):
        lines.append(f"{row[0]},{row[1]:.2f},{row[2]},{int(row[3])}")
    return "\n".join(lines).encode() + b"\n"


@pytest.fixture
def dataset(
    store: Store, artifacts: ArtifactStore, settings: Settings, project: str
) -> StoredDataset:
    ingestor = Ingestor(store, artifacts, settings)
    found, _ = ingestor.accept(
        project, stream_chunks=[table()], name="bank", options={}, now=utc_now()
    )
    wait_until(lambda: store.get_dataset(project, found.id).state is not DatasetState.INGESTING)
    return store.get_dataset(project, found.id)


@pytest.fixture
def start(store: Store, dataset: StoredDataset) -> Start:
    """Submit and claim a job."""

    def claim(**request: Any) -> Job:
        job = Job(
            id=uuid.uuid4().hex,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            request={"target": "y", "positive": None, "mode": "eco", "seed": 0} | request,
            state=JobState.SUBMITTED,
            submitted_at=utc_now(),
            model_name="bank-y",
        )
        store.add_job(job, max_queued=10)
        claimed = store.claim_job(owner="test", lease_seconds=60, now=utc_now())
        assert claimed is not None
        return claimed

    return claim


@pytest.fixture
def run(store: Store, artifacts: ArtifactStore, settings: Settings) -> Callable[[Job], Job]:
    def go(job: Job) -> Job:
        execute(
            job.id,
            job.epoch,
            store=store,
            artifacts=artifacts,
            settings=settings,
            leave=lambda status: None,
        )
        return store.job(job.id)

    return go


def test_a_job_ends_done_with_model_front_and_receipt(
    store: Store, artifacts: ArtifactStore, start: Start, run: Callable[[Job], Job]
) -> None:
    job = run(start())
    assert job.state is JobState.DONE
    assert job.problem is None
    assert job.result is not None
    numbers = {one.number for one in store.trials(job.id)}
    assert set(job.result["front"]) <= numbers
    assert set(job.result["picks"].values()) <= set(job.result["front"])
    model = store.get_model(job.project_id, "bank-y")
    champion = Champion.load(artifacts.path(model.artifact), sha256=model.sha256)
    assert champion.columns == ["age", "income", "town"]
    assert model.card["types"] == {"age": "number", "income": "number", "town": "string"}
    assert not artifacts.exists(f"jobs/{job.id}")


def test_the_card_names_the_columns_left_out(
    store: Store, start: Start, run: Callable[[Job], Job]
) -> None:
    why = "nearly every row has its own value"
    admission = {"excluded": [{"column": "income", "why": why}]}
    job = run(start(exclude=["town"], admission=admission))
    assert store.get_model(job.project_id, "bank-y").card["excluded"] == [
        {"column": "town", "why": "excluded by the request"},
        {"column": "income", "why": why},
    ]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, False),
        ({"admission": {"group_identical": True}}, "identical rows"),
        ({"group_column": "age"}, "named"),
    ],
)
def test_the_card_says_which_rows_were_kept_together(
    store: Store, start: Start, run: Callable[[Job], Job], request_: dict[str, Any], said: object
) -> None:
    job = run(start(**request_))
    card = store.get_model(job.project_id, "bank-y").card
    assert card["provenance"]["validation"]["by_group"] == said


def test_the_bill_adds_up_and_agrees_with_codecarbon(
    store: Store, start: Start, run: Callable[[Job], Job]
) -> None:
    job = run(start(mode="balanced"))
    assert job.receipt is not None
    bill = job.receipt
    names = ["ingest", "features", "search", "refit", "predict"]
    assert [phase["name"] for phase in bill["phases"]] == names
    assert all(phase["cpu_seconds"] > 0 for phase in bill["phases"])
    trials = [one.trial for one in store.trials(job.id) if one.trial is not None]
    search = bill["phases"][2]
    own = sum(t.cost.cpu_seconds for t in trials if t.candidate.model != "ensemble")
    assert 0 < own <= search["cpu_seconds"]
    assert bill["intensity"]["zone"] == "FR"
    total = store.ledger_total(job.project_id, LedgerFilter(job_id=job.id))
    ingest = bill["phases"][0]["joules"]  # billed once, whatever reads the data set
    assert total.joules == pytest.approx(bill["total"]["joules"] - ingest)
    assert total.saved_by_later == pytest.approx(bill["levers"]["later"]["saved_gco2e"])
    assert bill["reference"]["reason"] is None
    # 5 % is promised of a search of seconds; this one lasts one, with codecarbon's own start.
    assert bill["reference"]["ratio"] == pytest.approx(1.0, abs=0.25)
    assert bill["predict_per_1000_rows"]["joules"] > 0


def test_a_second_job_is_the_next_version(
    store: Store, start: Start, run: Callable[[Job], Job]
) -> None:
    run(start())
    job = run(start())
    assert store.get_model(job.project_id, "bank-y").version == 2


def test_bad_data_fail_with_their_problem(start: Start, run: Callable[[Job], Job]) -> None:
    job = run(start(target="nothing"))
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert job.problem["code"] == "target_not_found"


def test_rotten_rows_are_never_used(
    artifacts: ArtifactStore, dataset: StoredDataset, start: Start, run: Callable[[Job], Job]
) -> None:
    assert dataset.artifact is not None
    path = artifacts.path(dataset.artifact) / "rows.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    job = run(start())
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert job.problem["code"] == "corrupt"


def test_an_unexpected_error_shows_type_and_place_only(
    start: Start, run: Callable[[Job], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("cannot parse FR7612345")

    monkeypatch.setattr("automl.search.run.search", fail)
    job = run(start())
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert job.problem["code"] == "internal_error"
    assert "RuntimeError at test_execution.py:" in job.problem["detail"]
    assert "FR7612345" not in str(job)


def test_a_job_of_which_no_model_could_be_fitted_says_so(
    start: Start, run: Callable[[Job], Job], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(params: object, **options: object) -> None:
        raise MemoryError("no room")

    for name, spec in list(catalog.CATALOG.items()):
        monkeypatch.setitem(catalog.CATALOG, name, replace(spec, build=build))
    job = run(start())
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert job.problem["code"] == "no_model"
    assert "MemoryError: no room" in job.problem["detail"]
    trials = [stored.trial for stored in store.trials(job.id)]
    assert trials
    assert all(trial is not None and trial.error for trial in trials)
    costs = {one.name: one.cost for one in store.phases(job.id)}
    assert costs["features"].joules > 0
    assert costs["unfinished"].joules > 0  # what it burnt in vain is billed


def test_a_budget_too_small_for_anything_fails(start: Start, run: Callable[[Job], Job]) -> None:
    job = run(start(limits={"cpu_seconds": 1e-9}))
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert job.problem["code"] == "budget_exhausted"


def test_a_cancelled_job_keeps_the_best_so_far(
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    start: Start,
    run: Callable[[Job], Job],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = start(mode="best")
    end_trial = store.end_trial

    def end_and_cancel(job_id: str, **values: Any) -> None:
        end_trial(job_id, **values)
        store.request_cancel(job.project_id, job_id, now=utc_now())
        (heart,) = [one for one in threading.enumerate() if isinstance(one, Heartbeat)]
        assert heart.cancel_requested.wait(timeout=120)

    monkeypatch.setattr(store, "end_trial", end_and_cancel)
    monkeypatch.setattr("scheduler.heartbeat.MOST_SECONDS_BETWEEN_BEATS", 0.1)
    done = run(job)
    assert done.state is JobState.CANCELLED
    assert done.stop_reason == "stopped: cancelled on request"
    fitted = [one for one in store.trials(job.id) if one.proposal.candidate.model != "ensemble"]
    assert len(fitted) == 1
    assert store.get_model(job.project_id, "bank-y").version == 1
    assert done.receipt is not None


def test_a_job_cancelled_before_its_first_trial_has_no_model(
    store: Store, start: Start, run: Callable[[Job], Job]
) -> None:
    job = start()
    store.request_cancel(job.project_id, job.id, now=utc_now())
    done = run(job)
    assert done.state is JobState.CANCELLED
    assert store.trials(job.id) == []
    assert store.list_models(job.project_id, limit=10)[0] == []


def test_a_worker_whose_job_was_taken_writes_nothing(
    store: Store, start: Start, run: Callable[[Job], Job]
) -> None:
    job = start()
    store.claim_job(owner="other", lease_seconds=60, now=utc_now() + timedelta(seconds=61))
    before = store.job(job.id)
    assert run(job) == before


def heartbeat(store: Store, job: Job, left: list[int], progress: Progress) -> Heartbeat:
    return Heartbeat(
        store,
        job_id=job.id,
        epoch=job.epoch,
        lease_seconds=0.3,
        progress=progress,
        clock=utc_now,
        leave=left.append,
    )


def test_the_heartbeat_leaves_when_the_job_is_lost(store: Store, start: Start) -> None:
    job, left = start(), list[int]()
    store.release_job(job.id, epoch=job.epoch, now=utc_now())
    heart = heartbeat(store, job, left, Progress())
    heart.start()
    heart.join(timeout=120)
    assert left == [EXIT_LOST]


def test_the_heartbeat_leaves_when_the_data_are_deleted(
    store: Store, start: Start, dataset: StoredDataset
) -> None:
    job, left = start(), list[int]()
    store.delete_dataset(dataset.project_id, dataset.id, force=True, now=utc_now())
    heart = heartbeat(store, job, left, Progress())
    heart.beat()
    assert left == [EXIT_DATA_DELETED]
    found = store.job(job.id)
    assert found.state is JobState.CANCELLED
    assert found.problem is not None
    assert found.problem["code"] == "data_deleted"


def test_the_heartbeat_leaves_when_a_trial_runs_away(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.heartbeat.FLOOR_SECONDS", 0.2)
    job, left, progress = start(), list[int](), Progress()
    progress.enter(7, 0.01)
    heart = heartbeat(store, job, left, progress)
    heart.start()
    end = time.monotonic() + 120
    while not left and time.monotonic() < end:
        sum(range(100_000))
    heart.join(timeout=120)
    assert left == [EXIT_STUCK]
    assert "trial 7 took" in str(progress.overrun())


def test_a_limit_that_is_missing_or_null_is_none() -> None:
    budget = budget_of({"limits": {"gco2e": 1, "joules": None}}, grams_per_kwh=56.0)
    assert (budget.gco2e, budget.joules, budget.trials) == (1.0, inf, inf)
    assert budget_of({}, grams_per_kwh=56.0).cpu_seconds == inf
