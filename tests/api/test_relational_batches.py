"""All rows of a data set of three tables are predicted in one go, as each alone would be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from scheduler.records import Batch
from tests.api.parts import Site
from tests.api.relations import (
    N_CUSTOMERS,
    around,
    assembled,
    bank,
    bank_spec,
    frame_csv,
    log_lines,
    uploaded,
)
from tests.api.trained_bank import (
    bank_site,
    batch,
    champion_of,
    ended,
    job_of,
    predicted,
    probabilities,
    rows_of,
    some_customers,
)

pytestmark = pytest.mark.slow  # trains a model


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a data set `bank` and a model `bank` from a job that ran to its end."""
    yield from bank_site(tmp_path_factory.mktemp("relational"))


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
