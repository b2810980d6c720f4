"""Bills of what ended without one, and prices that are better known some hours later."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from automl.cost import Cost
from automl.errors import FrugalError
from scheduler.billing import constants_of, processor_joules, stretches_of
from scheduler.carbon.series import IntensitySource, Reading
from scheduler.carbon.sources import make_source
from scheduler.carbon.typical import Typical
from scheduler.carbon.zones import known_zone
from scheduler.config import Settings
from scheduler.emissions import Emissions, Rates, Stretch, rates_of
from scheduler.errors import StoreUnavailable
from scheduler.job_intensity import zone_of
from scheduler.ledger import INGEST
from scheduler.pricing import (
    Price,
    count_alike,
    finite,
    ingest_lines,
    ingest_of,
    intensity_of,
    own_lines,
    price_of,
    settle_at_of,
    spans_of,
)
from scheduler.receipt import bill, priced, receipt, so_far
from scheduler.records import Batch, Job, StoredDataset
from scheduler.records_schedules import Run
from scheduler.store import Store
from scheduler.store_outbox import calls_of

if TYPE_CHECKING:
    from scheduler.work import Work

log = logging.getLogger(__name__)

WORTH, PREDICT = "worth", "predict"
APPRAISED = (
    "Energy of the process that compared the new rows and labels with those known before, by the "
    "same meter as a job's, without the start of that process; gCO2e by the g/kWh as known when it "
    "ended, which is not looked up again. A process that was stopped on the way is not in it."
)
_RUNS = uuid.UUID("2f6d1b0e-5a8c-4d57-8a39-9a0f3c0b7e52")  # a namespace of our own
# A tick that finds more than this goes on at the next one.
MOST_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Where intensities come from: the source, the profile behind it, and the service's zone.

    `live` tells whether the source may know more some hours later.
    """

    source: IntensitySource
    typical: IntensitySource
    zone: str
    live: bool

    @classmethod
    def of(cls, settings: Settings, source: IntensitySource | None = None) -> Prices:
        """As the settings say; `source` where there is one already."""
        return cls(
            source=source or make_source(settings),
            typical=Typical(),
            zone=settings.zone,
            live=bool(settings.intensity),
        )

    def of_job(self, job: Job, stretches: Sequence[Stretch], *, now: datetime) -> Price:
        """What a job's stretches emitted, as known at `now`."""
        zone, home = zone_of(job, self.zone), known_zone(self.zone)
        rates = self._rates(zone, spans_of(stretches, job), now=now)
        read = [(one.start, one.end) for one in stretches if one.phase == INGEST]
        ingest, instead_of = (self._rates(home, read, now=now) if read else None), None
        if ingest is not None and not count_alike(ingest, rates):
            instead_of = about(ingest, zone=home)
            here, ingest = ingest, self._rates(zone, read, now=now)
            home = zone
            if not count_alike(ingest, rates):  # the job's source does not know that hour
                ingest = steady(rates, here)
        return price_of(
            job,
            stretches,
            rates,
            zone=zone,
            now=now,
            live=self.live,
            ingest=ingest,
            home=home,
            instead_of=instead_of,
        )

    def rates_here(self, stretch: Stretch, *, now: datetime) -> tuple[Rates, str]:
        """The intensities of work that no job's plan moved, and where it was: here."""
        home = known_zone(self.zone)
        return self._rates(home, [(stretch.start, stretch.end)], now=now), home

    def _rates(
        self, zone: str, spans: Sequence[tuple[datetime, datetime]], *, now: datetime
    ) -> Rates:
        return rates_of(self.source, self.typical, zone=zone, spans=spans, now=now)


def about(rates: Rates, *, zone: str) -> dict[str, Any]:
    """Where rates come from and how they count."""
    series = rates.series
    names = {"source": series.source, "factor_type": series.factor_type, "signal": series.signal}
    return {"zone": zone, **names}


def steady(rates: Rates, over: Rates) -> Rates:
    """The mean of `rates` over the time of other rates: an estimate, counted as `rates` are."""
    series, times = rates.series, over.series
    mean = Reading(
        start=times.start,
        end=times.end,
        grams_per_kwh=series.mean(series.start, series.end),
        is_estimated=True,
        source=series.source,
    )
    return Rates(replace(series, readings=(mean,)))


def bill_so_far(job: Job, store: Store, *, zone: str, now: datetime) -> dict[str, Any]:
    """The phases of a job that has not ended, priced by the profile: nobody else is asked."""
    stretches = stretches_of(job, store.phases(job.id), store.trials(job.id), now=now)
    prices = Prices(source=Typical(), typical=Typical(), zone=zone, live=False)
    return so_far(prices.of_job(job, stretches, now=now))


def billed(
    work: Work, stored: StoredDataset, *, reference: Mapping[str, Any], own_cpu: float, **about: Any
) -> tuple[Price, dict[str, Any]]:
    """What the processes of a job under way have emitted, and its receipt.

    Parameters
    ----------
    reference : what codecarbon measured of this process
    own_cpu : CPU-seconds of this process's phases, without what it replayed
    about : the rest of what `scheduler.receipt.receipt` takes
    """
    now = work.clock()
    stretches = work.patiently(lambda: all_stretches(work.job, stored, work.store, now=now))
    price = Prices.of(work.settings).of_job(work.job, stretches, now=now)
    made = receipt(
        price,
        meter=work.meter.describe(),
        reference=reference,
        own_cpu_joules=processor_joules(own_cpu, constants_of(work.meter)),
        attempts=work.epoch,
        limits=work.job.request.get("limits"),
        **about,
    )
    return price, made


def settle(store: Store, prices: Prices, *, now: datetime) -> int:
    """Bill what ended without a bill and price again what is due; returns how many.

    Jobs that failed, were cancelled or are quarantined are billed for what they burnt. A second
    call, or another service at the same time, writes the same again. One that cannot be priced
    does not keep the others from it.
    """
    n_settled = 0
    for job in store.unsettled_jobs(now=now, limit=MOST_AT_ONCE):
        with _noting(f"job {job.id}"):
            n_settled += _settle_job(store, prices, job, now=now)
    for dataset in store.unsettled_datasets(now=now, limit=MOST_AT_ONCE):
        with _noting(f"data set {dataset.id}"):
            n_settled += _settle_dataset(store, prices, dataset, now=now)
    return n_settled


@contextmanager
def _noting(what: str) -> Iterator[None]:
    try:
        yield
    except StoreUnavailable:
        raise
    except FrugalError as error:
        log.warning("%s: not billed now: %s", what, error.code)


def _settle_job(store: Store, prices: Prices, job: Job, *, now: datetime) -> bool:
    dataset = store.get_dataset(job.project_id, job.dataset_id)
    trials = store.trials(job.id)
    stretches = all_stretches(job, dataset, store, now=now)
    price = prices.of_job(job, stretches, now=now)
    if job.receipt is None:
        made = receipt(
            price,
            meter={"meter": sum(price.phases.values(), start=Emissions()).cost.meter},
            reference={"reason": "the job did not come to its end"},
            own_cpu_joules=None,
            trials=[one.trial for one in trials if one.trial is not None],
            n_rows=dataset.n_rows or 0,
            predict_per_1000_rows=None,
            attempts=job.epoch,
            limits=job.request.get("limits"),
        )
    else:
        made = priced(job.receipt, price)
    written = store.settle(
        job.id,
        receipt=made,
        lines=price.lines,
        settle_at=price.settle_at,
        calls=calls_of(replace(job, receipt=made), settled=True),
        now=now,
    )
    if written:
        log.info(
            "job %s: %s, %.4g gCO2e, saved by waiting: %s%s",
            job.id,
            job.state,
            price.actual.gco2e,
            _said(price.later["saved_gco2e"]),
            ", priced again later" if price.settle_at else "",
        )
    return written


def _said(grams: float | None) -> str:
    return "not told yet" if grams is None else f"{grams:.4g} g"


def bill_appraisal(
    run: Run,
    dataset: StoredDataset,
    cost: Cost,
    *,
    began: datetime,
    store: Store,
    prices: Prices,
) -> dict[str, Any]:
    """Bill what it took to decide whether a training is worth it: once, whatever was decided.

    It is of no job: the ledger has it under an id of the run, as phase ``worth``. Returns its
    receipt.
    """
    end = began + timedelta(seconds=cost.wall_seconds)
    stretch = Stretch(phase=WORTH, start=began, end=end, cost=finite(cost))
    rates, zone = prices.rates_here(stretch, now=end)
    lines = own_lines(
        stretch,
        rates,
        zone=zone,
        job_id=uuid.uuid5(_RUNS, f"{run.schedule_id} {run.local_date}").hex,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        schedule_id=run.schedule_id,
    )
    store.settle(lines[0].job_id, receipt=None, lines=lines, settle_at=None, now=end)
    emitted = rates.price(stretch)
    intensity = intensity_of(emitted, rates, zone=zone)
    return {
        **bill(WORTH, stretch.cost, grams_per_kwh=intensity["grams_per_kwh"]),
        "intensity": intensity,
        "method": APPRAISED,
    }


def bill_predictions(
    batch: Batch, cost: Cost, *, end: datetime, store: Store, prices: Prices
) -> None:
    """Put what predicting a whole data set took into the ledger: phase ``predict``, under its id.

    Written before the predictions are done, so that none are without it; a second time replaces
    the first. The g/kWh are as known at `end`, and not looked up again.
    """
    cost = finite(cost)
    begin = end - timedelta(seconds=cost.wall_seconds)
    stretch = Stretch(phase=PREDICT, start=begin, end=end, cost=cost)
    rates, zone = prices.rates_here(stretch, now=end)
    lines = own_lines(
        stretch,
        rates,
        zone=zone,
        job_id=batch.id,
        project_id=batch.project_id,
        dataset_id=batch.dataset_id,
    )
    store.settle(batch.id, receipt=None, lines=lines, settle_at=None, now=end)


def all_stretches(
    job: Job, dataset: StoredDataset, store: Store, *, now: datetime
) -> list[Stretch]:
    """The reading of the data set and everything that the job's processes did."""
    ingest = ingest_of(dataset)
    work = stretches_of(job, store.phases(job.id), store.trials(job.id), now=now)
    return [*([] if ingest is None else [ingest]), *work]


def _settle_dataset(store: Store, prices: Prices, dataset: StoredDataset, *, now: datetime) -> bool:
    stretch = ingest_of(dataset)
    if stretch is None:
        return False
    rates, zone = prices.rates_here(stretch, now=now)
    emitted = rates.price(stretch)
    again = settle_at_of(emitted, end=stretch.end, now=now) if prices.live else None
    lines = ingest_lines(dataset, stretch, rates, zone=zone)
    return store.settle(dataset.id, receipt=None, lines=lines, settle_at=again, now=now)
