from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from automl.features import aggregates
from automl.features.aggregates import Aggregates, FittedAggregates, Trends
from tests.automl.features.making import compare, event_table, random_relations, relations, visible

DAY = 86_400.0


def truth(made, row, windows):
    found = {}
    for window in windows:
        events = visible(made, row, window)
        for name in ("amount", "balance", "ok"):
            known = events[events[name].notna()]
            values, time = known[name].to_numpy(float), known["time"].to_numpy() / DAY
            n = len(values)
            line = n > 1 and time[0] < time[-1]
            for statistic, value in {
                "mean": values.mean() if n else np.nan,
                "last": values[-1] if n else np.nan,
                "std": values.std() if n else np.nan,
                "min": values.min() if n else np.nan,
                "max": values.max() if n else np.nan,
                "trend": np.polyfit(time - time.mean(), values, 1)[0] if line else np.nan,
                "sum": values.sum(),
                "first": values[0] if n else np.nan,
                "last_minus_mean": values[-1] - values.mean() if n else np.nan,
                "missing": events[name].isna().mean() if len(events) else np.nan,
                "below_zero": (values < 0).sum(),
            }.items():
                found[f"trans.{name}.{statistic}.{window.name}"] = value
        dates = pd.to_datetime(events["booked"]).dropna()
        before = (made.cut_off[row] - dates.astype("datetime64[s]").astype("int64")) / DAY
        before = before.to_numpy(float)
        for statistic, value in {
            "last": before[-1] if len(before) else np.nan,
            "first": before[0] if len(before) else np.nan,
            "min": before.min() if len(before) else np.nan,
            "max": before.max() if len(before) else np.nan,
            "mean": before.mean() if len(before) else np.nan,
            "missing": events["booked"].isna().mean() if len(events) else np.nan,
        }.items():
            found[f"trans.booked.{statistic}.{window.name}"] = value
    return found


def computed(group, made):
    spans = made.spans("trans")
    columns = group.transform(made.tables["trans"], spans)
    assert all(column.dtype == np.float32 for column in columns)
    return pd.DataFrame(dict(zip(group.columns, columns, strict=True)))


@pytest.mark.parametrize("seed", [0, 1])
def test_statistics_are_those_of_a_plain_loop(seed):
    made = random_relations(seed, n_rows=80)
    table, spans = made.tables["trans"], made.spans("trans")
    for group in (Aggregates().fit(table, spans, seed=0), Trends().fit(table, spans, seed=0)):
        assert len(group.windows) > 1
        assert set(group.reads) >= {"amount", "balance", "ok"}
        expected = [truth(made, row, group.windows) for row in range(made.n_rows)]
        compare(computed(group, made), expected)


def test_small_moves_of_a_large_balance_are_seen():
    # A sum of squares about zero has nothing left of a step of a cent on a balance of 10^9.
    balance = [1e9, 1e9 + 0.01, 1e9 + 0.02]
    table = event_table(subject=[0] * 3, time=[0, DAY, 2 * DAY], columns={"balance": balance})
    made = relations(table, subjects=[0], cut_off=[3 * DAY])
    found = computed(Trends().fit(table, made.spans("trans"), seed=0), made)
    np.testing.assert_allclose(found["trans.balance.trend.all"], 0.01, rtol=1e-4)
    found = computed(Aggregates().fit(table, made.spans("trans"), seed=0), made)
    np.testing.assert_allclose(found["trans.balance.std.all"], np.std(balance), rtol=1e-4)


def test_what_never_moves_has_no_deviation_and_one_point_in_time_no_trend():
    table = event_table(
        subject=[0, 0, 0, 1, 1],
        time=[0, DAY, 2 * DAY, DAY, DAY],
        columns={"x": [0.1, 0.1, 0.1, 1, 2]},
    )
    made = relations(table, subjects=[0, 1], cut_off=[3 * DAY] * 2)
    found = computed(Aggregates().fit(table, made.spans("trans"), seed=0), made)
    assert found["trans.x.std.all"].tolist() == [0.0, 0.5]
    found = computed(Trends().fit(table, made.spans("trans"), seed=0), made)
    np.testing.assert_allclose(found["trans.x.trend.all"], [0.0, np.nan], atol=1e-15)


def test_infinite_is_missing_and_a_table_without_numbers_offers_nothing():
    table = event_table(subject=[0, 0], time=[0, 1], columns={"x": [np.inf, 2.0]})
    made = relations(table, subjects=[0], cut_off=[5.0])
    found = computed(Aggregates().fit(table, made.spans("trans"), seed=0), made)
    assert found["trans.x.sum.all"].tolist() == [2.0]
    assert found["trans.x.missing.all"].tolist() == [0.5]
    absurd = event_table(subject=[0, 0], time=[0, 1], columns={"x": [1e308, 1e30]})
    found = computed(
        Aggregates().fit(absurd, made.spans("trans"), seed=0),
        relations(absurd, subjects=[0], cut_off=[5.0]),
    )
    assert found["trans.x.missing.all"].tolist() == [0.5]
    assert np.isfinite(found["trans.x.std.all"]).all()
    words = event_table(subject=[0], time=[0], columns={"x": ["a"]})
    spans = relations(words, subjects=[0], cut_off=[5.0]).spans("trans")
    assert Aggregates().fit(words, spans, seed=0) is None


def test_minus_zero_is_zero_wherever_it_lies():
    for values in ([-0.0, 0.0, 1.0], [0.0, -0.0, 1.0]):
        table = event_table(subject=[0] * 3, time=[0, 1, 2], columns={"x": values})
        made = relations(table, subjects=[0], cut_off=[5.0])
        found = computed(Aggregates().fit(table, made.spans("trans"), seed=0), made)
        assert not np.signbit(found["trans.x.min.all"]).any()


def test_many_columns_get_fewer_statistics():
    rng = np.random.default_rng(0)
    n = 2_000
    table = event_table(
        subject=rng.integers(0, 20, n).tolist(),
        time=(rng.integers(0, 100, n) * DAY).tolist(),
        columns={f"s{at}": rng.normal(size=n) for at in range(150)},
    )
    made = relations(table, subjects=range(20), cut_off=[100 * DAY] * 20)
    group = Aggregates().fit(table, made.spans("trans"), seed=0)
    assert 300 < len(group.columns) <= aggregates.MOST_FEATURES
    assert len(group.reads) == 150


def test_decimals_and_small_integers_are_numbers():
    table = event_table(
        subject=[0, 0],
        time=[0, 1],
        columns={
            "d": pa.array(["1.50", "2.50"]).cast(pa.decimal128(10, 2)),
            "i": pa.array([1, None], type=pa.int8()),
        },
    )
    made = relations(table, subjects=[0], cut_off=[5.0])
    found = computed(Aggregates().fit(table, made.spans("trans"), seed=0), made)
    assert found["trans.d.sum.all"].tolist() == [4.0]
    assert found["trans.i.last.all"].tolist() == [1.0]


def test_some_columns_read_only_what_they_need():
    made = random_relations()
    group = Aggregates().fit(made.tables["trans"], made.spans("trans"), seed=0)
    some = group.only(["trans.amount.mean.all", "trans.booked.last.all"])
    assert (list(some.reads), list(some.dates)) == (["amount", "booked"], ["booked"])
    assert FittedAggregates.from_json(some.to_json()) == some
    whole = computed(group, made)
    pd.testing.assert_frame_equal(computed(some, made), whole[list(some.columns)])
