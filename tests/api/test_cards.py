"""Cards by subgroup: from a job that names columns to the answer in three forms."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from automl.search.champion import Champion
from scheduler.execution import execute
from tests.api import tables
from tests.api.parts import Site, build
from tests.api.test_documents import Page

BRANCH = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Customers of three branches, one of them tiny, under a name that is markup."""
    made = tables.rows(900, n_positive=180)
    names = ["north", "south"]
    return [{BRANCH: "hermits" if i < 6 else names[i % 2], **row} for i, row in enumerate(made)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("cards"), reads_files=True, knowledge="shipped")
    sent = made.post(
        "/v1/datasets?name=branches.csv", data=tables.csv(rows), content_type="text/csv"
    )
    end = time.monotonic() + 240
    while made.get(sent.headers["Location"]).json["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.05)
    request = {
        "dataset": sent.json["id"],
        "target": "y",
        "mode": "eco",
        "model": "branches",
        "exclude": [BRANCH],
        "subgroups": [BRANCH],
        "limits": {"trials": 3},
    }
    asked = made.post("/v1/jobs", json=request)
    assert asked.status_code == 202, asked.text
    job = made.claim()
    execute(job.id, job.epoch, store=made.store, artifacts=made.artifacts, settings=made.settings)
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


def test_subgroups_are_those_of_the_validation_rows(site: Site, rows: list[dict[str, Any]]) -> None:
    card = site.get("/v1/models/branches/card").json
    (found,) = card["subgroups"]["columns"]
    assert (found["column"], found["by"]) == (BRANCH, "levels")
    model = site.store.get_model(site.project, "branches")
    champion = Champion.load(site.artifacts.path(model.artifact), sha256=model.sha256)
    kept = champion.out_of_fold
    branch = np.array([row[BRANCH] for row in rows])[kept["rows"]]
    np.testing.assert_array_equal(np.array([row["y"] for row in rows])[kept["rows"]], kept["y"])
    alerted = kept["probability"] >= champion.threshold
    for one in found["parts"]:
        own = branch == one["level"]
        if one["level"] == "all others":
            continue
        positive = own & (kept["y"] == 1)
        assert (one["n_rows"], one["n_positive"]) == (own.sum(), positive.sum())
        assert one["recall"] == pytest.approx((positive & alerted).sum() / positive.sum(), rel=1e-5)
    told = {one["level"] for one in found["parts"]}
    assert {"north", "south"} <= told
    assert "hermits" not in told
    assert "hermits" not in site.get("/v1/models/branches/card?format=markdown").text


def test_importance_tells_the_columns_that_are_read(site: Site) -> None:
    card = site.get("/v1/models/branches/card").json
    read = {one["name"] for one in card["columns"]}
    assert {one["column"] for one in card["importance"]["columns"]} <= read
    moved = [one["importance"] for one in card["importance"]["columns"]]
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > 0
    assert card["versions"] == {"serving": 1, "all": [1]}


def test_three_forms(site: Site) -> None:
    for form, kind in (
        ("json", "application/json"),
        ("html", "text/html"),
        ("markdown", "text/markdown"),
    ):
        answer = site.get(f"/v1/models/branches/card?format={form}")
        assert (answer.status_code, answer.mimetype) == (200, kind)
        assert site.get("/v1/models/branches/card", headers={"Accept": kind}).mimetype == kind
    page = site.get("/v1/models/branches/card?format=html")
    assert BRANCH not in page.text
    assert "&lt;script&gt;" in page.text
    found = Page(page.text)
    assert "script" not in found.tags
    assert not [name for name, _ in found.attributes if name == "style" or name.startswith("on")]
    assert not found.links
    assert "By subgroup" in page.text
    assert "too few" in page.text or "north" in page.text
    assert BRANCH not in site.get("/v1/models/branches/card?format=markdown").text


def test_an_older_card_has_a_page_too(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = build(tmp_path_factory.mktemp("older"))
    model = other.model()
    answer = other.get(f"/v1/models/{model.name}/card?format=html")
    assert answer.status_code == 200
    assert "<script>" not in answer.text
    assert "No column was named" in answer.text
    other.store.close()


def test_a_subgroup_is_a_column_of_the_data_and_needs_a_target(site: Site) -> None:
    job = site.get("/v1/jobs").json["items"][0]
    dataset = job["dataset"]
    refused = site.post("/v1/jobs", json={"dataset": dataset, "target": "y", "subgroups": ["no"]})
    assert (refused.status_code, refused.json["code"]) == (422, "column_not_found")
    assert refused.json["details"]["field"] == "subgroups"
    refused = site.post(
        "/v1/jobs", json={"dataset": dataset, "target": None, "subgroups": [BRANCH]}
    )
    assert refused.status_code == 422
    refused = site.post("/v1/jobs", json={"dataset": dataset, "target": "y", "subgroups": ["y"]})
    assert (refused.status_code, refused.json["code"]) == (422, "target_has_two_roles")
