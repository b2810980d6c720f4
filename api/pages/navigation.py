"""What every page shows: where one is, and who one is."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Flask, g, request

# Title, address, and how the addresses below it begin.
SECTIONS = (
    ("Datasets", "/ui/datasets"),
    ("Jobs", "/ui/jobs"),
    ("Models", "/ui/models"),
    ("Schedules", "/ui/schedules"),
    ("Carbon", "/ui/carbon"),
)


def _shared() -> dict[str, Any]:
    here = next((path for _, path in SECTIONS if request.path.startswith(path)), None)
    return {
        "sections": SECTIONS,
        "here": here,
        "me": g.get("me"),
        "charts_version": version("vl-convert-python"),
    }


def install(app: Flask) -> None:
    """Give the templates of `app` what the frame of every page shows."""
    app.context_processor(_shared)
