"""Columns of a request as those that were learnt from."""

from __future__ import annotations

import pyarrow as pa
import pytest

from automl.errors import DataError
from automl.relations.reading import TIMESTAMP, fitted

TYPES = {"at": str(TIMESTAMP), "x": "double"}


def test_what_is_missing_has_no_values():
    at = pa.array([0, 1], TIMESTAMP)
    found = fitted(pa.table({"at": at}), TYPES, needed=["at"], table_name="t")
    assert found.column("at").combine_chunks() == at
    assert found.column("x").null_count == 2


@pytest.mark.parametrize("value", [20240630, 20240630.0, True])
def test_a_number_is_no_date_of_1970(value: object):
    with pytest.raises(DataError, match="numbers where dates") as told:
        fitted(pa.table({"at": [value]}), TYPES, needed=["at"], table_name="t")
    assert (told.value.code, told.value.column) == ("column_type", "at")


def test_a_column_that_is_needed_must_be_there():
    with pytest.raises(DataError, match="has no column 'at'"):
        fitted(pa.table({"x": [1.0]}), TYPES, needed=["at"], table_name="t")
