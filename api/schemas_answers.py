"""What the service answers: only these fields leave it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.errors import of_upload
from api.schemas import JobStateName
from automl.cost import JOULES_PER_KWH, Cost
from scheduler.records import Event, Job, Model, StoredDataset, StoredTrial

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
    def of(cls, job: Job) -> JobAnswer:
        return cls(
            id=job.id,
            dataset=job.dataset_id,
            model=job.model_name,
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


class LeaderboardRow(Answer):
    """A finished trial."""

    number: int
    model: str
    params: JsonObject
    rung: str
    n_rows: int
    metric: str | None = Field(
        description="what the score is: the objective's metric, or cost_saving; null where there "
        "is no target, and so no score"
    )
    score: float | None = Field(description="on validation rows, higher is better, 0 to 1")
    score_low: float | None = Field(description="lower end of the 90 % interval")
    score_high: float | None
    scores: JsonObject = Field(description="every metric by name, the score among them")
    intervals: JsonObject = Field(description="90 % interval of each of the scores")
    cpu_seconds: float
    joules: float = Field(description="as measured in this run")
    expected_joules: float = Field(description="as the catalog expects: what choices are made by")
    gco2e: float | None = Field(description="at the zone's mean intensity")
    predict_joules: float | None = Field(description="per 1,000 rows")
    row_milliseconds: float | None = Field(
        description="CPU time to predict one row alone, by one of its models, encoding not counted"
    )
    lifetime: JsonObject | None = Field(
        description="expected joules and grams of CO2e of its search, refit, use and retrains, as "
        "the objective describes its use: the cost axis of the front"
    )
    peak_memory_bytes: int | None
    front: bool
    picks: list[str]
    error: str | None

    @classmethod
    def of(
        cls,
        stored: StoredTrial,
        *,
        grams_per_kwh: float | None,
        metric: str | None,
        front: frozenset[int],
        picks: dict[str, int],
        lifetime: Mapping[str, float] | None = None,
    ) -> LeaderboardRow:
        trial = stored.trial
        if trial is None:
            raise ValueError(f"trial {stored.number} still runs")
        return cls(
            number=trial.number,
            model=trial.candidate.model,
            params=dict(trial.candidate.params),
            rung=trial.proposal.rung,
            n_rows=trial.proposal.n_rows,
            metric=metric,
            score=trial.score,
            score_low=None if trial.interval is None else trial.interval[0],
            score_high=None if trial.interval is None else trial.interval[1],
            scores=dict(trial.scores),
            intervals={name: list(spread) for name, spread in trial.intervals.items()},
            cpu_seconds=trial.cost.cpu_seconds,
            joules=trial.cost.joules,
            expected_joules=trial.expected.joules,
            gco2e=None if grams_per_kwh is None else trial.cost.grams(grams_per_kwh),
            predict_joules=trial.predict_joules,
            row_milliseconds=trial.details.get("row_milliseconds"),
            lifetime=None if lifetime is None else _lifetime(lifetime, grams_per_kwh),
            peak_memory_bytes=trial.peak_memory_bytes,
            front=trial.number in front,
            picks=sorted(name for name, number in picks.items() if number == trial.number),
            error=trial.error,
        )


def _lifetime(joules: Mapping[str, float], grams_per_kwh: float | None) -> JsonObject:
    found: JsonObject = {"joules": dict(joules), "gco2e": None}
    if grams_per_kwh is not None:
        found["gco2e"] = {name: j / JOULES_PER_KWH * grams_per_kwh for name, j in joules.items()}
    return found


class LeaderboardAnswer(Answer):
    """One page of the finished trials of a job."""

    items: list[LeaderboardRow]
    total: int
    state: str
    grams_per_kwh: float | None
    intensity_source: str | None


class ModelAnswer(Answer):
    """A registered champion."""

    name: str
    version: int
    job: str
    dataset: str
    created_at: datetime
    sha256: str = Field(description="of its manifest")

    @classmethod
    def of(cls, model: Model) -> ModelAnswer:
        return cls(
            name=model.name,
            version=model.version,
            job=model.job_id,
            dataset=model.dataset_id,
            created_at=model.created_at,
            sha256=model.sha256,
        )


class RecallPoint(Answer):
    """Rows from this probability on are alerted."""

    threshold: float
    recall: float = Field(description="share of the positives that is alerted")
    precision: float = Field(description="share of the alerts that is positive")


class GainPoint(Answer):
    """Rows from this probability on are alerted."""

    threshold: float
    alerted: float = Field(description="share of all rows")
    recall: float
    lift: float = Field(description="precision over prevalence")


class CostPoint(Answer):
    """What alerting so many rows costs."""

    threshold: float | None = Field(description="null: nobody is alerted")
    alerted: float = Field(description="share of all rows")
    cost: float = Field(description="per row, in the unit of the costs")


class Bin(Answer):
    """Rows of similar probability: what was expected, what was seen."""

    low: float
    high: float
    n_rows: int = Field(description="as counted")
    n_positive: int
    predicted: float = Field(description="mean probability, by weight")
    observed: float = Field(description="share of positives, by weight")
    observed_low: float = Field(description="90 % interval")
    observed_high: float


class CurvesAnswer(Answer):
    """How good a model is at every threshold, on rows that the judged models did not see."""

    model: str
    version: int
    member: int | None = Field(description="the finalist's trial; null: the whole model")
    members: list[int] = Field(description="trials that can be asked for")
    n_rows: int
    n_positive: int
    prevalence: float
    average_precision: float
    expected_calibration_error: float
    threshold: float | None = Field(description="where the model alerts; null for a member")
    precision_recall: list[RecallPoint]
    calibration: list[Bin]
    gain: list[GainPoint]
    missed_cost: float | None
    alert_cost: float | None
    cost: list[CostPoint] | None = Field(description="null unless both costs are known")


class ModelsAnswer(Answer):
    """One page of models, of each name the version that answers."""

    items: list[ModelAnswer]
    next_cursor: str | None


class ReasonAnswer(Answer):
    """A column and what it moved the score by, from that of a typical row."""

    column: str
    contribution: float = Field(
        description="added to the log-odds, of the anomaly where there were no labels; above 0 it "
        "speaks for the event"
    )


class Prediction(Answer):
    """Of one row."""

    probability: float | None = Field(
        description="calibrated, at the prevalence of the training data; null by a model that was "
        "trained without labels"
    )
    anomaly: float | None = Field(
        None,
        description="share of the training rows that look less odd; only by a model that was "
        "trained without labels",
    )
    alert: bool = Field(description="whether it is at or above the model's threshold")
    reasons: list[ReasonAnswer] | None = Field(
        None, description="furthest first; only where they were asked for"
    )


class PredictionsAnswer(Answer):
    """Predictions in the order of the rows sent, and what was odd about the rows."""

    predictions: list[Prediction]
    model: str
    version: int
    report: JsonObject = Field(
        description="n_rows, extra_columns, unseen_categories, out_of_range by column, drift"
    )


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
