"""Rows of an upload whose target is missing are learnt from, and judge nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.execution import execute
from tests.api import tables
from tests.api.parts import Site, build

pytestmark = pytest.mark.slow  # trains models

N_ROWS, N_LABELLED = 1200, 480


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("unlabelled"), reads_files=True)
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


@pytest.fixture(scope="module")
def dataset(site: Site) -> str:
    rows = tables.rows(N_ROWS, n_positive=240)
    for i, row in enumerate(rows):
        if i * 7 % 10 >= 4:  # six of ten
            row["y"] = ""
    answer = site.post(
        "/v1/datasets?name=partly.csv", data=tables.csv(rows), content_type="text/csv"
    )
    end = time.monotonic() + 240
    while site.get(answer.headers["Location"]).json["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.05)
    return str(answer.json["id"])


def test_most_rows_without_a_target_are_refused_unless_meant(site: Site, dataset: str) -> None:
    answer = site.post("/v1/jobs", json={"dataset": dataset, "target": "y"})
    assert answer.status_code == 422
    assert answer.json["code"] == "target_missing"


def test_they_are_learnt_from_and_judge_nothing(site: Site, dataset: str) -> None:
    request = {"dataset": dataset, "target": "y", "accept_missing_target": True, "model": "partly"}
    answer = site.post("/v1/jobs", json=request)
    assert answer.status_code == 202, answer.text
    assert "target_missing" in {one["code"] for one in answer.json["warnings"]}
    job = site.claim()
    execute(job.id, job.epoch, store=site.store, artifacts=site.artifacts, settings=site.settings)
    done = site.get(f"/v1/jobs/{job.id}").json
    assert done["state"] == "DONE", done["problem"]
    board: list[Any] = site.get(f"/v1/jobs/{job.id}/leaderboard").json["items"]
    (own,) = [row for row in board if row["model"] == "self_trained_lightgbm"]
    assert own["error"] is None
    assert own["score"] is not None
    assert own["n_rows"] == N_LABELLED
    card = site.get("/v1/models/partly/card").json
    assert card["provenance"]["n_rows"] == N_LABELLED
    drawn = site.get("/v1/models/partly/curves").json
    assert drawn["n_rows"] <= N_LABELLED
    suggestions = done["result"]["knowledge"]["suggestions"]
    (said,) = [one for one in suggestions if one["name"] == "S15"]
    assert said["tried"]
    assert said["gain_percent"] == 1.0
