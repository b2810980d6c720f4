"""The first page: what there is, and what to do next."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template

from api.pages.asking import get

front = Blueprint("front", __name__)

RECENT = 5


@front.get("/")
@front.get("", strict_slashes=False)
def index() -> Any:
    """Recent data sets, jobs and models; for who has none yet, the first step."""
    return render_template(
        "pages/front.html",
        datasets=get("/v1/datasets", limit=RECENT),
        jobs=get("/v1/jobs", limit=RECENT),
        models=get("/v1/models", limit=RECENT),
    )
