"""What several tables are to each other, guessed from their values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.bank import generate
from automl.errors import DataError
from automl.relations.inferring import infer
from automl.relations.spec import Spec


def test_the_banks_three_tables():
    bank = generate(500, seed=3)
    found = infer(
        {"customers": bank.customers, "balances": bank.balances, "contacts": bank.contacts}
    )
    spec = Spec.from_json(found.spec)
    assert spec.entities == "customers"
    assert (spec.target, spec.positive) == ("became_fragile", 1)
    assert spec.cut_off.column == "cut_off"
    assert {name: table.role for name, table in spec.tables.items()} == {
        "customers": "entities",
        "balances": "series",
        "contacts": "log",
    }
    assert spec.tables["contacts"].message == "message"
    assert spec.tables["balances"].link.to == ("customer_id",)
    reasons = {one["field"]: one["reason"] for one in found.reasons}
    assert reasons["tables.balances.time"] == "rows are dated by month_end"
    assert "customers.customer_id" in reasons["tables.balances.to"]
    assert "text" in reasons["tables.contacts.message"]
    assert {"entities", "key", "positive", "cut_off"} < set(reasons)


def test_a_lookup_behind_a_child_is_found():
    tables = {
        "loan": pa.table(
            {"account_id": [1, 2, 3, 4] * 5, "default": [0, 0, 0, 1] * 5}
        ).append_column("loan_id", pa.array(range(20))),
        "owner": pa.table({"account_id": [1, 1, 2, 3], "person_id": [7, 8, 9, 7]}),
        "person": pa.table({"person_id": [7, 8, 9], "age": [30, 40, 50]}),
    }
    spec = Spec.from_json(infer(tables, target="default").spec)
    assert spec.tables["person"].link.table == "owner"
    assert spec.tables["person"].role == "static"


def test_ask_what_cannot_be_seen():
    tables = {
        "a": pa.table({"id": [1, 2, 3], "target": [0, 0, 1]}),
        "b": pa.table({"id": [1, 1, 2], "cycle": [1, 2, 1], "x": [0.1, 0.2, 0.3]}),
    }
    found = infer(tables)
    assert any("cut-off" in one for one in found.open_questions)
    assert found.spec["tables"]["b"]["time_format"] == "number"


def test_a_birth_date_dates_nothing():
    people = pa.table(
        {"id": ["a", "b", "b"], "birth": pa.array([0, 1, 2], pa.timestamp("us")), "x": [1.0, 2, 3]}
    )
    found = infer({"t": pa.table({"id": ["a", "b", "c"], "label": [0, 0, 1]}), "people": people})
    assert found.spec["tables"]["people"]["role"] == "static"


@pytest.mark.parametrize(
    ("step", "role"),
    [
        (None, "events"),  # payments: at no two moments alike, and none shared
        (60.0, "series"),  # one meter each, read every minute from its own first reading on
    ],
)
def test_payments_are_events_and_readings_are_a_series(step, role):
    rng, n, each = np.random.default_rng(0), 40, 25
    who = np.repeat(np.arange(n), each)
    if step is None:
        at = rng.uniform(0, 1e7, n * each)
    else:
        at = np.repeat(rng.uniform(0, 1e6, n), each) + np.tile(np.arange(each) * step, n)
    order = rng.permutation(n * each)
    moment = pa.array((at * 1e6).astype(np.int64)[order], pa.timestamp("us", "UTC"))
    rows = pa.table({"person": who[order], "at": moment, "euros": rng.random(n * each)})
    people = pa.table({"person": range(n), "label": [0] * (n - 3) + [1] * 3})
    found = infer({"people": people, "rows": rows})
    assert found.spec["tables"]["rows"]["role"] == role


def test_refusals():
    with pytest.raises(DataError, match="no table has a column 'y'") as told:
        infer({"a": pa.table({"x": [1.5, 1.5]})}, target="y")
    assert told.value.code == "target_not_found"
    with pytest.raises(DataError) as told:
        infer({"a": pa.table({"x": [1.5, 1.5]})})
    assert told.value.code == "no_entities"


@pytest.mark.data
def test_the_czech_bank(shared_data):
    names = ["loan", "account", "trans_preloan", "disp", "client", "card", "district"]
    tables = {name: pq.read_table(shared_data / "berka" / f"{name}.parquet") for name in names}
    spec = Spec.from_json(infer(tables, target="status").spec)
    links = {name: (one.link.table, one.link.to) for name, one in spec.tables.items()}
    assert links["card"] == ("disp", ("disp_id",))
    assert links["district"] == ("account", ("district_id",))
    assert links["client"] == ("disp", ("client_id",))
    assert spec.cut_off.time_format == spec.tables["trans_preloan"].time_format == "yymmdd"
    assert spec.tables["card"].role == "events"
    orphans = {name: one.orphans for name, one in spec.tables.items()}
    assert orphans["disp"] == "drop", "it knows accounts without a loan"
    assert orphans["trans_preloan"] == orphans["district"] == "refuse"
