"""What a batch reads of tables in place: the rows of everybody, as they were put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from automl.errors import DataError
from automl.relations.sampled import first_and_positive
from automl.relations.stored import Stored
from scheduler.child import Channel
from scheduler.relating import LAYOUT, assemble
from scheduler.rewriting import for_everybody

N, VISITS = 200, 3_000
SPEC: dict[str, Any] = {
    "tables": {
        "people": {"role": "entities", "source": {"dataset": "a"}},
        "visits": {
            "role": "events",
            "key": "id",
            "to": "people",
            "time": "at",
            "source": {"uri": "file:///visits"},
        },
    },
    "key": "id",
    "target": "bad",
    "positive": 1,
    "cut_off": {"now": "now"},
}
LIMITS = {"max_decoded_bytes": 2**30, "max_columns": 100, "max_cell_bytes": 1000}
READ = {"visits": ["euros"]}


@pytest.fixture(params=["parquet", "csv"])
def made_of(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The tables of a spec, the visits in three files that stay."""
    rng = np.random.default_rng(2)
    people = pa.table({"id": np.arange(N), "bad": (np.arange(N) % 50 == 0).astype(int)})
    pq.write_table(people, tmp_path / "people.parquet")
    files = []
    for part in range(3):
        days = np.datetime64("2024-01-01") + rng.integers(0, 300, VISITS)
        visits = pa.table(
            {
                "id": rng.integers(0, N, VISITS),
                "at": [str(one) for one in days],
                "euros": rng.normal(size=VISITS).round(2),
                "note": ["x"] * VISITS,
            }
        )
        files.append(tmp_path / f"{part}.{request.param}")
        write = pa_csv.write_csv if request.param == "csv" else pq.write_table
        write(visits, files[-1])
    tables = {
        "people": {"parts": [str(tmp_path / "people.parquet")], "bytes": 1, "options": {}},
        "visits": {"files": [str(one) for one in files], "bytes": 1, "options": {}},
    }
    return {"spec": SPEC, "tables": tables, "limits": LIMITS}


def put_together(made_of: dict[str, Any], folder: Path, *, now: str) -> tuple[Stored, Any]:
    folder.mkdir()
    made = assemble(
        channel=Channel(None, None),  # type: ignore[arg-type]
        spec=made_of["spec"],
        tables=made_of["tables"],
        destination=str(folder),
        limits=LIMITS,
        watts={"per_core": 4.0, "per_gb": 0.4},
        now=now,
    )
    return Stored(folder / LAYOUT), made["profile"]["relations"]


def test_everybody_is_read_whoever_was_looked_for(
    made_of: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = "2025-01-01T00:00:00+00:00"
    whole, _ = put_together(made_of, tmp_path / "whole", now=now)
    monkeypatch.setitem(first_and_positive.__kwdefaults__, "n_rows", 20)
    stored, relations = put_together(made_of, tmp_path / "some", now=now)
    with pytest.raises(DataError) as caught:
        stored.relations(N, columns=READ)
    assert caught.value.code == "not_indexed"
    made_of["relations"] = relations
    assert for_everybody(stored, None, tmp_path / "out", columns=READ) is stored
    found = for_everybody(stored, made_of, tmp_path / "out", columns=READ)
    mine, theirs = (one.relations(N, columns=READ) for one in (found, whole))
    assert np.array_equal(mine.cut_off, theirs.cut_off)
    assert np.array_equal(mine.subjects["visits"], theirs.subjects["visits"])
    here, there = mine.tables["visits"], theirs.tables["visits"]
    assert np.array_equal(here.subject, there.subject)
    assert np.array_equal(here.time, there.time)
    assert here.columns["euros"].to_pylist() == there.columns["euros"].to_pylist()
    assert here.n_rows == 3 * VISITS
    assert for_everybody(whole, made_of, tmp_path / "not", columns=READ) is whole
    assert not (tmp_path / "not").exists()
