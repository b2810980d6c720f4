"""What a job's request asks for, through upload, admission, search and answers: nothing is lost
on the way from the JSON of a request to the rows that judge a model."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from api.card import COMPARED
from automl.estimator import FrugalClassifier
from automl.models import catalog
from automl.models.boosting import Boosting
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
        weight = 1 + number % 3
        rows.append({"day": f"{day:%d/%m/%Y}", "customer": customer, "weight": weight, **row})
    return rows


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # What one job teaches would change the next: here each starts from the same.
    made = build(tmp_path_factory.mktemp("searches"), reads_files=True, knowledge="shipped")
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


def uploaded(site: Site, name: str, body: bytes) -> str:
    """Id of a data set that was read in."""
    answer = site.post(f"/v1/datasets?name={name}", data=body, content_type="text/csv")
    end = time.monotonic() + 240
    while site.get(answer.headers["Location"]).json["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.05)
    return str(answer.json["id"])


@pytest.fixture(scope="module")
def dataset(site: Site) -> str:
    return uploaded(site, "panel.csv", tables.csv(panel()))


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
    job = searched(
        site, dataset, time_column="day", exclude=["customer", "weight"], model="forward"
    )
    assert job["state"] == "DONE", job["problem"]
    days = column(site, dataset, "day")
    (validation,) = planned
    for part in validation.parts:
        assert days[part.train].max() < days[part.valid].min()
    card = site.get("/v1/models/forward/card").json
    assert card["provenance"]["validation"]["forward_in_time"] is True
    assert "day" not in [one["name"] for one in card["columns"]]


def test_a_group_column_is_on_one_side(site: Site, dataset: str, planned: list[Validation]) -> None:
    job = searched(
        site, dataset, group_column="customer", exclude=["day", "weight"], model="grouped"
    )
    assert job["state"] == "DONE", job["problem"]
    customers = column(site, dataset, "customer")
    (validation,) = planned
    for part in validation.parts:
        assert not set(customers[part.train]) & set(customers[part.valid])
    validated = site.get("/v1/models/grouped/card").json["provenance"]["validation"]
    assert validated["by_group"] == "named"


def test_a_gap_keeps_rows_whose_label_was_not_known_out_of_training(
    site: Site, dataset: str, planned: list[Validation]
) -> None:
    job = searched(
        site, dataset, time_column="day", gap=45, exclude=["customer", "weight"], model="late"
    )
    assert job["state"] == "DONE", job["problem"]
    days = column(site, dataset, "day")
    (validation,) = planned
    for part in validation.parts:
        begin = days[part.valid].min()
        known = np.flatnonzero(days <= begin - timedelta(days=45))
        assert part.train.tolist() == known.tolist()
    validated = site.get("/v1/models/late/card").json["provenance"]["validation"]
    assert validated["gap"] == 45


def test_a_gap_is_refused_where_it_cannot_be_kept(site: Site, dataset: str) -> None:
    asked = {"dataset": dataset, "target": "y"}
    answer = site.post("/v1/jobs", json={**asked, "gap": 3})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "gap")
    answer = site.post("/v1/jobs", json={**asked, "gap": 3, "time_column": "segment"})
    assert (answer.status_code, answer.json["code"]) == (422, "time_is_text")
    answer = site.post("/v1/jobs", json={**asked, "gap": 5000, "time_column": "day"})
    assert (answer.status_code, answer.json["code"]) == (422, "gap_too_long")
    assert answer.json["details"]["longest"] < 720


def test_weights_reach_fits_and_scores(
    site: Site, dataset: str, planned: list[Validation], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    fit = Boosting.fit

    def spy(self: Any, X: Any, y: Any, **options: Any) -> Any:
        given.append(options["sample_weight"])
        return fit(self, X, y, **options)

    monkeypatch.setattr(Boosting, "fit", spy)
    asked = {"weight_column": "weight", "exclude": ["day", "customer"], "limits": {"trials": 1}}
    job = searched(site, dataset, model="heavy", **asked)
    assert job["state"] == "DONE", job["problem"]
    weights = column(site, dataset, "weight").astype(float)
    (validation,) = planned
    part = validation.parts[0]
    assert given[0].tolist() == (weights / weights.mean())[part.train].tolist()
    y = column(site, dataset, "y").astype(float)
    assert np.average(validation.y, weights=validation.weight) == pytest.approx(
        np.average(y[validation.rows], weights=weights[validation.rows])
    )
    card = site.get("/v1/models/heavy/card").json
    assert card["scores"]["prevalence"] == pytest.approx(validation.prevalence)
    assert "weight" not in [one["name"] for one in card["columns"]]
    model = site.store.get_model(site.project, "heavy")
    kept = Champion.load(site.artifacts.path(model.artifact), sha256=model.sha256).out_of_fold
    # Judged by halves, each calibrated by the other: the probabilities, not one model's logits.
    judged = kept["probability"]
    expected = average_precision_score(kept["y"], judged, sample_weight=kept["weight"])
    assert card["scores"]["average_precision"] == pytest.approx(expected)


@pytest.mark.parametrize("weight", ["0", "-1", "", "abc"])
def test_weights_that_are_none_are_refused_by_row(site: Site, weight: str) -> None:
    rows = [{**row, "w": 1} for row in tables.rows(80, n_positive=30)]
    rows[6]["w"] = weight
    dataset = uploaded(site, f"weights{weight}.csv", tables.csv(rows))
    answer = site.post("/v1/jobs", json={"dataset": dataset, "target": "y", "weight_column": "w"})
    assert (answer.status_code, answer.json["code"]) == (422, "bad_weight"), answer.text
    assert answer.json["column"] == "w"
    if weight != "abc":
        assert answer.json["row"] == 7


@pytest.mark.parametrize(
    ("objective", "metric"),
    [
        ({"metric": "roc_auc"}, "roc_auc"),
        ({"metric": "recall_at_alert_rate", "alert_rate": 0.1}, "recall_at_alert_rate"),
        ({"metric": "precision_at_recall", "recall": 0.6}, "precision_at_recall"),
        ({"metric": "expected_cost", "missed_cost": 12, "alert_cost": 1}, "cost_saving"),
    ],
)
def test_an_objective_orders_the_leaderboard_and_sets_the_threshold(
    site: Site, dataset: str, objective: dict[str, Any], metric: str
) -> None:
    name = f"by-{metric}"
    job = searched(
        site, dataset, exclude=["day", "customer", "weight"], objective=objective, model=name
    )
    assert job["state"] == "DONE", job["problem"]
    rows = board(site, job)
    assert {row["metric"] for row in rows} == {metric}
    for row in rows:
        assert row["score"] == row["scores"][metric]
        assert [row["score_low"], row["score_high"]] == row["intervals"][metric]
        assert set(row["intervals"]) == set(row["scores"]) >= {"average_precision"}
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    csv = site.get(f"/v1/jobs/{job['id']}/leaderboard", headers={"Accept": "text/csv"}).text
    assert metric in csv.splitlines()[1]
    card = site.get(f"/v1/models/{name}/card").json
    assert card["provenance"]["objective"]["metric"] == objective["metric"]
    if objective["metric"] == "expected_cost":
        assert card["threshold"] == pytest.approx(1 / 13)
        assert card["scores"]["cost_at_threshold"] >= card["scores"]["expected_cost"]
    if objective["metric"] == "precision_at_recall":
        # It is judged by halves that did not choose it: two standard errors of a share.
        spread = 2 * (0.6 * 0.4 / card["scores"]["n_validation_positives"]) ** 0.5
        assert card["scores"]["recall_at_threshold"] == pytest.approx(0.6, abs=spread)
        assert card["scores"]["precision_at_threshold"] <= card["scores"][metric] + 0.05
    text = site.get(f"/v1/models/{name}/card", headers={"Accept": "text/markdown"}).text
    assert f"Models were compared by {COMPARED[objective['metric']]} (alert rate" in text


def test_curves_are_those_of_the_search(site: Site, dataset: str) -> None:
    costs = {"missed_cost": 9, "alert_cost": 1}
    job = searched(
        site,
        dataset,
        exclude=["day", "customer", "weight"],
        objective={"pick": "most_accurate", **costs},
        model="drawn",
    )
    assert job["state"] == "DONE", job["problem"]
    scores = site.get("/v1/models/drawn/card").json["scores"]
    found = site.get("/v1/models/drawn/curves").json
    for name in ("average_precision", "expected_calibration_error", "prevalence"):
        assert found[name] == pytest.approx(scores[name], rel=1e-5)
    assert (found["missed_cost"], found["alert_cost"]) == (9, 1)
    least = min(point["cost"] for point in found["cost"])
    assert least == pytest.approx(scores["expected_cost"], rel=0.02)
    cheap = site.get("/v1/models/drawn/curves?missed_cost=1").json
    assert (cheap["missed_cost"], cheap["alert_cost"]) == (1, 1)
    assert cheap["cost"][0]["cost"] == pytest.approx(found["cost"][0]["cost"] / 9)
    by_number = {row["number"]: row["scores"] for row in board(site, job)}
    assert {int(number) for number in job["result"]["members"]} <= set(found["members"])
    for number in found["members"]:
        one = site.get(f"/v1/models/drawn/curves?member={number}").json
        assert one["average_precision"] == pytest.approx(
            by_number[number]["average_precision"], rel=1e-5
        )


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("limit", ["gco2e", "joules", "cpu_seconds", "trials"])
def test_a_limit_of_the_request_ends_the_search(site: Site, dataset: str, limit: str) -> None:
    asked = {"exclude": ["day", "customer", "weight"], "mode": "best"}
    value, figure = 2.0, None
    if limit != "trials":
        # A little more than is safe for one trial on this machine: too little for all of best.
        body = {"dataset": dataset, "target": "y", "limits": {limit: 1e-9}, **asked}
        value, figure = 1.2 * site.post("/v1/jobs", json=body).json["details"]["safe"], limit
    job = searched(site, dataset, limits={limit: value}, **asked)
    assert job["state"] == "DONE", job["problem"]
    assert job["stop_reason"].startswith(f"budget: {limit}: ")
    stop = job["result"]["stop"]
    assert (stop["reason"], stop["unit"], stop["limit"]) == ("budget", limit, value)
    assert stop["used"] + stop["expected_cost"] > value
    trials = [row for row in board(site, job) if row["model"] != "ensemble"]
    assert trials
    spent = len(trials) if figure is None else sum(row[figure] for row in trials)
    assert spent <= value


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("limit", ["gco2e", "joules", "cpu_seconds", "wall_seconds"])
def test_a_limit_that_lets_nothing_run_is_refused_with_the_least(
    site: Site, dataset: str, limit: str
) -> None:
    asked = {"dataset": dataset, "target": "y", "exclude": ["day", "customer", "weight"]}
    key = {"Idempotency-Key": f"small {limit}".replace(" ", "-")}
    answer = site.post("/v1/jobs", json={**asked, "limits": {limit: 1e-9}}, headers=key)
    assert (answer.status_code, answer.json["code"]) == (422, "limit_too_small"), answer.text
    details = answer.json["details"]
    assert details["field"] == f"limits.{limit}"
    assert 1e-9 < details["least"] < details["safe"]
    # Only a clock minds that the machine is far busier in a moment.
    times = 50 if limit == "wall_seconds" else 1
    limits = {limit: times * details["safe"]}
    job = searched(site, dataset, exclude=asked["exclude"], limits=limits)
    assert job["state"] == "DONE", job["problem"]


def test_the_least_gain_of_a_gram_reaches_the_search(site: Site, dataset: str) -> None:
    limits = {"least_gain_per_gram": 1e9}
    job = searched(
        site, dataset, exclude=["day", "customer", "weight"], limits=limits, mode="balanced"
    )
    stop = job["result"]["stop"]
    assert stop["reason"] == "rate"
    assert stop["rate_per_gram"] < stop["least_rate_per_gram"]
    assert stop["least_rate_per_gram"] == pytest.approx(1e9)
    asked = {"dataset": dataset, "target": "y", "limits": {"least_gain_per_gram": -1}}
    answer = site.post("/v1/jobs", json=asked)
    assert answer.json["errors"][0]["field"] == "limits.least_gain_per_gram"


def test_a_model_that_fails_is_on_the_leaderboard(
    site: Site, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_broken(params: Any, **options: Any) -> Any:
        raise MemoryError("no room")

    broken = replace(catalog.CATALOG["logistic"], build=build_broken)
    monkeypatch.setitem(catalog.CATALOG, "logistic", broken)
    job = searched(site, dataset, exclude=["day", "customer", "weight"], model="lame")
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
    job = searched(site, dataset, exclude=["day", "customer", "weight"], limits={"trials": 2})
    for row in board(site, job, "?sort=predict_joules"):
        assert row["peak_memory_bytes"] > 10_000_000
        assert row["predict_joules"] > 0
        assert row["gco2e"] > 0


def test_the_same_request_finds_the_same_champion(site: Site, dataset: str) -> None:
    champions = []
    for _ in range(2):
        searched(site, dataset, exclude=["day", "customer", "weight"], seed=3, model="twice")
        model = site.store.get_model(site.project, "twice")
        champion = Champion.load(site.artifacts.path(model.artifact), sha256=model.sha256)
        champions.append((champion.threshold, champion.provenance, model.card["scores"]))
    assert champions[0] == champions[1]


def test_rows_to_predict_are_read_as_those_of_training(site: Site, dataset: str) -> None:
    """A day of the file's format that could be two days, and the same day in ISO 8601."""
    searched(site, dataset, exclude=["customer", "weight"], limits={"trials": 1}, model="dated")
    assert site.get("/v1/models/dated/card").json["reading"] == {"date_format": "%d/%m/%Y"}
    row = {"balance": 300.0, "age": 40, "segment": "pro"}
    found = []
    for day in ("03/04/2024", "2024-04-03"):
        answer = site.post("/v1/models/dated/predict", json={"rows": [{**row, "day": day}]})
        assert answer.status_code == 200, answer.text
        found.append(answer.json["predictions"])
    assert found[0] == found[1]


@pytest.mark.parametrize("roles", [(), ("time", "weight")], ids=["plain", "roles"])
def test_the_library_finds_what_the_service_finds(
    site: Site, dataset: str, roles: tuple[str, ...]
) -> None:
    """The same rows and seed in Python and over HTTP: the same trials, scores and champion."""
    asked: dict[str, Any] = {"exclude": ["customer"], "seed": 5, "limits": {"trials": 4}}
    asked |= {"time_column": "day"} if "time" in roles else {"exclude": ["customer", "day"]}
    if "weight" in roles:
        asked["weight_column"] = "weight"
    else:
        asked["exclude"] = [*asked["exclude"], "weight"]
    model = f"same-{len(roles)}"
    job = searched(site, dataset, mode="balanced", model=model, **asked)
    assert job["state"] == "DONE", job["problem"]

    frame = pd.read_csv(io.BytesIO(tables.csv(panel())))
    given = {
        name: values
        for name, values in {
            "time": pd.to_datetime(frame.pop("day"), format="%d/%m/%Y"),
            "weight": frame.pop("weight"),
        }.items()
        if name in roles
    }
    X, y = frame.drop(columns=["customer", "y"]), frame["y"]
    found = FrugalClassifier(mode="balanced", trials=4, random_state=5).fit(
        X, y, time=given.get("time"), weights=given.get("weight")
    )
    here = [(t.candidate.model, t.proposal.rung, t.score) for t in found.result_.trials]
    there = [(one["model"], one["rung"], one["score"]) for one in board(site, job)]
    assert sorted(here, key=str) == sorted(there, key=str)
    rows = X.head(40)
    answer = site.post(f"/v1/models/{model}/predict", json={"rows": rows.to_dict("records")})
    probability = [one["probability"] for one in answer.json["predictions"]]
    np.testing.assert_allclose(probability, found.predict_proba(rows)[:, 1], rtol=1e-6)
