"""Predictions of whole data sets are in the ledger, priced where they were made."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from automl.cost import Cost
from scheduler import batches
from scheduler.artifacts import ArtifactStore
from scheduler.batches import Batches
from scheduler.carbon.typical import Typical
from scheduler.config import Settings
from scheduler.ledger import LedgerFilter
from scheduler.records import Batch, JobState
from scheduler.settlement import Prices, bill_predictions
from scheduler.store import Store
from tests.contracts.records import a_model, a_tenant, claim, submit
from tests.scheduler.test_child import wait_until
from tests.scheduler.test_emissions import HOUR, NOON, daily

SECOND = timedelta(seconds=1)
COST = Cost(cpu_seconds=900, joules=3.6e6, wall_seconds=7200, meter="cpu_time")


def a_batch(store: Store) -> Batch:
    tenant = a_tenant(store, now=NOON)
    return Batch(
        id="b" * 32,
        project_id=tenant.project_id,
        model_id="c" * 32,
        dataset_id=tenant.dataset_id,
        format="csv",
        state="RUNNING",
        created_at=NOON,
    )


def lines_of(store: Store, batch: Batch) -> list[Any]:
    lines, _ = store.ledger_lines(batch.project_id, LedgerFilter(job_id=batch.id), limit=9)
    return lines


def test_they_are_a_phase_of_their_own_id_over_the_hours_that_they_took(store: Store) -> None:
    batch = a_batch(store)
    prices = Prices(source=daily(), typical=daily(), zone="FR", live=False)
    midnight = NOON + 12 * HOUR
    for _ in range(2):  # begun again after a crash: counted once
        bill_predictions(batch, COST, end=midnight + HOUR, store=store, prices=prices)
    lines = lines_of(store, batch)
    assert {one.phase for one in lines} == {"predict"}
    assert sorted(one.day for one in lines) == ["2026-06-01", "2026-06-02"]
    assert [one.joules for one in lines] == pytest.approx([1.8e6, 1.8e6])
    assert {one.intensity["zone"] for one in lines} == {"FR"}
    assert {one.gco2e_at_submission for one in lines} == {None}  # nothing could have waited


def test_predictions_that_are_done_are_billed(
    store: Store, artifacts: ArtifactStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = a_tenant(store, now=NOON)
    submit(store, tenant, submitted_at=NOON)
    job = claim(store, now=NOON)
    store.finish_job(
        job.id, epoch=1, state=JobState.DONE, now=NOON + HOUR, result={}, model=a_model(job)
    )
    model = store.get_model(tenant.project_id, a_model(job).name)

    def instead(function: str, arguments: dict[str, Any], **_: Any) -> dict[str, Any]:
        assert function == "scheduler.batch:predict_all"
        (Path(arguments["destination"]) / "predictions.csv").write_text("row,probability\n1,0.5\n")
        return {"n_rows": 1, "report": {"n_rows": 1}, "cost": COST.to_json()}

    monkeypatch.setattr(batches, "call", instead)
    monkeypatch.setattr(batches, "parts_of", lambda *_: ["rows.parquet"])
    monkeypatch.setattr(batches.Batches, "_check", lambda *_: None)
    end = NOON + 3 * HOUR
    made = Batches(store, artifacts, settings, clock=lambda: end)
    dataset = store.get_dataset(tenant.project_id, tenant.dataset_id)
    batch = made.begin(model, dataset, form="csv", now=NOON)
    wait_until(lambda: store.get_batch(tenant.project_id, batch.id).state != "RUNNING")
    made.stop()
    done = store.get_batch(tenant.project_id, batch.id)
    assert (done.state, done.problem) == ("DONE", None)
    assert done.cost == COST
    (line,) = lines_of(store, batch)
    assert (line.phase, line.day, line.dataset_id) == ("predict", "2026-06-01", dataset.id)
    assert (line.joules, line.cpu_seconds) == (COST.joules, COST.cpu_seconds)
    assert line.gco2e == pytest.approx(line.grams_per_kwh)  # of one kWh
    profile = Typical().history("FR", end - COST.wall_seconds * SECOND, end, now=end)
    assert line.grams_per_kwh == pytest.approx(profile.mean(profile.start, profile.end))
    total = store.ledger_total(tenant.project_id, LedgerFilter(phase="predict"))
    assert total.joules == COST.joules
