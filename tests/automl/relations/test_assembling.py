"""Tables put together, against plain loops over them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from automl.errors import DataError
from automl.relations.asking import request_relations
from automl.relations.assembling import assemble
from automl.relations.spec import Spec
from automl.relations.tables import first_at
from tests.automl.relations import bank

BERKA = {
    "entities": "loan",
    "key": "loan_id",
    "target": "status",
    "positive": ["B", "D"],
    "cut_off": {"column": "date", "time_format": "yymmdd"},
    "tables": {
        "loan": {"role": "entities", "exclude": ["account_id"]},
        "account": {"role": "static", "key": "account_id", "to": "loan"},
        "trans": {
            "role": "events",
            "key": "account_id",
            "to": "loan",
            "time": "date",
            "time_format": "yymmdd",
            "exclude": ["trans_id"],
        },
        "disp": {"role": "static", "key": "account_id", "to": "account"},
        "client": {"role": "static", "key": "client_id", "to": "disp"},
        "district": {"role": "static", "key": "A1", "to": "client.district_id"},
        "card": {
            "role": "events",
            "key": "disp_id",
            "to": "disp",
            "time": "issued",
            "time_format": "yymmdd",
        },
    },
}


def berka_files(folder: Path) -> dict[str, Path]:
    names = {name: name for name in BERKA["tables"]} | {"trans": "trans_preloan"}
    return {name: folder / "berka" / f"{file}.parquet" for name, file in names.items()}


@pytest.mark.data
def test_berka_is_what_a_loop_over_its_tables_finds(shared_data):
    files = berka_files(shared_data)
    made = assemble(Spec.from_json(BERKA), files)
    plain = {name: pd.read_parquet(file) for name, file in files.items()}
    loan = plain["loan"].iloc[made.order].reset_index(drop=True)
    status = made.target.to_pylist()
    assert len(status) == 682
    assert sum(one in ("B", "D") for one in status) == 76
    assert loan["status"].tolist() == status
    assert (made.relations.rows["amount"] == loan["amount"]).all()
    disp = plain["disp"].merge(plain["client"], on="client_id")
    disp = disp.merge(plain["district"], left_on="district_id", right_on="A1")
    issued = plain["card"].assign(day=plain["card"]["issued"].str[:6].astype(int))
    for at in range(0, len(loan), 7):
        row = loan.iloc[at]
        owner = disp[disp["account_id"] == row["account_id"]]
        trans = plain["trans"]
        trans = trans[(trans["account_id"] == row["account_id"]) & (trans["date"] < row["date"])]
        cards = issued[issued["disp_id"].isin(owner["disp_id"]) & (issued["day"] < row["date"])]
        spans = {name: made.relations.spans(name) for name in ("trans", "disp", "card")}
        seen = {
            name: made.relations.tables[name].columns.slice(
                one.start[at], one.end[at] - one.start[at]
            )
            for name, one in spans.items()
        }
        assert seen["trans"].num_rows == len(trans)
        assert np.isclose(sum(seen["trans"]["amount"].to_pylist()), trans["amount"].sum())
        assert sorted(seen["disp"]["district.A11"].to_pylist()) == sorted(owner["A11"])
        assert sorted(seen["card"]["type"].to_pylist()) == sorted(cards["type"])


COLUMNS = {
    "visits": ["v"],
    "cards": ["card", "kind"],
    "payments": ["payment", "amount", "streets.width"],
    "items": ["price"],
    "weather": ["rain"],
}


def told(relations, at: int) -> dict[str, list[tuple]]:
    """What one row of relations is told, as `bank.known` writes it."""
    found = {}
    for name, columns in COLUMNS.items():
        table, spans = relations.tables[name], relations.spans(name)
        start, end = int(spans.start[at]), int(spans.end[at])
        values = [table.columns[one].slice(start, end - start).to_pylist() for one in columns]
        if name != "cards":
            values.insert(0, table.time[start:end].tolist())
        rows = zip(*values, strict=True)
        found[name] = [tuple(-1 if one is None else one for one in row) for row in rows]
    return found


def refuse_future(relations) -> None:
    """Raise where a row is told anything that happened at or after its cut-off."""
    for name, table in relations.tables.items():
        spans = relations.spans(name)
        for at, before in enumerate(relations.cut_off - relations.gap):
            seen = table.time[spans.start[at] : spans.end[at]]
            assert (seen < before).all(), f"{name} tells the future"


@pytest.mark.parametrize("seed", range(8))
def test_each_row_is_told_what_a_loop_over_all_tables_finds(seed):
    tables = bank.bank(seed)
    came = bank.arrow(tables, seed=seed + 1)
    made = assemble(Spec.from_json(bank.SPEC), came)
    rows = made.table.to_pandas()
    assert made.report["tables"]["cards"]["kind"] == "child"
    for at, (person, day) in enumerate(zip(rows["person"], rows["day"], strict=True)):
        wanted = bank.known(tables, person, day)
        assert told(made.relations, at) == wanted
    refuse_future(made.relations)
    sizes = dict(zip(tables["towns"]["town"], tables["towns"]["size"], strict=True))
    assert made.relations.rows["towns.size"].fillna(-1).tolist() == [
        sizes.get(town, -1) for town in rows["town"]
    ]
    assert made.relations.rows.columns.tolist() == ["town", "towns.size"]
    assert rows.iloc[:, : len(tables["people"].columns)].equals(
        came["people"].take(pa.array(made.order)).to_pandas()
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_order_in_which_rows_come_does_not_show(seed):
    tables = bank.bank(seed)
    spec = Spec.from_json(bank.SPEC)
    one, other = (
        assemble(spec, bank.arrow(tables)),
        assemble(spec, bank.arrow(tables, seed=seed + 1)),
    )
    assert one.table.equals(other.table)
    assert one.key.tolist() == other.key.tolist()
    assert (np.diff(one.key) >= 0).all()
    for name, table in one.relations.tables.items():
        again = other.relations.tables[name]
        assert table.columns.equals(again.columns)
        assert table.time.tobytes() == again.time.tobytes()
        assert table.subject.tobytes() == again.subject.tobytes()
        assert one.relations.subjects[name].tolist() == other.relations.subjects[name].tolist()


@pytest.mark.parametrize("seed", range(6))
def test_a_request_is_told_what_was_learnt_from(seed):
    tables = bank.bank(seed)
    made = assemble(Spec.from_json(bank.SPEC), bank.arrow(tables))
    about = json.loads(json.dumps(made.relations.about))
    at = np.random.default_rng(seed).permutation(made.relations.n_rows)[:3]
    asked = made.table.take(pa.array(at)).select(["person", "day", "town"])
    came = bank.arrow(tables, seed=seed + 1)
    del came["people"]
    found = request_relations(made.spec, asked, came, about=about)
    assert found.cut_off.tolist() == made.relations.cut_off[at].tolist()
    for row, of in enumerate(at.tolist()):
        assert told(found, row) == told(made.relations, of)
    for name, column in found.rows.items():
        wanted = made.relations.rows[name].iloc[at]
        assert column.fillna(-1).tolist() == wanted.fillna(-1).tolist()


def test_a_request_needs_no_tables_and_no_known_entity():
    tables = bank.bank(3)
    made = assemble(Spec.from_json(bank.SPEC), bank.arrow(tables))
    asked = pa.table({"person": ["stranger", None], "day": [5, 6]})
    found = request_relations(made.spec, asked, {}, about=made.relations.about)
    for name, table in made.relations.tables.items():
        assert found.tables[name].columns.schema.equals(table.columns.schema)
        spans = found.spans(name)
        assert (spans.end == spans.start).all()
    assert found.rows.columns.tolist() == made.relations.rows.columns.tolist()
    assert found.rows.isna().all().all()


def test_a_target_that_the_caller_names_is_no_column_to_learn_from():
    spec = Spec.from_json({one: of for one, of in bank.SPEC.items() if one != "target"})
    made = assemble(spec, bank.arrow(bank.bank(3)), target="bad")
    assert made.target.equals(made.table["bad"].combine_chunks())
    assert made.spec.target == "bad"
    asked = made.table.slice(0, 2)
    found = request_relations(made.spec, asked, {}, about=made.relations.about)
    assert "bad" not in [*made.relations.rows.columns, *found.rows.columns]


@pytest.mark.parametrize(
    ("rows", "tables", "code"),
    [
        ({"person": ["p1"]}, {}, "column_not_found"),
        ({"person": ["p1"], "day": ["soon"]}, {}, "column_type"),
        ({"person": ["p1"], "day": [None]}, {}, "cut_off"),
        ({"person": ["p1"], "day": [3]}, {"other": {"a": [1]}}, "unknown_table"),
        ({"person": ["p1"], "day": [3]}, {"visits": {"who": ["p1"], "v": [1]}}, "column_not_found"),
        ({"person": ["p1"], "day": [3]}, {"towns": {"town": [1, 1], "size": [1, 2]}}, None),
        (
            {"person": ["p1"], "day": [3], "town": [1]},
            {"towns": {"town": [1, 1], "size": [1, 2]}},
            "duplicate_key",
        ),
    ],
)
def test_a_request_that_cannot_be_meant(rows, tables, code):
    made = assemble(Spec.from_json(bank.SPEC), bank.arrow(bank.bank(3)))
    came = {name: pa.table(one) for name, one in tables.items()}
    if code is None:
        request_relations(made.spec, pa.table(rows), came, about=made.relations.about)
        return
    with pytest.raises(DataError) as caught:
        request_relations(made.spec, pa.table(rows), came, about=made.relations.about)
    assert caught.value.code == code


def test_one_event_at_the_cut_off_would_be_seen(monkeypatch):
    """The check of the future fails where `<` became `<=` in the one place that decides."""
    made = assemble(Spec.from_json(bank.SPEC), bank.arrow(bank.bank(5)))
    refuse_future(made.relations)

    def leaking(values, start, end, bound):
        return first_at(values, start, end, np.nextafter(bound, np.inf))

    monkeypatch.setattr("automl.relations.tables.first_at", leaking)
    with pytest.raises(AssertionError, match="tells the future"):
        refuse_future(made.relations)


def test_what_happens_at_the_cut_off_is_not_known():
    log = {"role": "events", "key": "id", "to": "rows", "time": "t", "time_format": "number"}
    spec = {
        "key": "id",
        "cut_off": {"column": "at", "time_format": "number"},
        "tables": {"rows": {"role": "entities"}, "log": log},
    }
    rows = pa.table({"id": [1], "at": [5.0]})
    times = pa.table({"id": [1, 1, 1], "t": [np.nextafter(5, 0), 5.0, np.nextafter(5, 9)]})
    spans = assemble(Spec.from_json(spec), {"rows": rows, "log": times}).relations.spans("log")
    assert (spans.start.tolist(), spans.end.tolist()) == ([0], [1])
