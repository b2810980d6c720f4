"""What the store keeps. Records are frozen; functions of the store move them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from automl.cost import Cost
from automl.trial import Proposal, Trial

Json = Mapping[str, Any]


class DatasetState(enum.StrEnum):
    """INGESTING, then READY or INVALID, in the end DELETED."""

    INGESTING = "INGESTING"
    READY = "READY"
    INVALID = "INVALID"
    DELETED = "DELETED"


class JobState(enum.StrEnum):
    """SUBMITTED, PLANNED, RUNNING and PAUSED in turn, then one of the final four."""

    SUBMITTED = "SUBMITTED"
    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    QUARANTINED = "QUARANTINED"

    @property
    def is_final(self) -> bool:
        """Whether nothing moves the job any more."""
        return self in FINAL


FINAL = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.QUARANTINED})


@dataclass(frozen=True, kw_only=True)
class Project:
    """A tenant: whatever belongs to one project does not exist for another."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Token:
    """A bearer token without its secret: only the secret's SHA-256 is kept."""

    id: str
    project_id: str
    name: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    role: str = "admin"  # viewer | analyst | approver | admin


@dataclass(frozen=True, kw_only=True)
class StoredDataset:
    """A data set as the store knows it; its rows are an artifact."""

    id: str
    project_id: str
    name: str
    fingerprint: str  # SHA-256 of the uploaded bytes and the reading options
    state: DatasetState
    created_at: datetime
    upload: str | None  # artifact key of the bytes as they came, until READY or INVALID
    bytes_in: int
    options: Json = field(default_factory=dict)  # reading options the client declared
    artifact: str | None = None  # artifact key of the folder of Parquet files
    bytes_stored: int | None = None
    n_rows: int | None = None
    profile: Json | None = None
    problem: Json | None = None  # why it is INVALID: {code, detail, column?, row?, ...}
    cost: Cost | None = None  # of reading it in
    updated_at: datetime | None = None
    root_id: str | None = None  # the first version, None for a first version
    base_id: str | None = None  # the version that this one was appended to
    version: int = 1

    @property
    def spec(self) -> Json | None:
        """What a data set of several tables was declared as; None of a plain table."""
        found: Json | None = self.options.get("spec")
        return found

    @property
    def sources(self) -> dict[str, str]:
        """By table, the data set that its rows came from, if any; empty of a plain table."""
        tables = (self.spec or {}).get("tables", {})
        return {
            name: str(one["source"]["dataset"])
            for name, one in tables.items()
            if "dataset" in one["source"]
        }


@dataclass(frozen=True, kw_only=True)
class Job:
    """A search somebody asked for."""

    id: str
    project_id: str
    dataset_id: str
    request: Json  # as validated by the API, defaults filled in
    state: JobState
    submitted_at: datetime
    warnings: tuple[Json, ...] = ()  # {code, detail, column?}
    model_name: str = ""  # under which the champion is registered
    started_at: datetime | None = None
    finished_at: datetime | None = None
    owner: str | None = None
    lease_until: datetime | None = None
    epoch: int = 0  # fencing token: every claim adds 1, every later write must match it
    deaths: int = 0  # times a worker died while it ran this job
    cancel_requested: bool = False
    stop_reason: str | None = None  # why the search stopped, in numbers
    problem: Json | None = None  # why it FAILED or is QUARANTINED
    result: Json | None = None  # front, picks and members, by trial number
    receipt: Json | None = None
    plan: Json | None = None  # `scheduler.planner.Plan` as JSON; None: at once
    start_at: datetime | None = None  # not claimed before; None: not until somebody resumes it
    finish_by: datetime | None = None  # its deadline: those with the nearest come first
    expected_seconds: float | None = None  # by the clock, of what is left when it starts
    claimed_at: datetime | None = None  # by the worker that has it, or had it last
    pause_requested: bool = False
    yield_requested: bool = False  # to make way for a job whose deadline is near
    schedule_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """What the queue weighs of a job that has a deadline."""

    id: str
    state: str
    start_at: datetime
    finish_by: datetime
    expected_seconds: float | None
    claimed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class StoredTrial:
    """A trial that was begun; `trial` is None while it runs."""

    job_id: str
    number: int
    proposal: Proposal
    expected: Cost
    started_at: datetime
    finished_at: datetime | None = None
    trial: Trial | None = None


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What one phase of a job took: ingest, features, search, refit or predict."""

    job_id: str
    epoch: int
    name: str
    cost: Cost
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Predictions for every row of a data set."""

    id: str
    project_id: str
    model_id: str
    dataset_id: str
    format: str  # csv | parquet
    state: str  # RUNNING | DONE | FAILED | DELETED
    created_at: datetime
    finished_at: datetime | None = None
    artifact: str | None = None  # artifact key of the file
    n_rows: int | None = None
    bytes: int | None = None
    report: Json | None = None
    problem: Json | None = None
    cost: Cost | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a job, in order."""

    job_id: str
    seq: int  # from 1
    at: datetime
    kind: str  # state | trial | phase | warning | end
    data: Json


@dataclass(frozen=True, kw_only=True)
class Model:
    """A registered champion."""

    id: str
    project_id: str
    name: str
    version: int  # from 1 within its name
    job_id: str
    dataset_id: str
    created_at: datetime
    artifact: str  # artifact key of the champion's folder
    sha256: str  # of its manifest
    card: Json
    deleted_at: datetime | None = None
