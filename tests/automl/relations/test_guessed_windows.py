"""One log or one series alone: the entities that are proposed can be made, and say why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from automl.errors import DataError
from automl.relations.guessed_windows import key_prefix
from automl.relations.inferring import Proposal, infer
from automl.relations.making import make_entities
from automl.relations.spec import Spec


def blocks(n_lines: int = 600, n_blocks: int = 40) -> list[str]:
    rng = np.random.default_rng(0)
    return [
        f"Receiving block blk_{1000 + b} src: /10.250.1.{a}:5001 dest: /10.250.1.{a}:5010"
        for a, b in zip(
            rng.integers(0, 99, n_lines), rng.integers(0, n_blocks, n_lines), strict=True
        )
    ]


def log(**more: Any) -> pa.Table:
    lines = blocks()
    return pa.table({"message": lines, "line": range(1, len(lines) + 1), **more})


def said(found: Proposal) -> dict[str, str]:
    return {one["field"]: one["reason"] for one in found.reasons}


def made(found: Proposal, table: pa.Table) -> pa.Table:
    spec = Spec.from_json(found.spec)
    name = next(iter(spec.tables))
    whole, tables = make_entities(spec, {name: table})
    assert whole.entities is not None
    return tables[whole.entities]


def test_a_log_with_a_key_has_a_session_for_each_of_its_values() -> None:
    keys = [f"blk_{i % 40}" for i in range(600)]
    table = log(key=keys)
    found = infer({"log": table}, logs=["log"])
    assert found.spec["windows"] == {"table": "log", "sessions": "key"}
    about = found.spec["tables"]["log"]
    assert (about["role"], about["time_format"], about["exclude"]) == ("log", "order", ["line"])
    assert "40 values of key in 600 lines" in said(found)["windows.sessions"]
    (asked,) = found.open_questions
    assert "which sessions are positive?" in asked
    assert "windows.label" in asked
    assert sorted(made(found, table).column("key").to_pylist()) == sorted(set(keys))


def test_a_log_without_a_key_is_cut_into_windows_and_its_names_are_told() -> None:
    found = infer({"log": log()}, logs=["log"])
    assert found.spec["windows"] == {"table": "log", "length": 60, "step": 12, "horizon": 12}
    assert {"windows.length", "windows.step", "windows.horizon"} < set(said(found))
    first, second, last = found.open_questions
    assert "entity_prefix=blk_" in first
    assert "how far ahead" in second
    assert "which windows are positive?" in last
    # 600 lines; a window of 60 and 12 ahead, from every 12th line on
    assert made(found, log()).num_rows == (600 - 60 - 12) // 12 + 1


def test_labels_of_lines_make_their_windows_positive() -> None:
    labels = ["-"] * 600
    labels[300] = labels[301] = "KERNDTLB"
    labels[500] = "APPSEV"
    table = log(label=labels)
    found = infer({"bgl": table}, logs=["bgl"])
    assert found.spec["windows"]["label"] == "label"
    assert sorted(found.spec["positive"]) == ["APPSEV", "KERNDTLB"]
    assert not any("positive" in one for one in found.open_questions)
    values = made(found, table).column("label").to_pylist()
    assert 0 < sum(values) < len(values)


@pytest.mark.parametrize("n_series", [1, 5])
def test_a_series_alone_is_cut_into_windows(n_series: int) -> None:
    rng = np.random.default_rng(0)
    n = 200
    table = pa.table(
        {
            "timestamp": pa.array(
                np.tile(np.arange(n) * 300_000_000, n_series), pa.timestamp("us", "UTC")
            ),
            "value": rng.random(n * n_series),
            "anomaly": (np.arange(n * n_series) % 90 == 89).astype(int),
        }
    )
    if n_series > 1:
        table = table.append_column("machine_id", pa.array(np.repeat(np.arange(n_series), n)))
    found = infer({"readings": table})
    about = found.spec["tables"]["readings"]
    assert (about["role"], about["time"]) == ("series", "timestamp")
    assert about.get("key") == (["machine_id"] if n_series > 1 else None)
    windows = {"length": 20, "step": 4, "horizon": 4, "table": "readings", "label": "anomaly"}
    assert found.spec["windows"] == windows
    assert found.spec["positive"] == 1
    entities = made(found, table)
    assert entities.num_rows == n_series * ((n - 20 - 4) // 4 + 1)
    expected = sum(row % n >= 20 for row in range(89, n * n_series, 90))
    assert sum(entities.column("anomaly").to_pylist()) == expected  # each lies ahead of one window


def test_a_table_of_rows_stays_one() -> None:
    """Customers with a date, and payments that come when they come."""
    rng = np.random.default_rng(0)
    at = pa.array((rng.uniform(0, 1e13, 300)).astype(np.int64), pa.timestamp("us", "UTC"))
    whose = pa.array(rng.integers(0, 9, 300))
    label = pa.array(([0] * 29 + [1]) * 10)
    people = pa.table({"customer_id": range(300), "since": at, "label": label})
    assert infer({"a": people}).spec["tables"]["a"]["role"] == "entities"
    payments = pa.table({"customer_id": whose, "at": at, "label": label})
    assert "windows" not in infer({"a": payments}).spec
    with pytest.raises(DataError) as told:
        infer({"a": pa.table({"x": [1.5, 1.5]})})
    assert told.value.code == "no_entities"


def test_only_names_that_nearly_all_lines_have_are_a_key() -> None:
    def prefix(lines: list[str]) -> str | None:
        return key_prefix(pa.chunked_array([lines]))

    assert prefix(blocks()) == "blk_"
    assert prefix([f"user_{1000 + i % 3} came" for i in range(100)]) is None
    assert prefix([f"GET /page-{1000 + i}.html" for i in range(100)]) is None
    assert prefix(["nothing here"] * 9) is None
