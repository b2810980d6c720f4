"""What a job emitted, phase by phase and day by day, beside a start at its submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from automl.cost import JOULES_PER_KWH, Cost
from scheduler.emissions import Emissions, Rates, Stretch, by_day, moved
from scheduler.ledger import INGEST, LedgerLine
from scheduler.records import Job, StoredDataset

# Half of the hours of a live feed are known an hour after their end, 99 of 100 within 3.5 hours;
# some are mended the day after.
SETTLE_AFTER = (timedelta(minutes=90), timedelta(hours=6), timedelta(hours=30))
# Savings below this share of the emissions are rounding.
NOISE = 1e-9
NOW = "now"

Lines = tuple[LedgerLine, ...]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What the work of a job emitted, and what it would have from its submission on.

    `phases` has the reading of the data set too, under ``ingest``; `actual`, `earlier` and the
    ledger's `lines` do not: it is not the job's to wait, and it is billed once.
    """

    zone: str
    rates: Rates
    phases: Mapping[str, Emissions]
    actual: Emissions
    earlier_gco2e: float
    lines: Lines
    later: Mapping[str, Any]
    settle_at: datetime | None

    def intensity(self, of: Emissions) -> dict[str, Any]:
        """The intensity of some of it, see `intensity_of`."""
        return intensity_of(of, self.rates, zone=self.zone)


def intensity_of(of: Emissions, rates: Rates, *, zone: str) -> dict[str, Any]:
    """An intensity as bills have it: how much, from where, how counted, how much estimated."""
    series = rates.series
    main = max(of.sources, key=lambda name: of.sources[name], default=series.source)
    joules = sum(of.sources.values())
    return {
        "zone": zone,
        "grams_per_kwh": of.grams_per_kwh(series.mean(series.start, series.end)),
        "source": main,
        "sources": {name: one / joules for name, one in of.sources.items()} if joules else {},
        "factor_type": series.factor_type,
        "signal": series.signal,
        "issued_at": series.issued_at.isoformat(),
        "share_estimated": of.share_estimated,
    }


def spans_of(stretches: Sequence[Stretch], job: Job) -> list[tuple[datetime, datetime]]:
    """The spans of time whose intensities a job's bill needs."""
    spans = [(one.start, one.end) for one in stretches if one.phase == INGEST]
    work = [one for one in stretches if one.phase != INGEST]
    known = [*work, *moved(work, job.submitted_at)]
    ends = [job.submitted_at, *(one.end for one in known)]
    starts = [job.submitted_at, *(one.start for one in known)]
    return [*spans, (min(starts), max(ends))]


def ingest_of(stored: StoredDataset) -> Stretch | None:
    """The reading of a data set: its energy from the moment that it was accepted."""
    if stored.cost is None:
        return None
    end = stored.created_at + timedelta(seconds=stored.cost.wall_seconds)
    return Stretch(phase=INGEST, start=stored.created_at, end=end, cost=finite(stored.cost))


def finite(cost: Cost) -> Cost:
    """A cost without what could not be measured: no energy is billed for it, and that is said."""
    values = {
        name: value if isfinite(value) else 0.0
        for name in ("cpu_seconds", "joules", "wall_seconds")
        if (value := getattr(cost, name)) is not None
    }
    return Cost(**values, meter=cost.meter)


def price_of(
    job: Job, stretches: Sequence[Stretch], rates: Rates, *, zone: str, now: datetime, live: bool
) -> Price:
    """Price a job's stretches, and the same joules uninterrupted from its submission on.

    Parameters
    ----------
    rates : over `spans_of(stretches, job)`
    live : whether a source is configured that may know more later
    """
    phases: dict[str, Emissions] = {}
    days: dict[tuple[str, str], tuple[Emissions, float]] = {}
    work = [one for one in stretches if one.phase != INGEST]
    at_submission = dict(zip(map(id, work), moved(work, job.submitted_at), strict=True))
    for stretch in stretches:
        if stretch.phase == INGEST:
            phases[INGEST] = phases.get(INGEST, Emissions()) + rates.price(stretch)
            continue
        earlier = rates.price(at_submission[id(stretch)]).gco2e
        for day, part in by_day(stretch):
            share = part.seconds / stretch.seconds if stretch.seconds else 1.0
            before, sooner = days.get((stretch.phase, day), (Emissions(), 0.0))
            priced = rates.price(part)
            days[stretch.phase, day] = before + priced, sooner + share * earlier
            phases[stretch.phase] = phases.get(stretch.phase, Emissions()) + priced
    actual = sum((one for one, _ in days.values()), start=Emissions())
    earlier_gco2e = sum((sooner for _, sooner in days.values()), start=0.0)
    end = max((one.end for one in work), default=job.submitted_at)
    settle_at = settle_at_of(actual, end=end, now=now) if live else None
    price = Price(
        zone=zone,
        rates=rates,
        phases=phases,
        actual=actual,
        earlier_gco2e=earlier_gco2e,
        lines=(),
        later=_later(
            job, work, actual, earlier_gco2e, rates=rates, provisional=settle_at is not None
        ),
        settle_at=settle_at,
    )
    lines = tuple(
        line_of(
            one,
            rates,
            zone=zone,
            job_id=job.id,
            phase=phase,
            day=day,
            project_id=job.project_id,
            dataset_id=job.dataset_id,
            schedule_id=job.schedule_id,
            gco2e_at_submission=sooner,
        )
        for (phase, day), (one, sooner) in sorted(days.items())
    )
    return replace(price, lines=lines)


def line_of(emitted: Emissions, rates: Rates, *, zone: str, **about: Any) -> LedgerLine:
    """A line of the ledger; `about` is what it is of."""
    intensity = intensity_of(emitted, rates, zone=zone)
    return LedgerLine(
        cpu_seconds=emitted.cost.cpu_seconds,
        joules=emitted.cost.joules,
        grams_per_kwh=intensity.pop("grams_per_kwh"),
        gco2e=emitted.gco2e,
        meter=emitted.cost.meter,
        intensity=intensity,
        **about,
    )


def ingest_lines(stored: StoredDataset, stretch: Stretch, rates: Rates, *, zone: str) -> Lines:
    """The lines of reading a data set in, under the data set's own id."""
    days: dict[str, Emissions] = {}
    for day, part in by_day(stretch):
        days[day] = days.get(day, Emissions()) + rates.price(part)
    return tuple(
        line_of(
            one,
            rates,
            zone=zone,
            job_id=stored.id,
            phase=INGEST,
            day=day,
            project_id=stored.project_id,
            dataset_id=stored.id,
        )
        for day, one in days.items()
    )


def settle_at_of(emitted: Emissions, *, end: datetime, now: datetime) -> datetime | None:
    """When to ask again for intensities that were estimated; None when there is no need."""
    if not emitted.estimated_joules:
        return None
    return next((end + wait for wait in SETTLE_AFTER if end + wait > now), None)


def _later(
    job: Job,
    work: Sequence[Stretch],
    actual: Emissions,
    earlier_gco2e: float,
    *,
    rates: Rates,
    provisional: bool,
) -> dict[str, Any]:
    """What waiting saved, below 0 where it was dirtier, beside what was planned."""
    plan = job.plan or {}
    saved = earlier_gco2e - actual.gco2e
    if abs(saved) < NOISE * max(actual.gco2e, earlier_gco2e):
        saved = 0.0
    asked = (job.request.get("when") or {}).get("policy")
    start = min((one.start for one in work), default=None)
    uninterrupted = moved(work, job.submitted_at)
    busy = max((one.end for one in uninterrupted), default=job.submitted_at) - job.submitted_at
    waited = paused = 0.0
    if start is not None:
        waited = max((start - job.submitted_at).total_seconds(), 0.0)
        paused = (max(one.end for one in work) - start - busy).total_seconds()
    error = rates.series.error_grams
    kwh = actual.cost.joules / JOULES_PER_KWH
    return {
        "policy": plan.get("policy") or asked or NOW,
        "planned_saving_gco2e": plan.get("saving_gco2e"),
        "saved_gco2e": saved,
        "gco2e": actual.gco2e,
        "gco2e_at_submission": earlier_gco2e,
        "dirtier": saved < 0,
        "waited_seconds": waited,
        "paused_seconds": max(paused, 0.0),
        "share_estimated": actual.share_estimated,
        # One standard deviation of a difference of two estimates; readings have none that we know.
        "error_gco2e": kwh * error if error is not None and actual.share_estimated else None,
        "provisional": provisional,
    }
