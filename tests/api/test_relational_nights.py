"""A champion that follows several tables, over HTTP: nights that change, do not, and break."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scheduler.retraining import Retraining
from tests.api.parts import Site, build
from tests.api.relations import frame_csv, ready, records, uploaded
from tests.api.test_nightly import worked

N_BASE, N_MORE = 900, 1100
CUT_OFF = pd.Timestamp("2026-05-01")
YESTERDAY = time.time() - 86_400


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("nights")
    (folder / "feed").mkdir()
    (folder / "site").mkdir()
    made = build(folder / "site", reads_files=True, feed_roots=str(folder / "feed"))
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


def clinic(first: int, last: int, *, seed: int, turned: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients and their visits; what they paid makes them bad, or `turned` what they did not."""
    rng = np.random.default_rng(seed)
    n = last - first
    ids = [f"P{i:05}" for i in range(first, last)]
    level = rng.normal(size=n)
    odds = (-2.5 if turned else 2.5) * level + rng.gumbel(size=n)
    people = pd.DataFrame(
        {
            "id": ids,
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(7, 1, n).round(2),
            "day": CUT_OFF.isoformat(),
            "bad": (odds > np.quantile(odds, 0.88)).astype(int),
        }
    )
    rows = []
    for i in range(n):
        n_visits = int(rng.integers(2, 6))
        days = np.sort(rng.integers(1, 100, n_visits))
        rows += [
            {
                "id": ids[i],
                "at": (CUT_OFF - pd.Timedelta(days=int(day))).isoformat(),
                "amount": round(float(np.exp(3 + level[i] + rng.normal(0, 0.3))), 2),
            }
            for day in days
        ]
    return people, pd.DataFrame(rows)


def put(site: Site, name: str, frame: pd.DataFrame) -> Path:
    """A file of a registered folder, written long enough ago."""
    file = Path(site.settings.feed_roots[0]) / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(frame_csv(frame))
    os.utime(file, (YESTERDAY, YESTERDAY))
    return file


def together(site: Site, people_id: str, folder: str) -> str:
    """The id of patients and the visits in a folder, put together."""
    spec = {
        "tables": {
            "people": {"role": "entities", "source": {"dataset": people_id}},
            "visits": {
                "role": "events",
                "key": "id",
                "to": "people",
                "time": "at",
                "source": {"uri": (Path(site.settings.feed_roots[0]) / folder).as_uri()},
            },
        },
        "key": "id",
        "target": "bad",
        "cut_off": {"column": "day"},
    }
    answer = site.post("/v1/datasets", json={"name": "clinic", "spec": spec})
    made = ready(site, answer.json["id"])
    assert made["state"] == "READY", made["problem"]
    return str(made["id"])


@pytest.fixture(scope="module")
def people_id(site: Site) -> str:
    people, _ = clinic(0, N_BASE, seed=1, turned=False)
    return str(uploaded(site, frame_csv(people), name="people")["id"])


@pytest.fixture(scope="module")
def base(site: Site, people_id: str) -> str:
    """Both tables together, with a champion of them."""
    _, visits = clinic(0, N_BASE, seed=1, turned=False)
    put(site, "visits/0.csv", visits)
    made = together(site, people_id, "visits")
    answer = site.post(
        "/v1/jobs", json={"dataset": made, "model": "clinic", "mode": "eco", "seed": 0}
    )
    assert answer.status_code == 202, answer.text
    worked(site, datetime.now(UTC))
    return made


def scheduled(site: Site) -> str:
    answer = site.post(
        "/v1/schedules",
        json={
            "model": "clinic",
            "at": {"start": "02:30", "hours": 4},
            "time_zone": "Europe/Paris",
            "promote": "auto",
            "when": {"policy": "now"},
        },
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def night(site: Site, schedule: str) -> dict[str, Any]:
    """The run of the next date, once the tables are put together and the job is done."""
    retraining = Retraining(site.store, site.artifacts, site.settings, site.ingestor)
    at = datetime.fromisoformat(site.get(f"/v1/schedules/{schedule}").json["next_at"])
    end = time.monotonic() + 240
    while time.monotonic() < end:
        retraining.due(at)
        run: dict[str, Any] = site.get(f"/v1/schedules/{schedule}/runs").json["items"][0]
        if run["state"] not in ("DUE", "DECIDING"):
            break
        time.sleep(0.1)
        at += timedelta(seconds=15)
    worked(site, at + timedelta(minutes=1))
    retraining.due(at + timedelta(hours=1))
    return dict(site.get(f"/v1/schedules/{schedule}/runs").json["items"][0])


def predicted(site: Site, dataset: str, model: str = "clinic") -> pd.DataFrame:
    """Predictions of every row of a data set, by key."""
    answer = site.post(f"/v1/models/{model}/predictions", json={"dataset": dataset})
    assert answer.status_code in (200, 202), answer.text
    end = time.monotonic() + 240
    while (found := site.get(f"/v1/predictions/{answer.json['id']}").json)["state"] == "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert found["state"] == "DONE", found["problem"]
    content = site.get(found["content"]).data
    return pd.read_parquet(io.BytesIO(content)).set_index("id").sort_index()


def newest(site: Site, base: str) -> dict[str, Any]:
    return dict(site.get(f"/v1/datasets/{base}/versions").json["items"][-1])


def append(site: Site, dataset: str, frame: pd.DataFrame) -> None:
    last = newest(site, dataset)["id"]
    answer = site.post(
        f"/v1/datasets/{last}/versions", data=frame_csv(frame), content_type="text/csv"
    )
    assert answer.status_code == 201, answer.text
    assert ready(site, answer.json["id"])["state"] == "READY"


@pytest.mark.slow
def test_nights_of_a_champion_of_several_tables(site: Site, people_id: str, base: str) -> None:
    schedule = scheduled(site)

    # Nothing has come: no version is made, no child asked.
    run = night(site, schedule)
    assert run["state"] == "SKIPPED"
    assert run["because"].startswith("not worth it today, because no table has changed")
    assert newest(site, base)["id"] == base

    # New patients whose visits mean the contrary.
    people, visits = clinic(N_BASE, N_BASE + N_MORE, seed=2, turned=True)
    append(site, people_id, people)
    put(site, "visits/1.csv", visits)
    run = night(site, schedule)
    assert run["state"] == "DONE", run
    grown = newest(site, base)
    assert (grown["version"], grown["base"], grown["n_rows"]) == (2, base, N_BASE + N_MORE)
    numbers = run["decision"]["numbers"]
    assert (numbers["n_new_rows"], numbers["n_new_labels"]) == (N_MORE, N_MORE)
    assert numbers["n_new_positive"] == int(people["bad"].sum())
    assert (run["promoted"], run["outcome"]["challenge"]["wins"]) == (True, True), run["outcome"]
    job = site.get(f"/v1/jobs/{run['job']}").json
    assert job["dataset"] == grown["id"]
    assert site.get("/v1/models/clinic").json["version"] == 2
    card = site.store.get_model(site.project, "clinic").card
    # Trained from the champion's configurations; on so few rows its features are chosen anew.
    begun = card["provenance"]["started_from"]
    assert begun["model"]["version"] == 1
    assert begun["kind"] == "first", begun
    assert begun["why"] == "the features were chosen anew"
    assert card["provenance"]["features_chosen_with_positives"] > 0.5 * people["bad"].sum()
    assert [one["name"] for one in card["feature_groups"] if one["kept"]]
    assert any(one["cost"]["cpu_seconds"] > 0 for one in card["feature_groups"])

    # Its predictions follow: in batch as online, to the bit.
    batch = predicted(site, grown["id"])
    assert len(batch) == N_BASE + N_MORE
    some = people.head(5)
    body = {
        "rows": records(some.drop(columns=["bad"])),
        "tables": {"visits": records(visits[visits["id"].isin(some["id"])])},
    }
    online = site.post("/v1/models/clinic/predict", json=body)
    assert online.status_code == 200, online.text
    assert [one["probability"] for one in online.json["predictions"]] == list(
        batch.loc[some["id"], "probability"]
    )

    # The same tables once more.
    run = night(site, schedule)
    assert run["state"] == "SKIPPED", run
    assert "no table has changed" in run["because"]

    # A file that lacks a column: the run says which, and the champion stays.
    broken = put(site, "visits/2.csv", visits.head(20).drop(columns=["amount"]))
    run = night(site, schedule)
    assert run["state"] == "FAILED", run
    told = run["decision"]["problem"]
    assert (told["code"], told["table"], told["column"]) == (
        "different_columns",
        "visits",
        "amount",
    )
    assert site.get("/v1/models/clinic").json["version"] == 2
    assert newest(site, base)["id"] == grown["id"]
    broken.unlink()

    # Patients whose labels come later, by key: to the series, whatever version it is at.
    people, visits = clinic(N_BASE + N_MORE, N_BASE + N_MORE + 12, seed=3, turned=True)
    append(site, people_id, people.assign(bad=pd.array([None] * 12, dtype="Int64")))
    put(site, "visits/3.csv", visits)
    run = night(site, schedule)
    assert run["state"] == "SKIPPED", run
    numbers = run["decision"]["numbers"]
    assert (numbers["n_new_rows"], numbers["n_new_labels"]) == (12, 0)
    third = newest(site, base)
    assert (third["version"], third["n_rows"]) == (3, N_BASE + N_MORE + 12)
    labels = [
        {"key": key, "label": int(y)} for key, y in zip(people["id"], people["bad"], strict=True)
    ]
    answer = site.post("/v1/models/clinic/outcomes", json={"outcomes": labels})
    assert (answer.status_code, answer.json["n_unknown_keys"]) == (201, 0), answer.text
    run = night(site, schedule)
    assert run["state"] == "SKIPPED", run
    numbers = run["decision"]["numbers"]
    assert (numbers["n_new_rows"], numbers["n_new_labels"]) == (12, 12)
    assert newest(site, base)["id"] == third["id"]


@pytest.mark.slow
@pytest.mark.usefixtures("base")  # for its champion
def test_what_happens_at_the_cut_off_or_later_reaches_no_feature(site: Site) -> None:
    people, visits = clinic(0, N_BASE, seed=1, turned=False)
    people_id = uploaded(site, frame_csv(people), name="people of their own", key="id")["id"]
    put(site, "late/0.csv", visits)
    first = together(site, people_id, "late")
    before = predicted(site, first)
    late = visits.groupby("id").head(1).assign(at=CUT_OFF.isoformat(), amount=1e6)
    file = put(site, "late/1.csv", late)
    answer = site.post(f"/v1/datasets/{first}/versions", json={})
    grown = ready(site, answer.json["id"])
    assert grown["state"] == "READY", grown["problem"]
    assert grown["tables"]["visits"]["rows"] == len(visits) + len(late)
    pd.testing.assert_frame_equal(before, predicted(site, grown["id"]), check_exact=True)
    # One day earlier they are known, and the test can tell.
    file.unlink()
    put(site, "late/2.csv", late.assign(at=(CUT_OFF - pd.Timedelta(days=1)).isoformat()))
    answer = site.post(f"/v1/datasets/{grown['id']}/versions", json={})
    known = predicted(site, ready(site, answer.json["id"])["id"])
    assert (known["probability"] != before["probability"]).mean() > 0.9
