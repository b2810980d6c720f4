"""What the HTTP benchmark asks: a champion of bank_marketing, and a job of 10,000 trials."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import requests
from sqlalchemy import insert, select

from api.local_service import LocalService
from benchmarks.sets import Table, load
from scheduler.config import Settings
from scheduler.store import Store
from scheduler.tables import trials

MODEL, TARGET = "bank", "target__"
N_TRIALS = 10_000
ENDED = {"DONE", "FAILED", "CANCELLED", "QUARANTINED"}
BATCH = 500
SETTINGS = {"FRUGAL_REQUESTS_PER_MINUTE": "10000000"}


class Session:
    """Plain requests to one service; any refusal ends the benchmark."""

    def __init__(self, service: LocalService) -> None:
        self._url = service.url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {service.token}"

    def get(self, path: str) -> Any:
        """A JSON answer."""
        answer = self._session.get(self._url + path, timeout=120)
        answer.raise_for_status()
        return answer.json()

    def content(self, path: str) -> bytes:
        """An answer as it is."""
        answer = self._session.get(self._url + path, timeout=600)
        answer.raise_for_status()
        return answer.content

    def delete(self, path: str) -> None:
        """Delete what is there."""
        self._session.delete(self._url + path, timeout=120).raise_for_status()

    def post(self, path: str, *, headers: dict[str, str] | None = None, **content: Any) -> bytes:
        """The body of an answer."""
        answer = self._session.post(self._url + path, headers=headers, timeout=600, **content)
        if not answer.ok:
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.content

    def until(self, path: str, states: set[str], *, pause: float = 0.2) -> dict[str, Any]:
        """What is at `path` once its state is one of these."""
        while True:
            found: dict[str, Any] = self.get(path)
            if found["state"] in states:
                return found
            time.sleep(pause)


def searched(session: Session, table: Table) -> str:
    """Upload the table and search with every default; the job's id."""
    body = io.BytesIO()
    table.X.assign(**{TARGET: table.y}).to_parquet(body, index=False)
    sent = session.post(
        "/v1/datasets?name=bank",
        data=body.getvalue(),
        headers={"Content-Type": "application/vnd.apache.parquet"},
    )
    dataset = _id(sent)
    found = session.until(f"/v1/datasets/{dataset}", {"READY", "INVALID"})
    if found["state"] != "READY":
        raise RuntimeError(f"the table was not read: {found}")
    request = {"dataset": dataset, "target": TARGET, "positive": 1, "model": MODEL, "seed": 0}
    job = _id(session.post("/v1/jobs", json=request))
    found = session.until(f"/v1/jobs/{job}", ENDED)
    if found["state"] != "DONE":
        raise RuntimeError(f"the job ended {found['state']}: {found}")
    return job


def _id(body: bytes) -> str:
    import json

    return str(json.loads(body)["id"])


def lengthened(data_dir: Path, job_id: str, *, n_trials: int, seed: int) -> None:
    """Add trials to a finished job until it has so many: its own ones with other numbers in them.

    They are screenings, so that front and picks stay true.
    """
    store = Store(Settings(data_dir=data_dir, database_url="").resolved_database_url)
    rng = np.random.default_rng(seed)
    try:
        with store.read() as connection:
            query = select(trials).where(trials.c.job_id == job_id).order_by(trials.c.number)
            own = [dict(row._mapping) for row in connection.execute(query)]
        models = [row for row in own if row["rung"] == 0 and row["score"] is not None]
        added = []
        for number in range(len(own), n_trials):
            row = dict(models[number % len(models)])
            share = float(rng.uniform(0.5, 1.0))
            trial = dict(row["trial"]) | {"number": number, "score": row["score"] * share}
            params = dict(trial["candidate"]["params"]) | {"lambda_l2": number / 100}
            trial["candidate"] = {**trial["candidate"], "params": params}
            trial["cost"] = dict(trial["cost"])
            trial["cost"]["joules"] = row["joules"] * float(rng.lognormal())
            row |= {"number": number, "score": trial["score"], "trial": trial}
            row["joules"] = trial["cost"]["joules"]
            row["predict_joules"] = (row["predict_joules"] or 0.0) * share
            added.append(row)
        for start in range(0, len(added), BATCH):
            with store.write() as connection:
                connection.execute(insert(trials), added[start : start + BATCH])
    finally:
        store.close()


def the_table() -> Table:
    """bank_marketing without its leak."""
    return load("bank_marketing")


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them; missing cells are null."""
    plain = frame.astype(object).where(frame.notna(), None)
    rows: list[dict[str, Any]] = plain.to_dict(orient="records")  # type: ignore[assignment]
    return rows
