"""Rows 80-86 with a model that was really trained: upload, job, leaderboard, predictions."""

from __future__ import annotations

import csv as csv_format
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.search.champion import Champion
from scheduler.execution import execute
from tests.api import tables
from tests.api.parts import Site, build

pytestmark = pytest.mark.slow  # trains a model

ROW = {"balance": 700.5, "age": 41, "segment": "retail"}
PARQUET = "application/vnd.apache.parquet"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a model `bank` from a job that ran to its end."""
    made = build(tmp_path_factory.mktemp("predictions"), reads_files=True, max_predict_rows=1000)
    uploaded = made.post(
        "/v1/datasets?name=bank.csv", data=tables.csv(tables.rows()), content_type="text/csv"
    )
    location = uploaded.headers["Location"]
    end = time.monotonic() + 240
    while made.get(location).json["state"] == "INGESTING" and time.monotonic() < end:
        time.sleep(0.05)
    body = {
        "dataset": uploaded.json["id"],
        "target": "y",
        "model": "bank",
        "mode": "eco",
        "limits": {"trials": 4},
    }
    answer = made.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job = made.claim()
    execute(job.id, job.epoch, store=made.store, artifacts=made.artifacts, settings=made.settings)
    done = made.get(f"/v1/jobs/{job.id}").json
    assert done["state"] == "DONE", done
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


def predict(site: Site, body: Any, **kwargs: Any) -> Any:
    if isinstance(body, list):
        return site.post("/v1/models/bank/predict", json={"rows": body}, **kwargs)
    return site.post("/v1/models/bank/predict", data=body, **kwargs)


def job_id(site: Site) -> str:
    return str(site.get("/v1/models/bank").json["job"])


def test_leaderboard_and_receipt_of_the_job(site: Site) -> None:
    board = site.get(f"/v1/jobs/{job_id(site)}/leaderboard").json
    assert board["total"] >= 2
    assert all(row["joules"] > 0 for row in board["items"])
    picked = {pick for row in board["items"] for pick in row["picks"]}
    assert picked == {"recommended", "most_accurate", "most_frugal"}
    front = site.get(f"/v1/jobs/{job_id(site)}/leaderboard?front=true").json
    assert 1 <= front["total"] <= board["total"]
    receipt = site.get(f"/v1/jobs/{job_id(site)}/receipt").json
    assert receipt["final"] is True
    assert {"search", "refit"} <= {phase["name"] for phase in receipt["phases"]}


def test_events_of_the_job(site: Site) -> None:
    events = site.get(f"/v1/jobs/{job_id(site)}/events?after=0").json
    kinds = [event["kind"] for event in events["items"]]
    assert kinds[0] == "state"
    assert kinds[-1] == "end"
    assert "trial" in kinds
    assert events["items"][-1]["data"]["stop_reason"]
    for event in events["items"]:
        if event["kind"] == "trial":
            assert event["data"]["eta_seconds"] >= 0


def test_predictions_order_the_rows(site: Site) -> None:
    answer = predict(site, [ROW, {**ROW, "balance": -900.0}])
    assert answer.status_code == 200, answer.text
    first, second = answer.json["predictions"]
    assert 0 <= first["probability"] < second["probability"] <= 1
    assert set(first) == {"probability", "alert"}
    assert (answer.json["model"], answer.json["version"]) == ("bank", 1)
    assert answer.headers["Model-Version"] == "1"


def test_bodies_and_answers_of_every_type_agree(site: Site) -> None:
    rows = tables.rows(50, n_positive=5, seed=3)
    features = [{name: row[name] for name in ROW} for row in rows]
    expected = [one["probability"] for one in predict(site, features).json["predictions"]]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(features), sink)
    lines = "\n".join(json.dumps(row) for row in features)
    for body, content_type in (
        (tables.csv(features), "text/csv"),
        (sink.getvalue(), PARQUET),
        (lines, "application/x-ndjson"),
    ):
        answer = predict(site, body, content_type=content_type)
        assert answer.status_code == 200, answer.text
        assert [one["probability"] for one in answer.json["predictions"]] == expected
    as_csv = predict(site, features, headers={"Accept": "text/csv"})
    read = list(csv_format.DictReader(io.StringIO(as_csv.text)))
    assert [float(row["probability"]) for row in read] == pytest.approx(expected)
    as_parquet = predict(site, features, headers={"Accept": PARQUET})
    table = pq.read_table(io.BytesIO(as_parquet.data))
    assert table["probability"].to_pylist() == pytest.approx(expected)


def test_80_columns_go_by_name(site: Site) -> None:
    plain = predict(site, [ROW]).json["predictions"]
    backwards = dict(reversed(ROW.items()))
    assert predict(site, [backwards]).json["predictions"] == plain
    extra = predict(site, [{**ROW, "iban": "FR7630006000011234567890189"}])
    assert extra.json["predictions"] == plain
    assert extra.json["report"]["extra_columns"] == ["iban"]
    assert "FR76" not in extra.text
    missing = predict(site, [{"age": 41, "segment": "retail"}])
    assert (missing.status_code, missing.json["code"]) == (422, "missing_columns")
    assert missing.json["column"] == "balance"
    wrong = predict(site, [{**ROW, "balance": "FR7630006000011234567890189"}])
    assert (wrong.status_code, wrong.json["code"]) == (422, "wrong_type")
    assert wrong.json["column"] == "balance"
    assert "FR76" not in wrong.text


def test_81_what_is_not_finite_and_what_is_missing(site: Site) -> None:
    for text in ("inf", "1e400"):
        answer = predict(site, f"balance,age,segment\n{text},41,retail\n", content_type="text/csv")
        assert (answer.status_code, answer.json["code"]) == (422, "non_finite")
    body = '{"rows": [{"balance": Infinity, "age": 1, "segment": "pro"}]}'
    assert predict(site, body, content_type="application/json").status_code == 422
    answer = predict(site, [{**ROW, "balance": None}])
    assert answer.status_code == 200
    assert 0 <= answer.json["predictions"][0]["probability"] <= 1


def test_82_unseen_categories_are_counted(site: Site) -> None:
    answer = predict(site, [ROW, {**ROW, "segment": "unheard of"}])
    assert answer.status_code == 200
    assert answer.json["report"]["unseen_categories"] == {"segment": 1}
    assert "unheard" not in json.dumps(answer.json["report"])


def test_83_no_rows_and_too_many(site: Site) -> None:
    empty = predict(site, [])
    assert (empty.status_code, empty.json["predictions"]) == (200, [])
    header = predict(site, "balance,age,segment\n", content_type="text/csv")
    assert (header.status_code, header.json["predictions"]) == (200, [])
    many = predict(site, [ROW] * 1001)
    assert (many.status_code, many.json["code"]) == (413, "too_many_rows")
    assert predict(site, [ROW] * 1000).status_code == 200


def test_85_far_outside_what_was_seen(site: Site) -> None:
    assert predict(site, [ROW]).json["report"]["drift"] is False
    report = predict(site, [{**ROW, "balance": 10.0**9}]).json["report"]
    assert report["drift"] is True
    assert report["out_of_range"]["balance"] == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        '{"rows": 3}',
        '{"rows": [[1]]}',
        '{"rows": [{"balance": {}}]}',
        '{"columns": []}',
        "[" * 100_000,
        '{"rows": [{"balance": 1, "balance": 2}]}',
        '{"rows": [{"balance": "\\ud800"}]}',
        '{"rows": [' + '{"a": ' * 50_000,
    ],
)
def test_bodies_that_are_none(site: Site, body: str) -> None:
    answer = predict(site, body, content_type="application/json")
    assert answer.status_code in (400, 422), answer.text
    assert answer.mimetype == "application/problem+json"
    assert predict(site, [ROW]).status_code == 200  # the predictor lives


def test_parquet_that_lies(site: Site) -> None:
    answer = predict(site, b"PAR1" + b"\xff" * 100 + b"PAR1", content_type=PARQUET)
    assert (answer.status_code, answer.json["code"]) == (422, "corrupt_parquet")


def test_the_card_says_what_it_was_trained_on(site: Site) -> None:
    card = site.get("/v1/models/bank/card").json
    assert {column["name"] for column in card["columns"]} >= set(ROW)
    text = site.get("/v1/models/bank/card", headers={"Accept": "text/markdown"}).text
    assert text.startswith("# bank, version 1")
    assert "balance" in text


def test_reasons_name_columns_of_the_table(site: Site) -> None:
    path = "/v1/models/bank/predict?reasons=2"
    plain = predict(site, [ROW]).json["predictions"][0]
    assert "reasons" not in plain or plain["reasons"] is None
    rows = [{**ROW, "balance": -900.0}, ROW]
    answer = site.post(path, json={"rows": rows})
    assert answer.status_code == 200, answer.text
    assert answer.json["predictions"][1]["probability"] == plain["probability"]
    for prediction in answer.json["predictions"]:
        why = prediction["reasons"]
        assert 1 <= len(why) <= 2
        assert {reason["column"] for reason in why} <= set(ROW)
    as_csv = site.post(path, json={"rows": rows}, headers={"Accept": "text/csv"})
    table = list(csv_format.DictReader(io.StringIO(as_csv.text)))
    first = answer.json["predictions"][0]["reasons"][0]
    assert table[0]["reason_1"] == first["column"]
    assert float(table[0]["contribution_1"]) == pytest.approx(first["contribution"])
    assert site.post(path, json={"rows": []}).json["predictions"] == []
    assert site.post("/v1/models/bank/predict?reasons=-1", json={"rows": rows}).status_code == 422


def test_the_export_predicts_the_same_without_the_service(site: Site, tmp_path: Path) -> None:
    import pandas as pd

    answer = site.get("/v1/models/bank/export")
    zipfile.ZipFile(io.BytesIO(answer.data)).extractall(tmp_path)
    sha256 = site.get("/v1/models/bank").json["sha256"]
    champion = Champion.load(tmp_path / "model", sha256=sha256)
    found = champion.predict_proba(pd.DataFrame([ROW]))
    expected = predict(site, [ROW]).json["predictions"][0]["probability"]
    assert float(found[0]) == pytest.approx(expected, abs=1e-9)
    code = [
        line.strip()
        for line in (tmp_path / "README.md").read_text().splitlines()
        if line.startswith("    ")
    ]
    pd.DataFrame([ROW]).to_csv(tmp_path / "rows.csv", index=False)
    said: list[Any] = []
    names: dict[str, Any] = {"print": said.append}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        exec("\n".join(code), names)  # noqa: S102 - the five lines that the archive tells to run
    assert float(said[0][0]) == pytest.approx(expected, abs=1e-9)


def test_a_model_whose_weights_rotted_answers_nothing(site: Site) -> None:
    """Last: it spoils the model."""
    model = site.store.get_model(site.project, "bank")
    site.predictor.release_idle(idle_seconds=0)  # type: ignore[attr-defined]
    folder = site.artifacts.path(model.artifact)
    victim = next(path for path in folder.iterdir() if path.suffix in (".txt", ".skops"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    answer = predict(site, [ROW])
    assert (answer.status_code, answer.json["code"]) == (500, "corrupt_model")
    assert site.get("/v1/models/bank/export").json["code"] == "corrupt_model"
