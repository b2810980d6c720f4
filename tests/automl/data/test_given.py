"""What users of the library hand over beside a table: taken as it is meant, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from automl.data.dataset import Dataset, relative_weights
from automl.data.given import given_gap, given_times, given_values, given_weights
from automl.data.given_tables import given_table, refused_array
from automl.data.labels import check_present, one_kind
from automl.errors import DataError

SECRET = "secret-1234"


def test_times_as_texts_begin_with_the_year() -> None:
    assert given_times(["2024-01-31", "2023-12-01"]) is not None
    assert given_times(None) is None
    with pytest.raises(DataError, match="row 2 is a text that does not begin") as caught:
        given_times(["2024-01-31", SECRET])
    assert (caught.value.code, caught.value.row) == ("time_is_text", 2)
    assert SECRET not in str(caught.value)


def test_numbers_and_texts_in_a_list_stay_what_they_are() -> None:
    held = given_values([10, "9"])
    assert held is not None
    assert held.tolist() == [10, "9"]  # not "10", which sorts before "9"


def test_only_ratios_of_weights_count() -> None:
    weights = np.array([1.0, 2.0, 3.0])
    for scale in (1e-9, 1.0, 1e9):
        given = given_weights(scale * weights)
        assert given is not None
        np.testing.assert_allclose(given, weights / 2)
    with pytest.raises(DataError, match="not numbers") as caught:
        given_weights([SECRET] * 3)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__  # the conversion's own message repeats the cell
    with pytest.raises(DataError, match="times the smallest") as caught:
        relative_weights(np.array([1.0, 1e31]))
    assert (caught.value.code, caught.value.row) == ("bad_weight", 2)


@pytest.mark.parametrize("gap", [None, "3 days", [3]])
def test_a_gap_is_a_number_or_a_length_of_time(gap: Any) -> None:
    with pytest.raises(DataError, match="the gap is a"):
        given_gap(gap)
    assert given_gap(pd.Timedelta("36h")) == given_gap(np.timedelta64(36, "h")) == 1.5


def test_tables_of_any_kind() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    for table in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        found = given_table(table)
        assert found is not None
        assert found.to_dict("list") == frame.to_dict("list")
    for array in (frame.to_numpy(), [[1, 2]]):
        assert given_table(array) is None


@pytest.mark.parametrize(
    ("table", "code", "said"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "duplicate_column", "the first is 'a'"),
        (pa.table([pa.array([1])] * 2, names=["a", "a"]), "duplicate_column", "first is 'a'"),
        (pd.Series([1]), "unsupported_type", "X.to_frame()"),
        (pl.DataFrame({"a": [1]}).lazy(), "unsupported_type", "collect()"),
        ({"a": [SECRET]}, "unsupported_type", "X is a dict"),
        (SECRET, "unsupported_type", "X is a str"),
        (None, "unsupported_type", "X is a NoneType"),
    ],
)
def test_what_is_no_table_is_told_what_would_be(table: Any, code: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        given_table(table)
    assert caught.value.code == code
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_refusals_of_arrays_have_a_place_and_no_cell() -> None:
    values = np.array([[1.0, 2.0], [3.0, -np.inf]])
    error = refused_array(ValueError("Input X contains infinity or a value too large"), values)
    assert isinstance(error, DataError)
    assert (error.column, error.row, error.code) == ("x1", 2, "non_finite")
    said = f"Expected 2D array, got 1D array instead:\narray=['{SECRET}'\n '5'].\nReshape your data"
    assert str(refused_array(ValueError(said), ["5"])) == (
        "Expected 2D array, got 1D array instead.\nReshape your data"
    )
    for other in (
        f"could not convert string to float: '{SECRET}'",
        "Complex data not supported\n5",
    ):
        assert not {SECRET, "5"} & set(str(refused_array(ValueError(other), [])).split())


def test_missing_labels_have_a_row_and_complex_ones_no_cell() -> None:
    for y in (np.array([0, np.nan]), pd.Series(["a", None]), [1.0, None], pd.array([1, None])):
        with pytest.raises(DataError, match=r"label of row 2 is missing, 1 of 2"):
            check_present(y)
    with pytest.raises(DataError, match="Complex data not supported") as caught:
        check_present(np.array([0, 5j]))
    assert "5" not in str(caught.value)


def test_truth_values_beside_numbers_are_numbers() -> None:
    assert one_kind(np.array([True, 0, 1], dtype=object)).tolist() == [1, 0, 1]


def test_texts_that_are_no_unicode_have_a_place() -> None:
    X = pd.DataFrame({"a": [1, 2], "b": pd.Series(["é", "\ud800"], dtype=object)})
    with pytest.raises(DataError, match="row 2 of column 'b' is a text that is not Unicode"):
        Dataset(X=X, y=np.array([0, 1], dtype=np.int8)).fingerprint()
