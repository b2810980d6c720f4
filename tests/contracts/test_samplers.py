"""What every sampler promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.data.dataset import Dataset
from automl.sampling.base import Sampler
from automl.sampling.stratified import CaseControl
from automl.sampling.temporal import RecentFirst

SAMPLERS: list[Sampler] = [CaseControl(), RecentFirst(), CaseControl(n_positive=3)]


def dataset(y: Any, time: Any = None) -> Dataset:
    labels = np.asarray(y, dtype=np.int8)
    return Dataset(
        X=pd.DataFrame({"x": np.arange(len(labels))}),
        y=labels,
        time=None if time is None else np.asarray(time),
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
@given(data=st.data(), seed=st.integers(0, 3))
def test_an_order_is_a_permutation_whatever_the_rows(
    sampler: Any, data: st.DataObject, seed: int
) -> None:
    y = data.draw(st.lists(st.integers(0, 1), max_size=60))
    time = data.draw(st.none() | st.lists(st.integers(), min_size=len(y), max_size=len(y)))
    rows = dataset(y, time)
    order = sampler.order(rows, seed=seed)
    assert sorted(order) == list(range(len(y)))
    assert 0 <= sampler.screening_rows(rows) <= len(y)
    assert sampler.final_rows(rows) == len(y)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("with_time", [False, True])
def test_the_same_seed_the_same_order(sampler: Any, with_time: bool) -> None:
    y = np.arange(2000) % 20 == 0
    rows = dataset(y, np.arange(2000) if with_time else None)
    first, again, other = (sampler.order(rows, seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("with_time", [False, True])
def test_prefixes_nest_and_hold_the_blocks(sampler: Any, with_time: bool) -> None:
    rng = np.random.default_rng(0)
    n = 80_000
    rows = dataset(rng.random(n) < 0.012, np.arange(n) // 1000 if with_time else None)
    order = sampler.order(rows, seed=0)
    screening, final = sampler.screening_rows(rows), sampler.final_rows(rows)
    n_positive = min(sampler.n_positive, rows.n_positive)
    assert screening == 11 * n_positive
    assert rows.y[order[:screening]].sum() == n_positive
    assert final == 21 * rows.n_positive
    assert rows.y[order[:final]].sum() == rows.n_positive
    # Any prefix has both classes, evenly mixed.
    running = np.cumsum(rows.y[order[:screening]])
    at = np.arange(1, screening + 1)
    assert np.abs(running - at / 11).max() <= 1.5
