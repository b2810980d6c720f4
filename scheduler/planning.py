"""A job's place in time: its plan by the forecast of its zone, and the job that carries it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from automl.search.expectation import Expectation
from scheduler.carbon.series import IntensitySeries, IntensitySource
from scheduler.carbon.zones import known_zone
from scheduler.errors import ForecastUnavailable
from scheduler.plan import Plan, When
from scheduler.planner import plan, span
from scheduler.records import Job, JobState

log = logging.getLogger(__name__)


def planned(
    when: Mapping[str, Any],
    expected: Mapping[str, float],
    *,
    source: IntensitySource | None,
    zone: str,
    now: datetime,
    finish_by: datetime | None = None,
) -> Plan:
    """The plan of a request's `when`, for a job that is expected to take so much.

    Parameters
    ----------
    source : of the forecast; None, or one that has none: the job runs at once
    zone : where `when` names none
    finish_by : a deadline in place of that of `when`

    Raises
    ------
    DataError
        ``unknown_zone``, with the list; ``deadline_infeasible``, with the earliest possible.
    """
    asked = When.from_json(when)
    if finish_by is not None:
        asked = replace(asked, finish_by=finish_by)
    where = known_zone(asked.zone or zone)
    wish = replace(asked, zone=where)
    expectation = Expectation.from_json(expected)
    start, end = span(wish, expectation, now=now)
    series: IntensitySeries | None = None
    if source is not None:
        try:
            series = source.forecast(where, start, end, now=now)
        except ForecastUnavailable as error:
            log.warning("no forecast for zone %s: %s", where, error)
    return plan(wish, expectation, series, now=now)


def placed(job: Job, plan: Plan | None) -> Job:
    """The job as it is submitted under a plan: it waits, or is due at once; None: at once."""
    if plan is None:
        return job
    waits = plan.start_at > job.submitted_at
    return replace(
        job,
        state=JobState.PLANNED if waits else JobState.SUBMITTED,
        plan=plan.to_json(),
        start_at=plan.start_at,
        finish_by=plan.finish_by,
        expected_seconds=plan.expectation.seconds,
    )
