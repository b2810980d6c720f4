"""A few cells that are no numbers among many that are: said, or refused where it is a slip."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from automl.data.loading import read_rows
from tests.automl.data.reading import LIMITS, read, refused


def table(cells: list[str]) -> str:
    return "a,b,y\n" + "".join(f"{cell},1,{n % 2}\n" for n, cell in enumerate(cells))


def numbers(n: int, strays: dict[int, str]) -> list[str]:
    """Cells 0, 1, 2, ...; those at the rows (from 1) of `strays` are others."""
    return [strays.get(row, str(row % 1000)) for row in range(1, n + 1)]


def days(n: int, strays: dict[int, str]) -> list[str]:
    return [
        strays.get(row, f"2024-{row % 12 + 1:02d}-{row % 28 + 1:02d}") for row in range(1, n + 1)
    ]


def mixed(data: str, **options: Any) -> list[dict[str, str]]:
    profile, _ = read(data, **options)
    return [one for one in profile["warnings"] if one["code"] == "mixed_types"]


@pytest.mark.parametrize("row", [1, 77_777, 200_001])
def test_30_one_text_among_many_numbers_is_refused_by_its_row(row: int) -> None:
    error = refused(table(numbers(200_001, {row: "x"})))
    assert (error.code, error.column, error.row) == ("type_conflict", "a", row)
    assert error.details == {"type": "integer"}


def test_30_where_it_is_declared_a_string_it_is_one() -> None:
    profile, stored = read(table(numbers(20_000, {7: "x"})), types={"a": "string"})
    assert stored.schema.field("a").type == pa.string()
    assert "mixed_types" not in [one["code"] for one in profile["warnings"]]


def test_30_where_it_means_missing_they_are_numbers() -> None:
    _, stored = read(table(numbers(20_000, {7: "x"})), null_values=["", "x"])
    assert stored.schema.field("a").type == pa.int64()
    assert stored["a"].null_count == 1


def test_a_few_texts_among_numbers_are_a_warning_without_their_values() -> None:
    cells = numbers(1_000, {17: "secret", 400: "secret", 401: "3+"})
    [warning] = mixed(table(cells))
    assert warning["column"] == "a"
    assert "3 of the 1,000 cells" in warning["detail"]
    assert "row 17;" in warning["detail"]
    assert "types" in warning["detail"]
    assert "null_values" in warning["detail"]
    assert "secret" not in str(warning)


@pytest.mark.parametrize(
    ("n", "n_strays", "warned"),
    [(199, 1, False), (200, 2, True), (200, 3, False), (9_999, 1, True)],
)
def test_where_the_warning_begins(n: int, n_strays: int, warned: bool) -> None:
    cells = numbers(n, dict.fromkeys(range(1, n_strays + 1), "x"))
    profile, stored = read(table(cells))
    assert stored.schema.field("a").type == pa.string()
    assert ("mixed_types" in [one["code"] for one in profile["warnings"]]) == warned


def test_null_tokens_and_empty_cells_are_neither() -> None:
    cells = numbers(1_000, dict.fromkeys(range(1, 400), "NA") | {500: "", 501: "x"})
    [warning] = mixed(table(cells))
    assert "1 of the 600 cells" in warning["detail"]
    assert "row 501;" in warning["detail"]
    assert mixed(table(numbers(1_000, {5: "NA"}))) == []
    error = refused(table(numbers(20_000, {5: "NA", 6: "x"})))
    assert (error.code, error.row) == ("type_conflict", 6)


def test_codes_of_digits_stay_text_in_peace() -> None:
    zeros = [f"{row:06d}" for row in range(1, 20_000)]
    assert mixed(table([*zeros, "A12345"])) == []
    long = [str(10**17 + row) for row in range(1, 20_000)]
    assert mixed(table([*long, "A12345"])) == []


def test_numbers_with_decimal_comma() -> None:
    rows = [f"{row};{row % 90},5" for row in range(1, 500)]
    text = "n;p;x\n" + "".join(f"{row};{row.split(';')[1]}\n" for row in rows)
    [warning] = mixed(text + "500;1,5;hello\n")
    assert (warning["column"], "row 500;" in warning["detail"]) == ("x", True)


@pytest.mark.parametrize("stray", ["soon", "2024-02-31"])
def test_times(stray: str) -> None:
    [warning] = mixed(table(days(1_000, {400: stray})))
    assert "1 of the 1,000 cells" in warning["detail"]
    assert "not times" in warning["detail"]
    assert "row 400;" in warning["detail"]
    error = refused(table(days(10_000, {400: stray})))
    assert (error.code, error.column, error.row) == ("type_conflict", "a", 400)


def test_days_first() -> None:
    cells = [f"{row % 28 + 1:02d}/{row % 12 + 1:02d}/2024" for row in range(10_000)]
    assert mixed(table([*cells[:500], "soon"]))[0]["column"] == "a"
    error = refused(table([*cells, "soon"]))
    assert (error.code, error.row) == ("type_conflict", 10_001)


def test_json_lines_say_it_of_times() -> None:
    lines = [json.dumps({"a": cell, "n": 1}) for cell in days(1_000, {400: "soon"})]
    [warning] = mixed("\n".join(lines))
    assert "row 400;" in warning["detail"]
    texts = [json.dumps({"a": cell, "n": 1}) for cell in numbers(1_000, {400: "x"})]
    assert mixed("\n".join(texts)) == []  # a JSON text of digits is meant as text


def test_a_column_of_a_prediction_that_nobody_asks_for_is_no_conflict() -> None:
    body = table(numbers(20_000, {7: "x"})).encode()
    rows = read_rows(body, "text/csv", limits=LIMITS, types={"b": "integer"})
    assert rows["a"][6] == "x"
    assert len(rows) == 20_000
