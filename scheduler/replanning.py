"""A waiting job's plan by a newer forecast; moved only for a gain that is worth a wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from automl.search.expectation import Expectation
from scheduler.carbon.series import IntensitySeries
from scheduler.errors import ForecastUnavailable
from scheduler.plan import Plan
from scheduler.planner import FLOOR_GRAMS_PER_KWH, decided, utc_text


def replan(
    before: Plan, expectation: Expectation, series: IntensitySeries, *, now: datetime
) -> Plan:
    """Return the plan by a newer forecast; the same plan where this one is not newer.

    The slots of the plan stay, with their new figures, unless others gain the floor beside them:
    a job that is near its window would else start before it, since little is left to gain, and
    one that every forecast moves a little would wait for ever. What the plan saves stays measured
    from the first moment that was allowed. It never refuses: a job that was accepted runs, at once
    where its latest start has passed.
    """
    if before.issued_at is not None and series.issued_at <= before.issued_at:
        return before
    start_after = before.when.start_after
    earliest = now if start_after is None else max(now, start_after)
    found = decided(
        before.when, expectation, series, earliest=earliest, now=now, last=before.latest_start
    )
    kept = _kept(before, found, series, now=now)
    if before.gco2e_now is None:
        return kept
    return replace(kept, grams_per_kwh_now=before.grams_per_kwh_now, gco2e_now=before.gco2e_now)


def _kept(before: Plan, found: Plan, series: IntensitySeries, *, now: datetime) -> Plan:
    """The plan before, by the newer forecast, unless the one that was found gains the floor."""
    if before.slots[0].start < now or before.slots[0].start > found.latest_start:
        return found
    try:
        area = sum(
            series.mean(slot.start, slot.end) * (slot.end - slot.start).total_seconds()
            for slot in before.slots
        )
        if min(series.covered(slot.start, slot.end) for slot in before.slots) < 1:
            return found
    except ForecastUnavailable:
        return found
    as_before = area / before.seconds
    gain = as_before - (as_before if found.grams_per_kwh is None else found.grams_per_kwh)
    least = FLOOR_GRAMS_PER_KWH if before.when.floor > 0 else 0.0
    if gain > 0 and gain >= least and gain >= before.when.floor * as_before:
        return found
    kwh = before.expectation.kwh
    start = utc_text(before.slots[0].start, now)
    return replace(
        found,
        slots=before.slots,
        grams_per_kwh=as_before,
        gco2e=as_before * kwh,
        worst_saving_gco2e=before.worst_saving_gco2e,
        reason=f"still waits until {start}: {as_before:.0f} g/kWh by the newer forecast",
    )
