"""How long a job may still take, from what it used of its limits so far."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from scheduler.records import Event, Job


def with_eta(event: Event, job: Job) -> Event:
    """The event of a trial with `eta_seconds`, at most so many until the search stops.

    Events that say it themselves keep what they say; where no limit of the job can be compared
    with what was used, it is null.
    """
    if event.kind != "trial" or "eta_seconds" in event.data:
        return event
    return replace(event, data={**event.data, "eta_seconds": eta_seconds(event, job)})


def eta_seconds(event: Event, job: Job) -> float | None:
    """Seconds until the first limit is reached at the pace so far.

    Not promised: a search mostly stops before its limits, when the next step is not worth its
    energy.
    """
    if job.started_at is None:
        return None
    elapsed = _seconds(job.started_at, event.at)
    limits = job.request.get("limits") or {}
    shares = []
    if limits.get("wall_seconds"):
        shares.append(elapsed / limits["wall_seconds"])
    number = event.data.get("number")
    if limits.get("trials") and isinstance(number, int):
        shares.append((number + 1) / limits["trials"])
    if not shares or elapsed <= 0:
        return None
    share = min(max(shares), 1.0)
    return round(elapsed * (1.0 - share) / share, 1)


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
