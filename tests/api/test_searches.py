"""What a job's request asks for, through upload, admission, search and answers: nothing is lost
on the way from the JSON of a request to the rows that judge a model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from automl.models import catalog
from automl.search.champion import Champion
from automl.search.validation import Validation, plan_validation
from scheduler.execution import execute
from tests.api import tables
from tests.api.parts import Site, build

pytestmark = pytest.mark.slow  # trains models

FIRST_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - as a file has it
N_CUSTOMERS = 120


def panel() -> list[dict[str, Any]]:
    """Rows of customers, one a day, with the day as banks write it."""
    rows = []
    for number, row in enumerate(tables.rows(720, n_positive=150)):
        day = FIRST_DAY + timedelta(days=number)
        customer = f"C{number * 7 % N_CUSTOMERS:03d}"
        rows.append({"day": f"{day:%d/%m/%Y}", "customer": customer, **row})
    return rows


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("searches"), reads_files=True)
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


@pytest.fixture(scope="module")
def dataset(site: Site) -> str:
    uploaded = site.post(
        "/v1/datasets?name=panel.csv", data=tables.csv(panel()), content_type="text/csv"
    )
    end = time.monotonic() + 60
    while site.get(uploaded.headers["Location"]).json["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.05)
    return str(uploaded.json["id"])


def searched(site: Site, dataset: str, **request: Any) -> Any:
    """The job of a request, run to its end here, so that a test may replace a part of it."""
    answer = site.post(
        "/v1/jobs", json={"dataset": dataset, "target": "y", "mode": "eco", **request}
    )
    assert answer.status_code == 202, answer.text
    job = site.claim()
    execute(job.id, job.epoch, store=site.store, artifacts=site.artifacts, settings=site.settings)
    return site.get(f"/v1/jobs/{job.id}").json


def board(site: Site, job: Any, query: str = "") -> list[Any]:
    items: list[Any] = site.get(f"/v1/jobs/{job['id']}/leaderboard{query}").json["items"]
    return items


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Validation]:
    """The rows that the searches of a test judge by."""
    seen: list[Validation] = []

    def spy(*args: Any, **options: Any) -> Validation:
        seen.append(plan_validation(*args, **options))
        return seen[-1]

    monkeypatch.setattr("automl.search.problem.plan_validation", spy)
    return seen


def column(site: Site, dataset: str, name: str) -> Any:
    stored = site.store.get_dataset(site.project, dataset)
    assert stored.artifact is not None
    return np.array(
        pq.read_table(site.artifacts.path(stored.artifact) / "rows.parquet")[name].to_pylist()
    )


def test_a_time_column_is_judged_by_the_future(
    site: Site, dataset: str, planned: list[Validation]
) -> None:
    job = searched(site, dataset, time_column="day", exclude=["customer"], model="forward")
    assert job["state"] == "DONE", job["problem"]
    days = column(site, dataset, "day")
    (validation,) = planned
    for part in validation.parts:
        assert days[part.train].max() < days[part.valid].min()
    card = site.get("/v1/models/forward/card").json
    assert card["provenance"]["validation"]["forward_in_time"] is True
    assert "day" not in [one["name"] for one in card["columns"]]


def test_a_group_column_is_on_one_side(site: Site, dataset: str, planned: list[Validation]) -> None:
    job = searched(site, dataset, group_column="customer", exclude=["day"], model="grouped")
    assert job["state"] == "DONE", job["problem"]
    customers = column(site, dataset, "customer")
    (validation,) = planned
    for part in validation.parts:
        assert not set(customers[part.train]) & set(customers[part.valid])
    validated = site.get("/v1/models/grouped/card").json["provenance"]["validation"]
    assert validated["by_group"] == "named"


@pytest.mark.parametrize(
    ("limit", "value", "figure"),
    [
        ("gco2e", 0.0003, "gco2e"),
        ("joules", 2.0, "joules"),
        ("cpu_seconds", 0.5, "cpu_seconds"),
        ("trials", 2, None),
    ],
)
def test_a_limit_of_the_request_ends_the_search(
    site: Site, dataset: str, limit: str, value: float, figure: str | None
) -> None:
    job = searched(site, dataset, exclude=["day", "customer"], limits={limit: value}, mode="best")
    assert job["state"] == "DONE", job["problem"]
    assert job["stop_reason"].startswith(f"budget: {limit}: ")
    trials = [row for row in board(site, job) if row["model"] != "ensemble"]
    assert trials
    spent = len(trials) if figure is None else sum(row[figure] for row in trials)
    assert spent <= value


def test_a_model_that_fails_is_on_the_leaderboard(
    site: Site, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_broken(params: Any, **options: Any) -> Any:
        raise MemoryError("no room")

    broken = replace(catalog.CATALOG["logistic"], build=build_broken)
    monkeypatch.setitem(catalog.CATALOG, "logistic", broken)
    job = searched(site, dataset, exclude=["day", "customer"], model="lame")
    assert job["state"] == "DONE", job["problem"]
    assert "failed_trials" in [one["code"] for one in job["result"]["warnings"]]
    rows = board(site, job)
    assert rows[0]["score"] is not None
    failed = rows[-1]  # whatever it cost, it is the last
    assert (failed["model"], failed["score"]) == ("logistic", None)
    assert failed["error"].startswith("MemoryError")
    assert failed["joules"] >= 0
    assert not failed["front"]
    told = site.get(f"/v1/jobs/{job['id']}/events?after=0").json["items"]
    errors = [event["data"]["error"] for event in told if event["kind"] == "trial"]
    assert failed["error"] in errors
    assert site.get(f"/v1/jobs/{job['id']}/receipt").json["levers"]["less"]["n_failed"] == 1


def test_every_trial_has_its_memory_and_its_cost_of_use(site: Site, dataset: str) -> None:
    job = searched(site, dataset, exclude=["day", "customer"], limits={"trials": 2})
    for row in board(site, job, "?sort=predict_joules"):
        assert row["peak_memory_bytes"] > 10_000_000
        assert row["predict_joules"] > 0
        assert row["gco2e"] > 0


def test_the_same_request_finds_the_same_champion(site: Site, dataset: str) -> None:
    champions = []
    for _ in range(2):
        searched(site, dataset, exclude=["day", "customer"], seed=3, model="twice")
        model = site.store.get_model(site.project, "twice")
        champion = Champion.load(site.artifacts.path(model.artifact), sha256=model.sha256)
        champions.append((champion.threshold, champion.provenance, model.card["scores"]))
    assert champions[0] == champions[1]


def test_rows_to_predict_are_read_as_those_of_training(site: Site, dataset: str) -> None:
    """A day of the file's format that could be two days, and the same day in ISO 8601."""
    searched(site, dataset, exclude=["customer"], limits={"trials": 1}, model="dated")
    assert site.get("/v1/models/dated/card").json["reading"] == {"date_format": "%d/%m/%Y"}
    row = {"balance": 300.0, "age": 40, "segment": "pro"}
    found = []
    for day in ("03/04/2024", "2024-04-03"):
        answer = site.post("/v1/models/dated/predict", json={"rows": [{**row, "day": day}]})
        assert answer.status_code == 200, answer.text
        found.append(answer.json["predictions"])
    assert found[0] == found[1]
