"""What the store keeps of daily retraining: schedules, their runs, promotions, outcomes, audit."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from scheduler.records import Json


class ScheduleState(enum.StrEnum):
    """ACTIVE and PAUSED in turn, in the end DELETED."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    DELETED = "DELETED"


class RunState(enum.StrEnum):
    """DECIDING, then SKIPPED, or SUBMITTED and then DONE; FAILED from both."""

    DECIDING = "DECIDING"
    SUBMITTED = "SUBMITTED"
    SKIPPED = "SKIPPED"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A model that is to be trained again every day that is worth it."""

    id: str
    project_id: str
    name: str
    request: Json  # as validated by the API, defaults filled in
    state: ScheduleState
    created_at: datetime
    next_at: datetime | None = None  # when the next run is due; None while it is not ACTIVE
    next_date: str | None = None  # the local date of that run


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of one local date of a schedule."""

    schedule_id: str
    local_date: str
    state: RunState
    due_at: datetime
    decided_at: datetime | None = None
    finished_at: datetime | None = None
    missed: int = 0  # dates whose window went by unseen, that this run stands for
    owner: str | None = None
    lease_until: datetime | None = None
    epoch: int = 0  # fencing token: every claim adds 1, every later write must match it
    job_id: str | None = None
    dataset_id: str | None = None
    decision: Json | None = None  # worth it or not, and why, in numbers
    outcome: Json | None = None  # promoted or not, and why, in numbers


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """From now on a version of a name is the one that answers."""

    project_id: str
    name: str
    seq: int  # from 1
    version: int
    kind: str  # promote | rollback | schedule
    actor: str
    at: datetime
    reason: Json


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Labels that came after their rows; they are an artifact, None once deleted."""

    id: str
    project_id: str
    model_name: str
    root_id: str
    received_at: datetime
    artifact: str | None
    sha256: str  # of what came
    n_labels: int
    n_positive: int


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """Who did what to what, chained to the line before by its hash."""

    project_id: str
    seq: int  # from 1
    at: datetime
    actor: str
    action: str
    subject: str
    details: Json
    sha256: str
