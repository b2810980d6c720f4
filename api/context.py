"""What a request handler may use: the parts that create_app was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from flask import current_app, g

from scheduler.config import Settings

if TYPE_CHECKING:
    from scheduler.artifacts import ArtifactStore
    from scheduler.batches import Batches
    from scheduler.carbon.series import IntensitySource
    from scheduler.ingestion import Ingestor
    from scheduler.late_reader import LateReader
    from scheduler.predictor import Predictor
    from scheduler.service import Service
    from scheduler.store import Store

EXTENSION = "frugal"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The scheduler's objects behind the API; service is None where another process runs jobs."""

    store: Store
    artifacts: ArtifactStore
    ingestor: Ingestor
    service: Service | None
    predictor: Predictor
    labels: LateReader
    settings: Settings
    batches: Batches
    intensity: IntensitySource | None = None  # None: there is no forecast, everything runs at once


def parts() -> Parts:
    """The parts of the app that serves the current request."""
    return cast(Parts, current_app.extensions[EXTENSION])


def project_id() -> str:
    """The project of the token of the current request."""
    return cast(str, g.project_id)


def actor() -> str:
    """Who asks, as the audit names them: the token, never its secret."""
    return f"token {g.token_id}"


def now() -> datetime:
    """When the current request came: the clock is asked once per request."""
    if "now" not in g:
        g.now = datetime.now(UTC)
    return cast(datetime, g.now)
