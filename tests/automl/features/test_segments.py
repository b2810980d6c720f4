from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.features.segments import Block, Stretches, blocks, kept_before
from tests.automl.features.making import event_table


def _blocks_of(start, end, size=7):
    return list(
        blocks(np.asarray(start, dtype=np.int64), np.asarray(end, dtype=np.int64), size=size)
    )


@st.composite
def stretches(draw):
    n = draw(st.integers(1, 40))
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted), min_size=1, max_size=12
        )
    )
    return n, [one[0] for one in pairs], [one[1] for one in pairs]


@given(stretches(), st.integers(1, 50), st.integers(0, 2**32))
@settings(max_examples=60)
def test_blocks_hold_the_rows_of_every_stretch_in_order_and_nothing_else(found, size, seed):
    n, start, end = found
    values = np.random.default_rng(seed).normal(size=n)
    seen = {}
    for block in _blocks_of(start, end, size):
        local = block.take(values)
        assert len(local) == block.whole.size
        for row, low, high in zip(block.rows, block.whole.start, block.whole.end, strict=True):
            seen[int(row)] = local[low:high].tolist()
        # Only a stretch that is longer than a block of its own makes one longer than allowed.
        assert len(block.rows) == 1 or block.whole.count.sum() <= size + block.whole.count.max()
    expected = {
        row: values[low:high].tolist()
        for row, (low, high) in enumerate(zip(start, end, strict=True))
        if low < high
    }
    assert seen == expected


@pytest.mark.parametrize("length", [1, 7, 8, 9, 127, 128, 129, 1000, 8191, 8192, 8193, 20_000])
@pytest.mark.parametrize("before", [0, 1, 3, 5, 8191])
def test_a_stretch_gives_the_same_bytes_wherever_it_lies(length, before):
    # Pairwise summation adds in an order that the length alone decides; running sums would not.
    rng = np.random.default_rng(length)
    own = rng.lognormal(0, 4, length) * rng.choice([-1, 1], length)
    array = np.concatenate((rng.lognormal(9, 4, before), own, rng.lognormal(9, 4, 11)))
    among = Stretches(
        start=np.array([before, len(array) - 11]),
        end=np.array([before + length, len(array)]),
        size=len(array),
    )
    alone = Stretches(start=np.array([0]), end=np.array([length]), size=length)
    for reduced in ("sum", "min", "max", "first", "last"):
        one = getattr(among, reduced)(array)[:1]
        assert one.tobytes() == getattr(alone, reduced)(own.copy()).tobytes(), reduced


def test_reductions_are_those_of_each_part_and_of_an_empty_one_nothing():
    values = np.array([3.0, 1, 4, 1, 5, 9])
    of = Stretches(start=np.array([0, 2, 2, 4]), end=np.array([2, 2, 4, 6]), size=6)
    assert of.count.tolist() == [2, 0, 2, 2]
    assert of.sum(values).tolist() == [4, 0, 5, 14]
    np.testing.assert_array_equal(of.min(values), [1, np.nan, 1, 5])
    np.testing.assert_array_equal(of.max(values), [3, np.nan, 4, 9])
    np.testing.assert_array_equal(of.first(values), [3, np.nan, 4, 5])
    np.testing.assert_array_equal(of.last(values), [1, np.nan, 1, 9])
    assert of.spread(np.array([1.0, 7, 2, 3])).tolist() == [1, 1, 2, 2, 3, 3]
    assert of.mark().all()


def test_kept_rows_only():
    values = np.array([3.0, 1, 4, 1, 5, 9])
    keep = values != 1
    of = Stretches(start=np.array([0, 3]), end=np.array([2, 6]), size=6).kept(kept_before(keep))
    assert of.sum(values[keep]).tolist() == [3, 14]
    assert of.count.tolist() == [1, 2]


def test_overlapping_stretches_are_cut_so_that_memory_does_not_grow_with_them():
    # Every row sees up to 1,000 rows before it: 5 million values, in blocks of 10,000.
    end = np.arange(1, 6_001)
    start = np.maximum(end - 1_000, 0)
    found = list(blocks(start, end, size=10_000))
    assert max(block.whole.size for block in found) <= 11_000
    assert sum(len(block.rows) for block in found) == 6_000


def test_far_apart_stretches_are_gathered_not_read_over():
    (block,) = _blocks_of([0, 9_000], [2, 9_003], size=100)
    assert block.at is not None
    assert block.whole.size == 5
    table = event_table(
        subject=[0] * 10_000, time=range(10_000), columns={"x": np.arange(10_000.0)}
    )
    assert block.numbers(table, "x").tolist() == [0, 1, 9_000, 9_001, 9_002]


def test_windows_are_the_end_of_what_a_row_sees():
    block: Block
    for start, end in (([0, 4], [4, 6]), ([0, 2], [4, 6])):
        (block,) = _blocks_of(start, end, size=100)
        inside = block.since(np.array([3, 6]))
        assert inside.count.tolist() == [1, 0]
        assert inside.sum(block.take(np.arange(6.0))).tolist() == [3, 0]


def test_a_column_of_another_type_is_named_without_its_values():
    table = event_table(subject=[0], time=[1.0], columns={"x": pa.array(["Ann"])})
    (block,) = _blocks_of([0], [1])
    with pytest.raises(DataError) as caught:
        block.numbers(table, "x")
    assert caught.value.code == "wrong_type"
    assert "'x'" in str(caught.value)
    assert "Ann" not in str(caught.value)
    other = event_table(subject=[0], time=[1.0], columns={"x": pa.array([2.5])})
    with pytest.raises(DataError):
        block.codes(other, "x", ["Ann"])
