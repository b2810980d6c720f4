"""Records to put into a store under test."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from automl.cost import Cost
from automl.trial import Candidate, Proposal, Trial
from scheduler.records import DatasetState, Job, JobState, Model, StoredDataset
from scheduler.store import Store
from tests.contracts.conftest import NOW

COST = Cost(cpu_seconds=1.5, joules=6.25, wall_seconds=2.0, meter="cpu_time")
EXPECTED = Cost(cpu_seconds=1.0, joules=4.0, meter="expected")


def new_id() -> str:
    """An id as the service makes them."""
    return uuid.uuid4().hex


def a_dataset(project_id: str, **changes: Any) -> StoredDataset:
    """A data set that has just been uploaded."""
    dataset = StoredDataset(
        id=new_id(),
        project_id=project_id,
        name="clients.csv",
        fingerprint=new_id() * 2,
        state=DatasetState.INGESTING,
        created_at=NOW,
        upload=f"uploads/{new_id()}",
        bytes_in=1234,
        options={"delimiter": ";"},
    )
    return replace(dataset, **changes)


def a_job(project_id: str, dataset_id: str, **changes: Any) -> Job:
    """A job as the API hands it over."""
    job = Job(
        id=new_id(),
        project_id=project_id,
        dataset_id=dataset_id,
        request={"target": "fragile", "seed": 0},
        state=JobState.SUBMITTED,
        submitted_at=NOW,
        warnings=({"code": "constant", "detail": "one value", "column": "country"},),
        model_name="clients-fragile",
    )
    return replace(job, **changes)


def a_trial(number: int, **changes: Any) -> Trial:
    """A finished trial."""
    trial = Trial(
        number=number,
        proposal=a_proposal(number),
        cost=COST,
        expected=EXPECTED,
        score=0.4,
        interval=(0.35, 0.45),
        scores={"average_precision": 0.4},
        predict_joules=0.01,
        peak_memory_bytes=2**33,
        details={"best_iteration": 12},
    )
    return replace(trial, **changes)


def a_proposal(number: int) -> Proposal:
    """What a trial tries."""
    candidate = Candidate(model="L15", params={"learning_rate": 0.1 + number})
    return Proposal(candidate=candidate, rung="screening", n_rows=6600)


def a_model(job: Job, **changes: Any) -> Model:
    """A champion as the execution hands it over; the store gives the version."""
    model = Model(
        id=new_id(),
        project_id=job.project_id,
        name=job.model_name,
        version=0,
        job_id=job.id,
        dataset_id=job.dataset_id,
        created_at=NOW,
        artifact=f"models/{new_id()}",
        sha256="0" * 64,
        card={"title": "Clients"},
    )
    return replace(model, **changes)


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A project with a data set that is READY."""

    project_id: str
    dataset_id: str


def a_tenant(store: Store, name: str = "bank", *, now: datetime = NOW) -> Tenant:
    """A project of this name, ready to submit jobs."""
    project = store.add_project(name, now=now)
    dataset, _ = store.add_dataset(a_dataset(project.id))
    store.finish_dataset(
        dataset.id,
        artifact=f"datasets/{dataset.id}",
        n_rows=150_000,
        bytes_stored=2**34,
        profile={"n_rows": 150_000},
        cost=COST,
        now=now,
    )
    return Tenant(project_id=project.id, dataset_id=dataset.id)


def submit(store: Store, tenant: Tenant, **changes: Any) -> Job:
    """A job of this tenant, SUBMITTED."""
    job = replace(a_job(tenant.project_id, tenant.dataset_id), **changes)
    return store.add_job(job, max_queued=100)


def claim(store: Store, *, now: datetime = NOW, owner: str = "worker") -> Job:
    """The next job, RUNNING under a lease of 30 s."""
    job = store.claim_job(owner=owner, lease_seconds=30, now=now)
    assert job is not None
    return job
