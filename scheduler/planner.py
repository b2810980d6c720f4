"""When a job runs: the plan of a wish and a forecast, as pure functions.

Every start is ranked by the forecast, the present hour's too: ranking its measurement against
forecasts waits for ever. So a plan is made once, and again only when a newer forecast is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypedDict

from automl.errors import DataError
from automl.search.expectation import Expectation
from scheduler.carbon.series import IntensitySeries
from scheduler.plan import LEAST_SECONDS, NOW, Option, Plan, Slot, When
from scheduler.slots import best_slots
from scheduler.window import DIGITS, Window, best_windows, stretches

# A deadline leaves room for work that takes a fifth more than expected, or for the 95th
# percentile where it is known (`automl.search.outlook` says how far off expectations were).
MARGIN = 1.2
# A job that names no deadline waits a day at most: further ahead no forecast is worth much.
DEFAULT_SLACK = timedelta(hours=24)
FURTHEST = timedelta(days=365)
# However late the deadline is, nothing waits longer than the week that a forecast can speak of.
MOST_AHEAD = timedelta(days=7)
# With less to gain a wait is as likely to be dirtier, on flat grids above all.
FLOOR_GRAMS_PER_KWH = 5.0
# Of 100 hours of a live feed 99 are known within 3.5 hours; an older forecast is a broken one.
MOST_AGE = timedelta(hours=6)
# Pausing gains shorter jobs less than half a percent of their emissions.
LONG_SECONDS = 8 * 3600.0
N_OPTIONS = 5
# One-sided 95 %: of a hundred differences five turn out worse.
WORST = 1.645


class _Bounds(TypedDict):
    """What windows are looked for between."""

    seconds: float
    earliest: datetime
    latest_end: datetime


def plan(
    when: When, expectation: Expectation, series: IntensitySeries | None, *, now: datetime
) -> Plan:
    """Return when a job runs, and what that is expected to save.

    Parameters
    ----------
    when : what the one who asks allows
    expectation : of the job, or of what is left of it
    series : the forecast from `now` on; None where no source has one, and then it runs at once
    now : aware, UTC

    Raises
    ------
    DataError
        ``deadline_infeasible``: the deadline or the latest start has passed, comes before the job
        can have ended (``details["earliest_finish"]``), or is more than a year ahead.
    """
    earliest = max(now, when.start_after) if when.start_after is not None else now
    _check(when, expectation, earliest=earliest, now=now)
    return decided(when, expectation, series, earliest=earliest, now=now)


def span(when: When, expectation: Expectation, *, now: datetime) -> tuple[datetime, datetime]:
    """Return from when to when a plan reads the forecast."""
    earliest = now if when.start_after is None else max(now, when.start_after)
    length = timedelta(seconds=max(expectation.seconds, LEAST_SECONDS))
    latest_start = latest_start_of(when, expectation, earliest=earliest)
    return earliest, min(latest_start, earliest + MOST_AHEAD) + length


def latest_start_of(when: When, expectation: Expectation, *, earliest: datetime) -> datetime:
    """Return until when the start can wait: by the wish, and so that the deadline is kept."""
    bounds = [when.latest_start] if when.latest_start is not None else []
    if when.finish_by is not None:
        room = max(MARGIN * expectation.seconds, expectation.p95_seconds)
        bounds.append(when.finish_by - timedelta(seconds=room))
    if not bounds:
        bounds = [earliest + DEFAULT_SLACK]
    return max(min(bounds), earliest)


def _check(when: When, expectation: Expectation, *, earliest: datetime, now: datetime) -> None:
    soonest = earliest + timedelta(seconds=MARGIN * expectation.seconds)
    for field in ("finish_by", "latest_start", "start_after"):
        moment = getattr(when, field)
        if moment is not None and moment > now + FURTHEST:
            raise _infeasible(field, moment, "is more than a year ahead", soonest, now)
    if when.latest_start is not None and when.latest_start < now:
        raise _infeasible("latest_start", when.latest_start, "has passed", soonest, now)
    if when.finish_by is not None and when.finish_by <= now:
        raise _infeasible("finish_by", when.finish_by, "has passed", soonest, now)
    if when.finish_by is not None and when.finish_by < soonest:
        why = (
            f"is too early: from {utc_text(earliest, now)} the job is expected to take "
            f"{expectation.seconds:.3g} s, and a fifth more is kept in hand"
        )
        raise _infeasible("finish_by", when.finish_by, why, soonest, now)


def _infeasible(
    field: str, moment: datetime, why: str, soonest: datetime, now: datetime
) -> DataError:
    # Rounded up, so that the moment that is told is not refused in its turn.
    earliest_finish = soonest.replace(second=0, microsecond=0) + timedelta(minutes=2)
    return DataError(
        f"{field} {utc_text(moment, now)} {why}; the earliest possible finish is "
        f"{utc_text(earliest_finish, now)}",
        code="deadline_infeasible",
        details={
            "field": f"when.{field}",
            "earliest_finish": earliest_finish.isoformat(),
            "latest_finish": (now + FURTHEST).isoformat(),
        },
    )


def decided(
    when: When,
    expectation: Expectation,
    series: IntensitySeries | None,
    *,
    earliest: datetime,
    now: datetime,
    last: datetime | None = None,
) -> Plan:
    """Return the plan between bounds that are known to be possible."""
    latest_start = latest_start_of(when, expectation, earliest=earliest)
    if last is not None and when.finish_by is None:  # not later with every new forecast
        latest_start = max(min(last, latest_start), earliest)
    length = timedelta(seconds=max(expectation.seconds, LEAST_SECONDS))
    bounds: _Bounds = {
        "seconds": length.total_seconds(),
        "earliest": earliest,
        "latest_end": min(latest_start, earliest + MOST_AHEAD) + length,
    }
    draft = Plan(
        when=when,
        decided_at=now,
        slots=(Slot(start=earliest, end=earliest + length),),
        latest_start=latest_start,
        expectation=expectation,
        reason="",
    )
    runs = "runs now" if earliest == now else f"runs at {utc_text(earliest, now)}"
    found: tuple[Window, ...] = ()
    if series is not None and series.readings:
        draft = _priced(draft, series)
        found = best_windows(series, count=N_OPTIONS, **bounds)
        draft = replace(draft, alternatives=tuple(_option(one, draft) for one in found))
    if when.policy == NOW:
        return replace(draft, reason=f"{runs}, as asked")
    if series is None or not series.readings:
        why = "no forecast of the carbon intensity is at hand"
    elif now - series.issued_at > MOST_AGE:
        hours = (now - series.issued_at).total_seconds() / 3600
        why = f"the forecast of {series.source} is {hours:.0f} hours old"
    elif latest_start <= earliest:
        why = "its latest start leaves no room to wait"
    else:
        chosen = _with_pauses(when, expectation, series, found[:1], bounds)
        if chosen:
            return _weighed(draft, chosen, runs=runs, now=now)
        hours = expectation.seconds / 3600
        why = f"no stretch of the forecast covers the {hours:.2g} hours it takes"
    return replace(draft, reason=f"{runs}: {why}")


def _priced(draft: Plan, series: IntensitySeries) -> Plan:
    """The plan of a run from the first moment, with what the forecast says of it."""
    grams, kwh = _at_once(series, draft.slots[0].start, draft.slots[0].end), draft.expectation.kwh
    return replace(
        draft,
        zone=series.zone,
        source=series.source,
        factor_type=series.factor_type,
        signal=series.signal,
        issued_at=series.issued_at,
        error_grams=series.error_grams,
        grams_per_kwh_now=grams,
        grams_per_kwh=grams,
        gco2e_now=grams * kwh,
        gco2e=grams * kwh,
        worst_saving_gco2e=0.0,
    )


def _with_pauses(
    when: When,
    expectation: Expectation,
    series: IntensitySeries,
    whole: tuple[Window, ...],
    bounds: _Bounds,
) -> tuple[Window, ...]:
    """The best window, if there is one, or slots where pausing may be and is worth its cost."""
    long = bounds["seconds"] > LONG_SECONDS
    if not (long if when.interruptible is None else when.interruptible):
        return whole
    slots = best_slots(series, pause_seconds=expectation.pause_seconds, **bounds)
    return slots if slots and (not whole or _area(slots) < _area(whole)) else whole


def _at_once(series: IntensitySeries, start: datetime, end: datetime) -> float:
    """The forecast of a run that begins at the first moment; the nearest reading in a hole."""
    covered = stretches(series, start, end)
    if not covered:
        return min(series.readings, key=lambda one: abs(one.start - start)).grams_per_kwh
    seconds = sum(one.edges[-1] - one.edges[0] for one in covered)
    return round(sum(one.areas[-1] for one in covered) / seconds, DIGITS)


def _area(slots: Sequence[Window]) -> float:
    """Seconds times g/kWh."""
    return sum(one.grams_per_kwh * one.seconds for one in slots)


def _weighed(draft: Plan, chosen: tuple[Window, ...], *, runs: str, now: datetime) -> Plan:
    """The plan that waits for what was chosen, or runs at once where that gains too little."""
    before = draft.grams_per_kwh_now or 0.0
    # Of the work without the pauses: what they take is part of what waiting costs.
    planned = _area(chosen) / draft.seconds
    gain = before - planned
    share = gain / before if before > 0 else 0.0
    least = FLOOR_GRAMS_PER_KWH if draft.when.floor > 0 else 0.0
    first = utc_text(chosen[0].start, now)
    if gain <= 0 or (len(chosen) == 1 and chosen[0].start <= draft.start_at):
        return replace(draft, reason=f"{runs}: no later start is expected to be cleaner")
    if share < draft.when.floor or gain < least:
        where = f"{len(chosen)} slots from {first} on"
        return replace(
            draft,
            reason=f"{runs}: {where if len(chosen) > 1 else f'waiting until {first}'} would save "
            f"{100 * share:.2g} % ({gain:.2g} g/kWh), less than the floor of "
            f"{100 * draft.when.floor:g} % and {least:g} g/kWh",
        )
    kwh = draft.expectation.kwh
    worst = None if draft.error_grams is None else (gain - WORST * draft.error_grams) * kwh
    slots = tuple(Slot(start=one.start, end=one.end) for one in chosen)
    verb = runs if slots[0].start <= draft.start_at else f"waits until {first}"
    if len(slots) > 1:
        verb += f", in {len(slots)} slots"
    numbers = (
        f"{before:.0f} -> {planned:.0f} g/kWh, saves {100 * share:.0f} % of "
        f"{_amount(before * kwh)} gCO2e"
    )
    return replace(
        draft,
        slots=slots,
        grams_per_kwh=planned,
        gco2e=planned * kwh,
        worst_saving_gco2e=worst,
        reason=f"{verb}: {numbers}{_at_worst(worst, before * kwh)}",
    )


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _at_worst(worst: float | None, before: float) -> str:
    if worst is None or before <= 0:
        return ""
    share = 100 * worst / before
    return f"; at worst {abs(share):.0f} % {'dirtier' if share < 0 else 'saved'}"


def _option(window: Window, draft: Plan) -> Option:
    """A window as somebody sees it who might choose it."""
    kwh = draft.expectation.kwh
    gain = (draft.grams_per_kwh_now or 0.0) - window.grams_per_kwh
    # The difference of a window with itself has no error.
    waits = window.start > draft.start_at
    error = draft.error_grams if waits else 0.0
    return Option(
        start=window.start,
        end=window.end,
        grams_per_kwh=window.grams_per_kwh,
        gco2e=window.grams_per_kwh * kwh,
        saving_gco2e=gain * kwh,
        worst_saving_gco2e=None if error is None else (gain - WORST * error) * kwh,
    )


def utc_text(moment: datetime, now: datetime) -> str:
    """A moment for people: the hour, and the day where it is another.

    >>> from datetime import UTC
    >>> now = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    >>> utc_text(now.replace(hour=13, minute=0), now), utc_text(now + timedelta(days=1), now)
    ('13:00 UTC', '2026-11-24 09:30 UTC')
    """
    day = "" if moment.date() == now.date() else "%Y-%m-%d "
    return f"{moment:{day}%H:%M} UTC"
