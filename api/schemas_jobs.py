"""What a client sends to submit a job: the request and its parts, validated strictly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from api.schemas import MAX_COST, Body
from api.schemas_when import When

# Largest limits that still mean something: 31 years of one core, the yearly use of 300 homes.
MAX_SECONDS = 1e9
MAX_JOULES = 1e13
MAX_GRAMS = 1e9
MAX_TRIALS = 1_000_000
MAX_PREDICTIONS = 1e12
MAX_DAYS = 36_525.0  # a century
MAX_GAIN = 1e12
MAX_COLUMNS = 5000
MAX_GAP = 1e12
MAX_SUBGROUPS = 8
# As `automl.search.objective` has them: numpy stays out of the process that answers.
MetricName = Literal[
    "average_precision",
    "roc_auc",
    "recall_at_alert_rate",
    "precision_at_recall",
    "expected_cost",
]
# A cost is no score, since less of it is better.
SCORE_NAMES = {"expected_cost": "cost_saving"}
NEEDS = {"precision_at_recall": ("recall",), "expected_cost": ("missed_cost", "alert_cost")}


def _integral(value: Any) -> Any:
    # JSON Schema's integer includes 1.0; pydantic's strict mode does not.
    return int(value) if type(value) is float and value.is_integer() else value


def _needed(metric: str, names: Sequence[str]) -> dict[str, Any]:
    """JSON Schema of: with this metric, these are numbers."""
    given = {name: {"type": "number"} for name in names}
    return {
        "if": {"properties": {"metric": {"const": metric}}, "required": ["metric"]},
        "then": {"properties": given, "required": list(names)},
    }


def _not_empty(value: Any) -> Any:
    # Before the union: of what fits none of its types pydantic names them all, its own words.
    if value == [] and isinstance(value, list):
        raise PydanticCustomError(
            "too_short", "name at least one value of the target, or leave it out"
        )
    return value


# The validator stands after Field, else the schema says "ge" instead of "minimum".
Integer = BeforeValidator(_integral)
NO_NUL = r"^[^\x00]*$"  # strict_json refuses it first; here it is said
ColumnName = Annotated[str, Field(min_length=1, max_length=256, pattern=NO_NUL)]
ColumnNames = Annotated[list[ColumnName], Field(max_length=MAX_COLUMNS)]
Label = Annotated[str, Field(max_length=1000, pattern=NO_NUL)] | int | float | bool


# Fields of a job that say something about labels, or about a search that they judge.
NEED_LABELS = (
    "positive",
    "time_column",
    "gap",
    "group_column",
    "weight_column",
    "monotone",
    "accept_leakage",
    "accept_missing_target",
    "subgroups",
    "warm_start_from",
    "mode",
)

MODEL_REFERENCE = r"^[a-z0-9][a-z0-9_.-]{0,99}(/[1-9][0-9]{0,9})?$"


# Stands for a target that was left out, which no column can be called.
UNSAID = ""


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class Objective(Body):
    """What a good model is."""

    model_config = ConfigDict(
        json_schema_extra={"allOf": [_needed(metric, names) for metric, names in NEEDS.items()]}
    )

    metric: MetricName = Field(
        "average_precision",
        description="what models are compared by: average_precision, the area under precision and "
        "recall; roc_auc; recall_at_alert_rate; precision_at_recall, which needs recall; "
        "expected_cost, which needs missed_cost and alert_cost and scores the share of the cost "
        "that is saved",
    )
    alert_rate: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="share of rows that can be looked at; sets the threshold, save for "
        "precision_at_recall and expected_cost, which have their own",
    )
    recall: float | None = Field(
        None, gt=0, le=1, validate_default=True, description="share of the positives to be found"
    )
    missed_cost: float | None = Field(
        None,
        gt=0,
        le=MAX_COST,
        validate_default=True,
        description="cost of a positive that is not alerted, in the unit of alert_cost",
    )
    alert_cost: float | None = Field(
        None, gt=0, le=MAX_COST, validate_default=True, description="cost of alerting a negative"
    )
    predictions_per_day: float | None = Field(
        None,
        ge=0,
        le=MAX_PREDICTIONS,
        description="rows that the model is going to predict: the energy of its use then counts "
        "in the front and the picks",
    )
    horizon_days: float | None = Field(
        None, gt=0, le=MAX_DAYS, description="for how long it is used; null is a year"
    )
    retrains: float | None = Field(
        None, ge=0, le=MAX_DAYS, description="how often it is fitted again in that time"
    )
    pick: Literal["recommended", "most_accurate", "most_frugal"] = Field(
        "recommended", description="which model of the front becomes the champion"
    )

    @field_validator("recall", "missed_cost", "alert_cost")
    @classmethod
    def _given(cls, value: float | None, info: ValidationInfo) -> float | None:
        metric, name = info.data.get("metric"), str(info.field_name)
        if value is None and name in NEEDS.get(str(metric), ()):
            raise PydanticCustomError("missing", f"metric {metric} needs it")
        if name == "alert_cost" and "missed_cost" in info.data:
            other = info.data["missed_cost"]
            if (value is None) != (other is None):
                raise PydanticCustomError("missing", "missed_cost and alert_cost go together")
            if value is not None and max(value, other) / MAX_COST > min(value, other):
                raise PydanticCustomError(
                    "too_far", "missed_cost and alert_cost are more than 1e12 times apart"
                )
        return value


class Limits(Body):
    """Where the search must stop, whichever comes first; null is no limit.

    They cover search and refit and, of several tables, the choice of features; not the reading and
    loading of the data, nor what measures the champion in use afterwards.
    """

    gco2e: float | None = Field(None, gt=0, le=MAX_GRAMS, description="grams of CO2e")
    joules: float | None = Field(None, gt=0, le=MAX_JOULES)
    cpu_seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)
    wall_seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS), Integer] | None = None
    least_gain_per_gram: float | None = Field(
        None,
        ge=0,
        le=MAX_GAIN,
        description="percent of the score that a further gram of CO2e has to be expected to gain; "
        "null: as much as 0.1 % for each percent of what brute force would emit",
    )


class JobRequest(Body):
    """A search to run on a data set."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "dataset": "5f0c54f1c1e04b0e9d2f6a1b7c3d8e90",
                "target": "default",
                "positive": "yes",
                "exclude": ["duration"],
                "objective": {"alert_rate": 0.02},
                "limits": {"cpu_seconds": 60},
                "seed": 1,
            }
        }
    )

    dataset: str = Field(min_length=1, max_length=64, description="id of a data set")
    target: ColumnName | None = Field(
        UNSAID,
        json_schema_extra=_without_default,
        description="column that says whether the event happened; may be left out where the data "
        "set is of several tables and says it itself. Null, said and not left out: there are no "
        "labels at all, rows are ranked by how odd they are and the oddest alert_rate of them "
        "alerted. Nothing is searched then, no probability is claimed, and fields about labels or "
        "the search are refused",
    )
    positive: Annotated[
        Label | Annotated[list[Label], Field(min_length=1, max_length=100)] | None,
        BeforeValidator(_not_empty),
    ] = Field(
        None, description="value or values of the target that are the rare event; needed unless 0/1"
    )
    time_column: ColumnName | None = Field(
        None, description="when a row was known; validation is then forward in time"
    )
    gap: float | None = Field(
        None,
        gt=0,
        le=MAX_GAP,
        description="how long after its time the label of a row is known, in units of time_column, "
        "days where it holds dates; rows whose label was not known yet when validation begins do "
        "not train",
    )
    group_column: ColumnName | None = Field(
        None, description="the entity; no entity is then on both sides of a split"
    )
    weight_column: ColumnName | None = Field(None, description="importance of a row, above 0")
    exclude: ColumnNames = Field([], description="columns not to learn from")
    monotone: Annotated[
        dict[ColumnName, Literal["increasing", "decreasing"]], Field(max_length=MAX_COLUMNS)
    ] = Field(
        {}, description="columns of numbers that may only raise, or only lower, the probability"
    )
    accept_leakage: ColumnNames = Field(
        [], description="columns that nearly equal the target and are meant to"
    )
    accept_missing_target: bool = Field(
        False, description="go on although more than 20 % of the rows have no target"
    )
    subgroups: Annotated[list[ColumnName], Field(max_length=MAX_SUBGROUPS)] = Field(
        [],
        description="columns by whose levels, or quarters of their numbers, the model's card tells "
        "recall, precision and calibration apart; they may be excluded from learning. The card "
        "then has their commonest levels",
    )
    objective: Objective = Field(default_factory=Objective)
    limits: Limits = Field(default_factory=Limits)
    when: When = Field(default_factory=When)
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), Integer] = 0
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")] | None = Field(
        None, description="name of the model; null: from the data set's name and the target"
    )
    warm_start_from: Annotated[str, Field(pattern=MODEL_REFERENCE)] | None = Field(
        None,
        description="a model to start from: its name or id, and /version for another than the "
        "newest. Its configurations come first, and where rows are new to it and it holds on "
        "them, nothing else is tried. Of several tables its features are taken over",
    )
    webhook: Annotated[str, Field(min_length=1, max_length=2000, pattern=NO_NUL)] | None = Field(
        None,
        description="URL that is told when the job fails, or when its wait turned out dirtier than "
        "a start at once; its host must be among FRUGAL_WEBHOOK_HOSTS",
    )
    mode: Literal["eco", "balanced", "best"] = Field(
        "balanced", description="how much to spend where no limit says so"
    )

    @field_validator(*NEED_LABELS)
    @classmethod
    def _of_labels(cls, value: Any, info: ValidationInfo) -> Any:
        said = value is not None and value is not False and value not in ([], {})
        if said and info.data.get("target", "") is None:
            raise PydanticCustomError(
                "no_target", "it means nothing without a target: name one, or leave this out"
            )
        return value

    @field_validator("objective")
    @classmethod
    def _without_labels(cls, value: Objective, info: ValidationInfo) -> Objective:
        given = sorted(value.model_fields_set - {"alert_rate"})
        if info.data.get("target", "") is None and given:
            raise PydanticCustomError(
                "no_target",
                "{field} means nothing without a target: only alert_rate does",
                {"field": f"objective.{given[0]}"},
            )
        return value

    @field_validator("gap")
    @classmethod
    def _in_time(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("time_column", "") is None:
            raise PydanticCustomError("missing", "a gap needs time_column")
        return value
