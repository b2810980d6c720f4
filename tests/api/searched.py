"""A site with rows of customers by day, and jobs on them that are run to their end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.execution import execute
from tests.api import tables
from tests.api.parts import Site, build

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
