"""Uploads that are fine, however they are written: values against what was meant."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.automl.data.reading import parquet_bytes, read, zipped


def types(profile: dict[str, Any]) -> list[str]:
    return [column["type"] for column in profile["columns"]]


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f", "", "."])
def test_6_semicolon_decimal_comma_and_spaced_thousands(space: str) -> None:
    data = f"name;amount\na;1{space}234,50\nb;0,25\nc;\n"
    profile, table = read(data)
    assert table["amount"].to_pylist() == [1234.5, 0.25, None]
    assert profile["dialect"]["delimiter"] == ";"
    assert profile["dialect"]["decimal"] == ","
    assert {"delimiter", "decimal", "header"} == set(profile["dialect"]["guessed"])


def test_6_spaced_thousands_with_a_point_and_of_whole_numbers() -> None:
    _, table = read("a;b\n1 234.5;1 000 000\n7.25;12\n")
    assert table.to_pydict() == {"a": [1234.5, 7.25], "b": [1_000_000, 12]}


def test_6_a_point_in_a_semicolon_file_stays_a_point() -> None:
    profile, table = read("a;b\n4.857;x\n5.123;y\n")
    assert table["a"].to_pylist() == [4.857, 5.123]
    assert profile["dialect"]["decimal"] == "."


@pytest.mark.parametrize(("mark", "name"), [("\t", "tab"), ("|", "pipe"), (";", "semicolon")])
def test_7_other_delimiters(mark: str, name: str) -> None:
    profile, table = read(f"a{mark}b\n1{mark}x, y\n2{mark}z\n")
    assert table.to_pydict() == {"a": [1, 2], "b": ["x, y", "z"]}
    assert profile["dialect"]["delimiter"] == mark, name


def test_9_utf8_byte_order_mark() -> None:
    profile, _ = read("\ufeffa,b\n1,é\n")
    assert [column["name"] for column in profile["columns"]] == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_10_utf16(encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    _, table = read((mark + "name,b\nJosé 😀,1\n").encode(encoding))
    assert table["name"].to_pylist() == ["José 😀"]


def test_11_latin_1_declared_and_windows_1252_guessed() -> None:
    data = "name;b\nJosé;1\nMüller;2\n".encode("cp1252")
    profile, table = read(data, encoding="latin-1")
    assert table["name"].to_pylist() == ["José", "Müller"]
    assert "encoding" not in profile["dialect"]["guessed"]
    profile, table = read(data)
    assert table["name"].to_pylist() == ["José", "Müller"]
    assert "encoding" in profile["dialect"]["guessed"]
    assert "encoding_guessed" in [warning["code"] for warning in profile["warnings"]]


def test_13_emoji_and_right_to_left() -> None:
    _, table = read("a,b\n😀,שלום\nx,y\n")
    assert table["b"].to_pylist() == ["שלום", "y"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_19_line_ends_and_newlines_in_quotes(end: str) -> None:
    inside = "\n" if end == "\r" else end
    _, table = read(f'a,b{end}1,"x{inside}y"{end}2,"say ""hi"""{end}')
    assert table["b"].to_pylist() == [f"x{inside}y", 'say "hi"']


def test_18_a_quote_inside_a_cell_is_text() -> None:
    _, table = read('a,b\n1,5" pipe\n2,"q, ""r"""\n')
    assert table["b"].to_pylist() == ['5" pipe', 'q, "r"']


def test_21_to_24_any_names_and_formulas() -> None:
    names = ["a b", "a_b", '[x]{}":', "target", "__index__", "select", "", "=cmd|x"]
    sink = io.StringIO()
    csv.writer(sink).writerows([names, ["=1+1", *"1234567"], ["@x", *"7654321"]])
    profile, table = read(sink.getvalue())
    assert [column["name"] for column in profile["columns"]] == [*names[:6], "column_7", "=cmd|x"]
    assert table["a b"].to_pylist() == ["=1+1", "@x"]


def test_an_unnamed_first_column_that_counts_is_the_row_id() -> None:
    profile, _ = read(",x,y\n1,5,a\n2,6,b\n3,7,c\n")
    assert [column["name"] for column in profile["columns"]] == ["row_id", "x", "y"]


def test_25_na_is_a_value_among_texts_and_missing_among_numbers() -> None:
    data = "country,n,m\nNA,1,NA\nDE,2,0.5\nnull,,N/A\n"
    profile, table = read(data)
    assert table["country"].to_pylist() == ["NA", "DE", "null"]
    assert table["n"].to_pylist() == [1, 2, None]
    assert table["m"].to_pylist() == [None, 0.5, None]
    codes = {(w["code"], w["column"]) for w in profile["warnings"]}
    assert ("null_tokens_guessed", "m") in codes
    assert ("null_like_text", "country") in codes


@pytest.mark.parametrize("token", ["M", "?", "-", ".", "NA", "N/A", "null"])
def test_a_clear_token_among_numbers_means_missing_and_is_said(token: str) -> None:
    data = f"sex,n,code\nM,{token},1\nF,2,{token}\nM,3.5,1\nF,{token},1\nM,4,1\n"
    profile, table = read(data)
    assert table["n"].to_pylist() == [None, 2, 3.5, None, 4]
    assert ("null_tokens_guessed", "n") in {(w["code"], w["column"]) for w in profile["warnings"]}
    assert table["sex"].to_pylist() == ["M", "F", "M", "F", "M"]
    if token in ("M", "?", "-", "."):
        assert table["code"].to_pylist()[1] == token, "one number beside a letter may be a code"


def test_a_token_that_comes_late_means_missing_too() -> None:
    rows = [f"{n},x" for n in range(300_000)] + ["M,x"]
    profile, table = read("n,t\n" + "\n".join(rows) + "\n")
    assert table["n"].null_count == 1
    assert "null_tokens_guessed" in {one["code"] for one in profile["warnings"]}


def test_25_declared_null_values_are_the_only_ones() -> None:
    _, table = read("a,b\n-,1\nx,-\nNA,3\n", null_values=["", "-"])
    assert table.to_pydict() == {"a": [None, "x", "NA"], "b": [1, None, 3]}


def test_26_leading_zeros_stay_text_even_late() -> None:
    profile, table = read("siret,n\n00123,1\n45678,2\n")
    assert table["siret"].to_pylist() == ["00123", "45678"]
    many = "a,b\n" + "12,2\n" * 900_000 + "007,2\n"
    profile, table = read(many)
    assert types(profile) == ["string", "integer"]
    assert table["a"].to_pylist()[-2:] == ["12", "007"]


def test_27_integers_that_float_cannot_hold_are_text_even_late() -> None:
    big = 2**53 + 1
    profile, table = read(f"a,b,c\n{big},{2**70},1\n5,6,7\n")
    assert table["a"].to_pylist() == [str(big), "5"]
    assert table["b"].to_pylist() == [str(2**70), "6"]
    assert [w["column"] for w in profile["warnings"]] == ["a", "b"]
    many = "a,b\n" + "12,2\n" * 900_000
    for late in (big, 2**64):
        profile, table = read(many + f"{late},2\n")
        assert table["a"].to_pylist()[-2:] == ["12", str(late)]
    for data in (
        parquet_bytes(pa.table({"a": [1, big], "b": [1, 2]})),
        parquet_bytes(pa.table({"a": pa.array([1, 2**63], pa.uint64()), "b": [1, 2]})),
        f'{{"a": 1, "b": 1}}\n{{"a": {big}, "b": 2}}\n',
    ):
        profile, table = read(data)
        assert types(profile) == ["string", "integer"]


def test_a_fraction_after_whole_numbers_widens_the_column() -> None:
    profile, table = read("a,b\n" + "12,2\n" * 900_000 + "0.5,2\n")
    assert types(profile) == ["number", "integer"]
    assert table["a"].to_pylist()[-2:] == [12.0, 0.5]


def test_hexadecimal_is_text() -> None:
    _, table = read("a,b\n0x10,1\n0x1f,2\n")
    assert table["a"].to_pylist() == ["0x10", "0x1f"]


def test_29_a_column_without_values_is_kept_and_said() -> None:
    profile, _ = read("a,b,c\n1,,NaN\n2,,NaN\n")
    assert profile["columns"][1]["roles"] == ["all_missing"]
    assert profile["columns"][2]["roles"] == ["all_missing"]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (("2024-03-04", "2024-12-31"), datetime(2024, 3, 4, tzinfo=UTC)),
        (("2024-03-04 05:06", "2024-12-31 00:00"), datetime(2024, 3, 4, 5, 6, tzinfo=UTC)),
        (
            ("2024-03-04T05:06:07.123456Z", "2024-12-31T00:00:00+02:00"),
            datetime(2024, 3, 4, 5, 6, 7, 123456, tzinfo=UTC),
        ),
        (("4/3/2024", "31/12/2024"), datetime(2024, 3, 4, tzinfo=UTC)),
        (("3/4/2024", "12/31/2024"), datetime(2024, 3, 4, tzinfo=UTC)),
        (("04.03.2024 05:06:07", "05.03.2024 00:00:00"), datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)),
        (("2024/3/4", "2024/12/31"), datetime(2024, 3, 4, tzinfo=UTC)),
        (
            ("2024-03-04 05:06:07.123456789", "2024-12-31 00:00:00"),
            datetime(2024, 3, 4, 5, 6, 7, 123456, tzinfo=UTC),
        ),
    ],
)
def test_dates(texts: tuple[str, str], first: datetime) -> None:
    profile, table = read("a,when\n" + "".join(f"1,{text}\n" for text in texts))
    assert types(profile) == ["integer", "timestamp"]
    assert table["when"].to_pylist()[0] == first


def test_a_declared_date_format_is_checked_against_the_calendar() -> None:
    profile, table = read("a,d\n1,4 Mar 24\n2,31 Dec 24\n", date_format="%d %b %y")
    assert table["d"].to_pylist()[0] == datetime(2024, 3, 4, tzinfo=UTC)
    profile, _ = read("a,d\n1,31 Feb 24\n2,31 Dec 24\n", date_format="%d %b %y")
    assert types(profile) == ["integer", "string"]


def test_33_hours_that_a_timezone_has_twice_are_counted() -> None:
    data = "a,when\n1,2026-10-25 02:30:00\n2,2026-03-29 02:30:00\n3,2026-06-01 12:00:00\n"
    profile, table = read(data, timezone="Europe/Paris")
    assert [t.isoformat() for t in table["when"].to_pylist()] == [
        "2026-10-25T00:30:00+00:00",
        "2026-03-29T01:00:00+00:00",
        "2026-06-01T10:00:00+00:00",
    ]
    assert [w["code"] for w in profile["warnings"]] == ["dst_fold"]


def test_epoch_seconds_and_milliseconds_by_declaration() -> None:
    for factor in (1, 1000):
        data = f"a,when\n1,{1_700_000_000 * factor}\n2,{1_700_000_001 * factor}\n"
        _, table = read(data, types={"when": "timestamp"})
        assert table["when"].to_pylist()[0] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_no_header() -> None:
    profile, table = read("A11,6,A34,1169\nA12,48,A32,5951\n")
    assert table.column_names == ["column_1", "column_2", "column_3", "column_4"]
    assert table.num_rows == 2
    assert "no_header" in [w["code"] for w in profile["warnings"]]
    assert read("A,B\nC,D\n", header=False)[1].num_rows == 2


def test_parquet_types() -> None:
    day = pa.array([date(2024, 1, 1), None])
    table = pa.table(
        {
            "i8": pa.array([1, None], pa.int8()),
            "f32": pa.array([1.5, float("nan")], pa.float32()),
            "day": day,
            "ns": pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns")),
            "paris": pa.array([0, None], pa.timestamp("s", "Europe/Paris")),
            "flag": [True, None],
            "level": pa.array(["x", None]).dictionary_encode(),
            "large": pa.array(["y", None], pa.large_string()),
            "nothing": pa.nulls(2),
        }
    )
    profile, stored = read(parquet_bytes(table))
    assert types(profile) == [
        "integer", "number", "timestamp", "timestamp", "timestamp", "boolean", "string", "string",
        "string",
    ]  # fmt: skip
    assert stored.to_pylist()[1] == dict.fromkeys(table.column_names)
    assert stored["paris"].to_pylist()[0] == datetime(1970, 1, 1, tzinfo=UTC)
    assert stored.schema.field("ns").type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_gzip_of_each_format(kind: str) -> None:
    data = {
        "csv": b"a,b\n1,x\n2,y\n",
        "parquet": parquet_bytes(pa.table({"a": [1, 2], "b": ["x", "y"]})),
        "jsonl": b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n',
    }[kind]
    plain, table = read(data)
    packed, same = read(zipped(data))
    assert (plain["format"], packed["format"]) == (kind, kind)
    assert packed["dialect"]["compressed"]
    assert table.equals(same)
    assert table.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8
)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=30),
    mark=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_texts_in_any_dialect_come_back(
    rows: list[tuple[str, str, str]], mark: str, end: str, quoting: Any, encoding: str
) -> None:
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=mark, lineterminator=end, quoting=quoting)
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    everything = dict.fromkeys("abc", "string")
    _, table = read(
        sink.getvalue().encode(encoding),
        delimiter=mark,
        header=True,
        encoding=encoding,
        types=everything,
    )
    truth = list(csv.reader(io.StringIO(sink.getvalue(), newline=""), delimiter=mark))[1:]
    assert [list(row.values()) for row in table.to_pylist()] == [
        [cell or None for cell in row] for row in truth
    ]


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**53), 2**53),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.booleans(),
            st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
        ),
        min_size=2,
        max_size=40,
    )
)
def test_any_values_come_back(rows: list[tuple[Any, ...]]) -> None:
    text = "n,x,flag,when\n" + "".join(
        ",".join("" if cell is None else str(cell) for cell in row) + "\n" for row in rows
    )
    kinds = {"n": "integer", "x": "number", "flag": "boolean", "when": "timestamp"}
    _, table = read(text, types=kinds, delimiter=",", header=True)
    expected = [(*row[:3], row[3] and row[3].replace(tzinfo=UTC)) for row in rows]
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


@pytest.mark.parametrize(("n_rows", "words"), [(1_000, ""), (20_000, "about ")])
def test_what_is_said_of_an_estimate_says_so(n_rows: int, words: str) -> None:
    data = "note,customer_id,y\n" + "".join(
        f"text {n // 2},{n // 2},{n % 2}\n" for n in range(n_rows)
    )
    profile, _ = read(data)
    note, customer, _ = profile["columns"]
    assert note["distinct_is_approximate"] == bool(words)
    assert f"high_cardinality: {words}{note['n_distinct']:,} different" in note["why"]
    rows_each = n_rows / customer["n_distinct"]
    assert f"named like an entity, {words}{rows_each:.1f} rows each" in customer["why"]
