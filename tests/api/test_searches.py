"""What a job's request asks for, through upload, admission, search and answers: nothing is lost
on the way from the JSON of a request to the rows that judge a model."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from api.card import COMPARED
from automl.estimator import FrugalClassifier
from automl.models import catalog
from automl.search.champion import Champion
from tests.api import tables
from tests.api.parts import Site
from tests.api.searched import board, panel, searched
from tests.api.searched import dataset as dataset
from tests.api.searched import site as site

pytestmark = pytest.mark.slow  # trains models


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
