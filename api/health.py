"""Whether the service lives and can work, and its figures for Prometheus."""

from __future__ import annotations

import time
from typing import Any

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from api.auth import produces
from api.context import parts
from api.metrics import Watched
from api.schemas_answers import HealthAnswer

health = APIBlueprint("health", __name__, tag="Health")

METRICS = "frugal_metrics"
MIN_FREE_BYTES = 64 * 2**20  # below this nothing can be uploaded or trained


@health.get("/healthz")
@health.output(HealthAnswer)
@health.doc(operation_id="healthz", security=[])
def healthz() -> Any:
    """The process answers."""
    return HealthAnswer(status="ok")


@health.get("/readyz")
@health.output(HealthAnswer)
@health.doc(operation_id="readyz", security=[])
def readyz() -> Any:
    """Database and disk answer too; 503 says which does not."""
    checks = what_answers()
    ok = all(state == "ok" for state in checks.values())
    return (
        HealthAnswer(status="ok" if ok else "unavailable", checks=checks),
        200 if ok else 503,
        {} if ok else {"Retry-After": "5"},
    )


def what_answers() -> dict[str, str]:
    """Of database and disk: ``ok``, or what is wrong."""
    checks: dict[str, str] = {}
    try:
        parts().store.ping()
        checks["database"] = "ok"
    except Exception as error:  # whatever the driver raises, the answer is: not ready
        checks["database"] = type(error).__name__
    try:
        free = parts().artifacts.free_bytes()
        checks["disk"] = "ok" if free >= MIN_FREE_BYTES else "full"
    except OSError as error:
        checks["disk"] = type(error).__name__
    return checks


@health.get("/metrics")
@produces("text/plain", "application/openmetrics-text")
@health.doc(operation_id="metrics", responses={200: "Prometheus text"})
def metrics() -> Any:
    """Requests, queue, trials, energy, predictions and disk, as Prometheus reads them."""
    registry: CollectorRegistry = current_app.extensions[METRICS]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def install(app: APIFlask) -> None:
    """Count the requests of `app`, by route and status; never by path, which has ids."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    requests = Counter(
        "frugal_http_requests",
        "Requests answered",
        ["method", "route", "status"],
        registry=registry,
    )
    seconds = Histogram(
        "frugal_http_seconds", "Time to the first byte of an answer", ["route"], registry=registry
    )
    app.extensions[METRICS] = registry
    registry.register(Watched())

    def begin() -> None:
        g.began = time.perf_counter()

    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "unknown"
        requests.labels(request.method, route, str(response.status_code)).inc()
        if "began" in g:
            seconds.labels(route).observe(time.perf_counter() - g.began)
        return response

    app.before_request(begin)
    app.after_request(count)
