import numpy as np
import pandas as pd
import pytest

from benchmarks.sets import (
    LEAST_POSITIVES,
    SETS,
    WINDOW,
    Table,
    catalog,
    folder,
    load,
    split,
    thinned,
)


def made(n_rows=1000, *, time=False, group=False, rate=0.1, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n_rows) < rate).astype(np.int8)
    return Table(
        name="made",
        X=pd.DataFrame({"x": rng.normal(size=n_rows)}),
        y=y,
        time=rng.integers(0, 400, size=n_rows).astype(np.float64) if time else None,
        group=rng.integers(0, n_rows // 5, size=n_rows) if group else None,
    )


@pytest.mark.parametrize("roles", [{}, {"time": True}, {"group": True}])
@pytest.mark.parametrize("seed", [0, 1, 4, 100, 101])
def test_parts_are_disjoint_and_about_seventy_to_thirty(roles, seed):
    table = made(**roles)
    train, test = split(table, seed)
    assert not set(train) & set(test)
    assert len(test) / (len(train) + len(test)) == pytest.approx(0.3, abs=0.03)
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()


def test_without_roles_all_rows_are_used_and_the_rate_is_kept():
    table = made()
    train, test = split(table, 3)
    assert len(train) + len(test) == table.n_rows
    assert table.y[train].mean() == pytest.approx(table.y[test].mean(), abs=0.005)


@pytest.mark.parametrize("roles", [{}, {"time": True}, {"group": True}])
def test_another_seed_is_another_split_and_the_same_seed_the_same(roles):
    table = made(**roles)
    assert not np.array_equal(split(table, 1)[1], split(table, 2)[1])
    assert not np.array_equal(split(table, 100)[1], split(table, 101)[1])
    assert np.array_equal(split(table, 2)[1], split(table, 2)[1])


def test_no_entity_is_on_both_sides():
    table = made(group=True)
    train, test = split(table, 0)
    assert not set(table.group[train]) & set(table.group[test])


def test_entities_with_a_positive_are_shared_out():
    # Fewer than one entity in twenty has a positive; by chance alone a part may get none.
    group = np.repeat(np.arange(200), 5)
    y = np.zeros(1000, dtype=np.int8)
    y[::125] = 1
    table = Table(name="made", X=pd.DataFrame({"x": y}), y=y, group=group)
    for seed in range(20):
        _, test = split(table, seed)
        assert table.y[test].sum() == 2  # 30 % of 8, rounded


def test_time_runs_forward_and_equal_times_stay_together():
    table = made(time=True)
    for seed in (0, 1, 2, 100):
        train, test = split(table, seed)
        assert table.time[train].max() < table.time[test].min()


def test_the_first_seed_spans_all_and_the_others_a_window():
    table = made(5000, time=True)
    whole = np.ptp(table.time)
    assert sum(map(len, split(table, 0))) == table.n_rows
    starts = set()
    for seed in range(1, 6):
        rows = np.concatenate(split(table, seed))
        assert np.ptp(table.time[rows]) <= WINDOW * whole + 1
        assert np.ptp(table.time[rows]) >= WINDOW * whole - 2
        starts.add(table.time[rows].min())
    assert len(starts) == 5


def test_dates_are_split_as_their_ranks_are():
    table = made(time=True)
    days = np.datetime64("2020-01-01", "us") + table.time.astype("timedelta64[D]")
    dated = Table(name="made", X=table.X, y=table.y, time=days)
    for seed in (0, 1):
        assert np.array_equal(split(dated, seed)[0], split(table, seed)[0])


def test_thinning_keeps_all_negatives_and_five_percent_positives():
    y = made(4000, rate=0.3).y
    kept = thinned(y, rate=0.05, seed=0)
    assert y[kept].mean() == pytest.approx(0.05, abs=0.001)
    assert set(np.flatnonzero(y == 0)) <= set(kept)
    assert np.array_equal(kept, np.sort(kept))


def test_a_rare_target_is_not_thinned():
    y = made(4000, rate=0.01).y
    assert len(thinned(y, rate=0.05, seed=0)) == 4000


def test_an_unknown_set_is_named():
    with pytest.raises(ValueError, match="'nothing' is not a set"):
        load("nothing")


@pytest.mark.data
def test_every_tabular_set_with_enough_positives_is_there():
    try:
        folder()
    except FileNotFoundError:
        pytest.skip("no data")
    wanted = {
        name
        for name, entry in catalog().items()
        if entry["kind"] == "tabular" and entry["n_positive"] >= LEAST_POSITIVES
    }
    assert {recipe.entry for recipe in SETS.values()} == wanted


@pytest.mark.data
def test_leaks_identifiers_and_roles_are_no_features():
    try:
        folder()
    except FileNotFoundError:
        pytest.skip("no data")
    customs = load("customs_fraud")
    assert not {"Fraud", "Critical Fraud", "Declaration ID", "part", "Date"} & set(customs.X)
    assert customs.time is not None
    assert customs.y.sum() == 545
    polish = load("polish_5year")
    assert len(polish.X) == 5910
    assert "dataset_year" not in polish.X
    assert load("hmeq_5pct").y.mean() == pytest.approx(0.05, abs=0.001)
