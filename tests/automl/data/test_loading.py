"""Stored rows to a Dataset, and bodies of prediction requests to the same columns."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.loading import load, read_rows
from automl.data.tables import ReadingLimits, ReadingOptions, ingest
from automl.errors import DataError
from tests.automl.data.reading import parquet_bytes

LIMITS = ReadingLimits()
CSV = (
    "id,when,n,big,x,flag,text,w,y\n"
    "1,2024-01-02,3,16777217,0.5,true,b,1,yes\n"
    "2,2024-01-01,,5,1.5,,a,2,no\n"
    "3,2024-01-03,4,6,2.5,false,,3,\n"
    "4,2024-01-04,5,7,,true,b,4,no\n"
)


def stored(folder: Path, data: bytes) -> Path:
    (folder / "upload").write_bytes(data)
    ingest(folder / "upload", folder, options=ReadingOptions(), limits=LIMITS)
    return folder / "rows.parquet"


def test_load(tmp_path: Path) -> None:
    request = {
        "target": "y",
        "positive": "yes",
        "time_column": "when",
        "group_column": "text",
        "weight_column": "w",
        "exclude": ["id"],
        "monotone": {"n": "increasing", "big": "decreasing", "x": "increasing"},
    }
    dataset = load(stored(tmp_path, CSV.encode()), request, excluded=["x"])
    assert dataset.y.tolist() == [1, 0, 0]
    assert dataset.y.dtype == np.int8
    assert list(dataset.X.columns) == ["n", "big", "flag"]
    assert dataset.X["n"].tolist()[0] == 3.0
    assert np.isnan(dataset.X["n"].tolist()[1])
    assert dataset.X["n"].dtype == np.float32
    assert dataset.X["big"].dtype == np.float64  # 2^24 + 1 would be rounded
    assert dataset.X["big"].tolist()[0] == 16_777_217
    assert dataset.X["flag"].dtype == np.float32
    assert dataset.time is not None
    assert str(dataset.time.dtype) == "datetime64[us]"
    assert dataset.group is not None
    assert dataset.group.tolist() == [0, 1, 0]
    assert dataset.weight is not None
    assert dataset.weight == pytest.approx(np.array([1, 2, 4]) * 3 / 7)  # only ratios count
    assert dataset.unlabelled is not None
    assert list(dataset.unlabelled.columns) == ["n", "big", "flag"]
    assert dataset.unlabelled["n"].tolist() == [4.0]
    assert dataset.monotone == {"n": 1, "big": -1}  # x was left out by the admission


def test_rows_alike_in_all_features_make_a_group(tmp_path: Path) -> None:
    text = "a,b,y\n" + "".join(f"{i % 3},{'xy'[i % 2]},{i % 5 == 0:d}\n" for i in range(60))
    rows = stored(tmp_path, text.encode())
    assert load(rows, {"target": "y"}, excluded=[]).group is None
    dataset = load(rows, {"target": "y"}, excluded=[], group_identical=True)
    assert dataset.group is not None
    alike = dataset.X.apply(tuple, axis=1)
    for group in range(6):
        assert alike[dataset.group == group].nunique() == 1
    assert len(set(dataset.group)) == alike.nunique() == 6


def test_categories_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    one = load(stored(tmp_path, CSV.encode()), {"target": "y", "positive": "yes"}, excluded=[])
    assert one.X["text"].cat.categories.tolist() == ["a", "b"]
    assert str(one.X["when"].dtype) == "datetime64[us]"


def test_a_column_with_a_dot_in_its_name(tmp_path: Path) -> None:
    path = stored(tmp_path, parquet_bytes(pa.table({"a.b": [1, 2], "a": [3, 4], "y": [0, 1]})))
    dataset = load(path, {"target": "y", "positive": None}, excluded=[])
    assert dataset.X.to_dict("list") == {"a.b": [1.0, 2.0], "a": [3.0, 4.0]}


@pytest.mark.parametrize("role", ["target", "time_column"])
def test_unknown_columns(tmp_path: Path, role: str) -> None:
    path = stored(tmp_path, CSV.encode())
    with pytest.raises(DataError):
        load(path, {"target": "y", "positive": "yes", role: "nope"}, excluded=[])


TYPES = {"a": "integer", "x": "number", "flag": "boolean", "code": "string", "when": "timestamp"}
ROWS: list[dict[str, Any]] = [
    {"a": 1, "x": 0.5, "flag": True, "code": "007", "when": "2024-01-01T00:00:00"},
    {"a": 2, "x": None, "flag": False, "code": "8", "when": None},
]


def bodies() -> dict[str, bytes]:
    frame = pa.Table.from_pylist(ROWS)
    text = "a,x,flag,code,when\n1,0.5,true,007,2024-01-01T00:00:00\n2,,false,8,\n"
    return {
        "application/json": json.dumps({"rows": ROWS}).encode(),
        "text/csv; charset=utf-8": text.encode(),
        "application/vnd.apache.parquet": parquet_bytes(frame),
        "application/x-ndjson": "\n".join(map(json.dumps, ROWS)).encode(),
    }


@pytest.mark.parametrize("content_type", bodies())
def test_bodies_of_all_kinds_are_the_same_rows(content_type: str) -> None:
    X = read_rows(bodies()[content_type], content_type, limits=LIMITS, types=TYPES)
    assert {k: str(v) for k, v in X.dtypes.items()} == {
        "a": "float32",
        "x": "float32",
        "flag": "int8",
        "code": "category",
        "when": "datetime64[us]",
    }
    assert X["code"].tolist() == ["007", "8"]
    assert X["when"].tolist()[0] == pd.Timestamp("2024-01-01")


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"x": "much"}, "x"),
        ({"x": "5"}, "x"),
        ({"flag": "maybe"}, "flag"),
        ({"code": True}, "code"),
    ],
)
def test_80_a_wrong_type(row: dict[str, Any], column: str) -> None:
    with pytest.raises(DataError) as caught:
        read_rows(
            json.dumps({"rows": [{}, row]}).encode(), "application/json", limits=LIMITS, types=TYPES
        )
    assert (caught.value.code, caught.value.column) == ("type_conflict", column)
    assert caught.value.row == 2


def test_81_infinite_numbers_and_nulls() -> None:
    for text in ("Infinity", "1e999"):
        with pytest.raises(DataError) as caught:
            read_rows(
                b'{"rows": [{"x": %s}]}' % text.encode(),
                "application/json",
                limits=LIMITS,
                types=TYPES,
            )
        assert caught.value.code == "non_finite"
    X = read_rows(b'{"rows": [{"x": null}]}', "application/json", limits=LIMITS, types=TYPES)
    assert X["x"].isna().all()


def test_83_no_rows_and_too_many() -> None:
    for body, kind in (
        (b'{"rows": []}', "application/json"),
        (b"a,b\n", "text/csv"),
    ):
        assert len(read_rows(body, kind, limits=LIMITS)) == 0
    for body, kind in (
        (b"", "text/csv"),
        (b"\n", "text/csv"),
        (b"", "application/x-ndjson"),
        (b"", "application/vnd.apache.parquet"),
        (without_columns(), "application/vnd.apache.parquet"),
    ):
        with pytest.raises(DataError) as caught:
            read_rows(body, kind, limits=LIMITS)
        assert caught.value.code in ("empty_file", "no_columns")
    many = b"a,b\n" + b"1,2\n" * 11
    with pytest.raises(DataError) as caught:
        read_rows(many, "text/csv", limits=LIMITS, max_rows=10)
    assert caught.value.code == "too_many_rows"
    rows = json.dumps({"rows": [{"a": 1}] * 11}).encode()
    with pytest.raises(DataError) as caught:
        read_rows(rows, "application/json", limits=LIMITS, max_rows=10)
    assert caught.value.code == "too_many_rows"


def without_columns() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({}), sink)
    return sink.getvalue()


def test_a_row_that_lacks_what_others_have_is_named() -> None:
    def read(*rows: dict[str, object]) -> pd.DataFrame:
        body = json.dumps({"rows": rows}).encode()
        return read_rows(body, "application/json", limits=LIMITS, needed=["a", "b", "c"])

    assert len(read({"a": 1, "b": None}, {"a": 2, "b": 3})) == 2, "c is told of the whole table"
    for rows, at, columns in (
        (({"a": 1, "b": 1}, {"b": 1}), 2, ["a"]),
        (({"a": 1, "b": 1}, {}), 2, ["a", "b", "c"]),
        (({},), 1, ["a", "b", "c"]),
    ):
        with pytest.raises(DataError) as caught:
            read(*rows)
        assert (caught.value.code, caught.value.row) == ("missing_columns", at)
        assert caught.value.details["columns"] == columns


def test_a_field_beside_the_rows_is_not_passed_over() -> None:
    with pytest.raises(DataError, match="a field 'reasons'") as caught:
        read_rows(b'{"rows": [{"a": 1}], "reasons": 3}', "application/json", limits=LIMITS)
    assert caught.value.code == "jsonl"
    body = b'{"rows": [{"a": 1}], "tables": {"b": []}}'
    with pytest.raises(DataError) as caught:
        read_rows(body, "application/json", limits=LIMITS)
    assert caught.value.code == "unknown_table"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"rows": 3}',
        b'{"rows": [3]}',
        b'{"rows": [{"a": {"b": 1}}]}',
        b'{"rows": [{"a": 1, "a": 2}]}',
        b'{"rows": ' + b"[" * 100_000,
        b'{"rows": [{"a": 1}]',
    ],
)
def test_json_that_is_not_rows(body: bytes) -> None:
    with pytest.raises(DataError) as caught:
        read_rows(body, "application/json", limits=LIMITS)
    assert caught.value.code == "jsonl"


def test_other_content_types() -> None:
    with pytest.raises(DataError) as caught:
        read_rows(b"<a/>", "application/xml", limits=LIMITS)
    assert caught.value.code == "unsupported_format"


def test_the_schema_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made anew each time, which for thousands of columns took most of an admission."""
    table = pa.table({**{f"c{i}": np.arange(40) * i % 7 for i in range(60)}, "y": [0, 1] * 20})
    rows = stored(tmp_path, parquet_bytes(table))
    schema = pq.ParquetFile.schema_arrow
    asked: list[pq.ParquetFile] = []

    def counted(file: pq.ParquetFile) -> pa.Schema:
        asked.append(file)
        return schema.__get__(file)

    monkeypatch.setattr(pq.ParquetFile, "schema_arrow", property(counted))
    assert load(rows, {"target": "y"}, excluded=[]).X.shape == (40, 60)
    assert len(asked) == 1


def test_a_csv_body_far_shorter_than_its_header_is_ragged() -> None:
    body = (",".join(f"c{i}" for i in range(21)) + "\n1,2\n").encode()
    with pytest.raises(DataError) as caught:
        read_rows(body, "text/csv", limits=LIMITS, types={"c0": "number"})
    assert (caught.value.code, caught.value.row) == ("ragged_row", 1)


def test_a_number_too_long_in_a_json_body_is_called_that() -> None:
    body = b'{"rows": [{"a": ' + b"7" * 5_000 + b"}]}"
    with pytest.raises(DataError) as caught:
        read_rows(body, "application/json", limits=LIMITS)
    assert caught.value.code == "jsonl"
    assert "too many digits" in str(caught.value)
