"""Rows of a table to events: what is chosen, in which order, and what is left out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from automl.relations.assembling import assemble
from automl.relations.events import selected
from automl.relations.reading import plain
from automl.relations.spec import Spec, TableSpec


def events_of(rows: pa.Table, **about):
    log = {"role": "events", "key": "id", "to": "rows", "time": "t", "time_format": "number"}
    spec = Spec.from_json(
        {
            "key": "id",
            "cut_off": {"now": 100},
            "tables": {"rows": {"role": "entities"}, "log": {**log, **about}},
        }
    )
    return assemble(spec, {"rows": pa.table({"id": [1]}), "log": rows}).relations.tables["log"]


def test_rows_of_one_time_are_in_the_order_of_their_columns():
    rows = pa.table(
        {
            "id": [1] * 6,
            "t": [2, 1, 1, 1, 1, 2],
            "a": [1.0, None, 2.0, np.nan, 2.0, -1.0],
            "b": ["x", "y", "z", "u", "w", "v"],
        }
    )
    whole = events_of(rows)
    assert whole.time.tolist() == [1, 1, 1, 1, 2, 2]
    assert whole.columns["b"].to_pylist()[:2] == ["w", "z"]
    assert whole.columns["b"].to_pylist()[4:] == ["v", "x"]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(6)
        assert str(events_of(rows.take(pa.array(order))).columns) == str(whole.columns)


def test_a_column_that_is_not_learnt_from_still_orders():
    rows = pa.table({"id": [1] * 3, "t": [1] * 3, "number": [3, 1, 2], "x": ["c", "a", "b"]})
    found = events_of(rows, exclude=["number"])
    assert found.columns.to_pydict() == {"x": ["a", "b", "c"]}


def test_only_so_many_first_rows_of_each():
    rows = pa.table({"id": [1] * 5, "t": [5, 3, 1, 4, 2], "x": [5, 3, 1, 4, 2]})
    assert events_of(rows, first=3).columns["x"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("column", "value", "chosen"),
    [
        (pa.array([1, 2, None, 1]), "1", [True, False, False, True]),
        (pa.array([1.0, 2.5, None, 1.5]), "1", [True, False, False, False]),
        (pa.array(["a", "b", None, "a"]).dictionary_encode(), "a", [True, False, False, True]),
        (pa.array([True, False, None, True]), "true", [True, False, False, True]),
    ],
)
def test_rows_are_chosen_by_the_text_of_a_value(column, value, chosen):
    spec = TableSpec(name="log", role="static", where={"kind": value})
    assert selected(pa.table({"kind": column}), spec).tolist() == chosen


def test_tables_are_of_plain_types():
    rows = pa.table(
        {
            "coded": pa.array(["a", "b"]).dictionary_encode(),
            "day": pa.array([0, 1], pa.date32()),
            "price": pa.array(["1.50", "2.25"]).cast(pa.decimal128(9, 2)),
            "nested": pa.array([[1], [2]]),
            "small": pa.array([1, 2], pa.int8()),
            "nothing": pa.nulls(2),
            "local": pa.array([0, 1], pa.timestamp("ns", "Europe/Prague")),
        }
    )
    found = plain(rows)
    assert {one.name: str(one.type) for one in found.schema} == {
        "coded": "string",
        "day": "timestamp[us, tz=UTC]",
        "price": "double",
        "small": "int8",
        "nothing": "double",
        "local": "timestamp[us, tz=UTC]",
    }
