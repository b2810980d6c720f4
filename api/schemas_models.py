"""Models, their curves and their predictions, as they are answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from api.schemas_answers import Answer, JsonObject
from scheduler.records import Model


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
