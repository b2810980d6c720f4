"""What happens to a job, as it happens: server-sent events, or JSON for those who poll."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, request
from pydantic_core import to_json

from api.auth import negotiated, produces
from api.context import parts, project_id
from api.errors import TooManyViewers
from api.progress import Progress
from api.schemas import EventsQuery, ResumeHeaders
from api.schemas_answers import EventAnswer, EventsAnswer
from automl.errors import DataError
from scheduler.errors import StoreUnavailable
from scheduler.job_intensity import yearly, zone_of
from scheduler.records import Job
from scheduler.store import Store

events = APIBlueprint("events", __name__, url_prefix="/v1", tag="Jobs")

log = logging.getLogger(__name__)

STREAM = "text/event-stream"
VIEWERS = "frugal_viewers"
RETRY_MILLISECONDS = 2000
POLL_SECONDS = 0.5  # how late an event can be; a look costs one indexed query
BEAT_SECONDS = 15.0  # proxies drop connections silent for 30 s or longer
STREAM_SECONDS = 600.0  # a stream ends then, and its reader resumes; so no thread is held for ever
PAGE = 500


def install(app: APIFlask, *, http_threads: int) -> None:
    """Cap the streams: each holds a thread, and half of the threads must stay for requests."""
    app.extensions[VIEWERS] = threading.BoundedSemaphore(max(1, http_threads // 2))
    app.config.setdefault("EVENT_POLL_SECONDS", POLL_SECONDS)
    app.config.setdefault("EVENT_STREAM_SECONDS", STREAM_SECONDS)


@events.get("/jobs/<job_id>/events")
@events.input(EventsQuery, location="query")
@events.input(ResumeHeaders, location="headers")
@events.output(EventsAnswer)
@events.doc(
    operation_id="getEvents",
    responses={
        204: "The job has ended and everything was seen: do not reconnect",
        503: "Too many viewers: poll with ?after= instead",
    },
)
@produces(STREAM, "application/json")
def follow(job_id: str, query_data: EventsQuery, headers_data: ResumeHeaders) -> Any:
    """Each trial as it ends, with an ETA, and at the end why the search stopped.

    As server-sent events by default, to be resumed with Last-Event-ID; with `after` or `newest`,
    or with Accept: application/json, the events so far as JSON.
    """
    store = parts().store
    job = store.get_job(project_id(), job_id)
    after = _after(query_data, headers_data)
    newest = query_data.newest
    polled = query_data.after is not None or newest is not None
    kinds = ("application/json", STREAM) if polled else (STREAM, "application/json")
    if negotiated(*kinds) == "application/json":
        if newest is None:
            found = store.events(job_id, after=after, limit=PAGE)
        else:
            found = [one for one in store.newest_events(job_id, limit=newest) if one.seq > after]
            after = max(after, found[0].seq - 1 if found else 0)
        progress = _progress(store, job, after=after)
        return EventsAnswer(
            items=[EventAnswer.of(progress.told(event)) for event in found],
            state=job.state.value,
            finished=job.state.is_final and len(found) < PAGE,
            last=found[-1].seq if found else after,
        )
    if job.state.is_final and not store.events(job_id, after=after, limit=1):
        return Response(status=204)
    return _stream(store, job, after=after)


def _after(query: EventsQuery, headers: ResumeHeaders) -> int:
    last = headers.last_event_id
    if last is None:
        return query.after or 0
    if not (last.isascii() and last.isdigit() and len(last) <= 9):
        raise DataError("Last-Event-ID is the number of an event", code="invalid_request")
    # A browser that reconnects asks for the same address again, and says beside it what it has.
    return max(int(last), query.after or 0)


def _progress(store: Store, job: Job, *, after: int) -> Progress:
    """What tells the ETA, with what the reader has seen before counted in."""
    intensity = yearly(zone_of(job, parts().settings.zone))
    progress = Progress(job, grams_per_kwh=intensity.grams_per_kwh)
    seen = 0
    while progress.needs_history and seen < after:
        before = store.events(job.id, after=seen, limit=min(PAGE, after - seen))
        if not before:
            break
        progress.skip(before)
        seen = before[-1].seq
    return progress


def _stream(store: Store, job: Job, *, after: int) -> Response:
    viewers: threading.BoundedSemaphore = current_app.extensions[VIEWERS]
    if request.method == "HEAD":
        return Response(mimetype=STREAM)
    if not viewers.acquire(blocking=False):
        raise TooManyViewers("as many event streams as allowed are open; poll with ?after= instead")
    lines = _lines(
        store,
        job,
        _progress(store, job, after=after),
        after=after,
        poll_seconds=current_app.config["EVENT_POLL_SECONDS"],
        stream_seconds=current_app.config["EVENT_STREAM_SECONDS"],
    )
    response = Response(_resumable(lines), mimetype=STREAM, headers={"X-Accel-Buffering": "no"})
    response.call_on_close(viewers.release)
    return response


def _resumable(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines, ended early where the database is away: the status is sent, the reader resumes."""
    try:
        yield from lines
    except StoreUnavailable as error:
        log.warning("a stream of events ends early: %s", error.code)


def _lines(
    store: Store,
    job: Job,
    progress: Progress,
    *,
    after: int,
    poll_seconds: float,
    stream_seconds: float,
) -> Iterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    began = beat = time.monotonic()
    while True:
        job = store.get_job(job.project_id, job.id)  # before the events: an end cannot be missed
        found = store.events(job.id, after=after, limit=PAGE)
        for event in found:
            after = event.seq
            answer = EventAnswer.of(progress.told(event)).model_dump(mode="json")
            body = to_json(answer, inf_nan_mode="null")
            yield b"id: %d\nevent: %s\ndata: %s\n\n" % (after, event.kind.encode(), body)
        if job.state.is_final and len(found) < PAGE:
            return
        at = time.monotonic()
        if at - began >= stream_seconds:
            return
        if found:
            beat = at
            continue
        if at - beat >= BEAT_SECONDS:
            beat = at
            yield b": still here\n\n"
        time.sleep(poll_seconds)
