"""Cells, times and groups that are no single value: an error that says where, never a crash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.data.encoding import TableEncoder
from automl.data.split import folds
from automl.errors import DataError
from tests.automl.search.problems import rare


def with_cell(*cells: Any) -> pd.DataFrame:
    """Numbers beside a column of these cells."""
    column = pd.Series([None] * len(cells), dtype=object)
    for i, cell in enumerate(cells):
        column.iat[i] = cell
    return pd.DataFrame({"number": np.arange(len(cells)), "held": column})


@pytest.mark.parametrize(
    "nested",
    [["secret"], {"a": "secret"}, {"secret"}, ("secret", 1), np.array(["secret", "b"])],
    ids=["list", "dict", "set", "tuple", "array"],
)
def test_nested_cells_are_refused_with_column_and_row(nested: Any) -> None:
    fine = TableEncoder().fit(with_cell("a", "b", "a", "b"))
    for use in (TableEncoder().fit, fine.transform):
        with pytest.raises(DataError, match="row 3 of column 'held' holds a") as caught:
            use(with_cell("a", "b", nested, "b"))
        assert (caught.value.code, caught.value.column) == ("unsupported_type", "held")
        assert caught.value.row == 3
        assert "secret" not in str(caught.value)


def test_complex_numbers_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="column 'z' holds complex"):
        TableEncoder().fit(pd.DataFrame({"z": np.arange(4) * 1j}))


def test_integers_that_no_float_holds_are_missing_like_infinities() -> None:
    X = with_cell(10**400, 1, -(10**400), 2)
    encoder = TableEncoder().fit(X)
    np.testing.assert_array_equal(encoder.transform(X)[:, 1], [np.nan, 1, np.nan, 2])
    assert encoder.report(X)["non_finite"] == {"held": 2}


@pytest.mark.parametrize("role", ["time", "group"])
def test_roles_of_nested_values_are_refused_with_their_row(role: str) -> None:
    base = rare(60, n_positive=10)
    values = np.arange(60).astype(object)
    values[4] = [1]
    with pytest.raises(DataError, match=f"the {role} of row 5 is a list") as caught:
        folds(Dataset(X=base.X, y=base.y, **{role: values}), seed=0)
    assert caught.value.row == 5


def test_times_that_have_no_order_are_refused() -> None:
    base = rare(60, n_positive=10)
    mixed = np.array([1, "a"] * 30, dtype=object)
    with pytest.raises(DataError, match="no order"):
        folds(Dataset(X=base.X, y=base.y, time=mixed), seed=0)
    assert folds(Dataset(X=base.X, y=base.y, group=mixed), seed=0)  # entities need none


@pytest.mark.parametrize(
    "time",
    [np.zeros(60), np.full(60, np.datetime64("2024-01-01")), np.full(60, "2024", dtype=object)],
    ids=["number", "date", "text"],
)
def test_one_time_for_all_rows_is_said(time: Any) -> None:
    base = rare(60, n_positive=10)
    for group in (None, np.arange(60) // 2):
        with pytest.raises(DataError, match="all 60 rows have the same time") as caught:
            folds(Dataset(X=base.X, y=base.y, time=time, group=group), seed=0)
        assert caught.value.code == "fold_without_class"
