"""Tables streamed from files into buckets are the tables that memory holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from automl.errors import DataError
from automl.relations import assembling, relating
from automl.relations.assembling import assemble
from automl.relations.spec import Spec
from automl.relations.stored import Stored
from automl.relations.storing import store
from automl.relations.tables import Relations
from tests.automl.relations.test_stored import assert_same

SPEC = {
    "key": "customer",
    "target": "bad",
    "cut_off": {"column": "decided", "gap": 2},
    "tables": {
        "people": {"role": "entities"},
        "moves": {
            "role": "events", "key": "customer", "to": "people", "time": "at", "exclude": ["note"],
        },
        "branch": {"role": "static", "key": "branch", "to": "moves"},
        "weather": {"role": "series", "to": None, "time": "day"},
        "cards": {"role": "static", "key": "customer", "to": "people"},
        "swipes": {"role": "events", "key": "card", "to": "cards", "time": "at",
                   "time_format": "epoch_s", "first": 5, "where": {"ok": "1"}},
    },
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[3]
N_PEOPLE, N_MOVES = 50, 3_000


def tables() -> dict[str, pa.Table]:
    rng = np.random.default_rng(5)
    seconds = 1_600_000_000 + rng.integers(0, 40, N_MOVES) * 43_200
    decided = 1_600_000_000 + rng.integers(5, 20, N_PEOPLE) * 86_400
    cards = rng.integers(0, N_PEOPLE, 80)
    return {
        "people": pa.table({
            "customer": [f"c{i}" for i in range(N_PEOPLE)],
            "decided": pa.array(decided * 10**6, pa.timestamp("us", "UTC")),
            "age": rng.integers(18, 80, N_PEOPLE),
            "bad": pa.array(rng.integers(0, 2, N_PEOPLE)),
        }),
        "moves": pa.table({
            "customer": [f"c{i}" for i in rng.integers(0, N_PEOPLE + 1, N_MOVES)],
            "at": pa.array(seconds * 10**6, pa.timestamp("us", "UTC")),
            "amount": pa.array(rng.normal(size=N_MOVES).round(1), mask=rng.random(N_MOVES) < 0.1),
            "kind": [["in", "out", "é;x"][i] for i in rng.integers(0, 3, N_MOVES)],
            "branch": rng.integers(0, 4, N_MOVES),
            "note": [f"n{i}" for i in rng.integers(0, 9, N_MOVES)],
        }),
        "branch": pa.table({"branch": [0, 1, 2, 3], "town": ["x", "y", "z", "x"]}),
        "weather": pa.table({
            "day": pa.array([(1_600_000_000 + i * 86_400) * 10**6 for i in range(30)],
                            pa.timestamp("us", "UTC")),
            "rain": rng.normal(size=30),
        }),
        "cards": pa.table({"customer": [f"c{i}" for i in cards], "card": np.arange(80)}),
        "swipes": pa.table({
            "card": rng.integers(0, 80, 900),
            "at": 1_600_000_000 + rng.integers(0, 40, 900) * 43_200,
            "ok": rng.integers(0, 2, 900),
            "euros": rng.normal(size=900).round(2),
        }),
    }  # fmt: skip


def as_files(given: dict[str, pa.Table], folder: Path, *, kind: str) -> dict[str, object]:
    """Long tables in three files each, short ones in memory."""
    found: dict[str, object] = dict(given)
    for name in ("moves", "swipes"):
        home = folder / name
        home.mkdir()
        table = given[name]
        third = table.num_rows // 3
        for number in range(3):
            piece = table.slice(number * third, third if number < 2 else None)
            if kind == "csv":
                pa_csv.write_csv(piece, home / f"{number}.csv")
            else:
                pq.write_table(piece, home / f"{number}.parquet", row_group_size=100)
        found[name] = home
    return found


def assert_alike(found: Relations, expected: Relations) -> None:
    assert set(found.tables) == set(expected.tables)
    assert found.cut_off.tolist() == expected.cut_off.tolist()
    assert found.gap == expected.gap
    for name, table in expected.tables.items():
        assert found.subjects[name].tolist() == expected.subjects[name].tolist()
        assert found.tables[name].dated == table.dated
        assert_same(found.tables[name], table)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("bucket_rows", [100, 1_000_000])
def test_streamed_files_give_what_memory_gives(tmp_path, kind, bucket_rows):
    spec, given = Spec.from_json(SPEC), tables()
    expected = assemble(spec, given)
    home = tmp_path / "relations"
    done = store(spec, as_files(given, tmp_path, kind=kind), home, bucket_rows=bucket_rows)
    assert set(done.relations.tables) == {
        "weather",
        "cards",
    }  # the others were never whole in memory
    reader = Stored(home)
    assert reader.layout.tables["moves"].bytes_before > 0
    found = reader.relations(N_PEOPLE)
    assert_alike(found, expected.relations)
    for name in ("moves", "swipes"):
        assert done.report["tables"][name] == expected.report["tables"][name]
    assert found.about["columns"] == expected.relations.about["columns"]
    assert done.report["storage"]["bytes_after"] > 0
    some = np.array([7, 3, 44])
    kept = reader.keep(some, tmp_path / "kept", columns={"moves": ["kind"], "weather": ["rain"]})
    at = np.flatnonzero(np.isin(expected.relations.tables["moves"].subject, some))
    moves = kept.relations(some).tables["moves"]
    assert moves.columns["kind"].cast(pa.string()).to_pylist() == (
        expected.relations.tables["moves"].columns["kind"].take(pa.array(at)).to_pylist()
    )


def test_a_column_that_turns_out_wider_is_read_again(tmp_path):
    spec, given = Spec.from_json(SPEC), tables()
    late = np.arange(N_MOVES) == N_MOVES - 1
    amount = np.where(late, 0.5, np.arange(N_MOVES) % 7)
    given["moves"] = given["moves"].set_column(2, "amount", pa.array(amount))
    files = as_files(given, tmp_path, kind="csv")
    for number in range(3):  # whole numbers are written without a point
        path = tmp_path / "moves" / f"{number}.csv"
        path.write_text(path.read_text(encoding="utf-8").replace(".0,", ","), encoding="utf-8")
    store(spec, files, tmp_path / "relations")
    found = Stored(tmp_path / "relations").relations(N_PEOPLE)
    assert_alike(found, assemble(spec, given).relations)


def test_files_of_other_columns_are_refused(tmp_path):
    given = tables()
    files = as_files(given, tmp_path, kind="parquet")
    odd = given["moves"].rename_columns(["customer", "at", "amount", "kind", "branch", "remark"])
    pq.write_table(odd, tmp_path / "moves" / "9.parquet")
    with pytest.raises(DataError) as caught:
        store(Spec.from_json(SPEC), files, tmp_path / "relations")
    assert caught.value.code == "different_columns"
    assert caught.value.details["file"] == "9.parquet"


def test_an_excluded_column_that_is_not_there_is_told_as_in_memory(tmp_path):
    declared = json.loads(json.dumps(SPEC))
    declared["tables"]["moves"]["exclude"] = ["note", "nope"]
    spec = Spec.from_json(declared)
    given = tables()
    found = store(spec, as_files(given, tmp_path, kind="csv"), tmp_path / "relations")
    told = [
        [one for one in made.report["warnings"] if one["code"] == "unknown_column"]
        for made in (found, assemble(spec, given))
    ]
    assert told[0] == told[1]
    assert [(one["table"], one["column"]) for one in told[0]] == [("moves", "nope")]


def test_too_many_orphans_are_refused_as_in_memory(tmp_path):
    given = tables()
    strangers = pa.array(["nobody"] * 1_000)
    moves = given["moves"].slice(0, 1_000).set_column(0, "customer", strangers)
    given["moves"] = pa.concat_tables([given["moves"], moves])
    with pytest.raises(DataError) as caught:
        store(Spec.from_json(SPEC), as_files(given, tmp_path, kind="csv"), tmp_path / "out")
    assert caught.value.code == "orphan_events"


@pytest.mark.data
@pytest.mark.parametrize("name", ["berka", "superlender"])
def test_real_tables_stored_are_those_of_memory(tmp_path, shared_data, name):
    text = (ROOT / "examples" / name / "spec.json").read_text(encoding="utf-8")
    spec = Spec.from_json(json.loads(text))
    files = {one.name: shared_data / name / one.source["file"] for one in spec.tables.values()}
    store(spec, files, tmp_path, bucket_rows=5_000)
    expected = assemble(spec, files).relations
    assert_alike(Stored(tmp_path).relations(expected.n_rows), expected)


def test_once_it_is_in_order_the_entity_table_is_held_once(tmp_path, monkeypatch):
    n = 100_000
    people = pa.table({
        "customer": np.arange(n), **{name: np.arange(n) % 7 for name in "abcdef"},
    })  # fmt: skip
    pq.write_table(people, tmp_path / "people.parquet")
    pq.write_table(pa.table({"customer": [5], "at": [1.0]}), tmp_path / "moves.parquet")
    spec = Spec.from_json({
        "key": "customer",
        "cut_off": {"now": 2},
        "tables": {
            "people": {"role": "entities"},
            "moves": {"role": "events", "key": "customer", "to": "people", "time": "at",
                      "time_format": "number"},
        },
    })  # fmt: skip
    held: list[int] = []
    n_bytes, own = people.nbytes, relating.related

    def looked(*arguments, **options):
        held.append(pa.total_allocated_bytes() - before)
        return own(*arguments, **options)

    monkeypatch.setattr(assembling, "related", looked)
    del people
    before = pa.total_allocated_bytes()
    files = {name: tmp_path / f"{name}.parquet" for name in ("people", "moves")}
    store(spec, files, tmp_path / "stored")
    assert held[0] < 1.5 * n_bytes
