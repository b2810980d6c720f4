"""A real job: what it was told is on its record, what it taught is kept, and goes with its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from automl.meta.features import META_NAMES
from automl.meta.knowledge import Knowledge
from scheduler.artifacts import ArtifactStore
from scheduler.clock import utc_now
from scheduler.config import Settings
from scheduler.execution import execute
from scheduler.ingestion import Ingestor
from scheduler.job_process import Stopping
from scheduler.knowledge import LocalKnowledge
from scheduler.records import Job, JobState
from scheduler.store import Store
from tests.scheduler.test_execution import Start, dataset, run, start
from tests.scheduler.test_knowledge import line

__all__ = ["dataset", "run", "start"]  # fixtures


def test_a_job_says_what_it_was_told_and_teaches(
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    start: Start,
    run: Callable[[Job], Job],
) -> None:
    job = run(start(mode="balanced"))
    assert job.state is JobState.DONE, job.problem
    assert job.result is not None
    told = job.result["knowledge"]
    assert told["digest"] == Knowledge.shipped().digest
    model = store.get_model(job.project_id, "bank-y")
    assert model.card["provenance"]["knowledge"] == {
        "digest": told["digest"],
        "n_tasks": len(Knowledge.shipped().tasks),
    }
    tried = {one["candidate"] for one in told["suggestions"] if one["tried"]}
    ran = {one.proposal.candidate.id for one in store.trials(job.id)}
    assert tried
    assert tried <= ran
    assert all(one["why"] for one in told["suggestions"])
    assert {"first"} <= {one["stage"] for one in told["suggestions"]}

    local = LocalKnowledge(settings, job.project_id)
    (kept,) = local.read().lines
    known = {config.id for config in Knowledge.shipped().configs}
    assert set(kept["rel"]) <= ran & known
    assert max(kept["rel"].values()) == 1.0
    assert len(kept["meta"]) == len(META_NAMES)
    assert all(name not in str(kept) for name in ("age", "income", "town", "Lyon"))

    second = run(start(mode="eco"))
    assert second.result is not None
    assert second.result["knowledge"]["digest"] != told["digest"]
    assert len(local.read().lines) == 2
    ingestor = Ingestor(store, artifacts, settings)
    ingestor.delete(job.project_id, job.dataset_id, force=False, now=utc_now())
    assert local.read().lines == ()


def test_a_job_given_back_goes_on_with_the_knowledge_it_began_with(
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    start: Start,
    run: Callable[[Job], Job],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = run(start())
    local = LocalKnowledge(settings, whole.project_id)
    began = start()
    before = store.trials(began.id)
    assert not before
    ends: list[int] = []
    end_trial = Store.end_trial

    def stopping(self: Store, *given: Any, **values: Any) -> bool:
        found = end_trial(self, *given, **values)
        ends.append(1)
        if len(ends) == 2:
            raise Stopping
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Store, "end_trial", stopping)
        run(began)
    assert store.job(began.id).state is JobState.SUBMITTED
    # Meanwhile others taught what would change the order.
    for number in range(40):
        other = replace(whole, id=f"{number:032x}")
        local.add(line(best=2), job=other)
    claimed = store.claim_job(owner="again", lease_seconds=60, now=utc_now())
    assert claimed is not None
    execute(
        claimed.id,
        claimed.epoch,
        store=store,
        artifacts=artifacts,
        settings=settings,
        leave=lambda status: None,
    )
    done = store.job(claimed.id)
    assert done.state is JobState.DONE, done.problem
    assert done.result is not None
    assert done.result["knowledge"]["n_tasks"] == len(Knowledge.shipped().tasks) + 1
    assert not artifacts.exists(f"jobs/{claimed.id}")


def test_a_job_teaches_nothing_where_it_is_told_not_to(
    store: Store, artifacts: ArtifactStore, settings: Settings, start: Start
) -> None:
    job = start(mode="eco")
    execute(
        job.id,
        job.epoch,
        store=store,
        artifacts=artifacts,
        settings=settings.model_copy(update={"knowledge": "off"}),
        leave=lambda status: None,
    )
    done = store.job(job.id)
    assert done.state is JobState.DONE, done.problem
    assert done.result is not None
    assert done.result["knowledge"]["n_tasks"] == 0
    assert LocalKnowledge(settings, job.project_id).read().lines == ()
