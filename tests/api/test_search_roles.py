"""Which rows judge a model: by time, group, gap and weight, as the request says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from automl.models.boosting import Boosting
from automl.search.champion import Champion
from automl.search.validation import Validation, plan_validation
from tests.api import tables
from tests.api.parts import Site
from tests.api.searched import dataset as dataset
from tests.api.searched import searched, uploaded
from tests.api.searched import site as site

pytestmark = pytest.mark.slow  # trains models


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
