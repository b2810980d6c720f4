"""The Flask application, put together."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from apiflask import APIFlask
from flask import request
from flask.json.provider import DefaultJSONProvider
from pydantic_core import to_json
from werkzeug.exceptions import NotFound

from api import auth, documents, errors, events, health
from api.audit import audit
from api.context import EXTENSION, Parts
from api.curves import curves
from api.datasets import datasets
from api.drift import drift
from api.emissions import emissions
from api.emissions_file import emissions_file
from api.frugality import frugality
from api.inferring import inferring
from api.jobs import jobs
from api.json_body import StrictRequest
from api.knowledge import knowledge
from api.leaderboard import leaderboard
from api.ledger import ledger
from api.models import models
from api.open_inference import open_inference
from api.pages import PREFIX, build_pages
from api.pages.session import mounted
from api.picks import picks
from api.plans import plans
from api.predictions import predictions
from api.promotions import promotions
from api.schedules import schedules
from api.tokens import tokens
from api.uploads import uploads
from api.waiting import waiting
from api.webhooks import webhooks


class FiniteJson(DefaultJSONProvider):
    """JSON as the standard has it: what is not finite becomes null; keys keep their order."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return to_json(obj, inf_nan_mode="null").decode()


def build(parts: Parts) -> APIFlask:
    """All routes over the parts; see api.create_app."""
    app = APIFlask(
        "api",
        title="Frugal",
        version=_version(),
        spec_path=None,
        docs_path=None,
        json_errors=False,
        static_folder="static",
        template_folder="templates",
    )
    app.request_class = StrictRequest
    app.json = FiniteJson(app)
    app.config["MAX_CONTENT_LENGTH"] = parts.settings.max_body_bytes
    app.config["MAX_FORM_PARTS"] = 1  # no route reads a form
    app.extensions[EXTENSION] = parts
    app.url_map.merge_slashes = False  # /v1//jobs is no other way to write /v1/jobs
    health.install(app)
    auth.install(app, settings=parts.settings)
    app.before_request(_one_slash)
    errors.install(app)
    events.install(app, http_threads=parts.settings.http_threads)
    documents.install(app)
    routes = (
        datasets,
        jobs,
        waiting,
        events.events,
        leaderboard,
        picks,
        models,
        predictions,
        curves,
        drift,
        plans,
    )
    nightly = (promotions, schedules, audit)
    for blueprint in (
        *routes,
        uploads,
        inferring,
        *nightly,
        knowledge,
        ledger,
        emissions,
        emissions_file,
        frugality,
        webhooks,
        tokens,
        open_inference,
        health.health,
        documents.documents,
    ):
        app.register_blueprint(blueprint)
    api = app.wsgi_app
    app.wsgi_app = mounted(build_pages(parts, api), api, prefix=PREFIX)  # type: ignore[assignment, method-assign]
    return app


def _one_slash() -> None:
    """Refuse a path that begins with more slashes, which Werkzeug would strip.

    It is another path, and the limits of bodies are told by the path, too. Raises NotFound.
    """
    if request.environ.get("PATH_INFO", "").startswith("//"):
        raise NotFound


def _version() -> str:
    try:
        return version("frugal-automl")
    except PackageNotFoundError:
        return "0"
