"""Which rows of a large data set of several tables a search learns from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.sampling.stratified import FINAL_NEGATIVES_PER_POSITIVE
from automl.search.feature_groups import sampled
from scheduler.featuring import MOST_POSITIVES, taken


def dataset(n_rows: int, n_positive: int) -> Dataset:
    y = np.zeros(n_rows, dtype=np.int8)
    y[np.linspace(0, n_rows - 1, n_positive).astype(int)] = 1
    return Dataset(X=pd.DataFrame({"x": np.arange(n_rows, dtype=np.float32)}), y=y)


def n_taken(whole: Dataset) -> int:
    rows = taken(whole)
    return whole.n_rows if rows is None else len(rows)


def test_all_rows_of_a_small_one_are_taken() -> None:
    assert taken(dataset(20_000, 300)) is None


def test_of_a_large_one_the_first_of_each_class_are_taken() -> None:
    whole = dataset(400_000, 1_000)
    rows = taken(whole)
    assert rows is not None
    assert (np.diff(rows) > 0).all()
    y = whole.y[rows]
    assert y.sum() == 1_000, "no positive is left out"
    negatives = rows[y == 0]
    assert (negatives == np.flatnonzero(whole.y == 0)[: len(negatives)]).all()
    assert len(negatives) <= FINAL_NEGATIVES_PER_POSITIVE * 1_000
    part = sampled(whole, rows)
    assert part.weight is not None
    assert np.average(part.y, weights=part.weight) == pytest.approx(1_000 / 400_000)


def test_what_is_taken_does_not_grow_with_the_data() -> None:
    sizes = [n_taken(dataset(n, 1_000)) for n in (400_000, 1_600_000)]
    assert sizes[0] == sizes[1]


def test_positives_are_capped() -> None:
    rows = taken(dataset(1_000_000, 50_000))
    assert rows is not None
    assert len(rows) <= (1 + FINAL_NEGATIVES_PER_POSITIVE) * MOST_POSITIVES
