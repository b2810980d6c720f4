"""The description that APIFlask makes, mended to what the service does.

APIFlask names nested models once per parent, leaves bodies optional and knows nothing of problem
documents, of several media types per answer, or of authentication done in one hook.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from apiflask import APIFlask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import (
    schemas,
    schemas_answers,
    schemas_audit,
    schemas_drift,
    schemas_emissions,
    schemas_frugality,
    schemas_inferring,
    schemas_jobs,
    schemas_knowledge,
    schemas_leaderboard,
    schemas_models,
    schemas_open_inference,
    schemas_picks,
    schemas_plans,
    schemas_promotions,
    schemas_relations,
    schemas_schedules,
    schemas_uploads,
    schemas_waiting,
)
from api.auth import PRODUCES, PUBLIC
from api.datasets import UPLOAD_TYPES
from api.errors import PROBLEM
from api.models import ROW_TYPES
from scheduler.late_bodies import JSON
from scheduler.late_bodies import TYPES as OUTCOME_TYPES

Json = dict[str, Any]

REF = "#/components/schemas/{model}"
COMMON = (400, 401, 403, 404, 406, 413, 421, 422, 429, 500, 503)
PUBLIC_COMMON = (400, 406, 421, 429, 500, 503)
WITH_BODY = ("411", "415")
INFO = (
    "Frugal finds rare events in tables: hand over a table and a target, get back a leaderboard "
    "of quality against CO2e and a model that predicts. Every route but the public ones needs "
    "Authorization: Bearer <token>. Errors are problem documents (RFC 9457) with a stable "
    "`code`. Ids of another project are unknown ones."
)
EXAMPLE_OUTCOMES = {"outcomes": [{"key": "A-17", "label": 1, "at": "2026-11-22T12:00:00Z"}]}
EXAMPLE_ROWS = {"rows": [{"age": 41, "balance": 1250.5, "segment": "retail"}]}
# They answer 200 as they do 201, where what was asked for is there already.
WITH_200 = ("datasets.create", "datasets.append", "uploads.complete", "promotions.outcomes")
EVENT_STREAM = "text/event-stream"
DIGEST_HEADER: Json = {
    "name": "Content-Digest",
    "in": "header",
    "required": False,
    "description": "of the body, as sha-256=:<base64>: (RFC 9530)",
    "schema": {"type": "string"},
}
BINARY = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}


def mended(spec: Json, app: APIFlask) -> Json:
    """The description as clients may rely on it."""
    spec["openapi"] = "3.1.0"
    spec["info"] = {
        "title": "Frugal",
        "version": app.version,
        "description": INFO,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    spec["servers"] = [{"url": "/"}]
    spec["tags"] = list({tag["name"]: tag for tag in spec["tags"]}.values())
    components = spec.setdefault("components", {})
    components["schemas"] = _schemas()
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    components["responses"] = {
        "Problem": {
            "description": "A problem document",
            "content": {PROBLEM: {"schema": {"$ref": REF.format(model="Problem")}}},
        }
    }
    spec["security"] = [{"token": []}]
    for endpoint, path, method in _operations(app):
        operation = spec["paths"][path][method]
        _mend(operation, endpoint=endpoint, view=app.view_functions[endpoint])
    _bodies(spec["paths"])
    renamed: Json = _renamed(spec)
    return renamed


def _schemas() -> Json:
    """Every model once, under its own name."""
    wanted: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        (schemas_jobs.JobRequest, "validation"),
        (schemas_plans.PlanRequest, "validation"),
        (schemas_schedules.ScheduleRequest, "validation"),
        (schemas_schedules.ScheduleChange, "validation"),
        (schemas_promotions.PromoteRequest, "validation"),
        (schemas.RowsRequest, "validation"),
        (schemas_relations.AssembleRequest, "validation"),
        (schemas_relations.VersionRequest, "validation"),
        (schemas_inferring.InferRequest, "validation"),
        (schemas_open_inference.OpenInferRequest, "validation"),
        (schemas_open_inference.Live, "serialization"),
        (schemas_open_inference.Ready, "serialization"),
        (schemas_uploads.UploadRequest, "validation"),
        (schemas_uploads.RegisterRequest, "validation"),
        (schemas_relations.PredictionsRequest, "validation"),
        (schemas_emissions.EmissionsAnswer, "serialization"),
        (schemas_emissions.ForecastsAnswer, "serialization"),
    ]
    for module in (
        schemas_answers,
        schemas_audit,
        schemas_drift,
        schemas_emissions,
        schemas_frugality,
        schemas_inferring,
        schemas_knowledge,
        schemas_leaderboard,
        schemas_open_inference,
        schemas_picks,
        schemas_models,
        schemas_plans,
        schemas_promotions,
        schemas_relations,
        schemas_schedules,
        schemas_uploads,
        schemas_waiting,
    ):
        for model in vars(module).values():
            if isinstance(model, type) and issubclass(model, schemas_answers.Answer):
                wanted.append((model, "serialization"))
    _, definitions = models_json_schema(wanted, ref_template=REF)
    found: Json = definitions["$defs"]
    found.pop("Answer", None)
    return dict(sorted(found.items()))


def _operations(app: APIFlask) -> list[tuple[str, str, str]]:
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        path = rule.rule.replace("<", "{").replace(">", "}")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            found.append((rule.endpoint, path, method.lower()))
    return found


def _mend(operation: Json, *, endpoint: str, view: Any) -> None:
    public = endpoint in PUBLIC
    operation["security"] = [] if public else [{"token": []}]
    for parameter in operation.get("parameters", []):
        _mend_parameter(parameter)
    if not operation["parameters"]:
        del operation["parameters"]
    responses: Json = operation["responses"]
    if endpoint == "documents.openapi":
        responses["200"] = {"description": "OpenAPI 3.1", "content": _json({"type": "object"})}
    types = getattr(view, PRODUCES, None)
    ok = responses.get("200") or responses.get("201") or responses.get("202")
    if types is not None and ok is not None:
        content = ok.get("content", {})
        json_media = content.get("application/json", {"schema": {"type": "object"}})
        ok["content"] = {kind: _media(kind, json_media) for kind in types}
    elif ok is not None:
        for media in ok.get("content", {}).values():
            media["schema"] = media.get("schema") or {"type": "object"}
    common = {str(status) for status in (PUBLIC_COMMON if public else COMMON)}
    for status in common | {key for key in responses if key >= "400"}:
        responses[status] = _problem(status, responses.get(status, {}).get("description"))
    for created in {"201", "202"} & responses.keys():
        location = {"description": "Where to look", "schema": {"type": "string"}}
        responses[created]["headers"] = {"Location": location}
    if endpoint in WITH_200:
        responses["200"]["content"] = responses["201"]["content"]
    responses.get("204", {}).pop("content", None)
    if endpoint == "health.readyz":
        answer = {"$ref": REF.format(model="HealthAnswer")}
        content = {**_json(answer), PROBLEM: {"schema": {"$ref": REF.format(model="Problem")}}}
        responses["503"] = {"description": "Not ready", "content": content}
    operation["responses"] = dict(sorted(responses.items()))


def _mend_parameter(parameter: Json) -> None:
    schema = parameter.get("schema", {})
    # Absent is how a parameter says null: "null" itself would be a text.
    choices = [item for item in schema.get("anyOf", []) if item != {"type": "null"}]
    if len(choices) == 1:
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        schema = {**choices[0], **rest}
    description = schema.pop("description", None)
    schema.pop("title", None)
    if description:
        parameter["description"] = description
    if parameter["in"] == "header":
        parameter["name"] = parameter["name"].title()
    if parameter["in"] == "path":
        parameter["required"] = True
    parameter["schema"] = schema


def _media(kind: str, json_media: Json) -> Json:
    if kind == "application/json":
        return {**json_media, "schema": json_media.get("schema") or {"type": "object"}}
    if kind == EVENT_STREAM:
        texts = {name: dict(TEXT) for name in ("id", "event", "data")}
        return {"schema": {"type": "object", "properties": texts, "required": sorted(texts)}}
    if kind.startswith("text/"):
        return {"schema": dict(TEXT)}
    return {"schema": dict(BINARY)}


def _problem(status: str, description: str | None) -> Json:
    reference = {"$ref": REF.format(model="Problem")}
    return {
        "description": description or HTTPStatus(int(status)).phrase,
        "content": {PROBLEM: {"schema": reference}},
    }


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _bodies(paths: Json) -> None:
    for path in ("/v1/datasets", "/v1/datasets/{dataset_id}/versions"):
        paths[path]["post"]["requestBody"] = {
            "required": True,
            "description": "The file itself",
            "content": {kind: {"schema": dict(BINARY)} for kind in UPLOAD_TYPES},
        }
    content = paths["/v1/datasets"]["post"]["requestBody"]["content"]
    content["text/csv"]["example"] = "age;balance;default\n41;12,5;0\n"
    models = ("AssembleRequest", "RegisterRequest")
    spec = {"anyOf": [{"$ref": REF.format(model=model)} for model in models]}
    content["application/json"] = {"schema": spec, "example": schemas_relations.EXAMPLE}
    content = paths["/v1/datasets/{dataset_id}/versions"]["post"]["requestBody"]["content"]
    content["application/json"] = {"schema": {"$ref": REF.format(model="VersionRequest")}}
    paths["/v1/models/{name}/outcomes"]["post"]["requestBody"] = {
        "required": True,
        "description": "Labels by key",
        "content": {kind: {"schema": dict(BINARY)} for kind in OUTCOME_TYPES if kind != JSON},
    }
    content = paths["/v1/models/{name}/outcomes"]["post"]["requestBody"]["content"]
    content[JSON] = {"schema": {"type": "object"}, "example": EXAMPLE_OUTCOMES}
    batch = {"$ref": REF.format(model="PredictionsRequest")}
    paths["/v1/models/{name}/predictions"]["post"]["requestBody"] = {"content": _json(batch)}
    chunk = paths["/v1/uploads/{upload_id}/chunks/{number}"]["put"]
    chunk["requestBody"] = {
        "required": True,
        "description": "The bytes of the piece",
        "content": {"application/octet-stream": {"schema": dict(BINARY)}},
    }
    chunk["parameters"].append(DIGEST_HEADER)
    predict = paths["/v1/models/{name}/predict"]["post"]
    rows = {"$ref": REF.format(model="RowsRequest")}
    predict["requestBody"] = {
        "required": True,
        "description": "Rows, columns by name",
        "content": {
            kind: {"schema": rows, "example": EXAMPLE_ROWS}
            if kind == "application/json"
            else {"schema": dict(BINARY)}
            for kind in ROW_TYPES
        },
    }
    for operations in paths.values():
        for operation in operations.values():
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
                for status in WITH_BODY:
                    operation["responses"][status] = _problem(status, None)
                operation["responses"] = dict(sorted(operation["responses"].items()))


def _renamed(value: Any) -> Any:
    """References to APIFlask's `Parent.Child` as references to `Child`."""
    if isinstance(value, dict):
        return {
            key: _short(item) if key == "$ref" and isinstance(item, str) else _renamed(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return value


def _short(reference: str) -> str:
    folder, _, name = reference.rpartition("/")
    return f"{folder}/{name.rpartition('.')[2]}"
