"""Keys found in another table, against a dictionary."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.relations.keys import KeyIndex


def looked_up(keys, asked):
    numbers: dict = {}
    for key in keys:
        if None not in key:
            numbers.setdefault(key, len(numbers))
    codes = [-1 if None in key else numbers[key] for key in keys]
    found = [-1 if None in key else numbers.get(key, -1) for key in asked]
    return codes, found


integers = st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**62), 2**62))
texts = st.one_of(st.none(), st.text("aé€ -", max_size=3), st.sampled_from(["a", "é", "a0"]))
days = st.one_of(st.none(), st.dates())


@settings(max_examples=80)
@given(st.data())
def test_keys_are_found_as_a_dictionary_finds_them(data):
    kinds = data.draw(st.lists(st.sampled_from([integers, texts, days]), min_size=1, max_size=3))
    types = {id(integers): pa.int64(), id(texts): pa.string(), id(days): pa.date32()}
    rows = st.lists(st.tuples(*kinds), max_size=20)
    keys = data.draw(rows)
    asked = data.draw(rows)
    if keys:
        asked += data.draw(st.lists(st.sampled_from(keys), max_size=9))

    def columns(of):
        return [pa.array([row[at] for row in of], types[id(kind)]) for at, kind in enumerate(kinds)]

    index = KeyIndex(columns(keys), names=["k"] * len(kinds), table="people")
    codes, found = looked_up(keys, asked)
    assert index.codes.tolist() == codes
    assert index.n_keys == max(codes, default=-1) + 1
    assert index.find(columns(asked)).tolist() == found
    coded = [column.dictionary_encode() for column in columns(asked)]
    assert index.find(coded).tolist() == found
    chunked = [pa.chunked_array([one.slice(0, 2), one.slice(2)]) for one in columns(asked)]
    assert index.find(chunked).tolist() == found


@pytest.mark.parametrize(
    ("keys", "asked", "found"),
    [
        (pa.array([5, 7], pa.int16()), pa.array([7.0, 7.5, np.nan, None]), [1, -1, -1, -1]),
        (pa.array([5.0, 7.5]), pa.array([5, 7], pa.int8()), [0, -1]),
        (pa.array([5.0, 7.5]), pa.array([7.5, 5.0, -0.0], pa.float32()), [1, 0, -1]),
        (pa.array([5, 70]), pa.array(["70", "6", None]), [1, -1, -1]),
        (pa.array(["5", "-70"]), pa.array([-70, 5, 6]), [1, 0, -1]),
        (pa.array(["5", "7"]), pa.array(["7", "07"]).dictionary_encode(), [1, -1]),
        (pa.array([1, 2]), pa.array([None, None], pa.string()), [-1, -1]),
        (pa.array([], pa.int64()), pa.array([1]), [-1]),
        (pa.array([], pa.string()), pa.array(["1"]), [-1]),
        (pa.array([True, False]), pa.array([0, 1]), [1, 0]),
        (pa.array([0, 2**62]), pa.array([2**62, 5]), [1, -1]),
    ],
)
def test_numbers_are_one_however_they_are_written(keys, asked, found):
    index = KeyIndex([keys], names=["id"], table="people")
    assert index.find([asked], names=["who"], table="log").tolist() == found


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        (pa.array([123, 4]), pa.array(["00123", "4"])),
        (pa.array(["00123", "4"]), pa.array([123, 4])),
        (pa.array(["123", "4"]), pa.array(["00123", "004", None, "9"])),
        (pa.array(["00123", "004"]), pa.array(["123", "4"]).dictionary_encode()),
        (pa.array([1.5]), pa.array(["1.5"])),
        (pa.array(["1970-01-01"]), pa.array([0], pa.timestamp("us"))),
        (pa.array([0], pa.timestamp("us")), pa.array([0])),
    ],
)
def test_texts_and_numbers_are_not_the_same_key(keys, asked):
    index = KeyIndex([keys], names=["id"], table="people")
    with pytest.raises(DataError) as caught:
        index.find([asked], names=["who"], table="log")
    assert caught.value.code == "key_type_mismatch"
    assert caught.value.details == {"columns": ["log.who", "people.id"]}
    assert "log.who" in str(caught.value)
    assert "people.id" in str(caught.value)


def test_times_are_one_in_any_unit():
    days = pa.array([0, 19_000], pa.date32())
    index = KeyIndex([days], names=["day"], table="days")
    for unit in ("s", "ms", "us", "ns"):
        assert index.find([days.cast(pa.timestamp(unit))]).tolist() == [0, 1]
        assert index.find([days.cast(pa.timestamp(unit, "UTC"))]).tolist() == [0, 1]


def test_a_stranger_with_the_hash_of_a_key_is_no_key(monkeypatch):
    index = KeyIndex([pa.array(["a", "b"])], names=["id"], table="people")
    index._columns[0]._second[1] += 1
    assert index.find([pa.array(["a", "b"])]).tolist() == [0, -1]
