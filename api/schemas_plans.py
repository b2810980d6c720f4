"""What a client sends to have a job planned without submitting it, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from api.schemas_answers import Answer, JsonObject
from api.schemas_jobs import NEED_LABELS, ColumnName, Integer, JobRequest, Objective
from scheduler.carbon.typical import Intensity
from scheduler.carbon.zones import Zone
from scheduler.plan import Option, Plan, Slot

MAX_ROWS = 10**10
MAX_WIDTH = 10**6


class PlanRequest(JobRequest):
    """A job as it would be submitted; or, where there is no data set yet, the counts of one."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["dataset"], "properties": {"dataset": {"type": "string"}}},
                {
                    "required": ["n_rows", "n_columns"],
                    "properties": {
                        "n_rows": {"type": "integer"},
                        "n_columns": {"type": "integer"},
                    },
                },
            ],
            "example": {
                "n_rows": 250_000,
                "n_positive": 3000,
                "n_columns": 40,
                "mode": "balanced",
                "when": {"policy": "low_carbon", "zone": "FR"},
            },
        }
    )

    dataset: str | None = Field(  # type: ignore[assignment]
        None, min_length=1, max_length=64, description="id of a data set; else say n_rows"
    )
    target: ColumnName | None = Field(
        None, description="as in a job; with a data set null means: rank the rows without labels"
    )
    n_rows: Annotated[int, Field(ge=1, le=MAX_ROWS), Integer] | None = Field(
        None, validate_default=True, description="rows, where there is no data set"
    )
    n_positive: Annotated[int, Field(ge=0, le=MAX_ROWS), Integer] = Field(
        0, description="rows with the event, beside n_rows; 0: rank them without labels"
    )
    n_columns: Annotated[int, Field(ge=1, le=MAX_WIDTH), Integer] | None = Field(
        None, validate_default=True, description="columns to learn from, beside n_rows"
    )

    @field_validator(*NEED_LABELS)
    @classmethod
    def _of_labels(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("dataset") is None:  # of counts nothing says what the target is called
            return value
        return JobRequest._of_labels(value, info)

    @field_validator("objective")
    @classmethod
    def _without_labels(cls, value: Objective, info: ValidationInfo) -> Objective:
        if info.data.get("dataset") is None:
            return value
        return JobRequest._without_labels(value, info)

    @field_validator("n_rows", "n_columns")
    @classmethod
    def _one_of(cls, value: int | None, info: ValidationInfo) -> int | None:
        if "dataset" not in info.data:  # it is wrong itself
            return value
        if value is None and info.data["dataset"] is None:
            raise PydanticCustomError("missing", "name a data set, or say n_rows and n_columns")
        if value is not None and info.data["dataset"] is not None:
            raise PydanticCustomError("one_of", "the data set has its own count")
        return value

    @field_validator("n_positive")
    @classmethod
    def _of_rows(cls, value: int, info: ValidationInfo) -> int:
        n_rows = info.data.get("n_rows")
        if n_rows is not None and value > n_rows:
            raise PydanticCustomError("too_many", "there are not so many rows")
        return value


class SlotAnswer(Answer):
    """A stretch of time in which the job would run."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, slot: Slot) -> SlotAnswer:
        return cls(start=slot.start, end=slot.end)


class OptionAnswer(Answer):
    """A window that could be chosen, beside a run from the first moment allowed."""

    start: datetime
    end: datetime
    grams_per_kwh: float
    gco2e: float
    saving_gco2e: float = Field(description="expected; below 0 it would be dirtier")
    worst_saving_gco2e: float | None = Field(
        description="what 95 of 100 such waits save at least, by the source's measured error; "
        "null where nobody measured it"
    )

    @classmethod
    def of(cls, option: Option) -> OptionAnswer:
        return cls(
            start=option.start,
            end=option.end,
            grams_per_kwh=option.grams_per_kwh,
            gco2e=option.gco2e,
            saving_gco2e=option.saving_gco2e,
            worst_saving_gco2e=option.worst_saving_gco2e,
        )


class ExpectedAnswer(Answer):
    """What the job is expected to take on this machine."""

    seconds: float = Field(description="by the clock on the wall")
    p95_seconds: float = Field(description="19 of 20 take less")
    cpu_seconds: float
    p95_cpu_seconds: float
    kwh: float
    joules: float
    pause_seconds: float = Field(description="of coming back from a pause")


class PlanAnswer(Answer):
    """When a job would run, why, and what that is expected to emit and to save."""

    policy: str
    reason: str = Field(description="one sentence, with its numbers")
    start_at: datetime
    latest_start: datetime = Field(description="it starts then whatever the forecast says")
    finish_by: datetime | None
    slots: list[SlotAnswer]
    expected: ExpectedAnswer
    zone: str | None
    source: str | None = Field(description="of the forecast; null: there was none")
    factor_type: str | None = Field(description="lifecycle or direct (chimneys only)")
    signal: str | None = Field(description="average of the grid, or its marginal plant")
    issued_at: datetime | None
    age_seconds: float | None = Field(description="of the forecast")
    grams_per_kwh_now: float | None = Field(description="of a run from the first moment allowed")
    gco2e_now: float | None
    grams_per_kwh: float | None = Field(description="as planned, the work of pauses counted")
    gco2e: float | None
    saving_gco2e: float | None
    worst_saving_gco2e: float | None = Field(description="below 0: dirtier")
    alternatives: list[OptionAnswer] = Field(description="the five best windows, the best first")
    decided_at: datetime
    warnings: list[JsonObject] = Field(description="as a job would have them")

    @classmethod
    def of(cls, plan: Plan, *, warnings: Sequence[JsonObject] = ()) -> PlanAnswer:
        age = None if plan.issued_at is None else plan.decided_at - plan.issued_at
        return cls(
            policy=plan.when.policy,
            reason=plan.reason,
            start_at=plan.start_at,
            latest_start=plan.latest_start,
            finish_by=plan.finish_by,
            slots=[SlotAnswer.of(slot) for slot in plan.slots],
            expected=ExpectedAnswer(kwh=plan.expectation.kwh, **plan.expectation.to_json()),
            zone=plan.zone or plan.when.zone,
            source=plan.source,
            factor_type=plan.factor_type,
            signal=plan.signal,
            issued_at=plan.issued_at,
            age_seconds=None if age is None else age.total_seconds(),
            grams_per_kwh_now=plan.grams_per_kwh_now,
            gco2e_now=plan.gco2e_now,
            grams_per_kwh=plan.grams_per_kwh,
            gco2e=plan.gco2e,
            saving_gco2e=plan.saving_gco2e,
            worst_saving_gco2e=plan.worst_saving_gco2e,
            alternatives=[OptionAnswer.of(option) for option in plan.alternatives],
            decided_at=plan.decided_at,
            warnings=list(warnings),
        )


class ZoneAnswer(Answer):
    """A zone of the grid and what is known of it without a network."""

    code: str
    name: str
    profile: bool = Field(description="whether its hours are known, or its yearly mean only")
    grams_per_kwh: float | None = Field(description="mean of a year, of its country")
    factor_type: str | None
    source: str | None
    year: int | None

    @classmethod
    def of(cls, zone: Zone, mean: Intensity | None) -> ZoneAnswer:
        return cls(
            code=zone.code,
            name=zone.name,
            profile=zone.profile,
            grams_per_kwh=None if mean is None else mean.grams_per_kwh,
            factor_type=None if mean is None else mean.factor_type,
            source=None if mean is None else mean.source,
            year=None if mean is None else mean.year,
        )


class ZonesAnswer(Answer):
    """Every zone that a job may name."""

    default: str = Field(description="the service's own, which jobs that name none are planned by")
    items: list[ZoneAnswer]
