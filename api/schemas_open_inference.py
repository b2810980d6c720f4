"""What the Open Inference Protocol sends and answers (its version 2, by KServe and Triton).

Names and shapes are those of https://github.com/kserve/open-inference-protocol, specification
"Open Inference Protocol (V2 Inference Protocol)", section HTTP/REST.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Body
from api.schemas_answers import Answer, JsonObject
from api.schemas_jobs import NO_NUL

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64", "BYTES",
]  # fmt: skip
MAX_INPUTS = 20_000
MAX_ROWS = 100_000


class InferInput(Body):
    """One column of the rows."""

    name: Annotated[str, Field(min_length=1, max_length=256, pattern=NO_NUL)] = Field(
        description="the column"
    )
    shape: Annotated[
        list[Annotated[int, Field(ge=0, le=MAX_ROWS)]], Field(min_length=1, max_length=2)
    ]
    datatype: Datatype
    parameters: JsonObject | None = None
    data: list[Any] = Field(
        max_length=MAX_ROWS, description="one value a row, null where it is missing"
    )


class InferOutputWanted(Body):
    """An output that is asked for."""

    name: Literal["probability", "alert", "anomaly"]
    parameters: JsonObject | None = None


class OpenInferRequest(Body):
    """Rows, a tensor for each column."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "42",
                "inputs": [
                    {"name": "age", "shape": [2], "datatype": "INT64", "data": [41, 67]},
                    {"name": "region", "shape": [2], "datatype": "BYTES", "data": ["n", "s"]},
                ],
            }
        }
    )

    id: Annotated[str, Field(max_length=256, pattern=NO_NUL)] | None = Field(
        None, description="comes back with the answer"
    )
    parameters: JsonObject | None = None
    inputs: Annotated[list[InferInput], Field(min_length=1, max_length=MAX_INPUTS)]
    outputs: Annotated[list[InferOutputWanted], Field(max_length=8)] | None = None


class TensorMetadata(Answer):
    """A tensor of a model; -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ServerMetadata(Answer):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class ModelMetadata(Answer):
    """A model, its columns and what it answers."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(Answer):
    """Whether a model can be asked."""

    name: str
    ready: bool


class Live(BaseModel):
    """Whether the server lives."""

    live: bool


class Ready(BaseModel):
    """Whether the server can be asked."""

    ready: bool


class InferOutput(Answer):
    """One figure of each row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class OpenInferAnswer(Answer):
    """Figures of the rows, in their order."""

    model_name: str
    model_version: str
    # Optional there, and never null.
    id: str | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="that of the request; left out where it had none",
    )
    outputs: list[InferOutput]
