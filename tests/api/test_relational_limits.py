"""The limits of a job hold for the choice of its features, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scheduler.execution import execute
from tests.api.parts import Site, build
from tests.api.relations import assembled, bank_spec, bank_tables

pytestmark = pytest.mark.slow  # begins to train models


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("limits")
    return build(folder, reads_files=True)


@pytest.fixture(scope="module")
def dataset(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    files: Path = tmp_path_factory.mktemp("limits-files") / "tables"
    made = assembled(site, bank_spec(bank_tables(site, files)))
    assert made["state"] == "READY", made["problem"]
    return str(made["id"])


def ended(site: Site, dataset: str, limits: dict[str, Any]) -> dict[str, Any]:
    answer = site.post("/v1/jobs", json={"dataset": dataset, "mode": "eco", "limits": limits})
    assert answer.status_code == 202, answer.text
    job = site.claim()
    execute(job.id, job.epoch, store=site.store, artifacts=site.artifacts, settings=site.settings)
    found: dict[str, Any] = site.get(f"/v1/jobs/{job.id}").json
    return found


@pytest.mark.usefixtures("unhurried")
def test_the_least_limit_that_is_safe_leaves_room_for_a_model(site: Site, dataset: str) -> None:
    body = {"dataset": dataset, "mode": "eco", "limits": {"cpu_seconds": 1e-3}}
    safe = site.post("/v1/jobs", json=body).json["details"]["safe"]
    job = ended(site, dataset, {"cpu_seconds": safe})
    assert job["state"] == "DONE", job["problem"]
    tables = job["result"]["tables"]
    assert tables["features_stop"]["reason"] == "budget"
    assert tables["features_stop"]["unit"] == "cpu_seconds"
    left = [one for one in tables["feature_groups"] if one["score"] is None]
    assert any(one["why"].startswith("not tried: budget") for one in left)
    assert "features_stopped" in [one["code"] for one in job["result"]["warnings"]]


def test_a_limit_with_room_for_all_stops_nothing(site: Site, dataset: str) -> None:
    job = ended(site, dataset, {"trials": 1})
    assert job["state"] == "DONE", job["problem"]
    assert job["result"]["tables"]["features_stop"] is None
