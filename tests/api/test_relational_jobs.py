"""A model of three tables: trained, killed and resumed, asked with events, and in one go."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from automl.search.champion import Champion
from scheduler.execution import execute
from scheduler.heartbeat import Heartbeat
from scheduler.records import Batch
from tests.api.parts import Site, build
from tests.api.relations import (
    N_CUSTOMERS,
    around,
    assembled,
    bank,
    bank_spec,
    bank_tables,
    frame_csv,
    log_lines,
    uploaded,
)

pytestmark = pytest.mark.slow  # trains a model


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a data set `bank` and a model `bank` from a job that ran to its end."""
    folder = tmp_path_factory.mktemp("relational")
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


def test_answers_come_in_the_order_of_the_rows_however_many_there_are(site: Site) -> None:
    ids = some_customers()
    together = probabilities(predicted(site, around(ids)))
    backwards = probabilities(predicted(site, around(ids[::-1])))
    alone = [probabilities(predicted(site, around([one])))[0] for one in ids]
    assert together == pytest.approx(backwards[::-1], rel=1e-6)
    assert together == pytest.approx(alone, rel=1e-6)


def test_lines_of_the_log_are_as_good_as_its_rows(site: Site) -> None:
    ids = some_customers(20)
    rows, lines = around(ids), around(ids, raw_log=True)
    assert lines["tables"]["contacts"]["log"]
    assert probabilities(predicted(site, rows)) == probabilities(predicted(site, lines))


def test_what_is_at_or_after_the_cut_off_changes_nothing_and_is_counted(site: Site) -> None:
    ids = some_customers()
    body = around(ids)
    before = predicted(site, body)
    n_last = before["report"]["tables"]["balances"]["at_or_after_cut_off"]
    assert n_last == len(ids), "the month ends on the cut-off"
    later = [
        {"customer_id": one, "month_end": "2024-07-31T00:00:00Z", "balance": -1e6, "inflow": 0.0}
        for one in ids
    ]
    body["tables"]["balances"] += later
    after = predicted(site, body)
    assert probabilities(after) == probabilities(before)
    assert after["report"]["tables"]["balances"]["at_or_after_cut_off"] == 2 * len(ids)


def test_a_table_that_is_left_out_has_no_rows_and_is_told(site: Site) -> None:
    body = around(some_customers())
    del body["tables"]["contacts"]
    found = predicted(site, body)
    assert found["report"]["tables"]["contacts"]["missing"]
    body["tables"]["contacts"] = []
    assert probabilities(predicted(site, body)) == probabilities(found)


def test_rows_of_nobody_are_not_used_and_counted(site: Site) -> None:
    ids = some_customers()
    body = around(ids)
    before = probabilities(predicted(site, body))
    body["tables"]["contacts"].append({**body["tables"]["contacts"][0], "key": "C9999999"})
    found = predicted(site, body)
    assert probabilities(found) == before
    assert found["report"]["tables"]["contacts"]["not_used"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tables": {"cards": []}}, "unknown_table"),
        ({"tables": {"balances": {"log": "x"}}}, "not_a_log"),
        ({"tables": []}, "jsonl"),
        ({"now": "soon"}, "cut_off"),
        ({"rows": [{"age_band": "18-24"}]}, "missing_columns"),
    ],
)
def test_what_cannot_be_meant_is_refused(site: Site, change: dict[str, Any], code: str) -> None:
    body = around(some_customers(1)) | change
    assert predicted(site, body, status=422)["code"] == code


def test_event_rows_without_what_was_learnt_from_are_refused(site: Site) -> None:
    """A column that no row has would be taken for unknown, and nobody told; null says so."""
    tables = champion_of(site).tables
    assert tables is not None
    column = tables.reads()["balances"][0]
    body = around(some_customers())
    for row in body["tables"]["balances"]:
        row[column] = None
    predicted(site, body)
    for row in body["tables"]["balances"]:
        del row[column]
    found = predicted(site, body, status=422)
    assert (found["code"], found["table"], found["column"]) == (
        "missing_columns",
        "balances",
        column,
    )
    body = around(some_customers())
    for row in body["rows"]:
        del row["customer_id"]
    found = predicted(site, body, status=422)
    assert (found["code"], found["table"], found["column"]) == (
        "missing_columns",
        "customers",
        "customer_id",
    )


def codes(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["code"], one["table"]) for one in answer["report"]["warnings"]]


def test_events_of_nobody_are_warned_of_with_their_count(site: Site) -> None:
    body = around(some_customers())
    assert codes(predicted(site, body)) == []
    for row in body["tables"]["contacts"]:
        row["key"] = f"X{row['key']}"
    found = predicted(site, body)
    assert codes(found) == [("orphan_events", "contacts")]
    n = len(body["tables"]["contacts"])
    assert f"{n:,} of {n:,}" in found["report"]["warnings"][0]["detail"]
    assert found["report"]["tables"]["contacts"]["no_entity"] == n


def test_keys_of_another_type_that_match_nobody_are_refused(site: Site) -> None:
    body = around(some_customers())
    for number, row in enumerate(body["tables"]["balances"]):
        row["customer_id"] = number
    found = predicted(site, body, status=422)
    assert (found["code"], found["table"], found["column"]) == (
        "key_type_mismatch",
        "balances",
        "customer_id",
    )
    assert "upload" not in found["detail"]
    assert "declare" not in found["detail"]


def test_a_cut_off_before_all_events_is_warned_of(site: Site) -> None:
    body = around(some_customers())
    for row in body["rows"][:3]:
        row["cut_off"] = "1999-01-01T00:00:00.000"
    found = predicted(site, body)
    assert codes(found)[0] == ("nothing_before_cut_off", "balances")
    assert "3 of 7 rows" in found["report"]["warnings"][0]["detail"]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("balances", "balance", "much"),
        ("balances", "month_end", "03/04/2024"),
        ("contacts", "time", "yesterday"),
        ("customers", "cut_off", "02/03/2024"),
        ("customers", "monthly_income", "long"),
    ],
)
def test_what_is_wrong_with_rows_is_told_without_advice_for_uploads(
    site: Site, table: str, column: str, value: str
) -> None:
    body = around(some_customers(30))
    rows = body["rows"] if table == "customers" else body["tables"][table]
    for row in rows:
        row[column] = value
    found = predicted(site, body, status=422)
    said = json.dumps(found)
    assert not [word for word in ("declare", "upload", "null_values", value) if word in said], said


def test_a_number_that_is_none_names_its_table_and_not_its_value(site: Site) -> None:
    body = around(some_customers(1))
    body["tables"]["balances"][0]["balance"] = "much"
    found = predicted(site, body, status=422)
    assert (found["code"], found["table"], found["column"]) == ("wrong_type", "balances", "balance")
    assert "much" not in json.dumps(found)


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


def test_all_rows_at_once_get_what_each_gets_alone(site: Site) -> None:
    done = batch(site, "parquet")
    assert (done["state"], done["n_rows"]) == ("DONE", N_CUSTOMERS), done["problem"]
    found = rows_of(site, done)
    assert list(found.columns) == ["customer_id", "probability", "alert"]
    assert set(found["customer_id"]) == set(bank().customers["customer_id"].to_pylist())
    ids = some_customers(20)
    online = probabilities(predicted(site, around(ids)))
    assert found.set_index("customer_id")["probability"].loc[ids].to_list() == pytest.approx(
        online, rel=1e-6
    )
    assert done["report"]["n_alerts"] == found["alert"].sum()
    reads = champion_of(site).tables
    assert reads is not None
    assert set(done["report"]["bytes_read"]) == set(reads.reads())
    text = rows_of(site, batch(site, "csv"))
    pd.testing.assert_frame_equal(text, found)


def test_features_are_the_same_bytes_online_and_in_batch(site: Site) -> None:
    """The same events in a request and in buckets on disk, one at a time and all at once."""
    from automl.data.bodies import read_tables
    from automl.data.options import ReadingLimits, ReadingOptions
    from automl.relations.stored import Stored

    champion = champion_of(site)
    tables = champion.tables
    assert tables is not None
    dataset = site.store.get_dataset(site.project, job_of(site)["dataset"])
    assert dataset.artifact is not None
    folder = site.artifacts.path(dataset.artifact)
    stored = Stored(folder / "relations")
    keys = pq.read_table(folder / "rows.parquet", columns=["customer_id"])["customer_id"]
    keys = keys.to_pylist()
    whole = tables.columns(stored.relations(N_CUSTOMERS, columns=tables.reads()))
    assert len(whole.columns) > 20
    ids = some_customers(25)
    for wanted in (ids, ids[:1]):
        sent = read_tables(
            json.dumps(around(wanted)).encode(),
            "application/json",
            limits=ReadingLimits(),
            types=tables.readable(),
            options={name: ReadingOptions() for name in tables.reading},
            entities=tables.entities,
        )
        relations = tables.relations(
            sent.tables[tables.entities],
            {name: one for name, one in sent.tables.items() if name != tables.entities},
            now=None,
        )
        online = tables.columns(relations)
        at = [keys.index(one) for one in wanted]
        for name in whole.columns:
            offline = whole[name].to_numpy()[at]
            assert online[name].to_numpy().tobytes() == offline.tobytes(), name


def test_what_a_service_that_died_was_predicting_is_predicted_again(site: Site) -> None:
    model = site.store.get_model(site.project, "bank")
    left = site.store.add_batch(
        Batch(
            id="cd" * 16,
            project_id=site.project,
            model_id=model.id,
            dataset_id=model.dataset_id,
            format="csv",
            state="RUNNING",
            created_at=datetime.now(UTC),
        )
    )
    batches = site.app.extensions["frugal"].batches
    assert batches.recover(datetime.now(UTC)) == 1
    assert batches.recover(datetime.now(UTC)) == 0, "it is under way"
    assert ended(site, f"/v1/predictions/{left.id}")["state"] == "DONE"
    items = site.get("/v1/predictions").json["items"]
    assert left.id in {one["id"] for one in items}
    answer = site.get(f"/v1/predictions/{left.id}", secret=site.other_secret)
    assert answer.status_code == 404
    assert site.call("DELETE", f"/v1/predictions/{left.id}").status_code == 204
    assert site.get(f"/v1/predictions/{left.id}/content").status_code == 410
    assert not site.artifacts.exists(f"predictions/{left.id}")


def test_a_model_of_several_tables_does_not_predict_a_plain_one(site: Site) -> None:
    customers = site.store.get_dataset(site.project, job_of(site)["dataset"]).sources["customers"]
    answer = site.post("/v1/models/bank/predictions", json={"dataset": customers})
    assert (answer.status_code, answer.json["code"]) == (422, "missing_table")


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        (lambda spec: spec["tables"].pop("balances"), "other_spec", "tables.balances"),
        (
            lambda spec: spec["tables"]["contacts"].update(key="channel", orphans="drop"),
            "other_spec",
            "tables.contacts.key",
        ),
        (lambda spec: spec["cut_off"].update(gap=30), "other_spec", "cut_off.gap"),
        (lambda spec: spec.update(cut_off={}), "other_spec", "cut_off"),
    ],
)
def test_a_data_set_of_another_spec_is_refused_at_once(
    site: Site, change: Any, code: str, where: str
) -> None:
    sources = site.store.get_dataset(site.project, job_of(site)["dataset"]).sources
    spec = bank_spec(dict(sources))
    change(spec)
    other = assembled(site, spec, name="other")
    assert other["state"] == "READY", other["problem"]
    answer = site.post("/v1/models/bank/predictions", json={"dataset": other["id"]})
    assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
    assert answer.json["details"]["field"] == where


def test_a_data_set_without_target_or_cut_off_column_is_predicted(
    site: Site, tmp_path: Path
) -> None:
    """New customers have no label, and one moment for all."""
    sources = dict(site.store.get_dataset(site.project, job_of(site)["dataset"]).sources)
    fresh = bank().customers.to_pandas().drop(columns=["became_fragile", "cut_off"]).head(50)
    sources["customers"] = uploaded(site, frame_csv(fresh))["id"]
    spec = bank_spec(sources) | {"cut_off": {"now": "2024-06-30"}, "target": None}
    for name in ("balances", "contacts"):
        spec["tables"][name]["orphans"] = "drop"
    dataset = assembled(site, spec, name="fresh")
    assert dataset["state"] == "READY", dataset["problem"]
    answer = site.post("/v1/models/bank/predictions", json={"dataset": dataset["id"]})
    assert answer.status_code == 202, answer.text
    done = ended(site, answer.headers["Location"])
    assert (done["state"], done["n_rows"]) == ("DONE", 50), done["problem"]
    whole = rows_of(site, batch(site, "parquet")).set_index("customer_id")["probability"]
    found = rows_of(site, done).set_index("customer_id")["probability"]
    assert found.to_numpy() == pytest.approx(whole.loc[found.index].to_numpy(), rel=1e-6)
    gone = site.call("DELETE", f"/v1/datasets/{sources['customers']}?force=true")
    assert dataset["id"] in gone.json["deleted"]


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


def test_of_deleted_data_nothing_stays(site: Site, tmp_path: Path) -> None:
    """Last, since it takes the data set of the others away."""
    dataset = job_of(site)["dataset"]
    done = batch(site, "csv")
    model = site.store.get_model(site.project, "bank")
    kept = json.dumps(site.get("/v1/models/bank/card").json)
    kept += (site.artifacts.path(model.artifact) / "featurizer.json").read_text()
    kept += (site.artifacts.path(model.artifact) / "spec.json").read_text()
    assert not [one for one in some_customers(50) if one in kept], "a customer is in the model"
    contacts = bank().contacts.to_pandas()
    lines = log_lines(contacts.sample(50, random_state=1)).split("\n")
    assert not [one for one in lines if one.split(" ", 3)[3] in kept and any(map(str.isdigit, one))]
    sources = site.store.get_dataset(site.project, dataset).sources
    for one in (sources["customers"], sources["balances"], sources["contacts"]):
        answer = site.call("DELETE", f"/v1/datasets/{one}?force=true")
        assert answer.status_code in (200, 204), answer.text
    assert site.get(f"/v1/datasets/{dataset}").json["state"] == "DELETED"
    assert site.get(done["content"]).status_code == 410
    assert site.get(f"/v1/predictions/{done['id']}").json["state"] == "DELETED"
    left = [name for name in site.artifacts.names() if not name.startswith("models/")]
    assert left == []


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
