"""The REST interface: parse, one call of the scheduler, serialise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apiflask import APIFlask

    from scheduler.artifacts import ArtifactStore
    from scheduler.batches import Batches
    from scheduler.carbon.series import IntensitySource
    from scheduler.config import Settings
    from scheduler.ingestion import Ingestor
    from scheduler.late_reader import LateReader
    from scheduler.predictor import Predictor
    from scheduler.service import Service
    from scheduler.store import Store

__all__ = ["create_app"]


def create_app(
    *,
    store: Store,
    artifacts: ArtifactStore,
    ingestor: Ingestor,
    service: Service | None,
    predictor: Predictor,
    settings: Settings,
    intensity: IntensitySource | None = None,
    labels: LateReader | None = None,
    batches: Batches | None = None,
) -> APIFlask:
    """The WSGI application over these parts of the scheduler.

    It starts nothing: whoever creates the parts also starts and stops them. `service` is None
    where jobs run in another process; without `labels` it makes a reader of later labels, whose
    process ends by itself when it is idle; without `intensity` no forecast is known and nothing
    waits.
    """
    # Imported here so that `api.client` does not bring a web framework with it.
    from api.application import build
    from api.context import Parts
    from scheduler.batches import Batches
    from scheduler.late_reader import LateReader

    return build(
        Parts(
            store=store,
            artifacts=artifacts,
            ingestor=ingestor,
            service=service,
            predictor=predictor,
            labels=LateReader(settings) if labels is None else labels,
            settings=settings,
            batches=batches or Batches(store, artifacts, settings),
            intensity=intensity,
        )
    )
