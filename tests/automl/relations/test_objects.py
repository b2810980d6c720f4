"""Objects are read as files are, in ranges, and every fault of the storage is told in our words."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.options import ReadingOptions
from automl.errors import DataError
from automl.relations import objects
from automl.relations.objects import ObjectFile, as_they_are, objects_below
from automl.relations.sources import EventFiles
from tests.object_storage import ACCESS_KEY, Bucketed, serving

N = 12_000


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucketed]:
    with serving() as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


def code_of(uri: str = "s3://bank/x") -> str:
    with pytest.raises(DataError) as caught:
        objects_below(uri, most=10)
    assert caught.value.details["uri"] == uri
    assert ACCESS_KEY not in str(caught.value)
    return caught.value.code


def test_all_objects_below_in_order(storage: Bucketed) -> None:
    keys = ["x/b.csv", "x/a b%20c+é.csv", "x/2024/1.csv", "x/2024/2.csv", "xy/secret.csv", "x.csv"]
    for key in keys:
        storage.put("bank", key, key.encode())
    found = objects_below("s3://bank/x/", most=10)
    assert [one.uri for one in found] == sorted(f"s3://bank/{key}" for key in keys[:4])
    assert [one.n_bytes for one in found] == [len(one.uri.encode()) - 10 for one in found]
    assert {one.modified for one in found} == {1763607845 * 10**9 + 31536000 * 10**9}
    assert objects_below("s3://bank/x.csv", most=10)[0].open().read() == b"x.csv"
    assert objects_below("s3://bank/none", most=10) == []
    with pytest.raises(DataError) as caught:
        objects_below("s3://bank/x", most=3)
    assert caught.value.code == "too_many_files"


def test_what_the_storage_answers_is_told(
    storage: Bucketed, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("bank", "x/ACCESS_DENIED/1.csv", b"1")
    storage.denied.add("closed")
    assert objects_below("s3://no-such-bucket/x", most=10) == []
    missing = ObjectFile(uri="s3://bank/x/none", n_bytes=1, modified=0)
    with pytest.raises(DataError) as caught:
        missing.open()
    assert caught.value.code == "uri_not_found"
    assert code_of("s3://closed/x") == "uri_denied"
    storage.fault = "error"
    assert code_of("s3://bank/x/ACCESS_DENIED/1.csv") == "uri_unreachable"
    storage.fault = None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    objects._access.cache_clear()
    assert code_of() == "uri_denied"


def test_a_storage_that_is_silent_is_given_up(
    storage: Bucketed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(objects, "ATTEMPTS", 1)
    objects._access.cache_clear()
    storage.fault = "slow"
    assert code_of() == "uri_unreachable"


def test_parquet_is_asked_for_in_ranges(storage: Bucketed, tmp_path: Path) -> None:
    n, each = 60_000, 6_000
    table = pa.table({"a": range(n), "b": [f"text {one}" for one in range(n)]})
    pq.write_table(table, tmp_path / "1.parquet", row_group_size=each)
    storage.put("bank", "x/1.parquet", tmp_path / "1.parquet")
    files = EventFiles(objects_below("s3://bank/x", most=10), table="x")
    assert files.table().to_pydict() == table.to_pydict()
    storage.asked.clear()
    for _, group, piece in files.groups(["a"]):
        assert piece["a"].to_pylist() == list(range(group * each, (group + 1) * each))
    asked = [one for _, _, one in storage.asked if one]
    n_bytes = sum(int(b) - int(a) + 1 for a, b in (one[6:].split("-") for one in asked))
    assert n_bytes < 0.8 * files.n_bytes


@pytest.mark.parametrize("name", ["1.csv", "1.csv.gz", "1.jsonl", "1.log", "1.log.gz"])
def test_texts_are_streamed_as_from_a_file(storage: Bucketed, tmp_path: Path, name: str) -> None:
    line = {
        "1.csv": "{n},word {n}\n",
        "1.jsonl": '{{"n": {n}, "w": "word"}}\n',
        "1.log": "2024-01-01T10:00:00Z C{n:05d} said word {n}\n",
    }[name.removesuffix(".gz")]
    body = ("n,w\n" if ".csv" in name else "") + "".join(line.format(n=n) for n in range(N))
    data = gzip.compress(body.encode()) if name.endswith(".gz") else body.encode()
    path = tmp_path / name
    path.write_bytes(data)
    storage.put("bank", f"x/{name}", path)
    options = ReadingOptions(log_format="iso_message" if ".log" in name else None)
    here = EventFiles(path, table="x", options=options).table()
    files = EventFiles(objects_below("s3://bank/x", most=10), table="x", options=options)
    assert files.table().equals(here)
    assert here.num_rows == N


def test_a_look_at_the_beginning_takes_little(storage: Bucketed) -> None:
    storage.put("bank", "x.csv", b"a,b\n" * 2**20)
    (file,) = objects_below("s3://bank/x.csv", most=10)
    with file.open() as opened:
        assert opened.read(4) == b"a,b\n"
    ranges = [one for _, _, one in storage.asked if one]
    assert ranges == [f"bytes=0-{objects.FIRST_BYTES - 1}"]


def test_another_content_is_another_file(storage: Bucketed) -> None:
    storage.put("bank", "x.csv", b"a,b\n1,2\n")
    (file,) = objects_below("s3://bank/x.csv", most=10)
    known = file.known_better()
    assert as_they_are([known.uri, "s3://bank/none"]) == [file, None]
    assert known.open().read() == b"a,b\n1,2\n"
    storage.put("bank", "x.csv", b"a,b\n1,3\n")
    with pytest.raises(DataError) as caught:
        known.open()
    assert (caught.value.code, caught.value.details["file"]) == ("source_changed", "x.csv")
    storage.put("bank", "x.csv", b"a,b\n1,2\n3,4\n")
    with pytest.raises(DataError) as caught:
        file.open()
    assert caught.value.code == "source_changed"
    assert isinstance(file, ObjectFile)
