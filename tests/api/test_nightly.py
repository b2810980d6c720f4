"""A model that is kept good, over HTTP: real data, late labels, nights, and a way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scheduler.execution import execute
from scheduler.retraining import Retraining
from tests.api.parts import Site, build


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("nightly"), reads_files=True)
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


@pytest.fixture(scope="module")
def frame(shared_data: Path) -> pd.DataFrame:
    """Mammography, in an order that chance made, every row with a key."""
    found = pd.read_parquet(shared_data / "mammography" / "mammography.parquet")
    found = found.sample(4000, random_state=0).reset_index(drop=True)
    target = found.columns[-1]
    values = found[target].astype(str)
    found["y"] = (values == values.value_counts().idxmin()).astype(int)
    found.insert(0, "id", [f"P-{i:05}" for i in range(len(found))])
    return found.drop(columns=[target])


def csv(frame: pd.DataFrame, *, labelled: bool = True) -> bytes:
    if not labelled:
        frame = frame.assign(y=pd.array([None] * len(frame), dtype="Int64"))
    return frame.to_csv(index=False).encode()


def sent(site: Site, path: str, body: bytes) -> dict[str, Any]:
    answer = site.post(path, data=body, content_type="text/csv")
    assert answer.status_code == 201, answer.text
    end = time.monotonic() + 240
    found: dict[str, Any] = {}
    while (found := site.get(answer.headers["Location"]).json)["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert found["state"] == "READY", found["problem"]
    return found


def worked(site: Site, now: datetime) -> None:
    """Run what is due at a moment, by a clock that goes on from there."""
    begun = time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - begun)

    while (job := site.store.claim_job(owner="w", lease_seconds=600, now=clock())) is not None:
        execute(
            job.id,
            job.epoch,
            store=site.store,
            artifacts=site.artifacts,
            settings=site.settings,
            clock=clock,
        )
        found = site.get(f"/v1/jobs/{job.id}").json
        assert found["state"] == "DONE", found["problem"]


@pytest.mark.data
@pytest.mark.slow
def test_a_week_of_a_model(real: Site, frame: pd.DataFrame) -> None:
    site = real
    base = sent(site, "/v1/datasets?name=scans.csv&key=id", csv(frame[:2400]))
    body = {"dataset": base["id"], "target": "y", "model": "scans", "mode": "eco", "seed": 0}
    assert site.post("/v1/jobs", json=body).status_code == 202
    worked(site, datetime.now(UTC))
    asked = {
        "model": "scans",
        "at": {"start": "02:30", "hours": 4},
        "time_zone": "Europe/Paris",
        "promote": "auto",
        "when": {"policy": "now"},
    }
    made = site.post("/v1/schedules", json=asked).json
    retraining = Retraining(site.store, site.artifacts, site.settings, site.ingestor)

    def night() -> dict[str, Any]:
        due = datetime.fromisoformat(site.get(f"/v1/schedules/{made['id']}").json["next_at"])
        retraining.due(due)
        worked(site, due + timedelta(minutes=1))
        retraining.due(due + timedelta(hours=1))
        return dict(site.get(f"/v1/schedules/{made['id']}/runs").json["items"][0])

    # Rows of new patients, their diagnoses unknown.
    second = sent(site, f"/v1/datasets/{base['id']}/versions", csv(frame[2400:], labelled=False))
    assert (second["version"], second["base"], second["n_rows"]) == (2, base["id"], 4000)
    versions = site.get(f"/v1/datasets/{base['id']}/versions").json["items"]
    assert [one["n_rows"] for one in versions] == [2400, 4000]
    run = night()
    assert (run["state"], run["promoted"]) == ("SKIPPED", None)
    assert run["because"].startswith("not worth it today, because 0 new labels (< 50)")
    drift = site.get("/v1/models/scans/drift").json
    assert (drift["n_rows"], drift["against"]) == (1600, "training")
    told = [(one["column"], one["psi"]) for one in run["decision"]["numbers"]["drift"]["columns"]]
    assert [(one["column"], one["psi"]) for one in drift["columns"]][: len(told)] == told
    assert all(0 <= one["shift"]["now"] <= 1 for one in drift["columns"])

    # The diagnoses.
    late = frame[2400:]
    labels = [
        {"key": key, "label": int(y), "at": "2026-11-22T12:00:00Z"}
        for key, y in zip(late["id"], late["y"], strict=True)
    ]
    labels += [
        {"key": "P-unknown", "label": 1},
        {"key": "P-02400", "label": int(late["y"].iloc[0])},
    ]
    answer = site.post("/v1/models/scans/outcomes", json={"outcomes": labels})
    assert answer.status_code == 201, answer.text
    assert (answer.json["n_labels"], answer.json["n_unknown_keys"]) == (1601, 1)
    again = site.post("/v1/models/scans/outcomes", json={"outcomes": labels})
    assert (again.status_code, again.json["id"]) == (200, answer.json["id"])

    run = night()
    assert run["state"] == "DONE", run
    numbers = run["decision"]["numbers"]
    assert numbers["n_new_labels"] == 1600
    assert numbers["n_new_positive"] == int(late["y"].sum())
    challenge = run["outcome"]["challenge"]
    assert run["promoted"] is (challenge["interval"][0] > 0)
    serving = 2 if run["promoted"] else 1
    found = site.get("/v1/models/scans/promotions").json
    assert (found["serving"], found["versions"]) == (serving, [2, 1])
    assert site.get("/v1/models/scans").json["version"] == serving

    # By hand the other way, and back.
    other = 3 - serving
    promoted = site.post("/v1/models/scans/promote", json={"version": other})
    assert promoted.json["version"] == other
    row = late.drop(columns=["y"]).iloc[0].to_dict()
    predicted = site.post("/v1/models/scans/predict", json={"rows": [row]})
    assert predicted.headers["Model-Version"] == str(other)
    assert site.post("/v1/models/scans/rollback").json["version"] == serving
    assert site.get("/v1/audit?verify=true").json["verified"] is True

    # Deletion deletes: the rows, the versions built on them, and the labels.
    gone = site.call("DELETE", f"/v1/datasets/{base['id']}?force=true")
    assert (gone.status_code, gone.json["deleted"]) == (200, [base["id"], second["id"]])
    names = site.artifacts.names()
    assert not [name for name in names if name.startswith(("datasets/", "outcomes/", "jobs/"))]
    run = night()
    assert (run["state"], run["decision"]["problem"]["code"]) == ("FAILED", "deleted")
