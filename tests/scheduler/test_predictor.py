"""Rows of section 3 (80 to 85) against a real champion in a real child."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.dataset import Dataset
from automl.errors import DataError
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.champion import Champion
from automl.search.run import search
from scheduler.artifacts import ArtifactStore, file_sha256
from scheduler.config import Settings
from scheduler.errors import Gone, QueueFull
from scheduler.predictor import Predictor
from scheduler.records import Model
from tests.scheduler.conftest import NOW
from tests.scheduler.test_child import is_running, wait_until

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
ROW = {"age": 41, "income": 1500.5, "town": "Nice"}


@pytest.fixture(scope="module")
def champion() -> Champion:
    rng = np.random.default_rng(1)
    n = 2000
    age, income = rng.integers(18, 90, n), rng.lognormal(7, 1, n)
    town = rng.choice(["Lyon", "Nice", "Metz"], n)
    odds = -0.05 * age + 1.5 * (town == "Nice") + rng.gumbel(size=n)
    frame = pd.DataFrame(
        {
            "age": age.astype(np.float32),
            "income": income.astype(np.float32),
            "town": pd.Categorical(town),
        }
    )
    y = (odds > np.quantile(odds, 0.95)).astype(np.int8)
    return search(Dataset(X=frame, y=y), meter=CpuTimeMeter(), mode="eco").champion


@pytest.fixture(scope="module")
def folder(champion: Champion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("champion") / "saved"
    champion.save(path)
    return path


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.load(data_dir=tmp_path_factory.mktemp("service"), max_predict_rows=50)


@pytest.fixture(scope="module")
def artifacts(settings: Settings) -> ArtifactStore:
    return ArtifactStore(settings.resolved_artifacts_url)


@pytest.fixture(scope="module")
def model(folder: Path, artifacts: ArtifactStore) -> Model:
    artifacts.put_folder("models/a", folder)
    return Model(
        id=uuid.uuid4().hex,
        project_id=uuid.uuid4().hex,
        name="bank-y",
        version=3,
        job_id=uuid.uuid4().hex,
        dataset_id=uuid.uuid4().hex,
        created_at=NOW,
        artifact="models/a",
        sha256=file_sha256(folder / "manifest.json"),
        card={"types": {"age": "number", "income": "number", "town": "string"}},
    )


@pytest.fixture(scope="module")
def predictor(artifacts: ArtifactStore, settings: Settings) -> Iterator[Predictor]:
    """One for all tests that leave it as it is: a child takes seconds to start."""
    made = Predictor(artifacts, settings)
    yield made
    made.stop()


def ask(predictor: Predictor, model: Model, *rows: Any) -> dict[str, Any]:
    body, content_type, _ = predictor.predict(
        model, json.dumps({"rows": rows}).encode(), content_type=JSON, accept=JSON
    )
    assert content_type == JSON
    found: dict[str, Any] = json.loads(body)
    return found


def refusal(predictor: Predictor, model: Model, *rows: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        ask(predictor, model, *rows)
    return caught.value


def test_predictions_are_the_champions_in_every_format(
    predictor: Predictor, model: Model, champion: Champion
) -> None:
    rows = [ROW, {"age": 20, "income": None, "town": "Lyon"}]
    rows.append({"town": "Metz", "age": 80, "income": 2})  # in another order
    frame = pd.DataFrame(rows)[["age", "income", "town"]]
    frame["town"] = pd.Categorical(frame["town"])
    expected = champion.predict_proba(frame)
    answer = ask(predictor, model, *rows)
    found = [one["probability"] for one in answer["predictions"]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    alerts = [one["alert"] for one in answer["predictions"]]
    assert alerts == (expected >= champion.threshold).tolist()
    assert (answer["model"], answer["version"]) == ("bank-y", 3)
    assert answer["report"]["n_rows"] == 3

    table = pa.table(pd.DataFrame(rows)[["town", "age", "income"]])
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    body, content_type, headers = predictor.predict(
        model, buffer.getvalue(), content_type=PARQUET, accept=PARQUET
    )
    assert content_type == PARQUET
    written = pq.read_table(io.BytesIO(body))
    np.testing.assert_allclose(written["probability"].to_numpy(), expected, rtol=1e-6)
    assert json.loads(headers["Prediction-Report"])["n_rows"] == 3

    body, content_type, _ = predictor.predict(
        model,
        b"town,age,income\nNice,41,1500.5\nLyon,20,\nMetz,80,2\n",
        content_type=CSV,
        accept=CSV,
    )
    assert content_type == CSV
    read = pd.read_csv(io.BytesIO(body))
    np.testing.assert_allclose(read["probability"], expected, rtol=1e-6)
    assert read["alert"].tolist() == alerts


def test_missing_columns_are_named(predictor: Predictor, model: Model) -> None:
    error = refusal(predictor, model, {"age": 41})
    assert error.code == "missing_columns"
    assert set(error.details["columns"]) <= {"income", "town"}  # type: ignore[call-overload]


def test_extra_columns_are_listed_and_ignored(predictor: Predictor, model: Model) -> None:
    plain, more = ask(predictor, model, ROW), ask(predictor, model, ROW | {"shoe": 42})
    assert more["predictions"] == plain["predictions"]
    assert more["report"]["extra_columns"] == ["shoe"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"age": "secret-text"}, "wrong_type"),
        ({"age": [1]}, None),
        ({"income": float("inf")}, "non_finite"),
    ],
)
def test_cells_that_cannot_be_used_are_refused_without_their_value(
    predictor: Predictor, model: Model, change: dict[str, Any], code: str | None
) -> None:
    error = refusal(predictor, model, ROW | change)
    assert code is None or error.code == code
    assert "secret-text" not in str(error)


def test_a_missing_value_is_allowed(predictor: Predictor, model: Model) -> None:
    answer = ask(predictor, model, ROW | {"income": None, "town": None})
    assert 0 <= answer["predictions"][0]["probability"] <= 1


def test_an_unseen_category_is_counted(predictor: Predictor, model: Model) -> None:
    answer = ask(predictor, model, ROW, ROW | {"town": "Brest"})
    assert answer["report"]["unseen_categories"] == {"town": 1}


def test_mostly_unseen_categories_are_drift(predictor: Predictor, model: Model) -> None:
    new = ROW | {"town": "Brest"}
    assert ask(predictor, model, ROW, new)["report"]["drift"] is False
    assert ask(predictor, model, ROW, new, new)["report"]["drift"] is True


def test_far_outside_the_training_range_is_drift(predictor: Predictor, model: Model) -> None:
    assert ask(predictor, model, ROW)["report"]["drift"] is False
    report = ask(predictor, model, ROW | {"age": 4100})["report"]
    assert report["drift"] is True
    assert report["out_of_range"] == {"age": 1.0}


def test_no_rows_are_no_predictions(predictor: Predictor, model: Model) -> None:
    assert ask(predictor, model)["predictions"] == []
    body, _, _ = predictor.predict(model, b"age,income,town\n", content_type=CSV, accept=JSON)
    assert json.loads(body)["predictions"] == []


def test_too_many_rows_are_refused(predictor: Predictor, model: Model) -> None:
    assert len(ask(predictor, model, *[ROW] * 50)["predictions"]) == 50
    assert refusal(predictor, model, *[ROW] * 51).code == "too_many_rows"


def test_one_child_stays_warm_and_is_replaced_when_it_died(
    predictor: Predictor, model: Model
) -> None:
    first = ask(predictor, model, ROW)
    (pid,) = predictor.pids()
    ask(predictor, model, ROW)
    assert predictor.pids() == [pid]
    os.kill(pid, signal.SIGKILL)
    assert ask(predictor, model, ROW) == first
    (other,) = predictor.pids()
    assert other != pid


def test_an_idle_child_is_released(
    artifacts: ArtifactStore, settings: Settings, model: Model
) -> None:
    predictor = Predictor(artifacts, settings.model_copy(update={"idle_seconds": 3}))
    ask(predictor, model, ROW)
    (pid,) = predictor.pids()
    wait_until(lambda: predictor.pids() == [] and not is_running(pid))
    ask(predictor, model, ROW)
    predictor.stop()
    with pytest.raises(QueueFull):
        ask(predictor, model, ROW)


def test_few_champions_stay_warm(
    artifacts: ArtifactStore, settings: Settings, model: Model
) -> None:
    predictor = Predictor(artifacts, settings, most_warm=1)
    ask(predictor, model, ROW)
    (first,) = predictor.pids()
    assert ask(predictor, replace(model, version=4), ROW)["version"] == 4
    assert len(predictor.pids()) == 1
    assert not is_running(first)
    predictor.stop()


def test_waiting_for_others_is_bounded(
    artifacts: ArtifactStore, settings: Settings, model: Model
) -> None:
    predictor = Predictor(artifacts, settings, wait_seconds=0.3)
    ask(predictor, model, ROW)
    (pid,) = predictor.pids()
    os.kill(pid, signal.SIGSTOP)
    slow = threading.Thread(target=ask, args=(predictor, model, ROW))
    slow.start()
    try:
        wait_until(predictor.is_busy)
        with pytest.raises(QueueFull) as caught:
            ask(predictor, model, ROW)
        assert caught.value.code == "predictor_busy"
    finally:
        os.kill(pid, signal.SIGCONT)
        slow.join(timeout=120)
    predictor.stop()


def test_requests_at_once_get_their_own_answers(predictor: Predictor, model: Model) -> None:
    rows = [ROW | {"age": age} for age in (20, 40, 60, 80)]
    alone = [ask(predictor, model, row)["predictions"] for row in rows]
    answers: dict[int, Any] = {}

    def one(i: int) -> None:
        answers[i] = ask(predictor, model, rows[i])["predictions"]

    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert [answers[i] for i in range(4)] == alone


def test_a_rotten_or_replaced_model_is_never_used(
    model: Model, artifacts: ArtifactStore, settings: Settings, folder: Path
) -> None:
    predictor = Predictor(artifacts, settings)
    assert refusal(predictor, replace(model, sha256="0" * 64), ROW).code == "corrupt_model"
    artifacts.put_folder("models/rotten", folder)
    rotten = replace(model, artifact="models/rotten")
    path = artifacts.path("models/rotten") / "encoder.json"
    path.write_bytes(path.read_bytes() + b" ")
    assert refusal(predictor, rotten, ROW).code == "corrupt_model"
    assert predictor.pids() == []
    artifacts.delete("models/rotten")
    with pytest.raises(Gone):
        ask(predictor, rotten, ROW)
    predictor.stop()
