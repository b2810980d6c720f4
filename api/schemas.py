"""What clients send: rows to predict, query parameters and headers, validated strictly."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from api.pagination import CURSOR

MAX_COST = 1e12
# `scheduler.records.JobState` as a schema.
JobStateName = Literal[
    "SUBMITTED",
    "PLANNED",
    "RUNNING",
    "PAUSED",
    "DONE",
    "FAILED",
    "CANCELLED",
    "QUARANTINED",
]


# As `automl.data.options` has them.
LogFormat = Literal[
    "common",
    "combined",
    "apache_error",
    "syslog",
    "hdfs",
    "bgl",
    "log4j",
    "jsonl",
    "key_message",
    "iso_message",
    "columns",
]


class Body(BaseModel):
    """A JSON object of a request: exact types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LogText(Body):
    """Lines of a raw log."""

    log: str


class RowsRequest(Body):
    """Rows to predict, each an object of columns; null is missing.

    Read by the predictor, not here: this is its description.
    """

    rows: list[dict[str, str | int | float | bool | None]]
    tables: dict[str, list[dict[str, str | int | float | bool | None]] | LogText] = Field(
        {},
        description="of a model of several tables: what is around the rows, by name; a table that "
        "is left out has no rows. A raw log may be sent as its lines",
    )
    now: str | None = Field(
        None, description="ISO date and time of the cut-off, where the spec has one for all rows"
    )


class Query(BaseModel):
    """Query parameters: texts that are read as what they stand for, no unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _day(value: Any) -> Any:
    """A date as written; pydantic would also take seconds since 1970 and times of day."""
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("date", "there is no such day") from None
    raise PydanticCustomError("date", "a day is written like 2026-11-23")


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class UploadQuery(Query):
    """How to read an upload; whatever is absent is guessed, and the profile says so."""

    name: str | None = Field(
        None, max_length=8192, description="name of the data set; else the file name of the header"
    )
    format: Literal["csv", "parquet", "jsonl"] | None = None
    encoding: str | None = Field(None, max_length=40, description="e.g. utf-8, latin-1, utf-16")
    delimiter: str | None = Field(None, max_length=1, description="one character, e.g. ;")
    decimal: Literal[".", ","] | None = None
    quote: str | None = Field(None, max_length=1)
    header: Literal["true", "false"] | None = Field(
        None, description="whether the first line has the column names"
    )
    null_values: str | None = Field(
        None, max_length=4096, description='JSON list of texts that mean missing, e.g. ["","NA"]'
    )
    date_format: str | None = Field(None, max_length=100, description="e.g. %d/%m/%Y")
    timezone: str | None = Field(
        None, max_length=64, description="zone of times without one, e.g. Europe/Paris"
    )
    non_finite: Literal["error", "null"] | None = Field(
        None, description="what to do with inf: refuse the file, or take it as missing"
    )
    types: str | None = Field(
        None,
        max_length=16_384,
        description="JSON object from column to string, integer, number, boolean or timestamp",
    )
    key: str | None = Field(None, max_length=256, description="column that identifies a row")
    log_format: LogFormat | None = Field(
        None,
        description="the file is a raw log with lines of this format; they become the columns "
        "time, key, level, component, message and line, as far as the format has them",
    )
    log_columns: str | None = Field(
        None,
        max_length=4096,
        description="JSON object; for the format columns the position of each column among the "
        'words of a line, from 0, e.g. {"time":0,"key":1,"message":2}; for jsonl what they are '
        "called there",
    )
    entity_prefix: str | None = Field(
        None, max_length=32, description="how the word that names a line's entity begins, e.g. blk_"
    )
    log_year: int | None = Field(
        None, ge=1970, lt=2200, description="of the first line, for a syslog"
    )


class PageQuery(Query):
    """One page of a list."""

    limit: int = Field(50, ge=1, le=100)
    cursor: str | None = Field(
        None,
        json_schema_extra={"pattern": f"^{CURSOR.pattern}$"},
        description="next_cursor of the page before; absent: the first page",
    )


class JobsQuery(PageQuery):
    """One page of the jobs, newest first."""

    state: JobStateName | None = None


class DeleteQuery(Query):
    """How to delete a data set."""

    force: Literal["true", "false"] = Field(
        "false", description="true: cancel the jobs that use it"
    )


class EventsQuery(Query):
    """Where to go on reading events."""

    after: int | None = Field(
        None, ge=0, le=2**31, description="number of the last event seen; the answer is then JSON"
    )
    newest: int | None = Field(
        None, ge=1, le=499, description="as JSON, only so many of the last events"
    )


class LeaderboardQuery(Query):
    """Which trials, in which order."""

    sort: Literal["score", "joules", "predict_joules", "number"] = Field(
        "score",
        description="score: trials of the final rung first, then refinement, then screening, and "
        "by score within a rung, because scores of two rungs do not compare; ascending is the "
        "reverse, and failed trials are last in both",
    )
    order: Literal["ascending", "descending"] | None = Field(
        None, description="absent: best first, that is score descending, else ascending"
    )
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31)
    front: Literal["true", "false"] = Field(
        "false", description="true: only the Pareto front of score against energy"
    )
    rung: Literal["screening", "refinement", "final"] | None = Field(
        None, description="only trials of one rung: only their scores compare"
    )
    model: str | None = Field(
        None, pattern="^[a-z_]{1,40}$", description="only trials of one model, as a row names it"
    )


ID_PATTERN = "^[0-9a-f]{32}$"


class LedgerQuery(PageQuery):
    """Which lines of the ledger, summed by what, in which form."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    limit: int = Field(100, ge=1, le=1000)
    job: str | None = Field(
        None,
        pattern=ID_PATTERN,
        description="a job, a data set for its reading, or predictions of a whole data set",
    )
    dataset: str | None = Field(None, pattern=ID_PATTERN)
    schedule: str | None = Field(None, pattern=ID_PATTERN)
    phase: (
        Literal[
            "ingest", "worth", "features", "search", "refit", "predict", "challenge", "unfinished"
        ]
        | None
    ) = Field(
        None,
        description="worth: deciding whether a schedule trains, under an id of the run; predict: a"
        " job that tries its model out, or predictions of a whole data set, under their id;"
        " unfinished: what a process took that did not end its phase",
    )
    first_day: Day | None = Field(None, alias="from", description="first day, in UTC")
    last_day: Day | None = Field(None, alias="to", description="last day, in UTC, included")
    group_by: Literal["job", "dataset", "phase", "day", "schedule"] | None = Field(
        None, description="absent: single lines, the newest day first"
    )
    format: Literal["json", "csv"] | None = Field(
        None, description="absent: as Accept says; CSV comes whole unless limit or cursor is given"
    )

    @field_validator("last_day")
    @classmethod
    def _in_order(cls, value: date | None, info: ValidationInfo) -> date | None:
        first = info.data.get("first_day")
        if value is not None and first is not None and value < first:
            raise PydanticCustomError("too_early", "it is before from")
        return value


class ModelQuery(Query):
    """Which version of a model."""

    version: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="absent: the one that answers: promoted last, else the newest",
    )


class PredictQuery(ModelQuery):
    """Which version predicts, and whether it says why."""

    reasons: int = Field(
        0, ge=0, le=20, description="so many columns of each row that moved its score furthest"
    )


class CurvesQuery(ModelQuery):
    """Which version and member, and what costs are drawn with."""

    member: int | None = Field(
        None, ge=0, le=2**31, description="number of a finalist's trial; absent: the whole model"
    )
    missed_cost: float | None = Field(
        None,
        gt=0,
        le=MAX_COST,
        allow_inf_nan=False,
        description="cost of a positive that is not alerted; absent: that of the job's objective",
    )
    alert_cost: float | None = Field(
        None,
        gt=0,
        le=MAX_COST,
        allow_inf_nan=False,
        description="cost of alerting a negative; absent: that of the job's objective",
    )


class SubmitHeaders(BaseModel):
    """Headers of a submission."""

    # Checked by the route: a wrong key is a 400, as a header that cannot be read.
    idempotency_key: str | None = Field(
        None,
        description="a retry with the same key and body answers with the same job",
        json_schema_extra={"pattern": "^[!-~]+$", "minLength": 1, "maxLength": 255},
    )


class ResumeHeaders(BaseModel):
    """Headers of a resumed event stream."""

    last_event_id: str | None = Field(
        None,
        description="id of the last event seen",
        json_schema_extra={"pattern": "^[0-9]{1,9}$"},
    )
