"""The API's own description: OpenAPI 3.1 for programs, a page for people."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import current_app, render_template

from api.auth import produces

documents = APIBlueprint("documents", __name__, tag="Documents")


@documents.get("/")
@produces("text/html")
@documents.doc(operation_id="index", security=[], responses={200: "A page"})
def index() -> Any:
    """Where to begin."""
    return render_template("index.html", version=current_app.version)


@documents.get("/openapi.json")
@documents.doc(operation_id="openapi", security=[], responses={200: "OpenAPI 3.1"})
def openapi() -> Any:
    """This description, as OpenAPI 3.1."""
    return current_app._get_spec("json")


@documents.get("/docs")
@produces("text/html")
@documents.doc(operation_id="docs", security=[], responses={200: "A page"})
def docs() -> Any:
    """This description, as a page to read."""
    return render_template("docs.html", spec=current_app._get_spec("json"))
