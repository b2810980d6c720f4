"""Objects are read as files are, in ranges, and every fault of the storage is told in our words."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.options import ReadingOptions
from automl.errors import DataError
from automl.relations import objects, parquet
from automl.relations.kept import Kept
from automl.relations.objects import ObjectFile, as_they_are, objects_below
from automl.relations.parquet import opened, said_by
from automl.relations.sampled import first_and_positive
from automl.relations.sources import EventFiles
from automl.relations.spec import Spec
from automl.relations.stored import Stored
from automl.relations.storing import store
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
    monkeypatch.setattr(objects, "LIST_SECONDS", 0.5)
    objects._access.cache_clear()
    storage.fault = "slow"
    assert code_of() == "uri_unreachable"
    assert len(storage.asked) == objects.LIST_ATTEMPTS


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


def asked_of(storage: Bucketed) -> dict[str, list[str]]:
    """By object, the requests since the last look: HEAD, or the range of a GET."""
    found: dict[str, list[str]] = {}
    for method, path, span in storage.asked:
        if "list-type" not in path:
            found.setdefault(path, []).append(span or method)
    storage.asked.clear()
    return found


def folder_of(storage: Bucketed, folder: Path, *, n_files: int, n: int) -> pa.Table:
    """Objects of two row groups each; all their rows."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(n_files):
        rows = {"who": rng.integers(0, 50, n), "at": rng.random(n), "euros": rng.random(n)}
        made.append(pa.table(rows | {"kind": [f"k{one % 3}" for one in range(n)]}))
        path = folder / f"{number}.parquet"
        pq.write_table(made[-1], path, row_group_size=n // 2)
        storage.put("bank", f"x/{path.name}", path)
    return pa.concat_tables(made)


def test_an_object_is_asked_little_of(
    storage: Bucketed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "FOOTERS", Kept(most_bytes=2**20))
    n_files = 3
    folder_of(storage, tmp_path, n_files=n_files, n=40_000)
    listed = objects_below("s3://bank/x", most=10)
    storage.asked.clear()
    EventFiles(listed, table="moves")  # a look at the types of its columns
    looked = asked_of(storage)
    assert [len(one) for one in looked.values()] == [2] * n_files  # the head, and the end
    spec = Spec.from_json({
        "key": "who",
        "tables": {
            "people": {"role": "entities"},
            "moves": {"role": "events", "key": "who", "to": "people", "time": "at",
                      "time_format": "number"},
        },
        "cut_off": {"now": 1},
    })  # fmt: skip
    people = pa.table({"who": np.arange(50)})
    store(spec, {"people": people, "moves": listed}, tmp_path / "s", sample=first_and_positive([]))
    stored = asked_of(storage)  # the head, and key and time of each row group
    assert [len(one) for one in stored.values()] == [3] * n_files
    reader = Stored(tmp_path / "s")
    here = reader.relations(50).tables["moves"]
    assert here.n_rows == n_files * 40_000
    assert [len(one) for one in asked_of(storage).values()] == [4] * n_files
    reader.relations(20)
    assert [len(one) for one in asked_of(storage).values()] == [3] * n_files


def test_what_was_kept_of_an_object_holds_for_its_content(
    storage: Bucketed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "FOOTERS", Kept(most_bytes=2**20))
    whole = folder_of(storage, tmp_path, n_files=1, n=1_000)
    (file,) = objects_below("s3://bank/x", most=10)
    assert said_by(file)[0].equals(whole.schema)
    storage.asked.clear()
    assert said_by(file)[0].equals(whole.schema)
    assert said_by(file)[1].num_rows == 1_000
    assert storage.asked == []
    body = bytearray(storage.objects["bank"]["x/0.parquet"].body)
    body[100] ^= 1
    storage.put("bank", "x/0.parquet", bytes(body))
    with pytest.raises(DataError) as caught, opened(file):
        pass
    assert caught.value.code == "source_changed"
    with opened(file) as again:
        assert again.metadata.num_rows == 1_000


def test_few_footers_are_kept(storage: Bucketed, tmp_path: Path, monkeypatch) -> None:
    folder_of(storage, tmp_path, n_files=3, n=1_000)
    files = objects_below("s3://bank/x", most=10)
    size = said_by(files[0])[1].serialized_size
    kept = Kept[pq.FileMetaData](most_bytes=int(2.5 * size))
    monkeypatch.setattr(parquet, "FOOTERS", kept)
    for one in files:
        said_by(one)
    assert [kept.of(one.identity) is not None for one in files] == [False, True, True]


def test_the_beginning_of_a_text_is_asked_for_once(
    storage: Bucketed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "BEGINNINGS", Kept(most_bytes=2**22))
    monkeypatch.setattr(objects, "BEGINNING_BYTES", 2**20)
    body = b"a,b\n" + b"1,2\n" * 300_000
    storage.put("bank", "x.csv", body)
    listed = objects_below("s3://bank/x.csv", most=10)
    storage.asked.clear()
    EventFiles(listed, table="x")
    spans = [one for _, _, one in storage.asked if one]
    assert len(set(spans)) == len(spans), "nothing is read twice"
    storage.asked.clear()
    assert EventFiles(listed, table="x").table().num_rows == 300_000
    # three looks and one reading, each with its head, and what lies behind the beginning
    ranges = [one for _, _, one in storage.asked if one]
    assert all(int(one[6:].split("-")[0]) >= 2**20 for one in ranges)
    assert len(storage.asked) - len(ranges) == 4
    storage.put("bank", "x.csv", b"c" + body[1:])
    with listed[0].open() as file:
        assert file.read() == b"c" + body[1:], "another content is read anew"


def test_a_name_proves_nothing(storage: Bucketed) -> None:
    storage.put("bank", "x.parquet", b"a,b\n1,2\n")
    (file,) = objects_below("s3://bank/x.parquet", most=10)
    assert EventFiles(file, table="x").table().to_pydict() == {"a": [1], "b": [2]}


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
