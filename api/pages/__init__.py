"""Pages for people: a view of `/v1`, asked in-process with the token of whoever is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from api.context import EXTENSION, Parts
from api.pages import (
    appending,
    asking,
    carbon,
    curves,
    datasets,
    drift,
    failures,
    formats,
    front,
    jobs,
    leaderboard,
    models,
    navigation,
    new_job,
    predictions,
    rights,
    schedules,
    scripts,
    session,
    together,
    uploads,
    versions,
)

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

PREFIX = "/ui"


def build_pages(parts: Parts, api: WSGIApplication) -> Flask:
    """An application of its own, so that forms, redirects and cookies stay out of the API.

    Parameters
    ----------
    api : what answers ``/v1``; every figure on a page comes from it.
    """
    app = Flask("api", template_folder="templates", static_folder=None)
    app.jinja_options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    app.extensions[EXTENSION] = parts
    app.config["MAX_CONTENT_LENGTH"] = parts.settings.max_body_bytes
    formats.install(app)
    asking.install(app, api=api)
    session.install(app)
    rights.install(app)
    failures.install(app)
    navigation.install(app)
    for noun in (
        front.front,
        scripts.scripts,
        together.together,
        datasets.datasets,
        appending.appending,
        uploads.uploads,
        new_job.new_job,
        jobs.jobs,
        leaderboard.leaderboard,
        models.models,
        curves.curves,
        predictions.predictions,
        versions.versions,
        drift.drift,
        schedules.schedules,
        carbon.carbon,
    ):
        app.register_blueprint(noun, url_prefix=PREFIX)
    return app
