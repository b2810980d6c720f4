"""Which role a page takes: looked at before anything that was sent is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, g, request

from api.pages.asking import Refused
from api.roles import ROLES, role_needed

# What a view asks of the API in the end, by the view's endpoint; `{action}` is of its address.
# Views that are not named here only read, or predict and plan, which every role may.
ASKED: Mapping[str, str] = {
    "appending.append": "datasets.append",
    "datasets.delete": "datasets.delete",
    "drift.outcomes": "promotions.outcomes",
    "jobs.act": "jobs.{action}",
    "models.delete": "models.delete",
    "predictions.create": "predictions.create",
    "predictions.delete": "predictions.delete",
    "schedules.create": "schedules.create",
    "schedules.act": "schedules.{action}",
    "schedules.delete": "schedules.delete",
    "together.create": "datasets.create",
    "uploads.accept": "datasets.create",
    "uploads.register": "datasets.create",
    "uploads.forget": "uploads.delete",
    "versions.confirm_promotion": "promotions.promote",
    "versions.promote": "promotions.promote",
    "versions.confirm_rollback": "promotions.rollback",
    "versions.rollback": "promotions.rollback",
}
# Actions that are one route of the API under another name.
SAME = {"schedules.pause": "schedules.change", "schedules.resume": "schedules.change"}


def may(endpoint: str) -> bool:
    """Whether the one who is signed in may use a route of the API, by its endpoint's name."""
    role = g.get("me", {}).get("role")
    return role in ROLES and ROLES.index(role) >= ROLES.index(role_needed(endpoint))


def need(endpoint: str) -> None:
    """Raises Refused (403), which names the role, unless a route of the API may be used."""
    if not may(endpoint):
        role = g.get("me", {}).get("role")
        told = f"your role is {role}: this takes the role {role_needed(endpoint)}"
        raise Refused(403, {"detail": told, "code": "forbidden"})


def asked_of(endpoint: str, arguments: Mapping[str, Any]) -> str | None:
    """The route that a view asks in the end; None where every role may, or nobody knows it.

    >>> asked_of("schedules.act", {"action": "pause"}), asked_of("jobs.index", {})
    ('schedules.change', None)
    >>> asked_of("jobs.act", {"action": "explode"}) is None
    True
    """
    named = ASKED.get(endpoint)
    if named is None:
        return None
    if "{action}" in named:
        if arguments.get("action") not in ("pause", "resume", "cancel", "delete"):
            return None
        named = named.format(action=arguments["action"])
    return SAME.get(named, named)


def _before() -> None:
    named = asked_of(request.endpoint or "", request.view_args or {})
    if named is not None:
        need(named)


def install(app: Flask) -> None:
    """Refuse what the role of the one who is signed in may not send; tell the templates."""
    app.before_request(_before)
    # Of the environment and not of a context, so that imported macros know them, too.
    app.jinja_env.globals.update(may=may, role_needed=role_needed)
