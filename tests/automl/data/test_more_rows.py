"""Rows to predict are read as the training rows were: the same text, the same value."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from automl.data.loading import read_rows
from automl.data.options import ReadingOptions, for_more_rows
from automl.errors import DataError
from tests.automl.data.reading import LIMITS, read

DAYS = "n,day\n" + "".join(f"{n},{n:02d}/01/2024\n" for n in range(1, 29))


def again(training: str, body: str | list[dict[str, Any]], **declared: Any) -> pd.DataFrame:
    """Rows of a body, for a model that was trained on an upload with these declarations."""
    profile, _ = read(training, **declared)
    options = ReadingOptions.from_json(for_more_rows(declared, profile=profile))
    types = {column["name"]: column["type"] for column in profile["columns"]}
    kind = "text/csv" if isinstance(body, str) else "application/json"
    raw = body if isinstance(body, str) else json.dumps({"rows": body})
    return read_rows(raw.encode(), kind, limits=LIMITS, types=types, options=options)


@pytest.mark.parametrize("body", ["n,day\n1,03/04/2024\n", [{"n": 1, "day": "03/04/2024"}]])
@pytest.mark.parametrize("declared", [{}, {"date_format": "%d/%m/%Y"}])
def test_a_day_is_the_same_day(body: Any, declared: dict[str, str]) -> None:
    assert again(DAYS, body, **declared)["day"].tolist() == [pd.Timestamp(2024, 4, 3)]


def test_an_iso_date_is_always_understood() -> None:
    rows = again(DAYS, [{"n": 1, "day": "2024-04-03"}], date_format="%d/%m/%Y")
    assert rows["day"].tolist() == [pd.Timestamp(2024, 4, 3)]


def test_a_month_first_is_no_day_first() -> None:
    with pytest.raises(DataError) as caught:
        again(DAYS, "n,day\n1,01/31/2024\n")
    assert (caught.value.code, caught.value.column) == ("type_conflict", "day")


def test_an_hour_is_in_the_same_zone() -> None:
    training = "n,at\n1,2024-06-01T10:00:00\n2,2024-06-02T10:00:00\n"
    rows = again(training, "n,at\n1,2024-06-01T10:00:00\n", timezone="Europe/Paris")
    assert rows["at"].tolist() == [pd.Timestamp(2024, 6, 1, 8)]


def test_what_means_missing_is_missing() -> None:
    training = "n;x\n1;0,5\n2;n/d\n3;1,5\n"
    rows = again(training, "n;x\n1;n/d\n2;2,5\n", null_values=["", "n/d"])
    assert rows["x"].isna().tolist() == [True, False]


def test_how_a_file_is_written_is_its_own() -> None:
    rows = again("n;x\n1;0,5\n2;1,5\n", "n,x\n1,2.5\n", delimiter=";", decimal=",")
    assert rows["x"].tolist() == [2.5]


def test_columns_of_two_date_formats_stay_a_guess() -> None:
    two = "n,a,b\n1,31/01/2024,01/31/2024\n2,30/01/2024,01/30/2024\n"
    profile, _ = read(two)
    assert [one.get("date_format") for one in profile["columns"]] == [
        None,
        "%d/%m/%Y",
        "%m/%d/%Y",
    ]
    assert "date_format" not in for_more_rows({}, profile=profile)
