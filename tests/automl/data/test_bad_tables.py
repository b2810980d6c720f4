"""Bad uploads, numbered as in the table of bad inputs: each has its own code, row and column."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from automl.data.options import ReadingLimits
from tests.automl.data.reading import parquet_bytes, read, refused, refused_at_once, zipped

MANY = "a,b\n" + "1,2\n" * 1_200_000  # 4.8 MB: beyond the bounded look


@pytest.mark.parametrize("data", [b"", zipped(b"")])
def test_1_empty_file(data: bytes) -> None:
    assert refused_at_once(data).code == "empty_file"


@pytest.mark.parametrize("data", ["a,b\n", "a,b", "a;b;c\r\n\r\n"])
def test_2_header_only(data: str) -> None:
    assert refused_at_once(data).code == "no_rows"


@pytest.mark.parametrize("data", ["\n\n\n", " \n \r\n", "\ufeff\n"])
def test_3_blank_lines_only(data: str) -> None:
    assert refused_at_once(data).code == "no_columns"


def test_4_one_column_shows_what_was_tried() -> None:
    error = refused_at_once("a\n1\n2\n")
    assert error.code == "only_one_column"
    assert error.details["delimiters_tried"] == {
        "comma": 0,
        "semicolon": 0,
        "tab": 0,
        "pipe": 0,
    }
    assert refused_at_once("a\n1\n2\n", key="b").code in ("only_one_column", "column_not_found")


@pytest.mark.parametrize(
    "data", ["id\n7\n8\n", b'{"id": 7}\n{"id": 8}\n', parquet_bytes(pa.table({"id": [7, 8]}))]
)
def test_4_a_column_of_keys_alone_is_a_table_where_it_is_said_to_be(data: str | bytes) -> None:
    """Entities of which nothing is known but what lies in the tables around them."""
    assert refused_at_once(data).code == "only_one_column"
    profile, table = read(data, key="id")
    assert (profile["n_rows"], table["id"].to_pylist()) == (2, [7, 8])


def test_5_too_many_columns() -> None:
    row = ",".join(["1"] * 100_000)
    error = refused_at_once(",".join(f"c{i}" for i in range(100_000)) + f"\n{row}\n")
    assert (error.code, error.details["limit"]) == ("too_many_columns", 5_000)


def test_5_the_limit_itself_is_read() -> None:
    profile, _ = read(
        ",".join(f"c{i}" for i in range(60)) + "\n" + ",".join(["1"] * 60) + "\n",
        limits=ReadingLimits(max_columns=60),
    )
    assert profile["n_columns"] == 60


def test_8_ambiguous_delimiter() -> None:
    error = refused_at_once("a;b,c\n1;2,x\n3;4,y\n")
    assert error.code == "ambiguous_dialect"
    assert error.details["delimiters"] == ["comma", "semicolon"]
    profile, _ = read("a;b,c\n1;2,x\n3;4,y\n", delimiter=",")
    assert [column["name"] for column in profile["columns"]] == ["a;b", "c"]


def test_10_utf16_without_a_byte_order_mark() -> None:
    assert refused_at_once("a,b\n1,2\n".encode("utf-16-le")).code == "encoding"


def test_12_invalid_utf8_far_into_the_file() -> None:
    data = MANY.encode() + b"5,\xff\xfe\n" + b"1,2\n"
    error = refused(data.replace(b"1,2\n", b"1,x\n"))
    assert (error.code, error.row) == ("encoding", 1_200_001)


def test_13_a_cell_too_long() -> None:
    error = refused("a,b\n1,x\n2," + "y" * 1_000_000 + "\n")
    assert (error.code, error.row, error.column) == ("cell_too_long", 2, "b")


def test_13_a_record_without_end() -> None:
    assert refused("a,b\n1," + "y" * 20_000_000).code == "cell_too_long"


def test_14_nul_bytes() -> None:
    error = refused(b'a,b\n1,x\n"2\n",x\n3,\x00x\n')
    assert (error.code, error.row) == ("nul_byte", 3)


def test_15_a_row_too_long() -> None:
    error = refused("a,b\n1,2\n\n1,2,3\n")
    assert (error.code, error.row) == ("ragged_row", 2)
    assert error.details == {"expected": 2, "actual": 3}


def test_15_a_row_too_long_far_into_the_file() -> None:
    error = refused(MANY + "1,2,3\n")
    assert (error.code, error.row) == ("ragged_row", 1_200_001)


def test_16_a_row_too_short() -> None:
    error = refused("a,b,c\n1,2,3\n1,2\n3,4,5\n")
    assert (error.code, error.row) == ("ragged_row", 2)


@pytest.mark.parametrize("rows", ["1,2\n", "1,2\n1,2,3\n"])
def test_16_rows_far_shorter_than_the_header(rows: str) -> None:
    error = refused(",".join(f"c{i}" for i in range(21)) + "\n" + rows)
    assert (error.code, error.row) == ("ragged_row", 1)
    assert error.details == {"expected": 21, "actual": 2}


def test_15_the_only_row_is_too_long() -> None:
    error = refused("a,b\n1,2,3\n")
    assert (error.code, error.row) == ("ragged_row", 1)


def test_17_all_rows_one_too_long() -> None:
    assert refused_at_once("a,b\n1,2,3\n4,5,6\n7,8,9\n").code == "header_mismatch"


@pytest.mark.parametrize(
    ("data", "row"),
    [
        ('a,b\n1,2\n3,"x\n', 2),
        ('a,b\n1,2\n3,"x', 2),
        ('a,b\n"1,2\n3,4\n', 1),
        ('a,b\n1,"x\n2,"y"\n', 1),
    ],
)
def test_18_unclosed_quote(data: str, row: int) -> None:
    error = refused(data)
    assert (error.code, error.row) == ("quote", row)


def test_18_unclosed_quote_in_a_large_file() -> None:
    assert refused('a,b\n1,"x\n' + MANY * 4).code == "quote"


def test_20_duplicate_columns_are_listed() -> None:
    error = refused_at_once("a,b,a,c,b\n1,2,3,4,5\n")
    assert (error.code, error.details["columns"]) == ("duplicate_columns", ["a", "b"])


def test_22_a_name_too_long() -> None:
    assert refused_at_once("a," + "n" * 10_000 + "\n1,2\n").code == "column_name_too_long"


@pytest.mark.parametrize("text", ["inf", "-inf", "1e400", "-Infinity"])
def test_28_not_finite(text: str) -> None:
    error = refused(f"a,b\n1,1.5\n2,{text}\n")
    assert (error.code, error.row, error.column) == ("non_finite", 2, "b")
    profile, table = read(f"a,b\n1,1.5\n2,{text}\n", non_finite="null")
    assert table["b"].to_pylist() == [1.5, None]
    assert profile["columns"][1]["n_missing"] == 1


def test_30_another_type_far_into_the_file() -> None:
    error = refused(MANY + "x,2\n")
    assert (error.code, error.row, error.column) == ("type_conflict", 1_200_001, "a")
    assert refused(MANY + "1,2\n2,2024-01-01\n").code == "type_conflict"


@pytest.mark.parametrize("mark", ["/", "-"])
def test_31_ambiguous_dates(mark: str) -> None:
    data = f"a,when\n1,03{mark}04{mark}2024\n2,05{mark}06{mark}2024\n"
    error = refused_at_once(data)
    assert (error.code, error.column) == ("ambiguous_date", "when")
    _, table = read(data, date_format=f"%d{mark}%m{mark}%Y")
    assert [one.day for one in table["when"].to_pylist()] == [3, 5]


def test_32_times_with_and_without_offset() -> None:
    data = "a,when\n1,2024-01-01T10:00:00+01:00\n2,2024-01-01T10:00:00\n"
    error = refused(data)
    assert (error.code, error.row, error.column) == ("mixed_timezones", 2, "when")
    _, table = read(data, timezone="Europe/Paris")
    assert [one.hour for one in table["when"].to_pylist()] == [9, 9]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_34_a_date_out_of_range(day: str) -> None:
    error = refused(f"a,when\n1,2024-01-01\n2,{day}\n")
    assert (error.code, error.row, error.column) == ("date_range", 2, "when")


def test_34_milliseconds_among_seconds() -> None:
    error = refused("a,when\n1,1700000000\n2,1700000000000\n", types={"when": "timestamp"})
    assert (error.code, error.row) == ("date_range", 1)


@pytest.mark.parametrize("kind", ["2023-02-30", "2024-13-01"])
def test_dates_that_the_calendar_does_not_know_are_no_dates(kind: str) -> None:
    error = refused(f"a,when\n1,2024-01-01\n2,{kind}\n", types={"when": "timestamp"})
    assert (error.code, error.row) == ("type_conflict", 2)


def test_35_damaged_parquet() -> None:
    whole = parquet_bytes(pa.table({"a": range(1000), "b": ["x"] * 1000}))
    for data in (whole[:-10], whole[: len(whole) // 2], b"PAR1" + b"\xff" * 100 + b"PAR1"):
        assert refused_at_once(data).code == "corrupt_parquet"
    lying = whole[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"
    assert refused_at_once(lying).code == "corrupt_parquet"
    flipped = bytearray(whole)
    flipped[40:400] = bytes(360)
    assert refused(bytes(flipped)).code == "corrupt_parquet"
    assert refused_at_once(b"a,b\n1,2\n", format="parquet").code == "corrupt_parquet"


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], [2]]),
        pa.array([{"x": 1}, {"x": 2}]),
        pa.array([b"1", b"2"]),
        pa.array([Decimal("1.5"), Decimal("2.5")], pa.decimal256(76, 2)),
        pa.array([1, 2], pa.duration("s")),
        pa.array([1, 2], pa.time32("s")),
        pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
    ],
)
def test_36_unsupported_types_are_listed(column: pa.Array) -> None:
    error = refused_at_once(parquet_bytes(pa.table({"fine": [1, 2], "odd": column})))
    assert (error.code, error.details["columns"]) == ("unsupported_type", ["odd"])


def test_36_decimals_up_to_38_digits_are_numbers() -> None:
    column = pa.array([Decimal("1.5"), None], pa.decimal128(38, 2))
    _, table = read(parquet_bytes(pa.table({"a": [1, 2], "b": column})))
    assert table["b"].to_pylist() == [1.5, None]


def test_37_bombs_stop_at_the_counter() -> None:
    limits = ReadingLimits(max_decoded_bytes=5_000_000)
    assert refused(zipped("a,b\n" + "1,2\n" * 5_000_000), limits=limits).code == "decoded_too_large"
    text = "x" * 60_000
    bomb = parquet_bytes(pa.table({"a": pa.array([text] * 5_000), "b": range(5_000)}))
    assert len(bomb) < 100_000
    assert refused(bomb, limits=limits).code == "decoded_too_large"
    lines = zipped('{"a": 1, "b": 2}\n' * 1_000_000)
    assert refused(lines, limits=limits).code == "decoded_too_large"
    inside = zipped(bomb)
    assert refused(inside, limits=limits).code == "decoded_too_large"


def _zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
    return sink.getvalue()


def _tar() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return sink.getvalue()


def _feather() -> bytes:
    sink = io.BytesIO()
    table = pa.table({"a": [1], "b": [2]})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write(table)
    return sink.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        _zip(),
        _tar(),
        zipped(_tar()),
        _feather(),
        zipped(zipped("a,b\n1,2\n")),
        pickle.dumps({"a": [1]}),
        b"%PDF-1.7 and so on",
        b"SQLite format 3\x00 and so on",
        b"<!DOCTYPE html><html></html>",
    ],
)
def test_38_other_formats(data: bytes) -> None:
    assert refused_at_once(data).code == "unsupported_format"


def test_38_parquet_that_claims_to_be_csv() -> None:
    data = parquet_bytes(pa.table({"a": [1], "b": [2]}))
    assert refused_at_once(data, format="csv").code == "unsupported_format"


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ('{"a": 1, "b"', None),
        ("[1, 2]", None),
        ("3", None),
        ('{"a": 1, "a": 2}', None),
        ('{"a": {"x": 1}, "b": 2}', "a"),
        ('{"a": [1], "b": 2}', "a"),
        ('{"a": ' + "[" * 100_000 + "}", None),
        ('{"a": 1, "b": NaNa}', None),
    ],
)
def test_39_bad_lines(line: str, column: str | None) -> None:
    error = refused_at_once('{"a": 1, "b": 2}\n' + line + "\n")
    assert (error.code, error.row, error.column) == ("jsonl", 2, column)


def test_39_a_number_too_long_is_called_that() -> None:
    error = refused_at_once('{"a": 1, "b": 2}\n{"a": ' + "7" * 5_000 + ', "b": 2}\n')
    assert (error.code, error.row) == ("jsonl", 2)
    assert "too many digits" in str(error)
    assert "777" not in str(error)


def test_39_an_array_file_says_what_to_do() -> None:
    assert refused_at_once('[{"a": 1, "b": 2}]').code == "jsonl"
    assert refused_at_once('[\n  {"a": 1, "b": 2}\n]').code == "jsonl"


def test_39_far_into_the_file() -> None:
    many = '{"a": 1, "b": 2, "pad": "%s"}\n' % ("x" * 80) * 50_000
    error = refused(many + '{"a": 1, "b"\n')
    assert (error.code, error.row) == ("jsonl", 50_001)
    error = refused(many + '{"a": 1, "z": 2}\n')
    assert (error.code, error.row) == ("jsonl", 50_001)
    error = refused(many + '{"a": "x", "b": 2}\n')
    assert (error.code, error.row, error.column) == ("type_conflict", 50_001, "a")


def test_39_other_keys_are_missing_cells() -> None:
    _, table = read('{"a": 1, "b": "x"}\n\n{"b": "y", "c": true}\n')
    assert table.to_pydict() == {"a": [1, None], "b": ["x", "y"], "c": [None, True]}


def test_69_a_declared_key_twice() -> None:
    data = "id,b\n" + "".join(f"{i},1\n" for i in range(100)) + "7,2\n"
    error = refused(data, key="id")
    assert (error.code, error.column, error.row) == ("duplicate_entity", "id", 101)
    assert refused(data, key="idd").code == "column_not_found"


@pytest.mark.parametrize(
    "options",
    [
        {"delimitre": ";"},
        {"encoding": "zlib"},
        {"encoding": "utf-99"},
        {"delimiter": ";;"},
        {"delimiter": '"'},
        {"decimal": "-"},
        {"quote": "\n"},
        {"types": {"a": "float"}},
        {"timezone": "Mars/Base"},
        {"timezone": "../../etc/passwd"},
        {"date_format": "no directive"},
        {"non_finite": "zero"},
        {"null_values": "NA"},
        {"header": "yes"},
        {"format": "xlsx"},
        {"key": 3},
    ],
)
def test_invalid_options(options: dict[str, object]) -> None:
    assert refused_options(options) == "invalid_option"


def refused_options(options: dict[str, object]) -> str:
    from automl.data.options import ReadingOptions
    from automl.errors import DataError

    with pytest.raises(DataError) as caught:
        ReadingOptions.from_json(options)
    return caught.value.code


def test_34_a_year_out_of_range_in_parquet() -> None:
    times = [datetime(2024, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)]
    error = refused(parquet_bytes(pa.table({"a": [1, 2], "when": times})))
    assert (error.code, error.row, error.column) == ("date_range", 2, "when")
