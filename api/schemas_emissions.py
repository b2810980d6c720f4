"""The ledger over HTTP, and intensities in the shapes of the Carbon Aware SDK."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, RootModel, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from api.schemas import Query
from api.schemas_answers import Answer, JsonObject
from api.schemas_when import Moment
from scheduler.equivalents import equivalents, readable
from scheduler.ledger import LedgerLine, LedgerSum


class LedgerLineAnswer(Answer):
    """What one phase of a job took on one UTC day, and emitted."""

    day: str
    phase: str
    job: str = Field(
        description="of phase ingest: the data set's own id, since it is read once; of phase "
        "worth: an id of the schedule's run"
    )
    dataset: str
    schedule: str | None
    cpu_seconds: float
    joules: float
    kwh: float
    grams_per_kwh: float = Field(description="that was, by energy")
    gco2e: float
    gco2e_at_submission: float | None = Field(
        description="of the same joules from the submission on; null where nothing could wait, or "
        "where it is not priced by the same source yet"
    )
    saved_by_later_gco2e: float | None = Field(
        description="below 0: the wait was dirtier; null: not told"
    )
    meter: str
    intensity: JsonObject = Field(description="zone, source, how counted, share estimated")

    @classmethod
    def of(cls, line: LedgerLine) -> LedgerLineAnswer:
        return cls(**line.to_json())


class LedgerSumAnswer(Answer):
    """A sum over lines."""

    key: str | None = Field(description="what the lines have in common; null: all, or no schedule")
    n_lines: int
    cpu_seconds: float
    joules: float
    kwh: float
    grams_per_kwh: float | None = Field(description="by energy; null without energy")
    gco2e: float
    gco2e_at_submission: float
    saved_by_later_gco2e: float = Field(
        description="below 0: the waits were dirtier; lines that do not tell count as 0"
    )

    @classmethod
    def of(cls, one: LedgerSum) -> LedgerSumAnswer:
        return cls(**one.to_json())


class LedgerTotalAnswer(LedgerSumAnswer):
    """The sum over everything chosen, on all pages."""

    gco2e_text: str
    equivalents: JsonObject = Field(
        description="what emits as much, with the source of each factor"
    )

    @classmethod
    def of(cls, one: LedgerSum) -> LedgerTotalAnswer:
        more: dict[str, Any] = {"gco2e_text": readable(one.gco2e)}
        return cls(**one.to_json(), **more, equivalents=equivalents(one.gco2e))


class LedgerAnswer(Answer):
    """One page of the ledger, and the total of all pages."""

    items: list[LedgerLineAnswer | LedgerSumAnswer]
    total: LedgerTotalAnswer
    next_cursor: str | None


class IntensityQuery(Query):
    """Where."""

    zone: str | None = Field(
        None, min_length=1, max_length=40, description="absent: the service's own zone"
    )


class IntensityAnswer(Answer):
    """The newest reading that is known."""

    zone: str
    start: datetime
    end: datetime
    grams_per_kwh: float
    source: str
    factor_type: str
    signal: str
    issued_at: datetime
    is_estimated: bool


class ByLocationQuery(Query):
    """Where and when, as the Carbon Aware SDK names it."""

    location: str = Field(min_length=1, max_length=40, description="a zone; see /v1/zones")
    time: Moment | None = Field(None, description="absent: only the newest reading")
    toTime: Moment | None = Field(None, description="absent: up to now; needs a time")

    @field_validator("toTime")
    @classmethod
    def _of_a_range(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if value is not None and info.data.get("time", value) is None:
            raise PydanticCustomError("needs_time", "it means something with time only")
        return value


class ForecastQuery(Query):
    """Where and when, as the Carbon Aware SDK names it."""

    location: str = Field(
        min_length=1, max_length=40, description="a zone; may be given several times"
    )
    dataStartAt: Moment | None = Field(None, description="absent: now")
    dataEndAt: Moment | None = Field(None, description="absent: a day after the start")
    windowSize: int | None = Field(
        None, ge=1, le=7 * 24 * 60, description="minutes; absent: those of one reading"
    )


class EmissionsData(Answer):
    """A reading, with the fields of the Carbon Aware SDK, and where it comes from."""

    location: str
    time: datetime
    rating: float = Field(description="g/kWh")
    duration: str = Field(description="hh:mm:ss")
    source: str
    factorType: str
    signal: str
    isEstimated: bool


class EmissionsPoint(Answer):
    """The mean of a window that starts at `timestamp`."""

    location: str
    timestamp: datetime
    duration: int = Field(description="minutes")
    value: float = Field(description="g/kWh")


class EmissionsForecast(Answer):
    """A forecast, with the fields of the Carbon Aware SDK, and where it comes from."""

    generatedAt: datetime
    requestedAt: datetime
    location: str
    dataStartAt: datetime
    dataEndAt: datetime
    windowSize: int = Field(description="minutes")
    optimalDataPoints: list[EmissionsPoint] = Field(description="the lowest of forecastData")
    forecastData: list[EmissionsPoint] = Field(description="rolling means over windowSize")
    source: str
    factorType: str
    signal: str


class EmissionsAnswer(RootModel[list[EmissionsData]]):
    """Readings in order of time."""


class ForecastsAnswer(RootModel[list[EmissionsForecast]]):
    """One forecast for each location."""
