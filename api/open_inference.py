"""The Open Inference Protocol (V2), which KServe, Triton, MLServer and Seldon speak.

https://github.com/kserve/open-inference-protocol. One input is one column; a problem document
has the protocol's ``error`` as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import current_app

from api.card import ANOMALY_RANKING
from api.context import parts
from api.health import what_answers
from api.models import known_name, model_of, unless_deleted
from api.schemas import ModelQuery
from api.schemas_open_inference import (
    InferInput,
    InferOutput,
    Live,
    ModelMetadata,
    ModelReady,
    OpenInferAnswer,
    OpenInferRequest,
    Ready,
    ServerMetadata,
    TensorMetadata,
)
from automl.errors import DataError
from scheduler.errors import UnknownRecord
from scheduler.records import Model

open_inference = APIBlueprint("open_inference", __name__, url_prefix="/v2", tag="Open inference")

JSON = "application/json"
# Whole numbers by datatype.
INTEGERS = {
    **{f"INT{bits}": range(-(2 ** (bits - 1)), 2 ** (bits - 1)) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": range(2**bits) for bits in (8, 16, 32, 64)},
}
# Datatypes of columns by their type in a card; dates travel as text.
DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}
OUTPUTS = {"probability": "FP64", "alert": "BOOL", "anomaly": "FP64"}


@open_inference.get("")
@open_inference.output(ServerMetadata)
@open_inference.doc(operation_id="v2Server")
def server() -> Any:
    """Return the server's name, version and extensions."""
    app = cast(APIFlask, current_app)
    return ServerMetadata(name="frugal", version=str(app.version), extensions=[])


@open_inference.get("/health/live")
@open_inference.output(Live)
@open_inference.doc(operation_id="v2Live", security=[])
def live() -> Any:
    """The process answers."""
    return Live(live=True)


@open_inference.get("/health/ready")
@open_inference.output(Ready)
@open_inference.doc(operation_id="v2Ready", security=[])
def ready() -> Any:
    """Database and disk answer too."""
    ok = all(state == "ok" for state in what_answers().values())
    return Ready(ready=ok), 200 if ok else 503, {} if ok else {"Retry-After": "5"}


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise UnknownRecord("there is no such version")
    return int(text)


def _model(name: str, version: str | None) -> Model:
    return model_of(known_name(name), ModelQuery(version=_version(version)))


@open_inference.get("/models/<name>")
@open_inference.output(ModelMetadata)
@open_inference.doc(operation_id="v2Model", responses={410: "Deleted"})
def model(name: str) -> Any:
    """Return the columns that a model reads, and what it answers."""
    return _metadata(_model(name, None))


@open_inference.get("/models/<name>/versions/<version>")
@open_inference.output(ModelMetadata)
@open_inference.doc(operation_id="v2ModelVersion", responses={410: "Deleted"})
def model_version(name: str, version: str) -> Any:
    """The same of one version."""
    return _metadata(_model(name, version))


@open_inference.get("/models/<name>/ready")
@open_inference.output(ModelReady)
@open_inference.doc(operation_id="v2ModelReady", responses={410: "Deleted"})
def model_ready(name: str) -> Any:
    """Say that a model is there; its predictor starts at the first request."""
    return ModelReady(name=_model(name, None).name, ready=True)


@open_inference.get("/models/<name>/versions/<version>/ready")
@open_inference.output(ModelReady)
@open_inference.doc(operation_id="v2ModelVersionReady", responses={410: "Deleted"})
def version_ready(name: str, version: str) -> Any:
    """The same of one version."""
    return ModelReady(name=_model(name, version).name, ready=True)


@open_inference.post("/models/<name>/infer")
@open_inference.input(OpenInferRequest, location="json")
@open_inference.output(OpenInferAnswer)
@open_inference.doc(
    operation_id="v2Infer", responses={409: "Not ready", 410: "Deleted", 413: "Too many rows"}
)
def infer(name: str, json_data: OpenInferRequest) -> Any:
    """Calibrated probability and alert of each row; by a ranking without labels how odd it is."""
    return _inferred(name, None, json_data)


@open_inference.post("/models/<name>/versions/<version>/infer")
@open_inference.input(OpenInferRequest, location="json")
@open_inference.output(OpenInferAnswer)
@open_inference.doc(
    operation_id="v2InferVersion",
    responses={409: "Not ready", 410: "Deleted", 413: "Too many rows"},
)
def infer_version(name: str, version: str, json_data: OpenInferRequest) -> Any:
    """The same by one version."""
    return _inferred(name, version, json_data)


def _inferred(name: str, version: str | None, asked: OpenInferRequest) -> OpenInferAnswer:
    found = _model(name, version)
    body = json.dumps({"rows": rows_of(asked.inputs)}).encode()
    with unless_deleted(found.name, ModelQuery(version=found.version)):
        answer, _, _ = parts().predictor.predict(found, body, content_type=JSON, accept=JSON)
    predictions = json.loads(answer)["predictions"]
    wanted: list[str] = [one.name for one in asked.outputs or ()] or [
        key for key in OUTPUTS if predictions and predictions[0].get(key) is not None
    ]
    absent = [key for key in wanted if predictions and key not in predictions[0]]
    if absent:
        raise DataError(
            f"outputs: model {found.name!r} has no {absent[0]!r}",
            code="unknown_output",
            details={"field": "outputs"},
        )
    return OpenInferAnswer(
        model_name=found.name,
        model_version=str(found.version),
        id=asked.id,
        outputs=[
            InferOutput(
                name=key,
                shape=[len(predictions)],
                datatype=OUTPUTS[key],
                data=[one[key] for one in predictions],
            )
            for key in wanted
        ],
    )


def rows_of(inputs: Sequence[InferInput]) -> list[dict[str, Any]]:
    """Columns as rows.

    Raises
    ------
    DataError
        ``shape_mismatch``: a tensor is not one column of as many rows as the others;
        ``duplicate_input``; ``wrong_type``: a value is not of the tensor's datatype.

    >>> one = InferInput(name="age", shape=[2], datatype="INT64", data=[41, None])
    >>> rows_of([one])
    [{'age': 41}, {'age': None}]
    """
    n_rows = inputs[0].shape[0]
    columns: dict[str, list[Any]] = {}
    for place, one in enumerate(inputs):
        where: dict[str, object] = {"field": f"inputs.{place}"}
        if one.name in columns:
            raise DataError(
                f"inputs: {one.name!r} comes twice",
                code="duplicate_input",
                column=one.name,
                details=where,
            )
        flat = [cell[0] if isinstance(cell, list) and len(cell) == 1 else cell for cell in one.data]
        if one.shape not in ([n_rows], [n_rows, 1]) or len(flat) != n_rows:
            raise DataError(
                f"inputs: {one.name!r} has shape {one.shape} and {len(flat)} values; each input is "
                f"a column of shape [{n_rows}] or [{n_rows}, 1]",
                code="shape_mismatch",
                column=one.name,
                details=where,
            )
        for row, cell in enumerate(flat, start=1):
            if not _fits(cell, one.datatype):
                raise DataError(
                    f"inputs: row {row} of {one.name!r} is no {one.datatype}",
                    code="wrong_type",
                    column=one.name,
                    row=row,
                    details=where,
                )
        columns[one.name] = flat
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _fits(cell: Any, datatype: str) -> bool:
    if cell is None:
        return True
    if datatype == "BOOL":
        return isinstance(cell, bool) or cell in (0, 1)
    if datatype == "BYTES":
        return isinstance(cell, str)
    if isinstance(cell, bool):
        return False
    if datatype in INTEGERS:
        return isinstance(cell, int) and cell in INTEGERS[datatype]
    return isinstance(cell, int | float)


def _metadata(found: Model) -> ModelMetadata:
    card: Mapping[str, Any] = found.card
    types = card.get("types") or {}
    outputs = (
        ("anomaly", "alert") if card.get("kind") == ANOMALY_RANKING else ("probability", "alert")
    )
    names = [
        str(c["name"]) if isinstance(c, Mapping) else str(c) for c in card.get("columns") or ()
    ]
    return ModelMetadata(
        name=found.name,
        versions=[str(found.version)],
        platform="frugal",
        inputs=[
            TensorMetadata(
                name=one, datatype=DATATYPES.get(types.get(one, ""), "BYTES"), shape=[-1]
            )
            for one in names
        ],
        outputs=[TensorMetadata(name=one, datatype=OUTPUTS[one], shape=[-1]) for one in outputs],
    )
