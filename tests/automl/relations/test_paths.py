"""How rows find their entities over other tables, against merges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.relations import paths
from automl.relations.assembling import assemble
from automl.relations.keys import KeyIndex
from automl.relations.paths import direct_route, route_over
from automl.relations.spec import Spec
from automl.relations.times import read_times

small = st.lists(st.integers(0, 4), min_size=1, max_size=12)


def route_of(entities, link_from, link_to, times=None):
    """From rows with a key in `link_from`, by those tables' `link_to`, to entities."""
    direct = direct_route("links", ["to"], KeyIndex([pa.array(entities)], names="e", table="e"))
    between = direct.find([pa.array(link_to)], n_rows=len(link_to))
    index = KeyIndex([pa.array(link_from)], names="l", table="links")
    return route_over("rows", ["from"], index, between, of=direct, times=times, dated=True)


@settings(max_examples=60)
@given(small, st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1), small)
def test_a_path_of_two_steps_is_a_merge_without_repeats(entities, links, rows):
    link_from, link_to = zip(*links, strict=True)
    found = route_of(entities, link_from, link_to).find([pa.array(rows)], n_rows=len(rows))
    at = np.arange(len(rows)) if found.rows is None else found.rows
    numbers = {entity: place for place, entity in enumerate(dict.fromkeys(entities))}
    pairs = {(f, numbers[t]) for f, t in links if t in numbers}
    wanted = [(row, s) for row, key in enumerate(rows) for f, s in sorted(pairs) if f == key]
    assert [
        (row, s) for row, s in zip(at.tolist(), found.subject.tolist(), strict=True) if s >= 0
    ] == wanted
    assert found.n_orphans == sum(key not in link_from for key in rows)
    lost = {f for f in link_from if not any(one == f for one, _ in pairs)}
    assert found.n_unrelated == sum(key in lost for key in rows)


def test_a_link_is_known_from_its_first_time_on():
    times = np.array([5.0, 3.0, np.nan, 1.0])
    route = route_of([7, 8], ["a", "a", "b", "c"], [7, 7, 8, 8], times=times)
    found = route.find([pa.array(["a", "b", "c", "d"])], n_rows=4)
    assert found.rows is None
    assert found.subject.tolist() == [0, 1, 1, -1]
    assert found.known_from.tolist() == [3.0, np.inf, 1.0, np.inf]


def test_an_explosion_is_refused_before_it_happens(monkeypatch):
    route = route_of(np.arange(100), [0] * 100, np.arange(100))
    for n_rows, refused in ((3, True), (20, False)):
        monkeypatch.setattr(paths, "MOST_TIMES_LARGER", 20 if not refused else 2)
        rows = [pa.array([0] * n_rows)]
        if not refused:
            assert len(route.find(rows, n_rows=n_rows).subject) == 2_000
            continue
        with pytest.raises(DataError) as caught:
            route.find(rows, n_rows=n_rows)
        assert caught.value.code == "join_too_large"
        assert caught.value.details == {"n_rows": 3, "n_joined": 300}
    monkeypatch.setattr(paths, "MOST_ROWS", 1_999)
    with pytest.raises(DataError):
        route.find([pa.array([0] * 20)], n_rows=20)


def spec_of(**tables) -> Spec:
    return Spec.from_json(
        {
            "key": "id",
            "cut_off": {"now": 100},
            "tables": {"people": {"role": "entities"}, **tables},
        }
    )


def test_the_same_copy_of_a_row_counts_once_and_others_are_summed_up():
    spec = spec_of(about={"role": "static", "key": "id", "to": "people"})
    people = pa.table({"id": [1, 2, 3]})
    copies = pa.table({"id": [2, 1, 2, 9, 9], "x": [5, 6, 5, 1, 2]})
    made = assemble(spec, {"people": people, "about": copies})
    assert dict(zip(*made.table.select(["id", "about.x"]).to_pydict().values(), strict=True)) == {
        1: 6,
        2: 5,
        3: None,
    }
    assert [one["code"] for one in made.report["warnings"]] == ["identical_rows"]
    others = pa.table({"id": [2, 1, 2, 1], "x": [5, 6, 5, 7]})
    made = assemble(spec, {"people": people, "about": others})
    assert made.relations.tables["about"].n_rows == 4
    assert np.isneginf(made.relations.tables["about"].time).all()
    assert [one["code"] for one in made.report["warnings"]] == ["repeated_keys"]


def test_rows_below_an_event_are_known_with_it():
    """An order's lines have no time of their own; they must not tell of an order to come."""
    spec = spec_of(
        orders={
            "role": "events",
            "key": "id",
            "to": "people",
            "time": "t",
            "time_format": "number",
        },
        lines={"role": "static", "key": "order", "to": "orders"},
    )
    tables = {
        "people": pa.table({"id": [1]}),
        "orders": pa.table({"order": [10, 11], "id": [1, 1], "t": [50, 150]}),
        "lines": pa.table({"order": [10, 11, 10, 11], "price": [1, 2, 3, 4]}),
    }
    made = assemble(spec, tables)
    lines, spans = made.relations.tables["lines"], made.relations.spans("lines")
    assert lines.columns["price"].slice(0, spans.end[0]).to_pylist() == [1, 3]
    assert lines.time.tolist() == [50, 50, 150, 150]
    assert lines.role == "events"


def test_a_path_is_known_when_its_last_step_is():
    """What is below a parcel of an order is known when both have happened."""
    timed = {"role": "events", "time": "t", "time_format": "number"}
    spec = spec_of(
        orders={**timed, "key": "id", "to": "people"},
        parcels={**timed, "key": "order", "to": "orders"},
        things={"role": "static", "key": "parcel", "to": "parcels"},
    )
    tables = {
        "people": pa.table({"id": [1]}),
        "orders": pa.table({"order": [10, 11], "id": [1, 1], "t": [50, 60]}),
        "parcels": pa.table({"parcel": [5, 6], "order": [10, 11], "t": [70, 20]}),
        "things": pa.table({"parcel": [5, 6, 5], "price": [1, 2, 3]}),
    }
    made = assemble(spec, tables)
    assert made.relations.tables["parcels"].time.tolist() == [60, 70]
    assert made.relations.tables["things"].time.tolist() == [60, 70, 70]
    assert made.relations.tables["things"].columns["price"].to_pylist() == [2, 1, 3]


def test_a_link_may_be_to_another_column_than_the_key():
    spec = spec_of(
        weather={
            "role": "series",
            "key": "place",
            "to": "people.town",
            "time": "t",
            "time_format": "number",
        }
    )
    people = pa.table({"id": [1, 2, 3, 4], "town": ["b", "a", "b", None]})
    weather = pa.table({"place": ["a", "b", "b", "a"], "t": [1, 2, 1, 200], "rain": [1, 2, 3, 4]})
    made = assemble(spec, {"people": people, "weather": weather})
    spans = made.relations.spans("weather")
    rain = made.relations.tables["weather"].columns["rain"]
    assert {
        key: rain.slice(start, end - start).to_pylist()
        for key, start, end in zip(
            made.table["id"].to_pylist(), spans.start, spans.end, strict=True
        )
    } == {1: [3, 2], 2: [1], 3: [3, 2], 4: []}


def test_pieces_of_a_table_are_the_whole_of_it():
    chance = np.random.default_rng(0)
    spec = spec_of(
        log={
            "role": "log",
            "key": ["id", "part"],
            "to": ["people.id", "people.part"],
            "time_format": "order",
            "message": "text",
            "where": {"kind": "2"},
            "orphans": "drop",
        },
        words={"role": "static", "key": "text", "to": "log"},
    )
    people = pa.table({"id": np.arange(30), "part": chance.choice(["x", "y"], 30)})
    log = pd.DataFrame({"id": chance.integers(0, 35, 500), "part": chance.choice(["x", "y"], 500)})
    log = log.assign(kind=chance.integers(0, 4, 500), text=chance.choice(["a", "b", "c"], 500))
    tables = {
        "people": people,
        "words": pa.table({"text": ["a", "c"], "weight": [1.5, 2.5]}),
    }
    came = pa.Table.from_pandas(log, preserve_index=False)
    whole = assemble(spec, {**tables, "log": came}).relations.tables["log"]
    parts = assemble(spec, tables, streamed=["log"]).pieces["log"]
    found = [
        parts.events(came.slice(first, 70), from_row=first) for first in range(0, len(log), 70)
    ]
    subject, time = (
        np.concatenate([getattr(one, of) for one in found]) for of in ("subject", "time")
    )
    order = np.lexsort((time, subject))
    assert subject[order].tolist() == whole.subject.tolist()
    assert time[order].tolist() == whole.time.tolist()
    columns = pa.concat_tables([one.columns for one in found]).take(pa.array(order))
    assert columns.to_pydict() == whole.columns.to_pydict()
    assert sum((one.counts for one in found[1:]), found[0].counts).rows == (log["kind"] == 2).sum()
    assert read_times(None, "order", n_rows=2).values.tolist() == [0, 1]
