"""A job on three tables: what it learns from and tells, killed and resumed, refused and warned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scheduler.execution import execute
from scheduler.heartbeat import Heartbeat
from tests.api.parts import Site
from tests.api.relations import (
    assembled,
    bank_spec,
    frame_csv,
    uploaded,
)
from tests.api.trained_bank import (
    bank_site,
    champion_of,
    job_of,
    trained,
)

pytestmark = pytest.mark.slow  # trains a model


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a data set `bank` and a model `bank` from a job that ran to its end."""
    yield from bank_site(tmp_path_factory.mktemp("relational"))


def test_target_and_what_is_left_out_come_from_the_spec(site: Site) -> None:
    request = job_of(site)["request"]
    assert request["target"] == "became_fragile"
    assert request["exclude"] == ["customer_id", "cut_off"]
    assert (request["time_column"], request["group_column"]) == (None, None)


def test_each_group_of_features_is_told_wherever_the_job_is(site: Site) -> None:
    job = job_of(site)
    receipt = site.get(f"/v1/jobs/{job['id']}/receipt").json
    card = site.get("/v1/models/bank/card").json
    board = site.get(f"/v1/jobs/{job['id']}/leaderboard").json
    for told in (receipt, card, job["result"]["tables"], board["tables"]):
        groups = told["feature_groups"]
        assert {one["name"].partition(".")[0] for one in groups} == {"balances", "contacts"}
        for one in groups:
            assert isinstance(one["kept"], bool)
            assert one["why"]
            assert one["cost"]["joules"] >= 0
        assert set(told["not_read"]) <= {"balances", "contacts"}
        assert told["storage"]["bytes_read_by_champion"] <= told["storage"]["bytes_after"]
    phases = {one["name"]: one for one in receipt["phases"]}
    tried = sum(one["cost"]["cpu_seconds"] for one in receipt["feature_groups"])
    assert phases["features"]["cpu_seconds"] >= 0.9 * tried


def test_a_champion_reads_no_more_than_it_says(site: Site) -> None:
    champion = champion_of(site)
    assert champion.tables is not None
    reads, left = champion.tables.reads(), champion.tables.not_read()
    for name, columns in left.items():
        assert columns is None if name not in reads else not set(columns or ()) & set(reads[name])
    computed = set(champion.tables.featurizer.columns)
    assert computed <= set(champion.tables.made)
    assert set(champion.own_columns).isdisjoint(champion.tables.made)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"positive": "yes"}, "positive_not_found"),
        ({"positive": [2, "no"]}, "positive_not_found"),
        ({"target": "fragile"}, "column_not_found"),
    ],
)
def test_a_positive_that_nobody_has_is_refused_at_submission(
    site: Site, change: dict[str, Any], code: str
) -> None:
    sources = dict(site.store.get_dataset(site.project, job_of(site)["dataset"]).sources)
    body = {"name": "x", "spec": bank_spec(sources) | change}
    answer = site.post("/v1/datasets", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
    fine = site.post("/v1/datasets", json={"name": "x", "spec": bank_spec(sources)})
    assert fine.status_code in (200, 201)


class _Killed(BaseException):
    """The process is gone."""


def test_a_job_that_was_killed_goes_on_with_the_same_features(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = job_of(site)["dataset"]
    whole = trained(site, dataset, model="whole", seed=4)
    body = {"dataset": dataset, "mode": "eco", "limits": {"trials": 2}, "model": "cut", "seed": 4}
    assert site.post("/v1/jobs", json=body).status_code == 202
    first = site.claim()
    parts = {"store": site.store, "artifacts": site.artifacts, "settings": site.settings}
    ended = site.store.end_trial
    done: list[int] = []

    def end_one(*args: Any, **kwargs: Any) -> Any:
        if done:
            raise _Killed
        done.append(1)
        return ended(*args, **kwargs)

    monkeypatch.setattr(site.store, "end_trial", end_one)
    monkeypatch.setattr(Heartbeat, "start", lambda _: None)  # it would outlive the process
    with pytest.raises(_Killed):
        execute(first.id, first.epoch, **parts)  # type: ignore[arg-type]
    monkeypatch.undo()
    site.store.release_job(first.id, epoch=first.epoch, now=datetime.now(UTC))
    again = site.claim()
    assert (again.id, again.epoch) == (first.id, first.epoch + 1)
    execute(again.id, again.epoch, **parts)  # type: ignore[arg-type]
    resumed = site.get(f"/v1/jobs/{again.id}").json
    assert resumed["state"] == "DONE", resumed["problem"]

    def decided(job: dict[str, Any]) -> list[tuple[Any, ...]]:
        groups = job["result"]["tables"]["feature_groups"]
        return [(one["name"], one["kept"], one["gain"], one["n_used"]) for one in groups]

    assert decided(resumed) == decided(whole)
    folders = [
        site.artifacts.path(site.store.get_model(site.project, name).artifact)
        for name in ("whole", "cut")
    ]
    # The trial that was cut off counts as failed, so that the champion may use fewer of them.
    made = [json.loads((folder / "spec.json").read_text())["made"] for folder in folders]
    assert made[0] == made[1]
    encoders = [(folder / "encoder.json").read_text() for folder in folders]
    assert encoders[0] == encoders[1]


def test_a_feature_that_looks_too_good_is_named(site: Site) -> None:
    rng = np.random.default_rng(0)
    n = 200
    people = pd.DataFrame(
        {
            "id": [f"P{i:03}" for i in range(n)],
            "age": rng.integers(20, 80, n),
            "y": np.arange(n) % 4,
        }
    )
    people["y"] = (people["y"] == 0).astype(int)
    people["until"] = "2024-06-01"
    calls = pd.DataFrame(
        {
            "id": np.repeat(people["id"], 6),
            "at": np.tile([f"2024-0{month}-01" for month in (1, 2, 3, 4, 5)] + ["2024-05-31"], n),
            "amount": rng.normal(size=6 * n),
        }
    )
    told = np.repeat(people["y"].to_numpy() == 1, 6) & (calls["at"] == "2024-05-31").to_numpy()
    calls.loc[told, "amount"] += 50
    ids = [uploaded(site, frame_csv(one))["id"] for one in (people, calls)]
    spec = {
        "tables": {
            "people": {"role": "entities", "source": {"dataset": ids[0]}},
            "calls": {
                "role": "events",
                "key": "id",
                "to": "people",
                "time": "at",
                "source": {"dataset": ids[1]},
            },
        },
        "key": "id",
        "target": "y",
        "cut_off": {"column": "until"},
    }
    dataset = assembled(site, spec, name="calls")
    assert dataset["state"] == "READY", dataset["problem"]
    job = trained(site, dataset["id"], model="calls")
    warnings = job["result"]["warnings"]
    warned = [one for one in warnings if one["code"] == "feature_leakage_suspected"]
    assert warned
    assert warned[0]["column"].startswith("calls.amount")
    assert "just before the cut-off" in warned[0]["detail"]
