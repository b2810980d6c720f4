"""Jobs that wait for their windows: planned anew by newer forecasts, hastened by a full queue."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

from scheduler.backlog import in_the_way, urgent
from scheduler.carbon.series import IntensitySource
from scheduler.errors import ForecastUnavailable
from scheduler.plan import Plan
from scheduler.planner import utc_text
from scheduler.records import Job
from scheduler.replanning import replan
from scheduler.store import Store

log = logging.getLogger(__name__)

# Further ahead than this no source forecasts.
HORIZON = timedelta(days=7)
# A batch of plans is made between two ticks; those that start first come first.
MOST_REPLANNED = 1000
# A job that is asked to make way ends its trial first, or its loading; these take minutes. A later
# trial may be longer than those before it: rungs have twice to four times the rows.
MAKES_WAY_SECONDS = 300.0
LONGER = 3.0
HASTENED = "starts now: with the jobs ahead of it, it would miss its deadline in its window"


def hasten_urgent(
    store: Store,
    *,
    running: Collection[str],
    now: datetime,
    n_processes: int,
    notice_seconds: float,
) -> int:
    """Start the jobs whose windows the queue leaves no time for; how many there were.

    `running` are the jobs that run here: when they fill all processes, one that can wait makes way.
    It is asked so much earlier as that takes: told only when the other has to start, it would hold
    it up beyond its deadline.
    """
    deadlines = store.deadlines()
    if len(running) >= n_processes and any(one.id not in running for one in deadlines):
        notice_seconds += makes_way_seconds(store, running)
    hurried = urgent(deadlines, now=now, n_processes=n_processes, notice_seconds=notice_seconds)
    if not hurried:
        return 0
    if len(running) >= n_processes:
        last = in_the_way(deadlines, hurried, running=running)
        if last is not None and store.request_yield(last, now=now):
            log.info("job %s: makes way for one whose deadline is near", last)
    early = {one.id for one in deadlines if one.start_at > now}.intersection(hurried)
    if not early:
        return 0
    n_hastened = store.hasten(early, now=now, reason=HASTENED)
    log.info("%d jobs start before their windows, to keep their deadlines", n_hastened)
    return n_hastened


def makes_way_seconds(store: Store, running: Collection[str]) -> float:
    """How long the running jobs may take to come to a boundary, by their longest trials so far."""
    return max(MAKES_WAY_SECONDS, LONGER * max(map(store.longest_trial, running), default=0.0))


def replan_waiting(store: Store, source: IntensitySource, *, zone: str, now: datetime) -> int:
    """Plan waiting jobs again where a newer forecast is there; how many got another start.

    `zone` is that of jobs that name none.
    """
    by_zone: dict[str, list[tuple[Job, Plan]]] = defaultdict(list)
    for job in store.waiting(after=now, limit=MOST_REPLANNED):
        if job.plan is not None:
            plan = Plan.from_json(job.plan)
            by_zone[plan.when.zone or zone].append((job, plan))
    n_moved = 0
    for where, planned in sorted(by_zone.items()):
        end = max(plan.latest_start + timedelta(seconds=plan.seconds) for _, plan in planned)
        try:
            series = source.forecast(where, now, min(end, now + HORIZON), now=now)
        except ForecastUnavailable as error:
            log.warning("no newer forecast for zone %s: %s", where, error)
            continue
        for job, before in planned:
            after = replan(before, before.expectation, series, now=now)
            if after is before:
                continue
            moved = store.replan(job, plan=after.to_json(), start_at=after.start_at, now=now)
            if moved is not None and after.start_at != before.start_at:
                n_moved += 1
                then = utc_text(before.start_at, now)
                log.info("job %s: planned again, not at %s: %s", job.id, then, after.reason)
    return n_moved
