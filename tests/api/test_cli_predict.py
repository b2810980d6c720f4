"""`frugal predict`: what it writes, and what it says of rows that came without their tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api import client_rows
from api.cli import app
from api.client import FrugalClient
from tests.api.script import Reply, Script, reply

LINE = "POST /v1/models/bank/predict"
ABSENT = {
    "balances": {"rows": 0, "missing": "no rows came: as if nothing had happened"},
    "contacts": {"rows": 2, "not_used": 0},
}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("k\n1\n2\n3\n")
    return path


@pytest.fixture
def predict(client: FrugalClient, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FRUGAL_URL", client.url)
    monkeypatch.setenv("FRUGAL_TOKEN", "secret")

    def run(*arguments: str | Path, status: int = 0) -> Result:
        result = CliRunner().invoke(app, ["predict", "bank", *map(str, arguments)])
        assert result.exit_code == status, result.output
        return result

    return run


def as_csv(*scores: float, **report: Any) -> Reply:
    body = "".join(f"{one},false\n" for one in scores)
    report = {"n_rows": len(scores), **report}
    return 200, {"Prediction-Report": json.dumps(report)}, f'"p","alert"\n{body}'.encode()


def as_json(*scores: float, **report: Any) -> Reply:
    predictions = [{"probability": one} for one in scores]
    report = {"n_rows": len(scores), **report}
    return reply(200, {"predictions": predictions, "model": "bank", "report": report})


def test_tables_that_did_not_come_are_told(predict: Any, script: Script, rows: Path) -> None:
    script.add(LINE, as_csv(0.1, 0.2, 0.3, tables=ABSENT))
    told = predict(rows)
    assert told.stdout.splitlines() == ['"p","alert"', "0.1,false", "0.2,false", "0.3,false"]
    assert "no rows of 'balances' came" in told.stderr
    assert "'contacts'" not in told.stderr
    assert "frugal predict bank FOLDER --spec" in told.stderr
    script.add(LINE, as_json(0.1, 0.2, 0.3, tables=ABSENT))
    [warning] = json.loads(predict(rows, "--json").stdout)["report"]["warnings"]
    assert warning["code"] == "tables_missing"
    script.add(LINE, as_csv(0.1, 0.2, 0.3, tables={"contacts": ABSENT["contacts"]}))
    assert predict(rows).stderr == ""


def test_the_reports_of_all_pieces_are_one(
    predict: Any, script: Script, rows: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client_rows, "PIECE_ROWS", 2)
    first, second = {"out_of_range": {"k": 1}}, {"out_of_range": {"k": 1, "n": 1}, "drift": True}
    script.add(LINE, as_json(0.1, 0.2, **first), as_json(0.3, **second))
    found = json.loads(predict(rows, "--json").stdout)
    assert [one["probability"] for one in found["predictions"]] == [0.1, 0.2, 0.3]
    assert found["report"] == {"n_rows": 3, "out_of_range": {"k": 2, "n": 1}, "drift": True}
    script.add(LINE, as_csv(0.1, 0.2), as_csv(0.3, cut=["out_of_range"]))
    out = tmp_path / "scores.csv"
    told = predict(rows, "-o", out)
    assert f"{out}: 3 rows" in told.stderr
    assert "--json has all of it" in told.stderr
    assert out.read_text().splitlines() == ['"p","alert"', "0.1,false", "0.2,false", "0.3,false"]


def test_rows_with_their_tables_in_one_body(predict: Any, script: Script, tmp_path: Path) -> None:
    body = tmp_path / "rows.json"
    body.write_text('{"rows": [{"k": 1}], "tables": {"balances": []}}')
    script.add(LINE, as_csv(0.5))
    predict(body)
    [(_, headers, sent)] = script.requests
    assert headers["Content-Type"] == "application/json"
    assert sent == body.read_bytes()


def test_a_folder_of_tables_is_put_together(
    predict: Any, script: Script, rows: Path, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text('{"tables": {"rows": {"role": "entities"}}, "key": "k"}')
    one = {"id": "d1", "state": "READY", "n_rows": 3}
    script.add("POST /v1/datasets", reply(201, {**one, "id": "t1"}), reply(202, one))
    script.add("GET /v1/datasets/t1", reply(200, {**one, "id": "t1"}))
    script.add("GET /v1/datasets/d1", reply(200, one))
    script.add(
        "POST /v1/models/bank/predictions",
        reply(202, {"id": "b", "state": "DONE", "n_rows": 3, "problem": None}),
    )
    script.add("GET /v1/predictions/b/content", (200, {}, b"k,p\n"))
    out = tmp_path / "scores.csv"
    told = predict(tmp_path, "--spec", spec, "-o", out)
    assert out.read_bytes() == b"k,p\n"
    assert "data set d1: 3 rows" in told.stderr
    assert json.loads(script.requests[-2][2]) == {"dataset": "d1", "format": "csv"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{tmp}",), "say --spec"),
        (("{tmp}", "--spec", "{tmp}/rows.csv"), "say --out"),
        (("0" * 32, "--json", "-o", "x.json"), "say --out"),
        (("0" * 32, "-o", "x.csv", "--reasons", "2"), "without reasons"),
        (("nowhere.csv",), "is no file"),
        (("{tmp}/rows.csv", "-o", "scores.xlsx"), "none of .csv, .parquet, .json"),
    ],
)
def test_wrong_usage_says_what_is_right(
    predict: Any, rows: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    given = [one.format(tmp=tmp_path) for one in arguments]
    assert words in " ".join(predict(*given, status=2).stderr.replace("│", " ").split())
