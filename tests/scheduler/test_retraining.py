"""Nights of a schedule under a clock that the test turns, with real searches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.ledger import LedgerFilter
from scheduler.records import JobState
from scheduler.records_schedules import RunState
from scheduler.store import Store
from tests.scheduler.nights import NAME, START, Nights, rows
from tests.stores import hurried


def opened(folder: Path) -> Nights:
    settings = Settings.load(data_dir=folder, zone="FR", watts_per_core=4.0, job_nice=0)
    store = hurried(Store(settings.resolved_database_url))
    store.migrate()
    projects = store.list_projects()
    project = projects[0] if projects else store.add_project("bank", now=START)
    return Nights(store, ArtifactStore(settings.resolved_artifacts_url), settings, project.id)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service with a champion of 2,000 rows: trained once, copied for each test."""
    folder = tmp_path_factory.mktemp("trained") / "data"
    folder.mkdir()
    made = opened(folder)
    made.train(made.upload(rows(0, 2000, seed=1)[0], key="id"))
    made.ingestor.stop()
    made.store.close()
    return folder


@pytest.fixture
def nights(trained: Path, tmp_path: Path) -> Iterator[Nights]:
    shutil.copytree(trained, tmp_path / "data")
    made = opened(tmp_path / "data")
    yield made
    made.ingestor.stop()
    made.store.close()


def base_of(nights: Nights) -> str:
    return nights.store.get_model(nights.project, NAME).dataset_id


def newest(nights: Nights) -> str:
    return nights.store.newest_version(nights.project, base_of(nights)).id


@pytest.mark.slow
def test_a_month_of_nights(nights: Nights) -> None:
    """Nothing new, rows without labels, their labels, a world that turned, and a way back."""
    champion = nights.store.get_model(nights.project, NAME)
    schedule = nights.schedule()

    run = nights.night(schedule)
    assert (run.local_date, run.state) == ("2026-06-02", RunState.SKIPPED)
    assert run.decision["because"] == "not worth it today, because 0 new labels (< 50)"

    body, labels = rows(2000, 3200, seed=2, turned=True, labelled=False)
    second = nights.upload(body, base=base_of(nights))
    run = nights.night(schedule)
    assert run.state is RunState.SKIPPED
    numbers = run.decision["numbers"]
    assert (numbers["n_new_rows"], numbers["n_new_labels"]) == (1200, 0)
    assert numbers["drift"]["columns"][0]["psi"] < 0.1  # the causes turned, not the columns

    found, told, new = nights.outcomes(labels)
    assert new
    assert (found.n_labels, found.n_positive) == (1200, sum(labels.values()))
    assert told == {"n_unknown_keys": 0, "n_conflicting": 0, "n_replaced": 0}
    run = nights.night(schedule)
    assert run.state is RunState.DONE, (run.decision, run.outcome)
    assert run.dataset_id == second.id
    decay = run.decision["numbers"]["decay"]
    assert decay["difference"][1] < 0  # the champion has become worse
    challenge = run.outcome["challenge"]
    assert challenge["wins"], challenge
    assert challenge["interval"][0] > 0
    # The rows that judged are no more than a fifth, and not among those that were learnt from.
    assert challenge["n_rows"] <= 0.2 * 3200
    model = nights.store.get_model(nights.project, NAME)
    assert (model.version, run.outcome["promoted"]) == (2, True)
    assert model.card["provenance"]["n_rows"] + challenge["n_rows"] == 3200
    lines = nights.store.audit_lines(nights.project, limit=99)[0]
    assert lines[-1].subject == f"model {NAME}/2"
    assert nights.store.verify_audit(nights.project) is None

    run = nights.night(schedule)  # and the new champion has nothing new
    assert run.decision["because"].startswith("not worth it today, because 0 new labels")
    back = nights.store.rollback(nights.project, NAME, actor="me", reason={}, now=nights.now)
    assert back.version == champion.version
    assert nights.store.get_model(nights.project, NAME).version == 1


def test_a_challenger_that_is_not_better_is_not_promoted(nights: Nights) -> None:
    schedule = nights.schedule()
    nights.upload(rows(2000, 2600, seed=3)[0], base=base_of(nights))
    run = nights.night(schedule)
    assert run.state is RunState.DONE
    assert run.decision["because"].startswith("worth it, because 600 new labels (>= 50)")
    assert run.outcome["promoted"] is False
    assert run.outcome["because"].startswith("the champion is kept: average_precision")
    assert run.outcome["challenge"]["interval"][0] <= 0
    assert nights.store.get_model(nights.project, NAME).version == 1
    assert [one.version for one in nights.store.model_versions(nights.project, NAME)] == [2, 1]
    # The same rows and labels would make the same challenger: that is not done twice.
    again = nights.night(schedule)
    assert again.state is RunState.SKIPPED
    assert again.decision["because"] == (
        "not worth it today, because no row and no label has come since the run of 2026-06-02, "
        "whose challenger was compared with the same champion"
    )
    # Nor because of a few more: what was judged does not count again, nor how far it had moved.
    body, labels = rows(2600, 2640, seed=4)
    nights.upload(body, base=newest(nights))
    third = nights.night(schedule)
    assert third.state is RunState.SKIPPED, third.decision
    numbers = third.decision["numbers"]
    assert (numbers["n_new_rows"], numbers["n_new_labels"]) == (40, 40)
    assert numbers["since"] == run.local_date
    assert third.decision["because"].startswith("not worth it today, because 40 new labels (< 50)")
    nights.outcomes({key: 1 - label for key, label in labels.items()})  # mended: not new
    body, _ = rows(2640, 2700, seed=5)
    nights.upload(body, base=newest(nights))
    fourth = nights.night(schedule)  # those of both nights count, since none was judged between
    assert fourth.decision["numbers"]["n_new_labels"] == 100
    assert fourth.decision["worth"] or "positives" in fourth.decision["because"]


def test_the_energy_of_deciding_and_of_judging_is_billed(nights: Nights) -> None:
    schedule = nights.schedule()
    nights.upload(rows(2000, 2600, seed=3)[0], base=base_of(nights))
    run = nights.night(schedule)
    bill = run.decision["numbers"]["receipt"]
    assert bill["name"] == "worth"
    assert bill["joules"] > 0
    assert bill["gco2e"] == pytest.approx(bill["kwh"] * bill["intensity"]["grams_per_kwh"])
    assert "without the start of that process" in bill["method"]
    lines, _ = nights.store.ledger_lines(
        nights.project, LedgerFilter(schedule_id=schedule.id), limit=99
    )
    by_phase = {one.phase: one for one in lines}
    assert by_phase["worth"].joules == pytest.approx(bill["joules"])
    assert by_phase["challenge"].joules > 0
    receipt = nights.store.job(str(run.job_id)).receipt
    assert receipt is not None
    assert "challenge" in [one["name"] for one in receipt["phases"]]
    assert any(line.startswith("Challenge is what it took") for line in receipt["method"])


def test_a_winner_is_only_proposed_where_a_person_promotes(nights: Nights) -> None:
    schedule = nights.schedule(promote="manual")
    nights.upload(rows(2000, 3200, seed=2, turned=True)[0], base=base_of(nights))
    run = nights.night(schedule)
    assert (run.outcome["promoted"], run.outcome["proposed"]) == (False, True)
    assert nights.store.get_model(nights.project, NAME).version == 1


def test_days_of_an_outage_are_one_run_that_says_how_many(nights: Nights) -> None:
    schedule = nights.schedule()
    nights.now += timedelta(days=3)
    other = nights.service()
    for service in (nights.retraining, other, nights.retraining):
        service.due(nights.now)
    (run,) = nights.runs(schedule)
    assert (run.local_date, run.missed, run.state) == ("2026-06-04", 3, RunState.SKIPPED)
    assert nights.night(schedule).local_date == "2026-06-05"
    assert len(nights.runs(schedule)) == 2


def test_a_clock_that_jumps_ten_years_and_back_misses_no_later_night(nights: Nights) -> None:
    schedule = nights.schedule()
    right = nights.now
    nights.now = right + timedelta(days=3652)
    nights.retraining.due(nights.now)
    nights.now = right
    nights.retraining.due(nights.now)
    assert nights.store.get_schedule(nights.project, schedule.id).next_date == "2026-06-02"
    assert nights.night(schedule).local_date != "2026-06-02"  # the newest is that of the jump
    dates = [run.local_date for run in nights.runs(schedule)]
    assert dates[1:] == ["2026-06-02"]


def test_a_job_that_is_cancelled_keeps_the_champion(nights: Nights) -> None:
    schedule = nights.schedule(webhook="https://hooks.example/x")
    nights.upload(rows(2000, 2600, seed=3)[0], base=base_of(nights))
    nights.now = nights.store.get_schedule(nights.project, schedule.id).next_at
    assert nights.retraining.due(nights.now) == 1
    run = nights.runs(schedule)[0]
    assert run.state is RunState.SUBMITTED
    nights.store.request_cancel(nights.project, run.job_id, now=nights.now)
    nights.retraining.due(nights.now)
    run = nights.runs(schedule)[0]
    assert (run.state, run.outcome["promoted"]) == (RunState.FAILED, False)
    assert nights.store.job(run.job_id).state is JobState.CANCELLED
    (call,) = nights.store.take_calls(now=nights.now, seconds=9, limit=9)
    assert (call.payload["event"], call.payload["local_date"]) == ("run.failed", "2026-06-02")


def test_files_of_a_folder_are_appended_before_the_decision(nights: Nights, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    nights.settings = nights.settings.model_copy(update={"feed_roots": (folder,)})
    nights.retraining = nights.service()
    schedule = nights.schedule(feed={"dataset": None, "folder": str(folder)})
    for i in range(2):
        file = folder / f"day-{i}.csv"
        file.write_bytes(rows(2000 + 30 * i, 2030 + 30 * i, seed=i, labelled=False)[0])
        os.utime(file, (START.timestamp(), START.timestamp()))
    nights.now = nights.store.get_schedule(nights.project, schedule.id).next_at
    for _ in range(2):
        nights.retraining.due(nights.now)
        assert nights.runs(schedule)[0].state is RunState.DECIDING
        nights.read_in(nights.store.newest_version(nights.project, base_of(nights)).id)
        nights.now += timedelta(seconds=11)
    nights.retraining.due(nights.now)
    run = nights.runs(schedule)[0]
    assert run.state is RunState.SKIPPED, run.decision
    assert run.decision["numbers"]["n_new_rows"] == 60
    names = [one.name for one in nights.store.series(nights.project, base_of(nights))]
    assert names == ["bank.csv", "day-0.csv", "day-1.csv"]


def test_a_file_that_cannot_be_read_in_fails_its_night_and_is_read_once(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "in" / "current.csv"
    file.parent.mkdir()
    file.write_bytes(rows(2000, 2030, seed=1, labelled=False)[0])
    nights.settings = nights.settings.model_copy(update={"feed_roots": (file.parent,)})
    nights.retraining = nights.service()
    schedule = nights.schedule(feed={"dataset": None, "folder": str(file)})

    def spoilt(*_: Any) -> None:
        raise DataError("row 27: a quote is never closed", code="unreadable")

    monkeypatch.setattr(nights.ingestor._readings, "_finish", spoilt)
    nights.now = nights.store.get_schedule(nights.project, schedule.id).next_at
    for _ in range(3):
        nights.retraining.due(nights.now)
        nights.read_in(nights.store.series(nights.project, base_of(nights))[-1].id)
        nights.now += timedelta(seconds=11)
    run = nights.runs(schedule)[0]
    assert (run.state, run.decision["problem"]["code"]) == (RunState.FAILED, "unreadable")
    assert len(nights.store.series(nights.project, base_of(nights))) == 2


def test_a_night_of_deleted_data_fails_and_says_so(nights: Nights) -> None:
    schedule = nights.schedule()
    nights.ingestor.delete(nights.project, base_of(nights), force=False, now=nights.now)
    run = nights.night(schedule)
    assert (run.state, run.decision["problem"]["code"]) == (RunState.FAILED, "deleted")
