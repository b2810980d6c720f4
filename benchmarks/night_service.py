"""A service whose nights follow each other at once: its own process, timer, readers and jobs."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from sqlalchemy import select, update

from api.local_service import LocalService
from benchmarks.http_service import ENDED, Session
from scheduler.config import Settings
from scheduler.store import Store
from scheduler.tables import models, runs, schedules

Scores: TypeAlias = "pd.Series[float]"
PAUSE = 3.0  # on a busy machine, to ask more often is a good part of what is measured
OPEN_RUNS = ("DECIDING", "SUBMITTED")


class NightService:
    """Plain requests to one service, and the one thing that HTTP has no word for: the next night.

    A run belongs to a local date, and the dates of a service cannot be turned on. So the dates
    that were are put back in its database, and the schedule is due again.
    """

    def __init__(self, service: LocalService, folder: Path) -> None:
        self.session, self._folder = Session(service), folder

    def upload(self, name: str, frame: pd.DataFrame, *, key: str | None = None) -> str:
        """A table as CSV; the id of its data set."""
        asked = f"/v1/datasets?name={name}" + (f"&key={key}" if key else "")
        return self._ready(self.session.post(asked, **_csv(frame)))

    def append(self, dataset: str, frame: pd.DataFrame) -> str:
        """The next version with more rows; the id of the newest one where there are none."""
        newest = self.session.get(f"/v1/datasets/{dataset}/versions")["items"][-1]["id"]
        if not len(frame):
            return str(newest)
        return self._ready(self.session.post(f"/v1/datasets/{newest}/versions", **_csv(frame)))

    def together(self, name: str, spec: Mapping[str, Any], sources: Mapping[str, str]) -> str:
        """Tables put together; the id of their data set."""
        tables = {
            table: {**one, "source": {"dataset": sources[table]}}
            for table, one in spec["tables"].items()
        }
        body = {"name": name, "spec": {**spec, "tables": tables}}
        return self._ready(self.session.post("/v1/datasets", json=body))

    def search(self, dataset: str, *, model: str) -> dict[str, Any]:
        """A search with every default; the job once it is done."""
        body = {"dataset": dataset, "model": model, "seed": 0, "accept_missing_target": True}
        job = json.loads(self.session.post("/v1/jobs", json=body))["id"]
        found = self.session.until(f"/v1/jobs/{job}", ENDED, pause=PAUSE)
        if found["state"] != "DONE":
            raise RuntimeError(f"the job ended {found['state']}: {found.get('problem')}")
        return found

    def bill(self, job: str) -> dict[str, float]:
        """CPU-seconds of a job by phase."""
        phases = self.session.get(f"/v1/jobs/{job}/receipt")["phases"]
        return {one["name"]: round(one["cpu_seconds"], 2) for one in phases}

    def labels(self, model: str, late: pd.DataFrame) -> None:
        """Labels that came later, by key."""
        if len(late):
            cells = late.astype(object).itertuples(index=False, name=None)
            told = [{"key": str(key), "label": label} for key, label in cells]
            self.session.post(f"/v1/models/{model}/outcomes", json={"outcomes": told})

    def schedule(self, model: str) -> str:
        """A daily schedule with every default but that its jobs do not wait."""
        body = {
            "model": model,
            "at": {"start": "00:00", "hours": 24},
            "time_zone": "UTC",
            "promote": "auto",
            "when": {"policy": "now"},
        }
        return str(json.loads(self.session.post("/v1/schedules", json=body))["id"])

    def night(self, schedule: str, *, days: int) -> dict[str, Any]:
        """The run of a night that comes so many days after the last; once it has ended."""
        self._put_back(schedule, days=days)
        while True:
            items = self.session.get(f"/v1/schedules/{schedule}/runs")["items"]
            today = datetime.now(UTC).date().isoformat()
            if items and items[0]["local_date"] >= today and items[0]["state"] not in OPEN_RUNS:
                return dict(items[0])
            time.sleep(PAUSE)

    def serving(self, model: str) -> int:
        """The version that answers."""
        return int(self.session.get(f"/v1/models/{model}")["version"])

    def predict(self, model: str, dataset: str, *, key: str, version: int) -> Scores:
        """Probabilities of all rows of a data set, by one version of a model."""
        asked = f"/v1/models/{model}/predictions?version={version}"
        made = json.loads(self.session.post(asked, json={"dataset": dataset}))["id"]
        found = self.session.until(f"/v1/predictions/{made}", {"DONE", "FAILED"}, pause=PAUSE)
        if found["state"] != "DONE":
            raise RuntimeError(f"the predictions failed: {found['problem']}")
        rows = pd.read_parquet(io.BytesIO(self.session.content(found["content"])))
        return rows.set_index(key)["probability"]

    def forget(self, *datasets: str) -> None:
        """Delete data sets."""
        for one in datasets:
            self.session.delete(f"/v1/datasets/{one}?force=true")

    def bytes_of(self, dataset: str) -> dict[str, int]:
        """What the versions of a data set of several tables keep, and how many there are."""
        items = self.session.get(f"/v1/datasets/{dataset}/versions")["items"]
        live = [one for one in items if one["state"] == "READY"]
        kept = sum(one["bytes_stored"] for one in live)
        return {"versions": len(live), "kept": kept}

    def _put_back(self, schedule: str, *, days: int) -> None:
        store = Store(Settings(data_dir=self._folder, database_url="").resolved_database_url)
        back, now = timedelta(days=days), datetime.now(UTC)
        try:
            with store.write() as connection:
                made = select(runs).where(runs.c.schedule_id == schedule)
                for run in connection.execute(made.order_by(runs.c.local_date)).all():
                    then = date.fromisoformat(run.local_date) - back
                    same = (runs.c.schedule_id == schedule, runs.c.local_date == run.local_date)
                    moments = {
                        name: getattr(run, name) and getattr(run, name) - back
                        for name in ("due_at", "decided_at", "finished_at")
                    }
                    connection.execute(
                        update(runs).where(*same).values(local_date=then.isoformat(), **moments)
                    )
                for model in connection.execute(select(models.c.id, models.c.created_at)).all():
                    connection.execute(
                        update(models)
                        .where(models.c.id == model.id)
                        .values(created_at=model.created_at - back)
                    )
                connection.execute(
                    update(schedules)
                    .where(schedules.c.id == schedule)
                    .values(next_at=now, next_date=now.date().isoformat())
                )
        finally:
            store.close()

    def _ready(self, body: bytes) -> str:
        made = str(json.loads(body)["id"])
        found = self.session.until(f"/v1/datasets/{made}", {"READY", "INVALID"}, pause=1.0)
        if found["state"] != "READY":
            raise RuntimeError(f"it was not read: {found['problem']}")
        return made


def _csv(frame: pd.DataFrame) -> dict[str, Any]:
    body = io.BytesIO()
    frame.to_csv(body, index=False)
    return {"data": body.getvalue(), "headers": {"Content-Type": "text/csv"}}
