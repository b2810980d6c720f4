"""Versions against one plain table: the same rows, wherever they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.data.late_labels import SCHEMA, LateLabels
from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.tables import ingest
from automl.data.versions import Source, profile_joined, read_alike, typed_alike
from automl.errors import DataError


def part(folder: Path, name: str, columns: dict[str, Any]) -> Path:
    path = folder / name
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def late(folder: Path, name: str, rows: list[tuple[str, str, int | None]]) -> Path:
    path = folder / name
    keys, labels, at = zip(*rows, strict=True)
    table = pa.table(
        [pa.array(keys), pa.array(labels), pa.array(at, SCHEMA.field(2).type)], SCHEMA.names
    )
    pq.write_table(table, path)
    return path


def test_rows_of_all_parts_come_in_order(tmp_path: Path) -> None:
    first = part(tmp_path, "a", {"id": [1, 2, 3], "x": [1, 2, None], "town": ["b", None, "a"]})
    second = part(tmp_path, "b", {"town": ["c"], "id": [4], "x": [0.5], "new": [True]})
    third = part(
        tmp_path, "c", {"id": [5], "x": [7], "town": ["a"], "new": pa.array([None], pa.bool_())}
    )
    source = Source(parts=(first, second, third))
    joined = pq.read_table(source.write(tmp_path / "joined")).to_pydict()
    assert joined == {
        "id": [1, 2, 3, 4, 5],
        "x": [1.0, 2.0, None, 0.5, 7.0],
        "town": ["b", None, "a", "c", "a"],
        "new": [None, None, None, True, None],
    }
    assert source.read("x").to_pylist() == joined["x"]


def test_one_part_is_read_where_it_lies(tmp_path: Path) -> None:
    only = part(tmp_path, "a", {"id": [1]})
    assert Source(parts=(only,)).write(tmp_path / "joined") == only


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    parts: tuple[Path, ...] = (
        part(tmp_path, "a", {"y": [0, 1]}),
        part(tmp_path, "b", {"y": [1.0, None]}),
    )
    assert Source(parts=parts).read("y").type == pa.int64()
    parts = (*parts, part(tmp_path, "c", {"y": [0.5]}))
    assert Source(parts=parts).read("y").to_pylist() == [0.0, 1.0, 1.0, None, 0.5]


def test_another_kind_of_values_is_refused(tmp_path: Path) -> None:
    parts = (part(tmp_path, "a", {"x": [1]}), part(tmp_path, "b", {"x": ["one"]}))
    with pytest.raises(DataError) as caught:
        Source(parts=parts).write(tmp_path / "joined")
    assert (caught.value.code, caught.value.column) == ("type_conflict", "x")


def plain(
    keys: list[int], labels: list[int | None], came: list[tuple[str, str, int | None]]
) -> list[int | None]:
    """The rule, row by row: the newest label of a key, onto its rows without one, else its last."""
    newest: dict[str, tuple[float, int]] = {}
    for key, label, at in came:
        # Without a time it counts as known when it came: after what came before, not for ever.
        before = newest[key][0] if key in newest else -float("inf")
        when = before if at is None else float(at)
        if when >= before:
            newest[key] = (when, int(label))
    found = list(labels)
    for key, (_, known) in newest.items():
        own = [i for i, one in enumerate(keys) if str(one) == key]
        without = [i for i in own if labels[i] is None]
        for i in without or own[-1:]:
            found[i] = known
    return found


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.sampled_from([None, 0, 1])), min_size=1),
    came=st.lists(
        st.tuples(
            st.integers(0, 5).map(str), st.sampled_from(["0", "1"]), st.sampled_from([None, 1, 2])
        ),
        min_size=1,
    ),
    split=st.integers(0, 5),
)
def test_late_labels_go_where_the_rule_says(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int | None]],
    came: list[tuple[str, str, int | None]],
    split: int,
) -> None:
    folder = tmp_path_factory.mktemp("late")
    keys, labels = [key for key, _ in rows], [label for _, label in rows]
    columns = {"id": pa.array(keys, pa.int64()), "y": pa.array(labels, pa.int64())}
    files = [late(folder, str(i), own) for i, own in enumerate((came[:split], came[split:])) if own]
    source = Source(
        parts=(part(folder, "rows", columns),), labels=tuple(files), key="id", target="y"
    )
    expected = plain(keys, labels, came)
    assert source.target_values().to_pylist() == expected
    joined = pq.read_table(source.write(folder / "joined"))
    assert joined["y"].to_pylist() == expected
    known = LateLabels.read(files)
    assert known.count_unknown(columns["id"]) == len({k for k, _, _ in came} - {*map(str, keys)})


def test_a_label_without_a_time_is_replaced_by_one_that_came_later(tmp_path: Path) -> None:
    first = late(tmp_path, "first", [("7", "0", None)])
    second = late(tmp_path, "second", [("7", "1", 1)])
    assert list(LateLabels.read([first, second]).labels) == ["1"]
    assert list(LateLabels.read([second, first]).labels) == ["0"]


def test_labels_take_the_targets_type(tmp_path: Path) -> None:
    for values, label, expected in (
        (["yes", None], "no", "no"),
        ([True, None], "0", False),
        ([1.0, None], "0", 0.0),
        ([1, None], "1.0", 1),
    ):
        rows = part(tmp_path, "rows", {"id": ["a", "b"], "y": values})
        file = late(tmp_path, "late", [("b", label, None)])
        source = Source(parts=(rows,), labels=(file,), key="id", target="y")
        assert source.target_values().to_pylist() == [values[0], expected]


def test_labels_need_their_columns(tmp_path: Path) -> None:
    rows = part(tmp_path, "rows", {"id": [1], "y": [0]})
    file = late(tmp_path, "late", [("1", "1", None)])
    with pytest.raises(DataError) as caught:
        Source(parts=(rows,), labels=(file,), key="gone", target="y").write(tmp_path / "j")
    assert (caught.value.code, caught.value.column) == ("column_not_found", "gone")


def read(folder: Path, name: str, frame: pd.DataFrame, options: ReadingOptions) -> dict[str, Any]:
    (folder / f"{name}.csv").write_text(frame.to_csv(index=False))
    return ingest(folder / f"{name}.csv", folder / name, options=options, limits=ReadingLimits())


def test_the_profile_is_that_of_all_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 400
    whole = pd.DataFrame(
        {
            "id": np.arange(n),
            "age": rng.integers(18, 90, n),
            "town": rng.choice(["Lyon", "Nice"], n),
            "y": (rng.random(n) < 0.2).astype(int),
        }
    )
    options = ReadingOptions(key="id")
    base = read(tmp_path, "base", whole[:300], options)
    own = read(
        tmp_path,
        "own",
        whole[300:],
        typed_alike(ReadingOptions(), base=base, names=list(whole)),
    )
    source = Source(parts=(tmp_path / "base" / "rows.parquet", tmp_path / "own" / "rows.parquet"))
    found = profile_joined(source, base=base, own=own, key="id", scratch=tmp_path / "scratch")
    truth = read(tmp_path, "whole", whole, options)
    assert not (tmp_path / "scratch").exists()
    assert found["appended"] == {
        "n_rows": 100,
        "n_rows_before": 300,
        "new_columns": [],
        "n_repeated_keys": 0,
    }
    for name in ("n_rows", "n_columns", "target_candidates", "duplicate_rows"):
        assert found[name] == truth[name]
    for one, other in zip(found["columns"], truth["columns"], strict=True):
        assert {**one, "why": None} == {**other, "why": None}


def test_new_missing_and_repeated_are_told(tmp_path: Path) -> None:
    before = pd.DataFrame({"id": [1, 2, 3], "x": [1, 2, 3], "y": [0, 1, 0]})
    base = read(tmp_path, "base", before, ReadingOptions(key="id"))
    with pytest.raises(DataError) as caught:
        typed_alike(ReadingOptions(), base=base, names=["id", "y"])
    assert (caught.value.code, caught.value.column) == ("missing_columns", "x")
    more = pd.DataFrame({"id": [3, 4], "x": [1.5, 2], "y": [0, 1], "z": ["a", "b"]})
    options = typed_alike(ReadingOptions(), base=base, names=list(more))
    own = read(tmp_path, "own", more, options)
    source = Source(parts=(tmp_path / "base" / "rows.parquet", tmp_path / "own" / "rows.parquet"))
    found = profile_joined(source, base=base, own=own, key="id", scratch=tmp_path / "scratch")
    codes = {one["code"]: one["column"] for one in found["warnings"]}
    assert codes["new_column"] == "z"
    assert codes["repeated_key"] == "id"
    assert [one["type"] for one in found["columns"]] == ["integer", "number", "integer", "string"]
    assert "key" in found["columns"][0]["roles"]


def test_cells_are_read_as_those_before(tmp_path: Path) -> None:
    before = pd.DataFrame({"id": ["01", "02"], "x": ["1", "2"]})
    base = read(tmp_path, "base", before, ReadingOptions(types={"id": "string"}))
    options = read_alike(
        ReadingOptions(delimiter=";", date_format="%Y"),
        cells={"timezone": "Europe/Paris", "null_values": ["", "-"], "date_format": "%d"},
    )
    options = typed_alike(options, base=base, names=["id", "x"])
    assert options.delimiter == ";"
    assert options.timezone == "Europe/Paris"
    assert options.null_values == ("", "-")
    assert options.date_format == "%Y"  # what is declared goes before
    assert options.types == {"id": "string", "x": "number"}
