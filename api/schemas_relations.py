"""What a client sends to make a data set of several tables, validated strictly.

What the fields mean together, and whether they fit each other, `automl.relations.spec` says.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field

from api.schemas import Body
from api.schemas_answers import Answer, CostAnswer, JsonObject
from api.schemas_jobs import NO_NUL, ColumnName, ColumnNames, Integer, Label
from scheduler.records import Batch, Model

MAX_TABLES = 64
MAX_KEY_COLUMNS = 8
MAX_TIME = 1e15
TABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
# As `automl.relations.spec` has them, which is asked again.
Role = Literal["entities", "events", "series", "log", "static"]
TimeFormat = Literal[
    "iso",
    "epoch_s",
    "epoch_ms",
    "epoch_us",
    "yymmdd",
    "yyyymmdd",
    "month_number",
    "number",
    "order",
]
TableName = Annotated[str, Field(pattern=TABLE_NAME)]
KeyColumns = ColumnName | Annotated[list[ColumnName], Field(max_length=MAX_KEY_COLUMNS)]
Text = Annotated[str, Field(max_length=1000, pattern=NO_NUL)]

EXAMPLE: dict[str, Any] = {
    "name": "bank",
    "spec": {
        "tables": {
            "customers": {
                "role": "entities",
                "source": {"dataset": "5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"},
            },
            "balances": {
                "role": "series",
                "key": "customer_id",
                "to": "customers",
                "time": "month_end",
                "source": {"dataset": "0b9d5f0c54f1c1e04e2f6a1b7c3d8e90"},
            },
        },
        "key": ["customer_id"],
        "target": "became_fragile",
        "cut_off": {"column": "cut_off"},
    },
}


class TableBody(Body):
    """One table: its role, how its rows are dated, and how they find their entity."""

    role: Role = Field(
        description="entities: the rows to be predicted; events; series, with the same columns at "
        "each time; log, with a text; static, without a time, looked up or summed up"
    )
    source: Annotated[dict[str, Text], Field(max_length=4)] = Field(
        {},
        description="where its rows are: {'dataset': id} of a data set that is READY, or "
        "{'uri': 'file:///folder/'} or {'uri': 's3://bucket/prefix'}: Parquet, CSV or JSON Lines "
        "files or raw logs that the operator allows to be read, which stay there",
    )
    key: KeyColumns | None = Field(None, description="its columns that say where a row belongs")
    to: KeyColumns | None = Field(
        None,
        description="what they are found in: 'table.column' (or several, of one table), or "
        "'table' where the columns are called alike; null: rows belong to every entity",
    )
    time: ColumnName | None = None
    time_format: TimeFormat = Field(
        "iso",
        description="how the time is written; number keeps its own units; order: there is no "
        "column, rows come in the order of the file",
    )
    message: ColumnName | None = Field(None, description="the column of a log's text")
    exclude: ColumnNames = Field([], description="columns not to learn from")
    where: Annotated[dict[ColumnName, Text], Field(max_length=64)] = Field(
        {}, description="only rows whose columns have these values, compared as text"
    )
    first: Annotated[int, Field(ge=1, le=2**31), Integer] | None = Field(
        None, description="only so many first rows of each entity"
    )
    orphans: Literal["refuse", "drop"] = Field(
        "refuse",
        description="what happens when more than 5 % of the rows belong to nothing in the table "
        "they point to: the data set is INVALID, or they are left out",
    )
    reading: dict[str, Any] = Field(
        {}, description="how its raw file is read: the options of an upload"
    )


class CutOffBody(Body):
    """When a row is to be predicted: nothing at or after it is used."""

    column: ColumnName | None = Field(None, description="of the entity table")
    time_format: TimeFormat = "iso"
    now: Text | float | int | None = Field(
        None, description="an ISO date and time or a number, the same for all rows"
    )
    after_first: float | None = Field(
        None, description="so many units after the entity's first row in `table`"
    )
    table: TableName | None = None
    gap: float = Field(
        0.0, ge=0, le=MAX_TIME, description="kept free before it; days where times are dates"
    )


class WindowsBody(Body):
    """Entities made from a series or a log: stretches of it, each with a horizon ahead."""

    table: TableName
    length: float | None = Field(None, gt=0, le=MAX_TIME)
    step: float | None = Field(None, gt=0, le=MAX_TIME)
    horizon: float = Field(0.0, ge=0, le=MAX_TIME)
    by_time: bool = Field(False, description="length, step and horizon in units of time, not rows")
    label: ColumnName | None = None
    sessions: ColumnName | None = Field(None, description="one entity for each value of it")


class SpecBody(Body):
    """An entity table and any number of others around it."""

    tables: Annotated[dict[TableName, TableBody], Field(min_length=1, max_length=MAX_TABLES)]
    entities: TableName | None = Field(None, description="absent: the one of that role")
    key: KeyColumns | None = Field(None, description="columns that name an entity")
    target: ColumnName | None = None
    positive: Label | list[Label] | None = None
    cut_off: CutOffBody = Field(default_factory=CutOffBody)
    windows: WindowsBody | None = None


class AssembleRequest(Body):
    """A data set of several tables, each of which was uploaded before."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    name: Annotated[str, Field(min_length=1, max_length=255, pattern=NO_NUL)] = Field(
        "data", description="for people; the name of a model comes from it"
    )
    spec: SpecBody

    def declared(self) -> dict[str, Any]:
        """The spec as `automl.relations.spec.Spec.from_json` reads it: what was said, no more."""
        return self.spec.model_dump(mode="json", exclude_unset=True)


class VersionRequest(Body):
    """The next version of a data set of several tables."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"sources": {"balances": {"dataset": "5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"}}}
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=255, pattern=NO_NUL)] | None = Field(
        None, description="for people; that of the version before where none is said"
    )
    sources: Annotated[
        dict[TableName, Annotated[dict[str, Text], Field(min_length=1, max_length=4)]],
        Field(max_length=MAX_TABLES),
    ] = Field(
        {},
        description="by table, where its rows are now, if that is not the newest version of the "
        "same data set or the files in the same folder",
    )


class PredictionsRequest(Body):
    """Every row of a data set is to be predicted."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"dataset": "5f0c54f1c1e04b0e9d2f6a1b7c3d8e90", "format": "parquet"}
        }
    )

    dataset: str = Field(min_length=1, max_length=64, description="id of a data set")
    format: Literal["csv", "parquet"] = "parquet"


class BatchAnswer(Answer):
    """Predictions for every row of a data set."""

    id: str
    model: str | None = Field(description="null once the model was deleted")
    model_version: int | None
    dataset: str
    format: Literal["csv", "parquet"]
    state: Literal["RUNNING", "DONE", "FAILED", "DELETED"]
    created_at: datetime
    finished_at: datetime | None
    n_rows: int | None
    bytes: int | None
    content: str | None = Field(description="where the file is, once it is DONE")
    report: JsonObject | None = Field(
        description="n_alerts, and by table the bytes that were read of it"
    )
    problem: JsonObject | None = Field(description="why it FAILED")
    cost: CostAnswer | None

    @classmethod
    def of(cls, batch: Batch, model: Model | None) -> BatchAnswer:
        done = batch.artifact is not None
        return cls(
            id=batch.id,
            model=None if model is None else model.name,
            model_version=None if model is None else model.version,
            dataset=batch.dataset_id,
            format="csv" if batch.format == "csv" else "parquet",
            state=cast(Any, batch.state),
            created_at=batch.created_at,
            finished_at=batch.finished_at,
            n_rows=batch.n_rows,
            bytes=batch.bytes,
            content=f"/v1/predictions/{batch.id}/content" if done else None,
            report=None if batch.report is None else dict(batch.report),
            problem=None if batch.problem is None else dict(batch.problem),
            cost=None if batch.cost is None else CostAnswer.of(batch.cost),
        )


class BatchesAnswer(Answer):
    """One page of predictions of whole data sets."""

    items: list[BatchAnswer]
    next_cursor: str | None
