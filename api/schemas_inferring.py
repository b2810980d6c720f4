"""What a client sends and gets that asks what several data sets are to each other."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from api.schemas import Body
from api.schemas_answers import Answer, JsonObject
from api.schemas_jobs import ColumnName
from api.schemas_relations import MAX_TABLES, TableName, Text

EXAMPLE: dict[str, Any] = {
    "tables": {
        "loan": {"dataset": "5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"},
        "account": {"dataset": "0b9d5f0c54f1c1e04e2f6a1b7c3d8e90"},
        "trans": {"uri": "s3://bank/data/trans/"},
    },
    "target": "status",
}


class InferTable(Body):
    """A table: the data set that has its rows, or where its files are."""

    dataset: str | None = Field(
        None, min_length=1, max_length=64, description="id of a data set that is READY"
    )
    uri: Text | None = Field(
        None,
        description="file:///folder/ or s3://bucket/prefix of Parquet, CSV or JSON Lines files or "
        "raw logs, that the operator allows to be read in place",
    )
    reading: dict[str, Any] = Field(
        {}, description="how files at a URI are read: the options of an upload, such as log_format"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> InferTable:
        if (self.dataset is None) == (self.uri is None):
            raise ValueError("either dataset or uri is needed")
        if self.reading and self.uri is None:
            raise ValueError("reading belongs to a uri: a data set was read already")
        return self

    def told(self) -> JsonObject:
        """Its source as a spec has it, and how it is read."""
        source = {"dataset": self.dataset} if self.uri is None else {"uri": self.uri}
        return {"source": source, "reading": self.reading}


class InferRequest(Body):
    """Tables whose spec is to be proposed."""

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
    of: int = Field(description="estimated where not all files of a folder were opened")


class ProposalAnswer(Answer):
    """A proposal, to be read, changed and posted as the `spec` of a data set."""

    spec: JsonObject
    reasons: list[Reason]
    open_questions: list[str]
    sampled: dict[str, Sampled] = Field(description="by table")
