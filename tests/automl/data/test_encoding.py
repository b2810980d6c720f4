"""The encoder against a plain reading of each column."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.data import encoding
from automl.data.encoding import TableEncoder
from automl.errors import DataError

NAN = float("nan")


def encode(X: pd.DataFrame) -> list[list[float]]:
    columns: list[list[float]] = TableEncoder().fit(X).transform(X).T.tolist()
    return columns


def same(got: Any, wanted: Any) -> bool:
    return np.array_equal(np.float32(got), np.float32(wanted), equal_nan=True)


def stamps(*texts: str | None) -> Any:
    return pd.to_datetime(pd.Series(texts, dtype=object))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1.5, None, -2.0], [1.5, NAN, -2]),
        (pd.array([1, None, 3], dtype="Int64"), [1, NAN, 3]),
        (pd.array([1.5, None, 3], dtype="float64[pyarrow]"), [1.5, NAN, 3]),
        ([True, False, True], [1, 0, 1]),
        (pd.array([True, None, False], dtype="boolean"), [1, NAN, 0]),
        (np.array([True, None, False], dtype=object), [1, NAN, 0]),
        ([Decimal("1.25"), None, Decimal(2)], [1.25, NAN, 2]),
        (["b", "a", None], [1, 0, NAN]),
        (["10", "9", "8"], [2, 1, 0]),
        (pd.Categorical(["lo", "hi", None], ["lo", "mid", "hi"], ordered=True), [0, 1, NAN]),
        (pd.Categorical([3, 1, 3]), [1, 0, 1]),
        (np.array([1, "a", None], dtype=object), [0, 1, NAN]),
        (pd.to_timedelta([1, 2, None], unit="h"), [3600, 7200, NAN]),
    ],
)
def test_one_column(values: Any, wanted: list[float]) -> None:
    assert same(encode(pd.DataFrame({"c": values}))[0], wanted)


def test_timestamps_become_days_and_the_parts_that_vary() -> None:
    when = stamps("2024-02-27 06:00", "2024-03-01 06:00", None)
    encoder = TableEncoder().fit(pd.DataFrame({"t": when}))
    assert encoder.sources == ["t (days)", "t (month)", "t (day)", "t (weekday)"]
    got = encoder.transform(pd.DataFrame({"t": when}))
    assert np.array_equal(got, [[0, 2, 27, 1], [3, 3, 1, 4], [NAN, NAN, NAN, NAN]], equal_nan=True)
    other = pd.DataFrame({"t": when.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")})
    assert np.array_equal(encoder.transform(other), got, equal_nan=True)
    text = pd.DataFrame({"t": ["2024-02-27T06:00:00Z", "2024-03-01T06:00:00Z", None]})
    assert np.array_equal(encoder.transform(text), got, equal_nan=True)
    dates = pd.DataFrame({"t": [datetime.date(2024, 2, 27), datetime.date(2024, 3, 1), None]})
    assert encoder.transform(dates)[1, 1] == 3


def test_many_levels_are_ranked_by_frequency_beside_their_share() -> None:
    levels = [f"v{i}" for i in range(30) for _ in range(i + 1)]
    X = pd.DataFrame({"c": [*levels, None]})
    encoder = TableEncoder().fit(X)
    assert encoder.info.kinds == ("rank", "frequency")
    assert encoder.sources == ["c", "c (frequency)"]
    new = pd.DataFrame({"c": ["v29", "v0", "never seen", None]})
    got = encoder.transform(new)
    assert same(got, [[0, 30 / len(X)], [29, 1 / len(X)], [30, 0], [NAN, NAN]])
    assert encoder.report(new)["unseen_categories"] == {"c": 1}


def test_levels_beyond_the_cap_share_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MAX_LEVELS", 1000)
    codes = np.arange(100_000)
    common = np.repeat(np.arange(10), 100)
    X = pd.DataFrame({"c": [f"id{i}" for i in np.concatenate([common, codes])]})
    encoder = TableEncoder().fit(X)
    got = encoder.transform(X)
    assert set(got[:1000, 0]) == set(range(10))
    assert got[:, 0].max() == 1000
    assert len(json.dumps(encoder.to_json())) < 50_000
    assert encoder.report(X)["unseen_categories"] == {}


def test_dropped_columns_say_why() -> None:
    X = pd.DataFrame(
        {
            "same": [1, 1, 1],
            "same text": ["a", "a", "a"],
            "none": [None, None, None],
            "nan": [NAN, NAN, NAN],
            "never": stamps(None, None, None),
            "one day": pd.to_datetime(["2024-01-01"] * 3),
            "known or not": [5, None, 5],
            "x": [1, 2, 3],
        }
    )
    encoder = TableEncoder().fit(X)
    assert {one["column"]: one["why"] for one in encoder.dropped} == {
        "same": "constant",
        "same text": "constant",
        "none": "all_missing",
        "nan": "all_missing",
        "never": "all_missing",
        "one day": "constant",
    }
    assert encoder.sources == ["known or not", "x"]
    with pytest.raises(DataError) as caught:
        TableEncoder().fit(X[["same", "none"]])
    assert caught.value.code == "no_features"


def test_new_rows_are_reported_by_counts_only() -> None:
    X = pd.DataFrame({"n": [0.0, 10.0], "c": ["a", "b"], "t": pd.to_datetime(["2024", "2025"])})
    encoder = TableEncoder().fit(X)
    new = pd.DataFrame(
        {
            "n": ["5", "secret", "11", None],
            "c": ["a", "secret", "b", None],
            "t": stamps("2024", "2026", "2023", None),
        }
    )
    assert encoder.report(new) == {
        "n_rows": 4,
        "unseen_categories": {"c": 1},
        "out_of_range": {"n": 0.25, "t": 0.5},
        "non_finite": {},
        "unreadable": {"n": 1},
    }
    infinite = encoder.report(X.assign(n=[np.inf, 3.0]))
    assert infinite["non_finite"] == {"n": 1}
    assert np.isnan(encoder.transform(X.assign(n=[np.inf, 3.0]))[0, 0])


def test_the_same_level_however_it_came_in() -> None:
    encoder = TableEncoder().fit(pd.DataFrame({"c": pd.Categorical([1, 2, 3])}))
    for cells in ([1, 2, 3], [1.0, 2.0, 3.0], ["1", "2", "3"], pd.Categorical(["1", "2", "3"])):
        assert encoder.transform(pd.DataFrame({"c": cells})).ravel().tolist() == [0, 1, 2]


def test_large_offsets_keep_their_differences() -> None:
    base = 1_700_000_000_000
    X = pd.DataFrame({"ms": base + np.arange(1000)})
    assert np.array_equal(np.diff(TableEncoder().fit(X).transform(X)[:, 0]), np.ones(999))
    huge = pd.DataFrame({"x": [0.0, 1e300, -1e300]})
    assert np.isfinite(TableEncoder().fit(huge).transform(huge)).all()


def test_columns_by_name_in_any_order_and_a_missing_one_is_named() -> None:
    X = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    encoder = TableEncoder().fit(X)
    swapped = X[["b", "a"]].assign(extra=0)
    assert np.array_equal(encoder.transform(swapped), encoder.transform(X))
    with pytest.raises(DataError) as caught:
        encoder.transform(X[["a"]])
    assert (caught.value.code, caught.value.column) == ("missing_column", "b")


def test_arrow_columns_are_read_like_pandas_own() -> None:
    stamps_utc = pa.array([0, 36 * 3600 * 10**6, None], pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "when": stamps_utc,
            "day": pa.array([datetime.date(2024, 1, 1), datetime.date(2024, 5, 1), None]),
            "yes": [True, False, None],
            "price": pa.array([Decimal("1.5"), Decimal(2), None]),
            "city": ["a", "b", None],
            "coded": pa.array(["x", "y", None]).dictionary_encode(),
        }
    )
    plain, arrow = table.to_pandas(), table.to_pandas(types_mapper=pd.ArrowDtype)
    encoder = TableEncoder().fit(plain)
    assert encoder.sources[:2] == ["when (days)", "when (day)"]
    assert same(encoder.transform(plain), encoder.transform(arrow))
    again = TableEncoder().fit(arrow)
    assert again.sources == encoder.sources
    assert same(again.transform(plain), encoder.transform(plain))


@pytest.mark.parametrize("cells", [[1 + 2j, 3, 4], [[1], [2], None]], ids=["complex", "lists"])
def test_cells_that_are_not_one_value_are_refused(cells: Any) -> None:
    with pytest.raises(DataError) as caught:
        TableEncoder().fit(pd.DataFrame({"c": cells}))
    assert (caught.value.code, caught.value.column) == ("unsupported_type", "c")


def test_two_columns_of_one_name_are_refused() -> None:
    X = pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"])
    with pytest.raises(DataError) as caught:
        TableEncoder().fit(X)
    assert caught.value.code == "duplicate_column"


cells = st.one_of(st.none(), st.text(max_size=3), st.floats(allow_infinity=True), st.booleans())


@given(names=st.lists(st.text(max_size=8), min_size=1, max_size=3, unique=True), data=st.data())
def test_any_table_survives_and_its_state_is_json(names: list[str], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 6))
    rows = {
        name: pd.Series(data.draw(st.lists(cells, min_size=n, max_size=n)), dtype=object)
        for name in names
    }
    X = pd.DataFrame(rows)
    try:
        encoder = TableEncoder().fit(X)
    except DataError:
        assert (X.map(str, na_action="ignore").nunique(dropna=False) <= 1).all() or X.map(
            lambda cell: cell is None or isinstance(cell, bool | float)
        ).any(axis=None)
        return
    got = encoder.transform(X)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    assert got.shape == (n, len(encoder.sources)) == (n, len(encoder.names))
    assert not np.isinf(got).any()
    state = json.dumps(encoder.to_json())
    again = TableEncoder.from_json(json.loads(state))
    assert np.array_equal(again.transform(X), got, equal_nan=True)
    assert again.info == encoder.info
    assert encoder.report(X)["unseen_categories"] == {}
    assert encoder.report(X)["out_of_range"] == {}
    # Row by row it is the same as at once.
    single = np.vstack([encoder.transform(X.iloc[[i]]) for i in range(n)])
    assert np.array_equal(single, got, equal_nan=True)


def test_the_target_is_never_asked_for() -> None:
    """Same rows in another order: the same code for each cell."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"c": rng.choice([f"v{i}" for i in range(50)], 500), "n": rng.random(500)})
    shuffled = X.sample(frac=1, random_state=1)
    assert TableEncoder().fit(X).to_json() == TableEncoder().fit(shuffled).to_json()
