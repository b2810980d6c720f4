"""Who may do what: one table of routes and roles; what is not in it only an admin may."""

from __future__ import annotations

from collections.abc import Mapping

from automl.errors import FrugalError

# Each may do what those before it may.
ROLES = ("viewer", "analyst", "approver", "admin")
VIEWER, ANALYST, APPROVER, ADMIN = ROLES

ROLE_OF: Mapping[str, str] = {
    # Reading, and what changes nothing: predictions and plans keep nothing of what is sent.
    "datasets.index": VIEWER,
    "datasets.get": VIEWER,
    "datasets.profile": VIEWER,
    "datasets.versions": VIEWER,
    "jobs.index": VIEWER,
    "jobs.get": VIEWER,
    "jobs.receipt": VIEWER,
    "waiting.index": VIEWER,
    "events.follow": VIEWER,
    "emissions_file.show": VIEWER,
    "leaderboard.show": VIEWER,
    "picks.show": VIEWER,
    "models.index": VIEWER,
    "models.get": VIEWER,
    "models.card": VIEWER,
    "models.predict": VIEWER,
    "open_inference.server": VIEWER,
    "open_inference.model": VIEWER,
    "open_inference.model_version": VIEWER,
    "open_inference.model_ready": VIEWER,
    "open_inference.version_ready": VIEWER,
    "open_inference.infer": VIEWER,
    "open_inference.infer_version": VIEWER,
    "predictions.index": VIEWER,
    "predictions.get": VIEWER,
    "curves.show": VIEWER,
    "drift.show": VIEWER,
    "promotions.index": VIEWER,
    "plans.create": VIEWER,
    "plans.index": VIEWER,
    "knowledge.show": VIEWER,
    "ledger.index": VIEWER,
    "emissions.by_location": VIEWER,
    "emissions.current": VIEWER,
    "emissions.latest": VIEWER,
    "frugality.of_job": VIEWER,
    "frugality.of_model": VIEWER,
    "tokens.show": VIEWER,
    "webhooks.index": VIEWER,
    "health.metrics": VIEWER,
    "schedules.index": VIEWER,
    "schedules.get": VIEWER,
    "schedules.runs": VIEWER,
    # Work: data in, searches, labels; a model out of the service is more than a prediction.
    "datasets.create": ANALYST,
    "datasets.append": ANALYST,
    "inferring.propose": ANALYST,
    "uploads.create": ANALYST,
    "uploads.index": ANALYST,
    "uploads.get": ANALYST,
    "uploads.put": ANALYST,
    "uploads.complete": ANALYST,
    "uploads.delete": ANALYST,
    "jobs.submit": ANALYST,
    "jobs.cancel": ANALYST,
    "jobs.pause": ANALYST,
    "jobs.resume": ANALYST,
    "models.export": ANALYST,
    # Unlike single predictions, they are kept.
    "predictions.create": ANALYST,
    "predictions.content": ANALYST,
    "predictions.delete": ANALYST,
    "promotions.outcomes": ANALYST,
    # A schedule that promotes by itself is an approver's, also to pause and to delete: its routes
    # ask for that in addition.
    "schedules.create": ANALYST,
    "schedules.change": ANALYST,
    "schedules.delete": ANALYST,
    # What answers customers, what is gone for good, and who did it.
    "promotions.promote": APPROVER,
    "promotions.rollback": APPROVER,
    "datasets.delete": APPROVER,
    "models.delete": APPROVER,
    "audit.index": APPROVER,
}


class Forbidden(FrugalError):
    """The token is valid, but its role may not do this; the message names the one that may."""

    code = "forbidden"


def role_needed(endpoint: str) -> str:
    """The least role that may use a route.

    >>> role_needed("datasets.delete"), role_needed("a.route.nobody.thought.of")
    ('approver', 'admin')
    """
    return ROLE_OF.get(endpoint, ADMIN)


def require(role: str, needed: str, *, what: str = "this") -> None:
    """Raises Forbidden unless the role is the one needed, or one that may do more."""
    if role not in ROLES or ROLES.index(role) < ROLES.index(needed):
        raise Forbidden(f"the token's role is {role}: {what} needs the role {needed}")
