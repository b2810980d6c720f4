"""A site with a model of three tables, and what is asked of it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from automl.search.champion import Champion
from scheduler.execution import execute
from tests.api.parts import Site, build
from tests.api.relations import (
    assembled,
    bank,
    bank_spec,
    bank_tables,
)


def bank_site(folder: Path) -> Iterator[Site]:
    """A site with a data set `bank` and a model `bank` from a job that ran to its end."""
    (folder / "site").mkdir()
    made = build(folder / "site", reads_files=True)
    ids = bank_tables(made, folder / "files")
    dataset = assembled(made, bank_spec(ids))
    assert dataset["state"] == "READY", dataset["problem"]
    done = trained(made, dataset["id"], model="bank")
    assert done["state"] == "DONE", done["problem"]
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


def trained(site: Site, dataset: str, **request: Any) -> dict[str, Any]:
    body = {"dataset": dataset, "mode": "eco", "limits": {"trials": 2}, **request}
    answer = site.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job = site.claim()
    assert job.id == answer.json["id"]
    execute(job.id, job.epoch, store=site.store, artifacts=site.artifacts, settings=site.settings)
    found: dict[str, Any] = site.get(f"/v1/jobs/{job.id}").json
    return found


def job_of(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.get(f"/v1/jobs/{site.get('/v1/models/bank').json['job']}").json
    return found


def champion_of(site: Site) -> Champion:
    model = site.store.get_model(site.project, "bank")
    return Champion.load(site.artifacts.path(model.artifact), sha256=model.sha256)


def some_customers(n: int = 7) -> list[str]:
    return list(bank().customers.to_pandas()["customer_id"].sample(n, random_state=3))


def predicted(site: Site, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = site.post("/v1/models/bank/predict", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json
    return found


def probabilities(answer: dict[str, Any]) -> list[float]:
    return [one["probability"] for one in answer["predictions"]]


def batch(site: Site, form: str, **request: Any) -> dict[str, Any]:
    body = {"dataset": job_of(site)["dataset"], "format": form, **request}
    answer = site.post("/v1/models/bank/predictions", json=body)
    assert answer.status_code == 202, answer.text
    return ended(site, answer.headers["Location"])


def ended(site: Site, location: str) -> dict[str, Any]:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        found: dict[str, Any] = site.get(location).json
        if found["state"] != "RUNNING":
            return found
        time.sleep(0.05)
    raise AssertionError("still RUNNING")


def rows_of(site: Site, done: dict[str, Any]) -> pd.DataFrame:
    answer = site.get(done["content"])
    assert answer.status_code == 200
    data = io.BytesIO(answer.data)
    table = pq.read_table(data) if done["format"] == "parquet" else pa_csv.read_csv(data)
    found: pd.DataFrame = table.to_pandas()
    return found
