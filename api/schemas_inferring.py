"""What a client sends and gets that asks what several data sets are to each other."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas import Body
from api.schemas_answers import Answer, JsonObject
from api.schemas_jobs import ColumnName
from api.schemas_relations import MAX_TABLES, TableName

EXAMPLE: dict[str, Any] = {
    "tables": {
        "loan": {"dataset": "5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"},
        "account": {"dataset": "0b9d5f0c54f1c1e04e2f6a1b7c3d8e90"},
    },
    "target": "status",
}


class InferTable(Body):
    """A table, by the data set that has its rows."""

    dataset: str = Field(min_length=1, max_length=64, description="id of a data set that is READY")


class InferRequest(Body):
    """Data sets whose spec is to be proposed."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    tables: Annotated[dict[TableName, InferTable], Field(min_length=1, max_length=MAX_TABLES)]
    target: ColumnName | None = Field(
        None, description="what is to be predicted, where it is known"
    )


class Reason(Answer):
    """Why a part of the spec is as it is."""

    field: str
    reason: str


class Sampled(Answer):
    """How many rows of a table were looked at."""

    rows: int
    of: int


class ProposalAnswer(Answer):
    """A proposal, to be read, changed and posted as the `spec` of a data set."""

    spec: JsonObject
    reasons: list[Reason]
    open_questions: list[str]
    sampled: dict[str, Sampled] = Field(description="by table")
