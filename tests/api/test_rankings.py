"""A job without a target, from its request to its predictions: no label, no probability."""

from __future__ import annotations

import io
import random
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from automl.search.anomaly import AnomalyRanker
from scheduler.execution import execute
from tests.api import tables
from tests.api.parts import Site, build

pytestmark = pytest.mark.slow  # starts children

N_ROWS, N_ODD = 500, 5
ODD = {"balance": 90_000.0, "age": 140, "segment": "unheard of", "number": 0}


def rows() -> list[dict[str, Any]]:
    chance = random.Random(5)
    usual = [{k: v for k, v in row.items() if k != "y"} for row in tables.rows(N_ROWS - N_ODD)]
    made = usual + [{**ODD, "balance": 90_000.0 + i} for i in range(N_ODD)]
    for row in made:
        row["number"] = chance.randint(0, 9)
    return made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("rankings"), reads_files=True)
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


@pytest.fixture(scope="module")
def dataset(site: Site) -> str:
    answer = site.post(
        "/v1/datasets?name=customers.csv", data=tables.csv(rows()), content_type="text/csv"
    )
    end = time.monotonic() + 240
    while site.get(answer.headers["Location"]).json["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.05)
    return str(answer.json["id"])


@pytest.fixture(scope="module")
def job(site: Site, dataset: str) -> Any:
    request = {"dataset": dataset, "target": None, "objective": {"alert_rate": 0.02}}
    answer = site.post("/v1/jobs", json=request)
    assert answer.status_code == 202, answer.text
    claimed = site.claim()
    execute(
        claimed.id,
        claimed.epoch,
        store=site.store,
        artifacts=site.artifacts,
        settings=site.settings,
    )
    return site.get(f"/v1/jobs/{claimed.id}").json


def test_the_job_ends_and_says_why_nothing_was_searched(job: Any) -> None:
    assert job["state"] == "DONE", job["problem"]
    assert job["model"] == "customers-anomalies"
    assert job["request"]["target"] is None
    assert job["result"]["stop"]["reason"] == "no_labels"
    assert job["result"]["front"] == []
    assert job["result"]["picks"] == {}


def test_the_trial_is_there_without_a_score(site: Site, job: Any) -> None:
    for sort in ("score", "joules"):
        board = site.get(f"/v1/jobs/{job['id']}/leaderboard?sort={sort}").json
        (row,) = board["items"]
        assert row["model"] == "anomaly_ranking"
        assert row["metric"] is None
        assert row["score"] is None
        assert row["scores"] == {}
        assert row["error"] is None
        assert not row["front"]
        assert row["joules"] > 0
    text = site.get(f"/v1/jobs/{job['id']}/leaderboard", headers={"Accept": "text/csv"})
    assert text.status_code == 200


def test_the_receipt_bills_it_like_any_job(site: Site, job: Any) -> None:
    receipt = site.get(f"/v1/jobs/{job['id']}/receipt").json
    assert receipt["final"]
    names = [phase["name"] for phase in receipt["phases"]]
    assert names == ["ingest", "features", "search", "predict"]
    total = sum(phase["joules"] for phase in receipt["phases"])
    assert receipt["total"]["joules"] == pytest.approx(total)
    assert receipt["levers"]["less"]["n_trials"] == 1


def test_the_card_claims_nothing(site: Site, job: Any) -> None:
    card = site.get(f"/v1/models/{job['model']}/card").json
    assert card["kind"] == "anomaly ranking"
    assert "scores" not in card
    assert "calibration" not in card
    assert card["target"] is None
    assert "neither precision nor recall" in card["measured"]
    text = site.get(f"/v1/models/{job['model']}/card", headers={"Accept": "text/markdown"}).text
    assert "No probability." in text
    assert "odder than 98 %" in text
    assert "neither precision nor recall" in text
    assert "average precision" not in text


def test_there_are_no_curves(site: Site, job: Any) -> None:
    answer = site.get(f"/v1/models/{job['model']}/curves")
    assert answer.status_code == 409
    assert answer.json["code"] == "no_labels"


@pytest.fixture(scope="module")
def sent() -> list[dict[str, Any]]:
    table = rows()
    return table[:3] + table[-1:]


def test_rows_are_ranked_without_a_probability(
    site: Site, job: Any, sent: list[dict[str, Any]]
) -> None:
    path = f"/v1/models/{job['model']}/predict"
    found = site.post(f"{path}?reasons=2", json={"rows": sent}).json["predictions"]
    assert [row["probability"] for row in found] == [None] * 4
    assert [row["alert"] for row in found] == [False, False, False, True]
    assert all(0 <= row["anomaly"] <= 1 for row in found)
    assert found[-1]["anomaly"] == max(row["anomaly"] for row in found)
    assert found[-1]["reasons"][0]["column"] in ("balance", "age", "segment")
    assert found[-1]["reasons"][0]["contribution"] > 0
    empty = site.post(path, json={"rows": []})
    assert empty.status_code in (200, 422)


def test_tables_are_answered_with_the_same_columns(
    site: Site, job: Any, sent: list[dict[str, Any]]
) -> None:
    path = f"/v1/models/{job['model']}/predict"
    expected = site.post(path, json={"rows": sent}).json["predictions"]
    body = tables.csv(sent)
    text = site.post(path, data=body, content_type="text/csv", headers={"Accept": "text/csv"})
    frame = pd.read_csv(io.BytesIO(text.data))
    assert list(frame.columns) == ["probability", "anomaly", "alert"]
    assert frame["probability"].isna().all()
    assert frame["anomaly"].tolist() == pytest.approx([row["anomaly"] for row in expected])
    parquet = "application/vnd.apache.parquet"
    answer = site.post(path, data=body, content_type="text/csv", headers={"Accept": parquet})
    table = pq.read_table(io.BytesIO(answer.data))
    assert table["probability"].null_count == 4
    assert table["alert"].to_pylist() == [row["alert"] for row in expected]


def test_a_missing_column_is_named(site: Site, job: Any, sent: list[dict[str, Any]]) -> None:
    short = [{k: v for k, v in row.items() if k != "age"} for row in sent]
    answer = site.post(f"/v1/models/{job['model']}/predict", json={"rows": short})
    assert answer.status_code == 422
    assert answer.json["code"] == "missing_columns"
    assert answer.json["column"] == "age"


def test_what_is_taken_away_ranks_as_the_service_does(
    site: Site, job: Any, sent: list[dict[str, Any]], tmp_path: Any
) -> None:
    body = site.get(f"/v1/models/{job['model']}/export").data
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert not any(name.endswith((".pkl", ".joblib")) for name in archive.namelist())
        assert "AnomalyRanker.load" in archive.read("README.md").decode()
        archive.extractall(tmp_path)
    ranker = AnomalyRanker.load(tmp_path / "model")
    answer = site.post(f"/v1/models/{job['model']}/predict", json={"rows": sent})
    own = ranker.anomaly(pd.DataFrame(sent)).tolist()
    assert own == pytest.approx([row["anomaly"] for row in answer.json["predictions"]])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("positive", "yes"),
        ("positive", 0),
        ("time_column", "age"),
        ("group_column", "segment"),
        ("weight_column", "age"),
        ("monotone", {"age": "increasing"}),
        ("accept_leakage", ["age"]),
        ("accept_missing_target", True),
        ("mode", "best"),
        ("warm_start_from", "customers-anomalies"),
        ("objective", {"metric": "roc_auc"}),
        ("objective", {"metric": "average_precision"}),
        ("objective", {"recall": 0.5}),
        ("objective", {"pick": "most_frugal"}),
    ],
)
def test_what_needs_labels_is_refused_by_name(
    site: Site, dataset: str, field: str, value: Any
) -> None:
    answer = site.post("/v1/jobs", json={"dataset": dataset, "target": None, field: value})
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["field"].split(".")[0] == field
    assert error["code"] == "no_target"
    if isinstance(value, dict) and field == "objective":
        assert f"objective.{next(iter(value))}" in error["detail"]


def test_a_target_that_is_left_out_is_no_ranking(site: Site, dataset: str) -> None:
    answer = site.post("/v1/jobs", json={"dataset": dataset})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "target"
    assert "Field required" in answer.json["detail"]


def test_a_limit_that_lets_nothing_run_is_refused(site: Site, dataset: str) -> None:
    request = {"dataset": dataset, "target": None, "limits": {"cpu_seconds": 0.0001}}
    answer = site.post("/v1/jobs", json=request)
    assert answer.status_code == 422
    assert answer.json["code"] == "limit_too_small"


def test_columns_that_are_not_there_are_named(site: Site, dataset: str) -> None:
    request = {"dataset": dataset, "target": None, "exclude": ["blance"]}
    answer = site.post("/v1/jobs", json=request)
    assert answer.status_code == 422
    assert answer.json["column"] == "blance"


def test_nothing_starts_from_it(site: Site, dataset: str, job: Any) -> None:
    request = {"dataset": dataset, "target": "segment", "positive": "pro"}
    answer = site.post("/v1/jobs", json={**request, "warm_start_from": job["model"]})
    assert answer.status_code == 422
    assert answer.json["code"] == "not_a_champion"
