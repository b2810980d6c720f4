"""What an operator watches, in Prometheus' words; read from the store at each scrape.

Labels are states, rungs, phases and kinds of ours: there are a few dozen series, whatever the
number of projects, jobs and models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flask import has_app_context
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api.context import now, parts
from scheduler.answering import BOUNDS, Tally
from scheduler.billing import ORDER
from scheduler.errors import StoreUnavailable
from scheduler.ledger import INGEST
from scheduler.store_figures import Bill, Figures

OTHER = "other"
PHASES = (INGEST, *ORDER)


class Watched(Collector):
    """Gauges and counters of the app that is asked.

    Sums of energy and emissions are gauges and not counters: a bill is priced again when more of
    the intensity is known.
    """

    def describe(self) -> list[Metric]:
        """Nothing: at registration there is no app to ask."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family; those of the store are missing while it does not answer."""
        if not has_app_context():
            return
        try:
            figures = parts().store.figures()
        except StoreUnavailable:
            yield GaugeMetricFamily("frugal_store_up", "Whether the database answers", value=0)
        else:
            yield GaugeMetricFamily("frugal_store_up", "Whether the database answers", value=1)
            yield from of_store(figures)
        predictor = parts().predictor
        yield GaugeMetricFamily(
            "frugal_predictors", "Processes that hold a model", value=len(predictor.pids())
        )
        yield from of_predictions(predictor.answering.tally())
        try:
            free = parts().artifacts.free_bytes()
        except OSError:
            return
        yield GaugeMetricFamily("frugal_disk_free_bytes", "Room for files of the store", value=free)


def of_store(figures: Figures) -> Iterator[Metric]:
    """Queue, trials, energy, data and schedules."""
    yield _by("frugal_jobs", "Jobs by state", "state", figures.jobs)
    since = figures.oldest_submitted_at
    waits = 0.0 if since is None else max(0.0, (now() - since).total_seconds())
    yield GaugeMetricFamily(
        "frugal_oldest_submission_seconds", "How long a job has waited to be planned", value=waits
    )
    yield _by("frugal_trials", "Trials with a score, by rung", "rung", figures.trials)
    yield GaugeMetricFamily(
        "frugal_trials_failed", "Trials that ended without a score", value=figures.trials_failed
    )
    yield GaugeMetricFamily(
        "frugal_trials_running", "Trials of running jobs under way", value=figures.trials_running
    )
    bills = _of_known_phases(figures.bills)
    for name, text, field in (
        ("frugal_cpu_seconds", "CPU-seconds of all jobs, by phase", "cpu_seconds"),
        ("frugal_energy_joules", "Joules of all jobs, by phase", "joules"),
        ("frugal_emissions_grams", "gCO2e of all jobs, by phase", "gco2e"),
    ):
        yield _by(name, text, "phase", {key: getattr(bill, field) for key, bill in bills.items()})
    later = sum(bill.gco2e_at_submission - bill.gco2e for bill in bills.values())
    yield _by("frugal_saved_grams", "gCO2e saved, by lever", "lever", {"later": later})
    yield _by("frugal_datasets", "Data sets by state", "state", figures.datasets)
    sizes = {"uploaded": figures.bytes_in, "stored": figures.bytes_stored}
    yield _by("frugal_dataset_bytes", "Bytes of the data sets that are READY", "form", sizes)
    yield _by("frugal_schedule_runs", "Dates of schedules by outcome", "state", figures.runs)
    yield _by("frugal_promotions", "Versions put into service", "kind", figures.promotions)
    yield _by("frugal_batches", "Predictions of data sets by state", "state", figures.batches)


def of_predictions(tally: Tally) -> Iterator[Metric]:
    """Requests for predictions that this process has seen, and how long they took."""
    requests = CounterMetricFamily(
        "frugal_predictions", "Requests for predictions, by result", labels=["result"]
    )
    for result, count in tally.results.items():
        requests.add_metric([result], count)
    yield requests
    yield CounterMetricFamily("frugal_predicted_rows", "Rows predicted", value=tally.n_rows)
    within, buckets = 0, []
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), tally.buckets, strict=True):
        within += count
        buckets.append((bound, within))
    histogram = HistogramMetricFamily(
        "frugal_prediction_seconds", "Time that predictions took, behind HTTP"
    )
    histogram.add_metric([], buckets, sum_value=tally.seconds)
    yield histogram


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _of_known_phases(bills: Mapping[str, Bill]) -> dict[str, Bill]:
    """Bills by our phases; lines of any other are put together."""
    others = [bill for phase, bill in bills.items() if phase not in PHASES]
    own = {phase: bills.get(phase) or _sum([]) for phase in PHASES}
    return {**own, OTHER: _sum(others)}


def _sum(bills: Sequence[Bill]) -> Bill:
    return Bill(
        cpu_seconds=sum(bill.cpu_seconds for bill in bills),
        joules=sum(bill.joules for bill in bills),
        gco2e=sum(bill.gco2e for bill in bills),
        gco2e_at_submission=sum(bill.gco2e_at_submission for bill in bills),
    )
