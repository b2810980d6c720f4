"""The operator's figures against the records they are counted from, and the dashboard's words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scheduler.answering import ANSWERED, REFUSED
from scheduler.errors import StoreUnavailable
from scheduler.ledger import LedgerLine
from scheduler.records import JobState
from tests.api.parts import Site
from tests.contracts.conftest import NOW
from tests.contracts.records import a_trial

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "frugal.json"
LABELS = {"method", "route", "status", "state", "rung", "phase", "lever", "form", "kind", "result"}
# Words of PromQL that are no metric.
WORDS = {"deriv", "rate", "sum", "by", "topk", "histogram_quantile", "le", "m", "h"}


def samples(site: Site) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Value by name and labels of every sample."""
    families = text_string_to_metric_families(site.get("/metrics").text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(site: Site, name: str, **labels: str) -> float:
    return samples(site)[name, frozenset(labels.items())]


def a_line(site: Site, phase: str, **changes: Any) -> LedgerLine:
    values: dict[str, Any] = {"cpu_seconds": 2.0, "joules": 8.0, "grams_per_kwh": 100.0}
    values |= {"gco2e": 1.5, "gco2e_at_submission": 2.0} | changes
    return LedgerLine(
        job_id="a" * 32,
        phase=phase,
        day="2026-03-28",
        project_id=site.project,
        dataset_id="b" * 32,
        meter="cpu_time",
        intensity={"zone": "FR"},
        **values,
    )


def test_the_queue_and_its_trials_are_counted(site: Site) -> None:
    site.job()
    site.job()
    assert value(site, "frugal_jobs", state="SUBMITTED") == 2
    assert value(site, "frugal_oldest_submission_seconds") > 0
    job = site.claim()
    begun: dict[str, Any] = {"epoch": job.epoch, "now": NOW}
    first, failed = a_trial(0), a_trial(1, score=None, error="boom")
    site.store.begin_trial(
        job.id, number=0, proposal=first.proposal, expected=first.expected, **begun
    )
    assert value(site, "frugal_trials_running") == 1
    site.store.end_trial(job.id, trial=first, **begun)
    site.store.end_trial(job.id, trial=failed, **begun)
    assert value(site, "frugal_trials_running") == 0
    assert value(site, "frugal_trials", rung="screening") == 1
    assert value(site, "frugal_trials", rung="final") == 0
    assert value(site, "frugal_trials_failed") == 1
    assert value(site, "frugal_jobs", state=JobState.RUNNING.value) == 1


def test_energy_and_emissions_are_summed_by_phase(site: Site) -> None:
    unknown = a_line(site, "refit", joules=1.0, gco2e=0.5, gco2e_at_submission=None)
    lines = [a_line(site, "search"), unknown, a_line(site, "ours no longer")]
    site.store.settle("a" * 32, receipt=None, lines=lines, settle_at=None, now=NOW)
    assert value(site, "frugal_energy_joules", phase="search") == 8
    assert value(site, "frugal_energy_joules", phase="refit") == 1
    assert value(site, "frugal_energy_joules", phase="other") == 8
    assert value(site, "frugal_energy_joules", phase="ingest") == 0
    assert value(site, "frugal_cpu_seconds", phase="search") == 2
    assert value(site, "frugal_emissions_grams", phase="search") == 1.5
    assert value(site, "frugal_saved_grams", lever="later") == 1.0  # what is unknown saves nothing


def test_data_sets_and_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"age;y\n41;0\n42;1\n"
    site.upload(body)
    assert value(site, "frugal_datasets", state="READY") == 1
    assert value(site, "frugal_dataset_bytes", form="uploaded") == len(body)
    assert value(site, "frugal_dataset_bytes", form="stored") == 10
    monkeypatch.setattr(site.artifacts, "free_bytes", lambda: 1000)
    assert value(site, "frugal_disk_free_bytes") == 1000


def test_predictions_are_a_histogram_that_adds_up(site: Site) -> None:
    answering = site.predictor.answering
    for seconds in (0.004, 0.005, 0.2, 60.0):
        answering.count(ANSWERED, seconds=seconds, n_rows=3)
    answering.count(REFUSED, seconds=0.1)
    assert value(site, "frugal_predictions_total", result="answered") == 4
    assert value(site, "frugal_predictions_total", result="refused") == 1
    assert value(site, "frugal_predicted_rows_total") == 12
    assert value(site, "frugal_prediction_seconds_bucket", le="0.0025") == 0
    assert value(site, "frugal_prediction_seconds_bucket", le="0.005") == 2
    assert value(site, "frugal_prediction_seconds_bucket", le="0.25") == 3
    assert value(site, "frugal_prediction_seconds_bucket", le="+Inf") == 4
    assert value(site, "frugal_prediction_seconds_count") == 4
    assert value(site, "frugal_prediction_seconds_sum") == pytest.approx(60.209)


def test_a_database_that_is_away_is_told_and_the_rest_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StoreUnavailable("the database is locked")

    assert value(site, "frugal_store_up") == 1
    monkeypatch.setattr(site.store, "figures", away)
    found = {name for name, _ in samples(site)}
    assert value(site, "frugal_store_up") == 0
    assert "frugal_predictors" in found
    assert "frugal_jobs" not in found


def test_labels_are_few_and_hold_nothing_of_a_user(site: Site) -> None:
    before = len(samples(site))
    for i in range(5):
        site.job(model=f"customer-{i}", dataset=site.upload(b"a;y\n%d;0\n2;1\n" % i))
    found = samples(site)
    assert {label for _, labels in found for label, _ in labels} <= LABELS | {"le"}
    assert "customer" not in site.get("/metrics").text
    # Only the routes asked for since are new.
    ours = [key for key in found if not key[0].startswith(("frugal_http", "process_"))]
    assert len(ours) < 90
    assert len(found) < before + 100


def test_the_dashboard_asks_for_metrics_that_exist(site: Site) -> None:
    site.upload()
    # Labels of counters have no sample before the first request of theirs.
    names = {name for name, _ in samples(site)}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) >= 20
    for expression in asked:
        plain = re.sub(r"\{[^}]*\}|by \([^)]*\)", "", expression)
        found = set(re.findall(r"[a-z_]{2,}", re.sub(r"\[[^]]*\]", "", plain))) - WORDS
        assert found, expression
        assert found <= names, f"{expression} asks for {sorted(found - names)}"
        for label in re.findall(r"([a-z]+)=~?\"", expression):
            assert label in LABELS
    ours = {name.removesuffix("_sum").removesuffix("_count") for name in names if "frugal" in name}
    unseen = {one for one in ours if not any(one in expression for expression in asked)}
    assert {one for one in unseen if not one.endswith("_created")} == set(), unseen


def test_the_dashboard_fits_its_grid() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
