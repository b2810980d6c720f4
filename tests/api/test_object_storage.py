"""Tables in object storage over HTTP: read in place, and every fault of the storage told."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.errors import DataError
from scheduler.records import DatasetState
from tests.api.parts import Site, build
from tests.api.registered import N, layout, ready, register
from tests.api.registered import customers as customers
from tests.api.registered import root as root
from tests.api.relations import assembled, bank, bank_spec, bank_tables
from tests.api.trained_bank import trained
from tests.object_storage import ACCESS_KEY, SECRET_KEY, Bucketed, serving

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ROOTS = ("s3://bank/data", "s3://closed", "s3://no-such-bucket")


@pytest.fixture
def storage(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucketed]:
    with serving() as made:
        made.put_folder("bank", "data/balances", root / "balances")
        made.put("bank", "database/secret.parquet", b"secret")
        made.put("closed", "x/1.parquet", b"secret")
        made.denied.add("closed")
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def site(tmp_path: Path, storage: Bucketed, root: Path) -> Iterator[Site]:
    (tmp_path / "data").mkdir()
    made = build(tmp_path / "data", reads_files=True, s3_roots=ROOTS, feed_roots=(root,))
    yield made
    made.store.close()


def test_a_prefix_is_read_in_place_as_a_folder_is(
    site: Site, storage: Bucketed, root: Path, customers: str
) -> None:
    uri = "s3://bank/data/balances/"
    begun = register(site, customers, uri)
    assert begun.status_code == 201, begun.text
    found = ready(site, begun.json["id"])
    assert (found["state"], found["n_rows"]) == ("READY", N), found["problem"]
    assert found["tables"]["balances"]["uri"] == uri
    assert register(site, customers, uri).json["id"] == found["id"]
    local = ready(site, register(site, customers, f"file://{root}/balances").json["id"])
    storage.asked.clear()
    here, there = (layout(site, one["id"]).relations(N) for one in (found, local))
    assert {one for _, path, _ in storage.asked if (one := path.split("?")[0])} == {
        f"/bank/data/balances/part-{part}.parquet" for part in range(3)
    }
    mine, theirs = here.tables["balances"], there.tables["balances"]
    assert np.array_equal(mine.subject, theirs.subject)
    assert np.array_equal(mine.time, theirs.time)
    assert mine.columns["balance"].to_pylist() == theirs.columns["balance"].to_pylist()
    assert layout(site, found["id"]).layout.tables["balances"].is_index


def test_refused_uris(site: Site, storage: Bucketed, customers: str) -> None:
    for uri, code in (
        ("s3://bank/database", "uri_not_allowed"),
        ("s3://bank/data/../database", "uri_not_allowed"),
        ("s3://bank/data/none", "uri_not_found"),
        ("s3://no-such-bucket/x", "uri_not_found"),
        ("s3://closed/x", "uri_denied"),
    ):
        storage.asked.clear()
        answer = register(site, customers, uri)
        assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
        assert answer.json["errors"][0]["field"] == "spec.tables.balances.source.uri"
        assert ACCESS_KEY not in answer.text
        assert SECRET_KEY not in answer.text
        assert bool(storage.asked) == (code != "uri_not_allowed")


def test_a_storage_that_fails_is_told(site: Site, storage: Bucketed, customers: str) -> None:
    for fault in ("error", "cut"):
        storage.fault = fault
        answer = register(site, customers, "s3://bank/data/balances")
        assert (answer.status_code, answer.json["code"]) == (422, "uri_unreachable"), answer.text
        assert answer.json["details"]["uri"] == "s3://bank/data/balances"
        assert ACCESS_KEY not in answer.text


def test_a_storage_that_is_away(
    site: Site, customers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    answer = register(site, customers, "s3://bank/data/balances")
    assert (answer.status_code, answer.json["code"]) == (422, "uri_unreachable"), answer.text


def test_an_object_that_changed_is_named(
    site: Site, storage: Bucketed, root: Path, customers: str
) -> None:
    uri = "s3://bank/data/balances"
    first = ready(site, register(site, customers, uri).json["id"])
    # The same length and time: only its checksum tells.
    key = "data/balances/part-1.parquet"
    body = storage.objects["bank"][key].body
    storage.objects["bank"][key].body = body[:100] + bytes([body[100] ^ 1]) + body[101:]
    with pytest.raises(DataError) as caught:
        layout(site, first["id"]).relations(N)
    assert caught.value.code == "source_changed"
    assert caught.value.details["uri"] == f"s3://bank/{key}"
    del storage.objects["bank"][key]
    with pytest.raises(DataError) as caught:
        layout(site, first["id"]).relations(N)
    assert caught.value.code == "source_changed"
    again = register(site, customers, uri)
    assert again.status_code == 201
    assert ready(site, again.json["id"])["state"] == "READY"


def test_what_was_left_waits_until_the_storage_is_back(
    site: Site, storage: Bucketed, customers: str
) -> None:
    first = ready(site, register(site, customers, "s3://bank/data/balances").json["id"])
    stored = site.store.get_dataset(site.project, first["id"])
    left = replace(
        stored, id="ab" * 16, fingerprint="f" * 64, state=DatasetState.INGESTING, artifact=None
    )
    site.store.add_dataset(replace(left, profile=None, cost=None, n_rows=None, bytes_stored=None))
    storage.fault = "error"
    recover = site.ingestor.recover  # type: ignore[attr-defined]
    assert recover(datetime.now(UTC)) == 1
    end = time.monotonic() + 240
    while not recover(datetime.now(UTC)):  # it is under way; afterwards it is taken up again
        assert time.monotonic() < end
        time.sleep(0.2)
    storage.fault = None
    while (found := site.get(f"/v1/datasets/{left.id}").json)["state"] == "INGESTING":
        recover(datetime.now(UTC))
        assert time.monotonic() < end
        time.sleep(0.2)
    assert found["state"] == "READY", found["problem"]


def test_a_proposal_of_objects(site: Site, storage: Bucketed, customers: str) -> None:
    balances = {"uri": "s3://bank/data/balances"}
    tables = {"customers": {"dataset": customers}, "balances": balances}
    answer = site.post("/v1/datasets/infer", json={"tables": tables, "target": "bad"})
    assert answer.status_code == 200, answer.text
    about = answer.json["spec"]["tables"]["balances"]
    assert (about["key"], about["time"], about["source"]) == (
        ["customer_id"],
        "month_end",
        balances,
    )


def test_a_table_of_its_own_is_read_in_from_its_object(site: Site, storage: Bucketed) -> None:
    storage.put("bank", "data/own.csv", b"age;y\n41;0\n42;1\n43;0\n")
    body = {"name": "own", "uri": "s3://bank/data/own.csv", "options": {"delimiter": ";"}}
    answer = site.post("/v1/datasets", json=body)
    assert answer.status_code == 201, answer.text
    assert ready(site, answer.json["id"])["n_rows"] == 3
    for uri, code in (
        ("s3://bank/data/balances", "uri_not_a_file"),
        ("s3://bank/database/secret.parquet", "uri_not_allowed"),
    ):
        answer = site.post("/v1/datasets", json=body | {"uri": uri})
        assert (answer.status_code, answer.json["code"]) == (422, code), answer.text


@pytest.mark.data
def test_seven_tables_of_a_bank_from_objects_are_those_of_files(
    site: Site, storage: Bucketed, root: Path, shared_data: Path
) -> None:
    """Berka with nothing but URIs: entities, lookups, a path over three tables, and events."""
    declared = json.loads((EXAMPLES / "berka" / "spec.json").read_text(encoding="utf-8"))
    made = []
    for at in ("s3://bank/data/berka", f"file://{root}/berka"):
        for one in declared["tables"].values():
            name = one["source"].pop("file", None) or one["source"]["uri"].rpartition("/")[2]
            (root / "berka").mkdir(exist_ok=True)
            shutil.copy(shared_data / "berka" / name, root / "berka" / name)
            storage.put("bank", f"data/berka/{name}", root / "berka" / name)
            one["source"] = {"uri": f"{at}/{name}"}
        answer = site.post("/v1/datasets", json={"name": "berka", "spec": declared})
        assert answer.status_code == 201, answer.text
        found = ready(site, answer.json["id"])
        assert (found["state"], found["n_rows"]) == ("READY", 682), found["problem"]
        made.append(site.store.get_dataset(site.project, found["id"]))
    rows = [site.artifacts.path(str(one.artifact)) / "rows.parquet" for one in made]
    assert rows[0].read_bytes() == rows[1].read_bytes()
    here, there = (layout(site, one.id).relations(682) for one in made)
    assert set(here.tables) == set(there.tables) >= {"trans", "card"}
    for name, mine in here.tables.items():
        theirs = there.tables[name]
        assert np.array_equal(mine.subject, theirs.subject)
        assert np.array_equal(mine.time, theirs.time)
        for column in theirs.columns.column_names:
            assert mine.columns[column].to_pylist() == theirs.columns[column].to_pylist()


@pytest.mark.slow  # trains two models
def test_a_job_learns_the_same_from_object_storage(
    tmp_path: Path, storage: Bucketed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bank").mkdir()
    site = build(tmp_path / "bank", reads_files=True, s3_roots=ROOTS)
    ids = bank_tables(site, tmp_path / "files")
    storage.put("bank", "data/b/1.parquet", bank().write(tmp_path / "copies")["balances"])
    declared: Any = bank_spec(ids)
    features = []
    for name, source in (
        ("copied", {"dataset": ids["balances"]}),
        ("there", {"uri": "s3://bank/data/b"}),
    ):
        declared["tables"]["balances"]["source"] = source
        dataset = assembled(site, declared, name)
        assert dataset["state"] == "READY", dataset["problem"]
        job = trained(site, dataset["id"], model=name)
        assert job["state"] == "DONE", job["problem"]
        champion = site.artifacts.path(site.store.get_model(site.project, name).artifact)
        features.append(json.loads((champion / "featurizer.json").read_text()))
    assert features[0] == features[1]
    storage.denied.add("bank")
    job = trained(site, dataset["id"], model="later")
    assert (job["state"], job["problem"]["code"]) == ("FAILED", "uri_denied")
    assert "s3://bank/data/b" in job["problem"]["detail"]
    assert ACCESS_KEY not in json.dumps(job)
    site.store.close()
