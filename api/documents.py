"""The API's own description: OpenAPI 3.1 for programs, a page for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, render_template

from api.auth import produces
from api.openapi import Json, mended

documents = APIBlueprint("documents", __name__, tag="Documents")

HTML = "text/html"
GENERIC = "validation error"
TEXTS = "frugal_texts"


def install(app: APIFlask) -> None:
    """Describe `app` by what it really does."""

    app.spec_processor(lambda spec: mended(cast(Json, spec), app))


def _once(name: str, make: Callable[[], str]) -> str:
    """A text that only the app's routes decide, made at the first request for it."""
    made: dict[str, str] = current_app.extensions.setdefault(TEXTS, {})
    if name not in made:
        made[name] = make()
    return made[name]


def description() -> Json:
    """The description of the current app; made once."""
    app = cast(APIFlask, current_app)
    return cast(Json, app._get_spec("json"))


@documents.get("/")
@produces(HTML)
@documents.doc(operation_id="index", responses={200: "A page"})
def index() -> Any:
    """Where to begin."""
    return render_template("index.html", version=description()["info"]["version"])


@documents.get("/openapi.json")
@documents.doc(operation_id="openapi", responses={200: "OpenAPI 3.1"})
def openapi() -> Any:
    """This description for programs, as OpenAPI 3.1."""
    text = _once("openapi", lambda: json.dumps(description()))
    return Response(text, mimetype="application/json")


@documents.get("/docs")
@produces(HTML)
@documents.doc(operation_id="docs", responses={200: "A page"})
def docs() -> Any:
    """This description for people."""
    return _once("docs", _docs)


def _docs() -> str:
    spec = description()
    return render_template(
        "docs.html",
        info=spec["info"],
        groups=groups(spec),
        schemas=[
            {"name": name, "description": schema.get("description"), "fields": fields(schema)}
            for name, schema in spec["components"]["schemas"].items()
        ],
    )


def groups(spec: Json) -> list[Json]:
    """Operations under their tags, in the order of the tags."""
    found: dict[str, list[Json]] = {tag["name"]: [] for tag in spec["tags"]}
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            found[operation["tags"][0]].append(_operation(path, method, operation))
    return [{"name": name, "operations": items} for name, items in found.items() if items]


def _operation(path: str, method: str, operation: Json) -> Json:
    content = operation.get("requestBody", {}).get("content", {})
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "public": not operation["security"],
        "parameters": [
            {
                "name": item["name"],
                "in": item["in"],
                "required": item.get("required", False),
                "type": kind(item["schema"]),
                "description": item.get("description", ""),
            }
            for item in operation.get("parameters", [])
        ],
        "body": [
            {"type": media, "schema": kind(item["schema"]), "target": target(item["schema"])}
            for media, item in content.items()
        ],
        "example": next((_pretty(m["example"]) for m in content.values() if "example" in m), None),
        "responses": [
            {
                "status": status,
                "description": item["description"],
                "schema": next(
                    (kind(media["schema"]) for media in item.get("content", {}).values()), ""
                ),
                "target": next(
                    (target(media["schema"]) for media in item.get("content", {}).values()), None
                ),
            }
            for status, item in operation["responses"].items()
            # What every operation may answer stands once, under Conventions.
            if item["description"].lower() not in (HTTPStatus(int(status)).phrase.lower(), GENERIC)
        ],
    }


def _pretty(example: Any) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2)


def fields(schema: Json) -> list[Json]:
    """Fields of an object for people."""
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "type": kind(item),
            "target": target(item),
            "required": name in required,
            "default": json.dumps(item["default"]) if item.get("default") is not None else "",
            "description": item.get("description", ""),
        }
        for name, item in schema.get("properties", {}).items()
    ]


def target(schema: Json) -> str | None:
    """The named schema that this one is or holds, to link to."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for below in [schema.get("items"), *schema.get("anyOf", [])]:
        if isinstance(below, dict) and (found := target(below)):
            return found
    return None


def kind(schema: Json) -> str:
    """A schema in a few words.

    >>> kind({"type": "number", "exclusiveMinimum": 0, "maximum": 10})
    'number, > 0, <= 10'
    >>> kind({"anyOf": [{"type": "string"}, {"type": "null"}]})
    'string or null'
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(item) for item in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(item) for item in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    words = [schema.get("format") or schema.get("type") or "any"]
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    words += [f"{sign} {_number(schema[name])}" for name, sign in signs.items() if name in schema]
    if "maxLength" in schema:
        words.append(f"up to {schema['maxLength']:,} characters")
    return ", ".join(words)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"
