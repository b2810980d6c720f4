"""Folds against brute force: every rule is checked row by row."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.data.dataset import Dataset
from automl.data.split import Fold, folds
from automl.errors import DataError


def dataset(y: Any, gap: float = 0.0, **roles: Any) -> Dataset:
    labels = np.asarray(y, dtype=np.int8)
    return Dataset(
        X=pd.DataFrame({"x": np.arange(len(labels))}),
        y=labels,
        gap=gap,
        **{name: np.asarray(values) for name, values in roles.items()},
    )


def roles(data: Dataset) -> tuple[Any, Any]:
    """Time and group, for checks that know which there are."""
    return data.time, data.group


def both(y: npt.NDArray[np.int8], rows: npt.NDArray[np.intp]) -> bool:
    return 0 < y[rows].sum() < len(rows)


def check(data: Dataset, made: list[Fold]) -> None:
    """What is promised of any folds."""
    assert made
    seen: set[int] = set()
    for fold in made:
        assert both(data.y, fold.train)
        assert both(data.y, fold.valid)
        assert not set(fold.train) & set(fold.valid)
        assert not seen & set(fold.valid), "a row validates twice"
        seen |= set(fold.valid)
        assert (np.diff(fold.train) > 0).all()
        assert (np.diff(fold.valid) > 0).all()
        if data.time is not None:
            begin = data.time[fold.valid].min()
            assert data.time[fold.train].max() < begin
            if data.gap:
                assert (begin - data.time[fold.train] >= data.gap).all()
        if data.group is not None:
            assert not set(data.group[fold.train]) & set(data.group[fold.valid])
    if data.time is None:
        assert seen == set(range(data.n_rows)), "each row validates once"


labels = st.lists(st.integers(0, 1), min_size=2, max_size=40)


@given(y=labels, k=st.integers(2, 6), seed=st.integers(0, 5))
def test_stratified(y: list[int], k: int, seed: int) -> None:
    data = dataset(y)
    possible = min(k, sum(y), len(y) - sum(y))
    if possible < 2:
        with pytest.raises(DataError) as caught:
            folds(data, seed=seed, k=k)
        assert caught.value.code == "fold_without_class"
        assert caught.value.details["n_positive"] == sum(y)
        return
    made = folds(data, seed=seed, k=k)
    check(data, made)
    assert len(made) == possible
    positives = [data.y[fold.valid].sum() for fold in made]
    sizes = [len(fold.valid) for fold in made]
    assert max(positives) - min(positives) <= 1
    assert max(sizes) - min(sizes) <= 1


def best_grouping(y: list[int], group: list[int]) -> int:
    """The most parts of groups with both classes in each, by trying all."""
    names = sorted(set(group))
    best = 1
    for parts in product(range(3), repeat=len(names)):
        part = dict(zip(names, parts, strict=True))
        held = [{label for label, g in zip(y, group, strict=True) if part[g] == i} for i in parts]
        if all(one == {0, 1} for one in held):
            best = max(best, len(set(parts)))
    return best


@given(data=st.data(), k=st.integers(2, 3), seed=st.integers(0, 5))
def test_grouped_finds_as_many_folds_as_there_can_be(
    data: st.DataObject, k: int, seed: int
) -> None:
    y = data.draw(st.lists(st.integers(0, 1), min_size=2, max_size=12))
    group = data.draw(st.lists(st.integers(0, 5), min_size=len(y), max_size=len(y)))
    possible = min(k, best_grouping(y, group))
    rows = dataset(y, group=group)
    if possible < 2:
        with pytest.raises(DataError, match="by group"):
            folds(rows, seed=seed, k=k)
        return
    made = folds(rows, seed=seed, k=k)
    check(rows, made)
    assert len(made) == possible


def test_grouped_deals_positives_and_rows_evenly() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 400, 6000)
    y = (rng.random(6000) < 0.03 * (1 + group % 3)).astype(np.int8)
    data = dataset(y, group=[f"g{g}" for g in group])
    made = folds(data, seed=1)
    check(data, made)
    positives = [int(y[fold.valid].sum()) for fold in made]
    assert max(positives) - min(positives) <= 1
    sizes = [len(fold.valid) for fold in made]
    assert max(sizes) < 1.25 * min(sizes)


@given(data=st.data(), k=st.integers(2, 5))
def test_forward_folds_exist_exactly_when_one_cut_works(data: st.DataObject, k: int) -> None:
    y = data.draw(labels)
    time = data.draw(st.lists(st.integers(0, 8), min_size=len(y), max_size=len(y)))
    gap = data.draw(st.sampled_from([0, 0, 0.5, 1, 2, 3.5, 8]))
    rows = dataset(y, gap, time=time)
    times = roles(rows)[0]

    def known(cut: float) -> npt.NDArray[np.intp]:
        return np.array(
            [i for i, t in enumerate(time) if t < cut and t + gap <= cut], dtype=np.intp
        )

    cuts = [
        cut
        for cut in sorted(set(time))[1:]
        if both(rows.y, known(cut)) and both(rows.y, np.flatnonzero(times >= cut))
    ]
    if not cuts:
        with pytest.raises(DataError) as caught:
            folds(rows, seed=0, k=k)
        assert caught.value.code == "fold_without_class"
        return
    made = folds(rows, seed=0, k=k)
    check(rows, made)
    assert len(made) <= k
    begins = [times[fold.valid].min() for fold in made]
    assert begins == sorted(begins, reverse=True), "the most recent comes first"
    for fold, begin in zip(made, begins, strict=True):
        assert fold.train.tolist() == known(begin).tolist(), "no more rows are lost than must be"
    for earlier, later in zip(made[1:], made, strict=False):
        assert set(earlier.train) <= set(later.train), "the window expands"


@given(data=st.data())
def test_forward_and_grouped(data: st.DataObject) -> None:
    y = data.draw(st.lists(st.integers(0, 1), min_size=8, max_size=40))
    time = data.draw(st.lists(st.integers(0, 6), min_size=len(y), max_size=len(y)))
    group = data.draw(st.lists(st.integers(0, 12), min_size=len(y), max_size=len(y)))
    rows = dataset(y, data.draw(st.sampled_from([0, 1, 2.5])), time=time, group=group)
    try:
        made = folds(rows, seed=0, k=3)
    except DataError:
        return  # when there is one cannot be said in a line; the next test asks for many rows
    check(rows, made)


@pytest.mark.parametrize("panel", [True, False])
def test_forward_and_grouped_keep_most_rows(panel: bool) -> None:
    """Entities in every period are dealt to folds; entities of one period cost no rows."""
    n = 4000
    rng = np.random.default_rng(0)
    group = np.arange(n) % 400 if panel else np.arange(n)
    data = dataset(rng.random(n) < 0.05, time=np.arange(n) // 400, group=group)
    made = folds(data, seed=0)
    check(data, made)
    assert len(made) == 5
    times = roles(data)[0]
    windows = [np.flatnonzero(times >= times[fold.valid].min()) for fold in made]
    kept = sum(len(fold.valid) for fold in made) / len(windows[-1])
    assert kept > (0.15 if panel else 0.999)
    earlier = np.flatnonzero(times < times[made[0].valid].min())
    assert len(made[0].train) / len(earlier) > (0.75 if panel else 0.999)


def test_equal_times_stay_on_one_side() -> None:
    data = dataset([0, 1] * 50, time=np.repeat(np.arange(5), 20))
    for fold in folds(data, seed=0, k=3):
        times = roles(data)[0]
        assert not set(times[fold.train]) & set(times[fold.valid])


def test_dates_and_strings_are_times_and_groups() -> None:
    days = pd.date_range("2024-01-01", periods=60, freq="D").to_numpy()
    data = dataset([0, 0, 1] * 20, time=days, group=np.array([f"c{i % 30}" for i in range(60)]))
    check(data, folds(data, seed=3, k=2))


@pytest.mark.parametrize(
    "time",
    [
        pd.date_range("2024-01-01", periods=60, freq="D").to_numpy(),
        pd.date_range("2024-01-01", periods=60, freq="D", tz="Europe/Paris").array,
        np.array([date(2024, 1, 1) + timedelta(days=i) for i in range(60)], dtype=object),
        (pd.date_range("2024-01-01", periods=60, freq="D") - pd.Timestamp(0)) / pd.Timedelta("1D"),
    ],
    ids=["datetime64", "with a zone", "objects", "days"],
)
def test_a_gap_counts_days(time: Any) -> None:
    labels = np.array([0, 0, 1] * 20, dtype=np.int8)
    rows = Dataset(X=pd.DataFrame({"x": range(60)}), y=labels, time=time, gap=10.0)
    for fold in folds(rows, seed=0, k=3):
        assert fold.train.tolist() == list(range(fold.valid[0] - 9))


def test_many_times_under_a_gap_that_is_too_long_are_refused_at_once() -> None:
    n = 200_000
    rows = dataset(np.arange(n) % 50 == 0, 2.0 * n, time=np.arange(n))
    with pytest.raises(DataError) as caught:
        folds(rows, seed=0)
    assert caught.value.code == "fold_without_class"


def test_a_gap_needs_times_with_a_unit() -> None:
    weeks = np.array([f"2024-W{i:02d}" for i in range(20)])
    with pytest.raises(DataError) as caught:
        folds(dataset([0, 1] * 10, 1.0, time=weeks), seed=0)
    assert caught.value.code == "gap_without_unit"


@pytest.mark.parametrize("gap", [-1.0, float("nan"), float("inf")])
def test_a_gap_is_a_length(gap: float) -> None:
    with pytest.raises(DataError, match="gap"):
        dataset([0, 1] * 10, gap, time=np.arange(20))


def test_a_gap_without_times_is_refused() -> None:
    with pytest.raises(DataError, match="needs the time"):
        dataset([0, 1] * 10, 3.0)


@pytest.mark.parametrize("role", ["time", "group"])
def test_a_row_without_its_role_is_named(role: str) -> None:
    values = np.array([1.0, 2.0, np.nan, 4.0])
    with pytest.raises(DataError) as caught:
        folds(dataset([0, 1, 0, 1], **{role: values}), seed=0)
    assert caught.value.code == f"missing_{role}"
    assert caught.value.row == 3


def test_the_same_seed_gives_the_same_folds_and_another_seed_others() -> None:
    data = dataset(np.arange(200) % 10 == 0)
    first, again, other = (folds(data, seed=seed)[0].valid for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_k_below_two_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        folds(dataset([0, 1, 0, 1]), seed=0, k=1)
