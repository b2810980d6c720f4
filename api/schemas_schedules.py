"""Schedules and their runs: what is sent, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from api.schemas import Body, Day, Query
from api.schemas_answers import Answer, JsonObject
from api.schemas_jobs import NO_NUL, UNSAID, Integer, JobRequest
from scheduler.plan import DEFAULT_FLOOR
from scheduler.records_schedules import Run, Schedule
from scheduler.unread import unread_of

LOCAL_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
MODEL_NAME = r"^[a-z0-9][a-z0-9_.-]{0,99}$"
MAX_DAYS = 3650
# Intensities are known by the quarter or half hour, and jobs are started every 15 s or less often.
LEAST_HOURS = 0.25
MAX_LABELS = 1_000_000_000


def _one_of(value: Any, info: ValidationInfo, other: str) -> Any:
    """Exactly one of two fields, of which this is the second."""
    if other in info.data and (info.data[other] is None) == (value is None):
        text = "say one of {first} and {second}, not both and not none"
        names = {"first": other, "second": str(info.field_name)}
        raise PydanticCustomError("one_of", text, names)
    return value


def _exclusive(first: str, second: str) -> dict[str, Any]:
    """JSON Schema of: exactly one of two fields is a text."""
    absent = {"type": "null"}
    return {
        "oneOf": [
            {"required": [one], "properties": {one: {"type": kind}, other: absent}}
            for one, other, kind in ((first, second, "string"), (second, first, "string"))
        ]
    }


class At(Body):
    """A window of every local day: when it begins, or by when it is over."""

    model_config = ConfigDict(json_schema_extra=_exclusive("start", "finish_by"))

    start: Annotated[str, Field(pattern=LOCAL_TIME)] | None = Field(
        None, description="local time HH:MM at which the window begins"
    )
    finish_by: Annotated[str, Field(pattern=LOCAL_TIME)] | None = Field(
        None, validate_default=True, description="local time HH:MM at which the window is over"
    )
    hours: float = Field(
        8.0,
        ge=LEAST_HOURS,
        le=24,
        description="length of the window, in elapsed time: a quarter of an hour at least",
    )

    @field_validator("finish_by")
    @classmethod
    def _one(cls, value: str | None, info: ValidationInfo) -> str | None:
        found: str | None = _one_of(value, info, "start")
        return found


class Feed(Body):
    """Where new rows come from; nothing said: the newest version of the model's own data set."""

    dataset: str | None = Field(
        None, max_length=64, description="a data set; the newest version of its series is used"
    )
    folder: Annotated[str, Field(min_length=1, max_length=4096, pattern=NO_NUL)] | None = Field(
        None,
        description="absolute path of a folder (every file that was not appended yet) or of one "
        "file, under a folder of FRUGAL_FEED_ROOTS; its rows are appended before each decision. Of "
        "several tables, a folder with a folder for each, or with files called like it",
    )

    @field_validator("folder")
    @classmethod
    def _one(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("dataset") is not None:
            raise PydanticCustomError("one_of", "say a dataset or a folder, not both")
        return value


class GateRequest(Body):
    """From when on a training is worth its energy; any one of these is enough."""

    min_new_labels: Annotated[int, Field(ge=1, le=MAX_LABELS), Integer] = Field(
        50, description="so many labels that the champion did not see"
    )
    psi: float = Field(
        0.2, gt=0, le=100, description="population stability index of a column, above chance"
    )
    score_psi: float = Field(
        0.2, gt=0, le=100, description="population stability index of the scores, above chance"
    )
    min_days: Annotated[int, Field(ge=0, le=MAX_DAYS), Integer] = Field(
        0, description="never more often than every so many days"
    )
    max_days: Annotated[int, Field(ge=1, le=MAX_DAYS), Integer] | None = Field(
        30,
        validate_default=True,
        description="in any case after so many days, if there are labels to judge by; not less "
        "than min_days",
    )

    @field_validator("max_days")
    @classmethod
    def _in_order(cls, value: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min_days")
        if value is not None and least is not None and value < least:
            raise PydanticCustomError(
                "too_few",
                "it is {value} days, less than min_days ({least})",
                {"value": value, "least": least},
            )
        return value


class ScheduleWhen(Body):
    """When in the window the job runs; the window is the deadline."""

    policy: Literal["now", "low_carbon"] = "low_carbon"
    zone: str | None = Field(None, min_length=1, max_length=40, description="as for a job")
    interruptible: bool | None = Field(None, description="as for a job")
    floor: float = Field(DEFAULT_FLOOR, ge=0, lt=1, description="as for a job")


class ScheduleRequest(Body):
    """A model that is to be trained again on every day that is worth it."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["model"],
                    "properties": {"model": {"type": "string"}, "job": {"type": "null"}},
                },
                {
                    "required": ["job"],
                    "properties": {"model": {"type": "null"}, "job": {"type": "object"}},
                },
            ],
            "example": {
                "model": "customers-default",
                "at": {"finish_by": "06:00", "hours": 8},
                "time_zone": "Europe/Paris",
                "promote": "manual",
            },
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)] = Field(
        "daily", description="for people"
    )
    model: Annotated[str, Field(pattern=MODEL_NAME)] | None = Field(
        None, description="a registered model: the request of its job is the template"
    )
    job: JobRequest | None = Field(
        None,
        validate_default=True,
        description="or the template itself, which trains the first model, too; it names its model",
    )
    at: At
    time_zone: str = Field(min_length=1, max_length=64, description="IANA name, e.g. Europe/Paris")
    feed: Feed = Feed()
    gate: GateRequest = GateRequest()
    promote: Literal["auto", "manual"] = Field(
        "manual",
        description="auto: a challenger that wins on the newest labels answers at once (needs the "
        "role approver); manual: it is proposed",
    )
    when: ScheduleWhen = ScheduleWhen()
    webhook: Annotated[str, Field(min_length=1, max_length=2000, pattern=NO_NUL)] | None = Field(
        None,
        description="called when a run fails or is skipped, and of each file of the folder that "
        "cannot be read; of a host that is allowed",
    )

    @field_validator("job")
    @classmethod
    def _one(cls, value: JobRequest | None, info: ValidationInfo) -> JobRequest | None:
        _one_of(value, info, "model")
        if value is not None and value.model is None:
            raise PydanticCustomError("missing", "the template of a schedule names its model")
        if value is not None and value.target == UNSAID:
            raise PydanticCustomError("missing", "the template of a schedule names its target")
        if value is not None and value.target is None:
            raise PydanticCustomError("no_target", "a schedule needs a target: name one")
        return value


class ScheduleChange(Body):
    """What may be changed of a schedule."""

    state: Literal["ACTIVE", "PAUSED"] = Field(description="PAUSED: no run until it is ACTIVE")


class RunsQuery(Query):
    """One page of the runs of a schedule."""

    limit: int = Field(50, ge=1, le=100)
    before: Day | None = Field(
        None, description="next_before of the page before; absent: the first page"
    )


class UnreadFile(Answer):
    """A file of the feed's folder that could not be read; the others were."""

    file: str = Field(description="its path under the folder that the operator allowed")
    bytes: int
    written_at: datetime | None
    since: str = Field(description="local date of the first run that could not read it as it is")
    code: str
    detail: str
    column: str | None = None
    row: int | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> UnreadFile:
        known = {name: told.get(name) for name in cls.model_fields}
        return cls(**{**known, "written_at": told.get("written_at") or None})


class ScheduleAnswer(Answer):
    """A schedule."""

    id: str
    name: str
    state: Literal["ACTIVE", "PAUSED", "DELETED"]
    created_at: datetime
    next_at: datetime | None
    next_times: list[datetime] = Field(description="the next three, in UTC; empty while paused")
    dst_note: str | None = Field(
        description="what happens on days of the coming year whose clock leaves out the local "
        "time or has it twice"
    )
    unread: list[UnreadFile] = Field(
        description="files of its folder that the newest run which looked could not read; it is "
        "told again until they are mended"
    )
    request: JsonObject

    @classmethod
    def of(
        cls,
        schedule: Schedule,
        *,
        next_times: list[datetime],
        note: str | None,
        unread: Sequence[Mapping[str, Any]] = (),
    ) -> ScheduleAnswer:
        return cls(
            id=schedule.id,
            name=schedule.name,
            state=schedule.state.value,
            created_at=schedule.created_at,
            next_at=schedule.next_at,
            next_times=next_times,
            dst_note=note,
            unread=[UnreadFile.of(one) for one in unread],
            request=dict(schedule.request),
        )


class SchedulesAnswer(Answer):
    """One page of schedules."""

    items: list[ScheduleAnswer]
    next_cursor: str | None


class RunAnswer(Answer):
    """What became of one local date."""

    local_date: str
    state: Literal["DECIDING", "SUBMITTED", "SKIPPED", "DONE", "FAILED"]
    due_at: datetime
    decided_at: datetime | None
    finished_at: datetime | None
    missed: int = Field(description="dates whose window went by, that this run stands for")
    because: str | None = Field(description="why it was run or skipped, promoted or not")
    promoted: bool | None
    job: str | None
    dataset: str | None
    unread: list[UnreadFile] = Field(
        description="files of the folder that could not be read; the others were"
    )
    decision: JsonObject | None
    outcome: JsonObject | None

    @classmethod
    def of(cls, run: Run) -> RunAnswer:
        told = run.outcome or run.decision or {}
        return cls(
            local_date=run.local_date,
            state=run.state.value,
            due_at=run.due_at,
            decided_at=run.decided_at,
            finished_at=run.finished_at,
            missed=run.missed,
            because=told.get("because"),
            promoted=None if run.outcome is None else bool(run.outcome.get("promoted")),
            job=run.job_id,
            dataset=run.dataset_id,
            unread=[UnreadFile.of(one) for one in unread_of([run])],
            decision=None if run.decision is None else dict(run.decision),
            outcome=None if run.outcome is None else dict(run.outcome),
        )


class RunsAnswer(Answer):
    """One page of runs, newest date first."""

    items: list[RunAnswer]
    next_before: str | None
