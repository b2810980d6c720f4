"""Samples that proposals are made from."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scheduler.proposing import propose, sample


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    made = []
    for part, (first, last) in enumerate([(0, 700), (700, 1000)]):
        made.append(tmp_path / f"{part}.parquet")
        pq.write_table(pa.table({"n": range(first, last)}), made[-1], row_group_size=130)
    return made


@pytest.mark.parametrize(("n_rows", "runs"), [(1000, 4), (400, 4), (40, 4), (400, 1), (999, 3)])
def test_runs_are_spread_over_the_rows(parts: list[Path], n_rows: int, runs: int) -> None:
    found = sample(parts, n_rows=n_rows, runs=runs)["n"].to_pylist()
    each = n_rows // runs
    wanted = [1000 * run // runs + at for run in range(runs) for at in range(each)]
    assert found == (wanted if n_rows < 1000 else list(range(1000)))


def test_a_table_that_others_point_to_is_looked_at_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "__kwdefaults__", {"n_rows": 200, "runs": 20})
    n = 1000
    tables = {
        "client": pa.table({"client_id": range(n), "bad": [k % 10 == 0 for k in range(n)]}),
        "visit": pa.table(
            {
                "visit_id": range(4 * n),
                "client_id": [k * 7 % n for k in range(4 * n)],
                "at": [f"2024-01-{1 + k % 28:02d}" for k in range(4 * n)],
            }
        ),
    }
    files = {}
    for name, table in tables.items():
        pq.write_table(table, tmp_path / name)
        files[name] = {"parts": [str(tmp_path / name)]}
    found = propose(files, target="bad")
    assert found["sampled"] == {
        "client": {"rows": n, "of": n},
        "visit": {"rows": 200, "of": 4 * n},
    }
    about = found["spec"]["tables"]["visit"]
    assert (about["role"], about["to"]) == ("series", ["client.client_id"])
    assert "orphans" not in about
