"""The frugality report as it is answered, and the query of reports."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from api.schemas import ModelQuery, Query
from api.schemas_answers import Answer, JsonObject

MAX_KILOGRAMS, MAX_YEARS, MAX_CORES = 1e9, 100.0, 1_000_000


class ReportQuery(Query):
    """In which form a report comes."""

    format: Literal["json", "html", "markdown"] | None = Field(
        None, description="absent: as Accept says; HTML is one file, to be read and printed"
    )


class CardQuery(ModelQuery):
    """Which version, and in which form its card comes."""

    format: Literal["json", "html", "markdown"] | None = Field(
        None, description="absent: as Accept says; HTML is one file, to be read and printed"
    )


class FrugalityQuery(ReportQuery):
    """In which form, and what is known of the machine's making: all three, or none."""

    embodied_kg: float | None = Field(
        None,
        gt=0,
        le=MAX_KILOGRAMS,
        allow_inf_nan=False,
        description="kilograms of CO2e that making the machine emitted, by its maker's life cycle "
        "assessment; the SCI score then includes the share of this work",
    )
    lifespan_years: float | None = Field(
        None, gt=0, le=MAX_YEARS, allow_inf_nan=False, description="how long it is in use"
    )
    cores: int | None = Field(
        None, ge=1, le=MAX_CORES, validate_default=True, description="how many cores it has"
    )

    @field_validator("cores")
    @classmethod
    def _together(cls, value: int | None, info: ValidationInfo) -> int | None:
        given = [info.data.get(name) for name in ("embodied_kg", "lifespan_years")] + [value]
        if any(one is None for one in given) and any(one is not None for one in given):
            raise PydanticCustomError(
                "missing", "embodied_kg, lifespan_years and cores go together"
            )
        return value


class ModelFrugalityQuery(FrugalityQuery):
    """The same of a model's job."""

    version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="absent: the version that answers"
    )


def complete(query: FrugalityQuery) -> tuple[float, float, int] | None:
    """What is known of the machine's making; None where nothing is said."""
    if query.embodied_kg is None or query.lifespan_years is None or query.cores is None:
        return None
    return query.embodied_kg, query.lifespan_years, query.cores


class Figure(Answer):
    """One figure: for programs its value and unit, for people its text."""

    name: str
    label: str
    value: float | None = Field(description="null where it is not known, or is no number")
    unit: str | None
    text: str


class LeftOut(Answer):
    """A column, or a group of features, that the model does not read."""

    name: str
    why: str


class DataUsed(Answer):
    """What was read of the data, and what was not."""

    used: list[Figure]
    unused: list[Figure]
    columns_left_out: list[LeftOut]
    features_left_out: list[LeftOut]


class PhaseRow(Answer):
    """A line of the bill, as measured."""

    phase: str
    duration_seconds: float
    gco2: float = Field(description="grams of CO2e")
    kwh: float
    cpu_seconds: float
    duration: str
    gco2_text: str
    kwh_text: str


class Equivalence(Answer):
    """What else emits as much."""

    value: float
    unit: str
    text: str
    source: str


class Less(Answer):
    """What was saved by doing less: an expectation, since what did not run was not measured."""

    figures: list[Figure]
    saved_gco2: float | None = Field(
        description="below brute force as it is expected to be; negative where it took more"
    )
    saved_text: str
    is_expectation: bool
    notes: list[str]


class Later(Answer):
    """What was saved by waiting: the same joules, priced from the submission on."""

    figures: list[Figure]
    saved_gco2: float | None = Field(description="negative where waiting was dirtier")
    saved_text: str
    provisional: bool
    notes: list[str]


class Reference(Answer):
    """A public source."""

    title: str
    url: str
    by: str


class SciScore(Answer):
    """A software carbon intensity."""

    functional_unit: str = Field(description="R")
    grams: float | None = Field(description="per unit")
    text: str
    note: str


class Sci(Answer):
    """Software carbon intensity, ISO/IEC 21031:2024: ((E x I) + M) per R."""

    formula: str
    energy_kwh: float = Field(description="E")
    grams_per_kwh: float = Field(description="I, weighted by the energy of each phase")
    operational_gco2: float = Field(description="O = E x I, as billed")
    embodied_gco2: float | None = Field(description="M; null: not included")
    embodied: str
    boundary: str
    conforms: bool
    why: str
    scores: list[SciScore]
    source: Reference


class Point(Answer):
    """One point of a checklist: what it asks, what the service has to show, what is missing."""

    id: str
    theme: str
    asks: str
    status: Literal["answered", "partly", "not available"]
    evidence: list[str]
    missing: str | None
    sources: list[Reference]


class Checklist(Answer):
    """Points with the sources that they were taken from."""

    title: str
    notes: list[str]
    points: list[Point]
    n_answered: int
    n_partly: int
    n_not_available: int


class FrugalityAnswer(Answer):
    """What a search read, took, emitted and saved, and how sure that is."""

    job: str
    state: str
    final: bool = Field(description="false while the job goes on: the phases so far")
    dataset: str
    dataset_name: str | None
    model: str | None = Field(description="null: the job has made none")
    version: int | None
    target: str | None
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    data: DataUsed
    compute: list[Figure]
    phases: list[PhaseRow]
    total: PhaseRow
    equivalence: Equivalence | None
    less: Less
    later: Later
    use: list[Figure] = Field(description="the model in use")
    meter: JsonObject
    intensity: JsonObject | None
    uncertainty: str | None
    method: list[str]
    sci: Sci
    green_automl: Checklist
    afnor: Checklist
