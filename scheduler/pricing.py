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

# A meter on the premises knows an interval when it ends, a grid's feed of quarters soon after; half
# of the hours of other feeds are known an hour after their end, 99 of 100 within 3.5 hours, and
# some are mended the day after. Bills of the same ten minutes share one request to the feed.
SETTLE_AFTER = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 90, 150, 210, 360, 1800)
)
# Savings below this share of the emissions are rounding.
NOISE = 1e-9
NOW = "now"

Lines = tuple[LedgerLine, ...]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What the work of a job emitted, and what it would have from its submission on.

    `phases` has the reading of the data set too, under ``ingest``; `actual`, `earlier` and the
    ledger's `lines` do not: it is not the job's to wait, and it is billed once. It took place in
    the service's own zone, `home`, wherever the job was planned for. Where the figures of that zone
    count differently (`instead_of`), it is priced as the job is: `home` is then the job's zone.
    """

    zone: str
    home: str
    rates: Rates
    ingest: Rates | None
    instead_of: Mapping[str, Any] | None
    phases: Mapping[str, Emissions]
    actual: Emissions
    earlier: Emissions
    lines: Lines
    later: Mapping[str, Any]
    settle_at: datetime | None

    def intensity(self, of: Emissions, *, phase: str = "") -> dict[str, Any]:
        """The intensity of some of it, or of a phase, see `intensity_of`."""
        if phase == INGEST and self.ingest is not None:
            found = intensity_of(of, self.ingest, zone=self.home)
            return found | ({"instead_of": dict(self.instead_of)} if self.instead_of else {})
        return intensity_of(of, self.rates, zone=self.zone)

    def whole(self) -> Emissions:
        """All of the bill, the reading of the data set in it."""
        return sum(self.phases.values(), start=Emissions())

    def own(self) -> Emissions:
        """What the job itself emitted; all there is where it has done nothing yet."""
        return self.actual if self.actual.cost.joules else self.whole()

    def intensity_of_all(self) -> dict[str, Any]:
        """The intensity of the whole bill, whose zones are named where it was worked in two."""
        found = self.intensity(self.whole())
        read = self.phases.get(INGEST)
        if read is not None and self.actual.cost.joules and self.home != self.zone:
            found["zone"] = f"{self.zone} and {self.home}"
        return found


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
        # Of what is no reading of any hour, the year says more than when it was asked for.
        **({} if series.year is None else {"year": series.year}),
        "share_estimated": of.share_estimated,
    }


def spans_of(stretches: Sequence[Stretch], job: Job) -> list[tuple[datetime, datetime]]:
    """The spans of time whose intensities a job's bill needs, beside the reading of its data."""
    work = [one for one in stretches if one.phase != INGEST]
    known = [*work, *moved(work, job.submitted_at)]
    ends = [job.submitted_at, *(one.end for one in known)]
    starts = [job.submitted_at, *(one.start for one in known)]
    return [(min(starts), max(ends))]


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
    job: Job,
    stretches: Sequence[Stretch],
    rates: Rates,
    *,
    zone: str,
    now: datetime,
    live: bool,
    ingest: Rates | None = None,
    home: str = "",
    instead_of: Mapping[str, Any] | None = None,
) -> Price:
    """Price a job's stretches, and the same joules uninterrupted from its submission on.

    Parameters
    ----------
    rates : over `spans_of(stretches, job)`
    live : whether a source is configured that may know more later
    ingest : rates over the reading of the data set in the zone `home`; None where there was none
    instead_of : zone and source of the reading's own rates, where those count differently
    """
    phases: dict[str, Emissions] = {}
    days: dict[tuple[str, str], tuple[Emissions, float]] = {}
    earlier = Emissions()
    work = [one for one in stretches if one.phase != INGEST]
    at_submission = dict(zip(map(id, work), moved(work, job.submitted_at), strict=True))
    for stretch in stretches:
        if stretch.phase == INGEST:
            phases[INGEST] = phases.get(INGEST, Emissions()) + _of(ingest).price(stretch)
            continue
        at_once = rates.price(at_submission[id(stretch)])
        earlier += at_once
        for day, part in by_day(stretch):
            share = part.seconds / stretch.seconds if stretch.seconds else 1.0
            before, sooner = days.get((stretch.phase, day), (Emissions(), 0.0))
            priced = rates.price(part)
            days[stretch.phase, day] = before + priced, sooner + share * at_once.gco2e
            phases[stretch.phase] = phases.get(stretch.phase, Emissions()) + priced
    actual = sum((one for one, _ in days.values()), start=Emissions())
    end = max((one.end for one in work), default=job.submitted_at)
    settle_at = settle_at_of(actual + earlier, end=end, now=now) if live else None
    compared = are_alike(actual, earlier)
    price = Price(
        zone=zone,
        home=home or zone,
        rates=rates,
        ingest=ingest,
        instead_of=instead_of,
        phases=phases,
        actual=actual,
        earlier=earlier,
        lines=(),
        later=_later(job, work, actual, earlier, rates=rates, provisional=settle_at is not None),
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
            gco2e_at_submission=sooner if compared else None,
        )
        for (phase, day), (one, sooner) in sorted(days.items())
    )
    return replace(price, lines=lines)


def _of(ingest: Rates | None) -> Rates:
    if ingest is None:
        raise ValueError("a data set was read, and no rates are given for it")
    return ingest


def are_alike(actual: Emissions, earlier: Emissions) -> bool:
    """Whether two emissions compare: all of both is priced by one source.

    An hour that a feed has measured and one for which a profile stands in differ by the two
    sources more than by the hours.
    """
    used = [{name for name, joules in one.sources.items() if joules} for one in (actual, earlier)]
    return len(set.union(*used)) <= 1


def count_alike(one: Rates, other: Rates) -> bool:
    """Whether two figures may be added up: both of a life cycle or both direct, and of one signal.

    The chimneys alone and the whole life of the plants differ by more than zones and hours do.
    """
    return (one.series.factor_type, one.series.signal) == (
        other.series.factor_type,
        other.series.signal,
    )


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
    about = {"job_id": stored.id, "project_id": stored.project_id, "dataset_id": stored.id}
    return own_lines(stretch, rates, zone=zone, **about)


def own_lines(stretch: Stretch, rates: Rates, *, zone: str, **about: Any) -> Lines:
    """The lines of work that is of no job: one for each day; `about` is what it is of."""
    days: dict[str, Emissions] = {}
    for day, part in by_day(stretch):
        days[day] = days.get(day, Emissions()) + rates.price(part)
    return tuple(
        line_of(one, rates, zone=zone, phase=stretch.phase, day=day, **about)
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
    earlier: Emissions,
    *,
    rates: Rates,
    provisional: bool,
) -> dict[str, Any]:
    """What waiting saved, below 0 where it was dirtier, beside what was planned.

    None of it where the two are not priced by the same source.
    """
    plan = job.plan or {}
    compared = are_alike(actual, earlier)
    saved = earlier.gco2e - actual.gco2e
    if abs(saved) < NOISE * max(actual.gco2e, earlier.gco2e):
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
        "saved_gco2e": saved if compared else None,
        "gco2e": actual.gco2e,
        "gco2e_at_submission": earlier.gco2e if compared else None,
        "dirtier": saved < 0 if compared else None,
        "waited_seconds": waited,
        "paused_seconds": max(paused, 0.0),
        "share_estimated": actual.share_estimated,
        # One standard deviation of a difference of two estimates; readings have none that we know.
        "error_gco2e": (
            kwh * error if compared and error is not None and actual.share_estimated else None
        ),
        # By whom the hours that were and those from the submission on are priced.
        "sources": sorted({*actual.sources, *earlier.sources}),
        "provisional": provisional,
    }
