"""Bounded counts against exact ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data import unique
from automl.data.sketch import DistinctSketch, RepeatCounter, hash_values, mix
from automl.data.unique import first_repeat

RNG = np.random.default_rng(0)


def blocks(values: np.ndarray, n: int = 10) -> list[np.ndarray]:  # type: ignore[type-arg]
    return np.array_split(mix(values.astype(np.uint64)), n)


@pytest.mark.parametrize("n", [0, 1, 100, 4_000])
def test_few_distinct_values_are_counted_exactly(n: int) -> None:
    sketch = DistinctSketch()
    for block in blocks(np.repeat(np.arange(n), 3)):
        sketch.update(block)
    assert sketch.count() == n


@pytest.mark.parametrize("n", [20_000, 500_000])
def test_many_distinct_values_are_estimated(n: int) -> None:
    sketch = DistinctSketch()
    for block in blocks(RNG.permutation(np.repeat(np.arange(n), 2))):
        sketch.update(block)
    assert sketch.count() == pytest.approx(n, rel=0.06)  # four times 1 / sqrt(4096)
    assert len(sketch.kept) == 4096


def test_repeats_are_exact_while_they_fit_and_estimated_beyond() -> None:
    values = RNG.permutation(np.concatenate([np.arange(100_000), np.arange(30_000)]))
    exact, bounded = RepeatCounter(), RepeatCounter(size=10_000)
    for block in blocks(values):
        exact.update(block)
        bounded.update(block)
    assert (exact.repeats(), exact.exact) == (30_000, True)
    assert bounded.repeats() == pytest.approx(30_000, rel=0.15)
    assert not bounded.exact


def test_equal_values_and_only_they_hash_alike() -> None:
    texts = ["", "a", "aa", "aaa", "b", "ab", "ba", "a" * 5000, "a" * 4999 + "b", None]
    hashes = hash_values(pa.array(texts))
    assert len(set(hashes.tolist())) == len(texts)
    again = hash_values(pa.array(["x", *reversed(texts)]))[1:][::-1]
    assert (again == hashes).all()
    assert (hash_values(pa.array([1, 2])) == hash_values(pa.array([1.0, 2.0]))).all()
    assert (hash_values(pa.array([0.0])) == hash_values(pa.array([-0.0]))).all()


def test_the_first_repeat_in_several_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [*range(5_000), 4_000, 17, *range(6_000, 7_000)]
    pq.write_table(pa.table({"k": values, "u": list(range(len(values)))}), tmp_path / "t.parquet")
    for rows in (10_000_000, 700):
        monkeypatch.setattr(unique, "PASS_ROWS", rows)
        assert first_repeat(tmp_path / "t.parquet", "k") == 5_001
        assert first_repeat(tmp_path / "t.parquet", "u") is None
