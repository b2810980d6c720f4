"""The hash that orders entities: against a loop in plain Python integers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.relations import hashing
from automl.relations.hashing import as_text, row_hashes, text_hashes

MASK = 2**64 - 1


def mixed(value: int) -> int:
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def one_hash(text: str, step: int) -> int:
    data = text.encode()
    found = mixed((len(data) * step + 0xBF58476D1CE4E5B9) & MASK)
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at : at + 8], "little")
        found = (mixed(found ^ word) * step + 0x9E3779B97F4A7C15) & MASK
    return found


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=30), st.integers(0, 5))
def test_texts_hash_as_in_plain_python_wherever_they_stand(texts, skipped):
    array = pa.array(texts, pa.large_string()).slice(skipped)
    lanes = text_hashes(array, n_lanes=2)
    for lane, step in zip(lanes, (0x9E3779B97F4A7C15, 0x94D049BB133111EB), strict=True):
        wanted = [0 if one is None else one_hash(one, step) for one in texts[skipped:]]
        assert lane.tolist() == wanted


def test_blocks_do_not_show(monkeypatch):
    texts = pa.array([f"key {at}" * (at % 5) for at in range(1_000)], pa.large_string())
    whole = text_hashes(texts)[0]
    monkeypatch.setattr(hashing, "BLOCK_ROWS", 7)
    assert (text_hashes(texts)[0] == whole).all()


def test_a_key_hashes_alike_whatever_its_type_is():
    kinds = [pa.int16(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.large_string()]
    columns = [pa.array([1, 250, None]).cast(kind) for kind in kinds]
    hashes = {row_hashes([column], n_rows=3).tobytes() for column in columns}
    assert len(hashes) == 1
    coded = pa.array(["1", "250", None]).dictionary_encode()
    assert row_hashes([coded], n_rows=3).tobytes() in hashes


def test_a_value_has_one_text_whatever_stands_beside_it():
    assert as_text(pa.array([7.0, 0.5])).to_pylist() == ["7", "0.5"]
    assert as_text(pa.array([7.0])).to_pylist() == ["7"]
    assert as_text(pa.array([None, -0.0])).to_pylist() == [None, "0"]


def test_rows_of_two_columns_are_told_apart():
    first, second = pa.array(["a", "ab", ""]), pa.array(["bc", "c", "abc"])
    hashes = row_hashes([first, second], n_rows=3)
    assert len(set(hashes.tolist())) == 3
    assert (hashes != row_hashes([second, first], n_rows=3)).all()


def test_bits_are_spread():
    hashes = row_hashes([pa.array(np.arange(20_000))], n_rows=20_000)
    ones = [(hashes >> np.uint64(bit) & np.uint64(1)).mean() for bit in range(64)]
    assert np.abs(np.array(ones) - 0.5).max() < 0.02
