"""What every page shows: where one is, who one is, and what one may do."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Flask, g, request

from api.roles import ROLES, role_needed

# Title, address, and how the addresses below it begin.
SECTIONS = (
    ("Datasets", "/ui/datasets"),
    ("Jobs", "/ui/jobs"),
    ("Models", "/ui/models"),
    ("Schedules", "/ui/schedules"),
    ("Carbon", "/ui/carbon"),
)


def may(endpoint: str) -> bool:
    """Whether the one who is signed in may use a route of the API, by its endpoint's name."""
    role = g.get("me", {}).get("role")
    return role in ROLES and ROLES.index(role) >= ROLES.index(role_needed(endpoint))


def _shared() -> dict[str, Any]:
    here = next((path for _, path in SECTIONS if request.path.startswith(path)), None)
    return {
        "sections": SECTIONS,
        "here": here,
        "me": g.get("me"),
        "may": may,
        "charts_version": version("vl-convert-python"),
    }


def install(app: Flask) -> None:
    """Give the templates of `app` what the frame of every page shows."""
    app.context_processor(_shared)
