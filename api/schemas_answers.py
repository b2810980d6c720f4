"""What the service answers: only these fields leave it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.errors import of_upload
from api.schemas import JobStateName
from automl.cost import Cost
from scheduler.records import Event, Job, StoredDataset

JsonObject = dict[str, Any]


class Answer(BaseModel):
    """A JSON object of an answer."""

    model_config = ConfigDict(frozen=True)


class Problem(Answer):
    """Why a request failed (RFC 9457). `code` is stable and meant for programs."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    table: str | None = None
    column: str | None = None
    row: int | None = Field(None, description="row of the data, from 1, the header not counted")
    details: JsonObject | None = None
    errors: list[JsonObject] | None = Field(None, description="every field that is wrong")
    error_id: str | None = None


class CostAnswer(Answer):
    """What a piece of work took."""

    cpu_seconds: float
    joules: float
    wall_seconds: float
    meter: str

    @classmethod
    def of(cls, cost: Cost) -> CostAnswer:
        return cls(**cost.to_json())


class DatasetAnswer(Answer):
    """A data set."""

    id: str
    name: str
    version: int = Field(description="within its series: rows were appended to version 1")
    base: str | None = Field(description="the version that it was appended to")
    state: Literal["INGESTING", "READY", "INVALID", "DELETED"]
    created_at: datetime
    updated_at: datetime | None
    bytes_in: int
    bytes_stored: int | None
    n_rows: int | None
    options: JsonObject = Field(description="reading options as declared")
    problem: JsonObject | None = Field(
        description="why it is INVALID: the problem document that a refused upload gets"
    )
    cost: CostAnswer | None = Field(description="of reading it in")
    spec: JsonObject | None = Field(
        description="of several tables: what they are and how they belong together"
    )
    tables: JsonObject | None = Field(
        description="by table: its role, the data set it came from, its rows, and how many of them "
        "were left out and why"
    )
    storage: JsonObject | None = Field(
        description="of several tables: bytes of their files before, and as they are kept"
    )
    warnings: list[JsonObject] = Field(description="what is odd about several tables together")

    @classmethod
    def of(cls, dataset: StoredDataset) -> DatasetAnswer:
        about = (dataset.profile or {}).get("relations") or {}
        return cls(
            id=dataset.id,
            name=dataset.name,
            version=dataset.version,
            base=dataset.base_id,
            state=dataset.state.value,
            created_at=dataset.created_at,
            updated_at=dataset.updated_at,
            bytes_in=dataset.bytes_in,
            bytes_stored=dataset.bytes_stored,
            n_rows=dataset.n_rows,
            options={name: one for name, one in dataset.options.items() if name != "spec"},
            problem=None if dataset.problem is None else of_upload(dataset.problem),
            cost=None if dataset.cost is None else CostAnswer.of(dataset.cost),
            spec=None if dataset.spec is None else dict(dataset.spec),
            tables=about.get("tables"),
            storage=about.get("storage"),
            warnings=list(about.get("warnings") or ()),
        )


class DatasetsAnswer(Answer):
    """One page of data sets."""

    items: list[DatasetAnswer]
    next_cursor: str | None


class VersionsAnswer(Answer):
    """The versions of a data set, in their order, without deleted ones."""

    items: list[DatasetAnswer]


class DeletedAnswer(Answer):
    """What was deleted beside the data set itself."""

    deleted: list[str] = Field(description="ids: its own, and those of the versions built on it")


class ProfileAnswer(Answer):
    """What is in a data set, and what was guessed about it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    n_rows: int
    n_columns: int
    bytes_in: int
    bytes_stored: int
    dialect: JsonObject | None = None
    columns: list[JsonObject]
    warnings: list[JsonObject]
    target_candidates: list[Any]


class JobAnswer(Answer):
    """A search somebody asked for."""

    id: str
    dataset: str
    model: str = Field(description="name under which the champion is registered")
    model_version: int | None = Field(
        description="the version that this job made; null: none yet, none at all, or it was deleted"
    )
    state: JobStateName
    cancel_requested: bool
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    pause_requested: bool
    start_at: datetime | None = Field(
        description="not before this; null while its user has paused it"
    )
    finish_by: datetime | None
    plan: JsonObject | None = Field(
        description="when it runs and why, by which forecast, and what that is to save"
    )
    schedule: str | None = Field(description="the schedule whose run it is")
    stop_reason: str | None = Field(description="why the search stopped; result.stop in numbers")
    problem: JsonObject | None = Field(description="why it FAILED or is QUARANTINED")
    warnings: list[JsonObject]
    request: JsonObject = Field(description="as understood, defaults filled in")
    result: JsonObject | None = Field(
        description="front and picks, by trial number; stop: why nothing more was tried"
    )

    @classmethod
    def of(cls, job: Job, *, model_version: int | None) -> JobAnswer:
        return cls(
            id=job.id,
            dataset=job.dataset_id,
            model=job.model_name,
            model_version=model_version,
            state=job.state.value,
            cancel_requested=job.cancel_requested,
            submitted_at=job.submitted_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            pause_requested=job.pause_requested,
            start_at=job.start_at,
            finish_by=job.finish_by,
            plan=None if job.plan is None else dict(job.plan),
            schedule=job.schedule_id,
            stop_reason=job.stop_reason,
            problem=None if job.problem is None else dict(job.problem),
            warnings=[dict(warning) for warning in job.warnings],
            request=dict(job.request),
            result=None if job.result is None else dict(job.result),
        )


class JobsAnswer(Answer):
    """One page of jobs."""

    items: list[JobAnswer]
    next_cursor: str | None


class EventAnswer(Answer):
    """Something that happened to a job."""

    seq: int
    at: datetime
    kind: str
    data: JsonObject

    @classmethod
    def of(cls, event: Event) -> EventAnswer:
        return cls(seq=event.seq, at=event.at, kind=event.kind, data=dict(event.data))


class EventsAnswer(Answer):
    """Events after a number, and whether more can come."""

    items: list[EventAnswer]
    state: str
    finished: bool
    last: int = Field(description="what to send as `after` next time")


class WebhookCallAnswer(Answer):
    """A call to a webhook: neither delivered nor due again means given up."""

    id: str
    created_at: datetime
    url: str
    attempts: int
    delivered_at: datetime | None
    next_at: datetime | None
    problem: JsonObject | None = Field(description="why the last attempt was not heard")


class WebhookCallsAnswer(Answer):
    """The newest calls."""

    items: list[WebhookCallAnswer]


class HealthAnswer(Answer):
    """Whether the service can work."""

    status: str
    checks: dict[str, str] = {}


class TokenAnswer(Answer):
    """The token that a request came with, without its secret."""

    id: str
    project: str
    name: str
    role: str = Field(description="viewer, analyst, approver or admin")
    expires_at: datetime | None
