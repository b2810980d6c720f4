"""Tables over HTTP that stay where they are."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.tables import ingest
from automl.errors import DataError
from automl.relations.sources import EventFiles
from tests.api.parts import Site, build
from tests.api.registered import EVENTS, N, layout, ready, register, spec
from tests.api.registered import customers as customers
from tests.api.registered import root as root
from tests.api.registered import site as site
from tests.api.relations import assembled, bank, bank_spec, bank_tables
from tests.api.trained_bank import trained


def test_a_folder_is_read_in_place_and_outlives_its_data_set(
    site: Site, root: Path, customers: str
) -> None:
    uri = f"file://{root}/balances/"
    before = {path: path.read_bytes() for path in root.rglob("*.parquet")}
    begun = register(site, customers, uri)
    assert begun.status_code == 201
    found = ready(site, begun.json["id"])
    assert (found["state"], found["n_rows"]) == ("READY", N)
    about = found["tables"]["balances"]
    assert (about["uri"], about["rows"], about["dataset"]) == (uri, 3 * EVENTS, None)
    assert found["spec"]["tables"]["balances"]["source"] == {"uri": uri}
    assert register(site, customers, uri).json["id"] == found["id"]  # 200: it is here already
    # The same rows as those of data sets that were uploaded.
    whole = pa.concat_tables([pq.read_table(path) for path in sorted(before)])
    sink = pa.BufferOutputStream()
    pq.write_table(whole, sink)
    copied = ready(site, site.upload(sink.getvalue().to_pybytes()))["id"]
    other = site.post("/v1/datasets", json={"spec": spec(customers, {"dataset": copied})}).json
    ready(site, other["id"])
    here, there = (layout(site, one).relations(N) for one in (found["id"], other["id"]))
    for mine, theirs in ((here.tables["balances"], there.tables["balances"]),):
        assert np.array_equal(mine.subject, theirs.subject)
        assert np.array_equal(mine.time, theirs.time)
        assert mine.columns["balance"].to_pylist() == theirs.columns["balance"].to_pylist()
    assert layout(site, found["id"]).layout.tables["balances"].is_index
    artifact = site.store.get_dataset(site.project, found["id"]).artifact
    assert artifact is not None
    assert site.call("DELETE", f"/v1/datasets/{found['id']}").status_code == 204
    assert not site.artifacts.exists(artifact)
    assert {path: path.read_bytes() for path in root.rglob("*.parquet")} == before


def test_a_file_that_changed_is_named_and_can_be_registered_again(
    site: Site, root: Path, customers: str
) -> None:
    uri = f"file://{root}/balances"
    first = ready(site, register(site, customers, uri).json["id"])
    stored = layout(site, first["id"])
    shutil.copy(root / "balances" / "part-0.parquet", root / "balances" / "part-1.parquet")
    with pytest.raises(DataError) as caught:
        stored.relations(N)
    assert (caught.value.code, caught.value.details["file"]) == ("source_changed", "part-1.parquet")
    again = register(site, customers, uri)
    assert again.status_code == 201
    assert ready(site, again.json["id"])["state"] == "READY"
    layout(site, again.json["id"]).relations(N)


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("file:///etc", "uri_not_allowed"),
        ("file://{root}/../data", "uri_not_allowed"),
        ("file://{root}/none", "uri_not_found"),
        ("s3://bucket/x", "uri_not_allowed"),
        ("gs://bucket/x", "uri_not_supported"),
        ("", "uri_not_supported"),
        ("x" * 2000, "invalid_request"),
    ],
)
def test_refused_uris(site: Site, root: Path, customers: str, uri: str, code: str) -> None:
    answer = register(site, customers, uri.format(root=root))
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert answer.json["errors"][0]["field"] == "spec.tables.balances.source.uri"
    assert len(site.get("/v1/datasets").json["items"]) == 1


def test_a_table_of_its_own_is_read_in_from_its_file(site: Site, root: Path) -> None:
    path = root / "own.csv"
    path.write_bytes(b"age;y\n41;0\n42;1\n43;0\n")
    body = {"name": "own", "uri": f"file://{path}", "options": {"delimiter": ";"}}
    answer = site.post("/v1/datasets", json=body)
    assert answer.status_code == 201, answer.text
    assert ready(site, answer.json["id"])["n_rows"] == 3
    assert site.upload(path.read_bytes(), query_string="delimiter=;") == answer.json["id"]
    for change, code in (
        ({"uri": f"file://{root}/balances"}, "uri_not_a_file"),
        ({"uri": "file:///etc/passwd"}, "uri_not_allowed"),
        ({"uri": 3}, "invalid_request"),
        ({"options": {"delimiter": ";;"}}, "invalid_request"),
        ({"name": ""}, "invalid_request"),
        ({"spec": {}}, "invalid_request"),
    ):
        answer = site.post("/v1/datasets", json=body | change)
        assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
    assert path.exists()


def test_a_parquet_folder_that_is_said_to_be_a_log(site: Site, root: Path, customers: str) -> None:
    declared = spec(customers, {"uri": f"file://{root}/balances"})
    declared["tables"]["balances"]["reading"] = {"log_format": "hdfs"}
    answer = site.post("/v1/datasets", json={"spec": declared})
    found = ready(site, answer.json["id"])
    assert (found["state"], found["problem"]["code"]) == ("INVALID", "unsupported_format")


LINES = {
    "common": '10.0.0.{n} - C{n:04d} [{d:02d}/Jan/2024:10:00:00 +0000] "GET /{k} HTTP/1.1" 200 5',
    "combined": '10.0.0.{n} - C{n:04d} [{d:02d}/Jan/2024:10:00:00 +0000] "GET /{k} HTTP/1.1" 200 5'
    ' "-" "agent/1.0"',
    "syslog": "Jan {d:2d} 10:00:00 host app[{k}]: customer C{n:04d} opened page {k}",
    "hdfs": "2401{d:02d} 100000 {k} INFO dfs.DataNode: customer C{n:04d} of size {k}",
    "bgl": "- 17040{d:02d}000 2024.01.{d:02d} R02 2024-01-{d:02d}-10.00.00.363779 R02 RAS KERNEL"
    " INFO customer C{n:04d} instruction {k}",
    "jsonl": '{{"time": "2024-01-{d:02d}T10:00:00Z", "key": "C{n:04d}", "message": "page {k}"}}',
    "key_message": "C{n:04d} Received block {k} of size 67108864 from node",
}


@pytest.mark.parametrize("form", LINES)
@pytest.mark.parametrize("compressed", [False, True])
def test_raw_logs_in_place_are_those_that_are_uploaded(
    tmp_path: Path, form: str, compressed: bool
) -> None:
    """The rows of lines in two files, one after the other, are those of one upload."""
    lines = [LINES[form].format(n=n % N, k=k, d=1 + n % 28) for n in range(N) for k in range(1, 6)]
    folder = tmp_path / "log"
    folder.mkdir()
    for number, some in enumerate((lines[:100], lines[100:])):
        body = ("\n".join(some) + "\n").encode()
        name = f"{number}.log" + (".gz" if compressed else "")
        (folder / name).write_bytes(gzip.compress(body) if compressed else body)
    reading: dict[str, Any] = {"log_format": form}
    if form not in ("common", "combined", "jsonl", "key_message"):
        reading |= {"entity_prefix": "C0", "log_year": 2024}
    options = ReadingOptions.from_json(reading)
    found = EventFiles(folder, table="log", options=options).table()
    (tmp_path / "whole.log").write_text("\n".join(lines) + "\n")
    ingest(tmp_path / "whole.log", tmp_path, options=options, limits=ReadingLimits())
    whole = pq.read_table(tmp_path / "rows.parquet")
    names = [one for one in whole.column_names if one != "line"]
    assert set(found.column_names) == set(whole.column_names)
    assert found.select(names).to_pydict() == whole.select(names).to_pydict()
    assert found.num_rows == len(lines)


def test_a_raw_log_is_put_together_where_it_is(site: Site, root: Path, customers: str) -> None:
    line = "2024-0{m}-1{d}T10:00:00Z C{n:04d} the customer asked for a {k} loan\n"
    body = "".join(
        line.format(n=n % N, k=k, m=1 + k % 9, d=n % 10) for n in range(N) for k in range(1, 6)
    ).encode()
    (root / "calls").mkdir()
    (root / "calls" / "0.log.gz").write_bytes(gzip.compress(body))
    tables = {"customers": {"dataset": customers}, "calls": {"uri": f"file://{root}/calls"}}
    answer = site.post("/v1/datasets/infer", json={"tables": tables, "target": "bad"})
    assert answer.status_code == 200, answer.text
    proposed = answer.json["spec"]
    about = proposed["tables"]["calls"]
    assert about["source"] == tables["calls"]
    assert (about["role"], about["message"]) == ("log", "message")
    assert about["reading"] == {"log_format": "iso_message"}
    assert "tables.calls.reading" in {one["field"] for one in answer.json["reasons"]}
    assert answer.json["sampled"]["calls"] == {"rows": 5 * N, "of": 5 * N}
    here = ready(site, site.post("/v1/datasets", json={"spec": proposed}).json["id"])
    assert here["state"] == "READY", here["problem"]
    copy = ready(site, site.upload(body, query_string={"log_format": "iso_message"}))["id"]
    about["source"] = {"dataset": copy}
    del about["reading"]
    there = ready(site, site.post("/v1/datasets", json={"spec": proposed}).json["id"])
    mine, theirs = (layout(site, one["id"]).relations(N).tables["calls"] for one in (here, there))
    assert np.array_equal(mine.subject, theirs.subject)
    assert np.array_equal(mine.time, theirs.time)
    for name in mine.columns.column_names:
        assert mine.columns[name].to_pylist() == theirs.columns[name].to_pylist()


def test_what_is_no_table_may_be_a_log_and_of_which_format(site: Site) -> None:
    lines = b"081109 203615 148 INFO dfs.DataNode: Received block blk_3 of size 91178\n" * 9
    answer = site.post("/v1/datasets", data=lines, content_type="text/plain")
    assert answer.status_code == 422
    assert answer.json["details"]["log_format"] == "hdfs"
    query = {"log_format": "hdfs"}
    again = site.post("/v1/datasets", data=lines, content_type="text/plain", query_string=query)
    assert again.status_code == 201
    assert (
        "log_format"
        not in site.post("/v1/datasets", data=b"a\n1\n2\n", content_type="text/csv").text
    )


@pytest.mark.slow  # trains two models
def test_a_job_learns_the_same_from_a_folder_in_place(tmp_path: Path) -> None:
    folder = tmp_path / "srv" / "balances"
    folder.mkdir(parents=True)
    (tmp_path / "site").mkdir()
    site = build(tmp_path / "site", reads_files=True, feed_roots=(tmp_path / "srv",))
    ids = bank_tables(site, tmp_path / "files")
    shutil.copy(bank().write(tmp_path / "copies")["balances"], folder)
    declared = bank_spec(ids)
    features = []
    for name, source in (
        ("copied", {"dataset": ids["balances"]}),
        ("here", {"uri": f"file://{folder}"}),
    ):
        declared["tables"]["balances"]["source"] = source
        dataset = assembled(site, declared, name)
        assert dataset["state"] == "READY", dataset["problem"]
        job = trained(site, dataset["id"], model=name)
        assert job["state"] == "DONE", job["problem"]
        champion = site.artifacts.path(site.store.get_model(site.project, name).artifact)
        features.append(json.loads((champion / "featurizer.json").read_text()))
    assert features[0] == features[1]
    os.utime(next(folder.iterdir()), (1, 1))
    job = trained(site, dataset["id"], model="later")
    assert (job["state"], job["problem"]["code"]) == ("FAILED", "source_changed")
    site.store.close()
