"""A look at files reads some of them and no more, and says about how many rows there are."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.options import ReadingLimits
from automl.errors import DataError
from scheduler import glance as module
from scheduler.glance import Glance, glance

N_FILES, ROWS = 8, 500


def look(folder: Path, *, n_rows: int = 200, **options: str) -> Glance:
    files = sorted(folder.iterdir())
    return glance(
        files, table="t", options=options, limits=ReadingLimits(), n_rows=n_rows, whole_rows=10_000
    )


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    for part in range(N_FILES):
        n = range(part * ROWS, (part + 1) * ROWS)
        table = pa.table({"n": n, "text": [f"t{one % 3}" for one in n]})
        pq.write_table(table, tmp_path / f"{part}.parquet", row_group_size=130)
    return tmp_path


def test_runs_of_a_folder_are_spread(parquet: Path) -> None:
    found = look(parquet)
    total = N_FILES * ROWS
    wanted = [total * run // 20 + at for run in range(20) for at in range(10)]
    assert found.rows["n"].to_pylist() == wanted
    assert (found.n_rows, found.may_be_whole, found.is_guessed) == (total, True, False)
    assert look(parquet, n_rows=10_000).rows["n"].to_pylist() == list(range(total))


def test_of_many_files_some_are_opened(parquet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 2)
    for part in range(N_FILES):
        if part not in (0, 4):
            path = parquet / f"{part}.parquet"
            path.write_bytes(b"x" * path.stat().st_size)  # whoever opens it is refused
    found = look(parquet)
    assert set(found.rows["n"].to_pylist()) <= {*range(ROWS), *range(4 * ROWS, 5 * ROWS)}
    assert found.n_rows == pytest.approx(N_FILES * ROWS, rel=0.05)


@pytest.mark.parametrize("compressed", [False, True])
def test_the_first_rows_of_texts(tmp_path: Path, compressed: bool) -> None:
    for part in range(2):
        # The last rows of the first file are wider than what its plan is made of.
        lines = [f"{one},{'x' if one % 400 == 399 else one}" for one in range(ROWS)]
        body = ("n,wide\n" + "\n".join(lines) + "\n").encode()
        name = f"{part}.csv" + (".gz" if compressed else "")
        (tmp_path / name).write_bytes(gzip.compress(body) if compressed else body)
    found = look(tmp_path)
    assert found.rows["n"].to_pylist() == [*range(100), *range(100)]
    whole = look(tmp_path, n_rows=10_000)
    assert (whole.rows.num_rows, whole.n_rows) == (2 * ROWS, 2 * ROWS)


def test_lines_of_a_log_are_known_by_their_form(tmp_path: Path) -> None:
    line = "081109 203615 148 INFO dfs.DataNode: Received block blk_3 of size 91178\n"
    (tmp_path / "a.log").write_text(line * 300)
    found = look(tmp_path)
    assert (found.options, found.is_guessed) == ({"log_format": "hdfs"}, True)
    assert found.rows.num_rows == 200
    assert not look(tmp_path, log_format="hdfs").is_guessed
    # One comma in each of the first lines: a table, until there is one more.
    (tmp_path / "a.log").rename(tmp_path / "a.txt")
    lines = line.replace("blk", "a, blk") * 200 + line.replace("blk", "a, b, blk") * 100
    (tmp_path / "a.txt").write_text(lines)
    found = look(tmp_path, n_rows=300)
    assert (found.options, found.rows.num_rows) == ({"log_format": "hdfs"}, 300)
    with pytest.raises(DataError):
        look(tmp_path, format="csv")
