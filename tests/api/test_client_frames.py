"""Tables in and out of the client: kinds, order, pieces, and what cannot be sent."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api import client_models, client_rows
from api.client import FrugalClient, PredictionWarning
from api.client_frames import is_frame, to_parquet, to_rows
from api.client_plot import front_chart
from api.client_rows import joined_parquet, pieces_of
from automl.errors import DataError
from tests.api.script import Script, reply

COLUMNS = {"age": [41, 52, 63], "name": ["a", None, "c"]}
MAKERS: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pd.DataFrame(COLUMNS, index=[7, 3, 5]),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "lazy": lambda: pl.LazyFrame(COLUMNS),
    "arrow": lambda: pa.table(COLUMNS),
}


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def answered(content: bytes, **report: Any) -> Any:
    return 200, {"Prediction-Report": json.dumps(report)}, content


@pytest.mark.parametrize("kind", MAKERS)
def test_a_table_is_answered_by_one_of_its_kind(
    client: FrugalClient,
    script: Script,
    kind: str,
) -> None:
    rows = MAKERS[kind]()
    content = parquet(probability=[0.1, 0.2, 0.3], alert=[False, False, True])
    script.add("POST /v1/models/m/predict", answered(content, drift=False))
    scores = client.predict("m", rows)
    expected = {"pandas": pd.DataFrame, "arrow": pa.Table}.get(kind, pl.DataFrame)
    assert type(scores) is expected
    assert list(scores["probability"].to_pylist() if kind == "arrow" else scores["probability"]) \
        == [0.1, 0.2, 0.3]  # fmt: skip
    if kind == "pandas":
        assert scores.index.tolist() == [7, 3, 5]
    sent = pq.read_table(io.BytesIO(script.requests[0][2]))
    assert sent.to_pydict() == COLUMNS  # and no column of row names


def test_many_rows_go_in_pieces_and_smaller_ones_where_those_are_refused(
    client: FrugalClient,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_models, "BLOCK_ROWS", 4)
    line = "POST /v1/models/m/predict"
    script.add(line, reply(413, {"code": "too_many_rows", "detail": "too many"}))
    for first, last in ((0, 2), (2, 4), (4, 6)):
        script.add(line, answered(parquet(probability=[float(n) for n in range(first, last)])))
    scores = client.predict("m", pd.DataFrame({"n": range(6)}))
    assert scores.probability.tolist() == [0, 1, 2, 3, 4, 5]
    sizes = [len(pq.read_table(io.BytesIO(body))) for _, _, body in script.requests]
    assert sizes == [4, 2, 2, 2]


def test_drift_is_a_warning(client: FrugalClient, script: Script) -> None:
    content = parquet(probability=[0.5], alert=[True])
    script.add("POST /v1/models/m/predict", answered(content, drift=True, out_of_range={"n": 1}))
    with pytest.warns(PredictionWarning, match="'n'"):
        client.predict("m", pa.table({"n": [1]}))


def test_tables_around_the_rows_are_sent_as_json(
    client: FrugalClient,
    script: Script,
) -> None:
    predictions = [{"probability": 0.5, "alert": False, "reasons": []}]
    body = {"predictions": predictions, "report": {"drift": False}}
    script.add("POST /v1/models/m/predict", reply(200, body))
    around = pl.DataFrame({"k": [1], "at": [date(2026, 1, 2)], "x": [float("nan")]})
    scores = client.predict("m", pd.DataFrame({"k": [1]}, index=["a"]), tables={"t": around})
    assert scores.to_dict("index") == {"a": {"probability": 0.5, "alert": False}}
    sent = json.loads(script.requests[0][2])
    assert sent["tables"]["t"] == [{"k": 1, "at": "2026-01-02", "x": None}]


def test_an_upload_of_a_table_is_parquet(client: FrugalClient, script: Script) -> None:
    script.add("POST /v1/datasets", reply(201, {"id": "d", "state": "READY"}))
    client.upload(MAKERS["pandas"](), name="mine", wait=False)
    path, headers, body = script.requests[0]
    assert "name=mine" in path
    assert headers["Content-Type"] == "application/vnd.apache.parquet"
    assert pq.read_table(io.BytesIO(body)).to_pydict() == COLUMNS


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (pd.DataFrame({"ok": [1, 2], "mixed": [1, "x"]}), "'mixed'"),
        (pd.DataFrame({3: [1]}), "column 1"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns called 'a'"),
    ],
)
def test_what_cannot_be_sent_names_its_column(frame: pd.DataFrame, word: str) -> None:
    with pytest.raises(DataError, match=word):
        to_parquet(frame)


def test_what_is_a_table() -> None:
    assert all(is_frame(make()) for make in MAKERS.values())
    assert not any(map(is_frame, ([{"a": 1}], b"a", Path("a"), pd.Series([1]))))
    assert to_rows(pd.DataFrame({"a": [1.5, None]})) == [{"a": 1.5}, {"a": None}]


def test_a_file_of_rows_in_pieces_is_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_rows, "PIECE_ROWS", 2)
    rows = [b"1,a\n", b'2,"b\nstill ""b"""\n', b"3,c\n", b"4,d"]
    path = tmp_path / "rows.csv"
    path.write_bytes(b"n,t\n" + b"".join(rows))
    pieces = [one.content for one in pieces_of(str(path))]
    assert pieces == [b"n,t\n" + b"".join(rows[:2]), b"n,t\n" + b"".join(rows[2:])]
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [one.content for one in pieces_of(str(packed))] == pieces
    lines = tmp_path / "rows.jsonl"
    lines.write_bytes(b'{"n":1}\n{"n":2}\n{"n":3}\n')
    assert b"".join(one.content for one in pieces_of(str(lines))) == lines.read_bytes()
    table = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"n": [1, 2, 3]}), table)
    parts = [one.content for one in pieces_of(str(table))]
    assert len(parts) == 2
    assert pq.read_table(io.BytesIO(joined_parquet(parts))).to_pydict() == {"n": [1, 2, 3]}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", "empty_file"),
        ("a.csv.gz", gzip.compress(b"a\n1\n")[:-6], "bad_gzip"),
        ("a.parquet", b"PAR1 and then nothing", "bad_parquet"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(pieces_of(str(path)))
    assert caught.value.code == code


def test_a_chart_of_altair() -> None:
    row = {
        "number": 0, "model": "lightgbm", "rung": "final", "metric": "average_precision",
        "n_rows": 100, "score": 0.4, "score_low": 0.3, "score_high": 0.5, "gco2e": 0.001,
        "joules": 3.0, "cpu_seconds": 1.0, "predict_joules": 0.1, "lifetime": None, "front": True,
        "picks": ["recommended"], "error": None,
    }  # fmt: skip
    found = front_chart([row, {**row, "number": 1, "front": False, "picks": []}]).to_dict()
    assert found["width"] == 480
    assert "layer" in found or "mark" in found
