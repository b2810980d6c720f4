from __future__ import annotations

import gzip
import re
from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.logs import lines
from automl.logs.reading import LogCounts, LogReading, read_log

HDFS = "081109 2036{n:02} 148 INFO dfs.A$B: {text}"


def read(data: bytes, name: str, *, size: int = 10**9, **about) -> tuple[pa.Table, LogCounts]:
    counts = LogCounts()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    tables = list(read_log(chunks, LogReading.of(name, **about), counts=counts))
    return pa.concat_tables(tables), counts


def test_lines_that_go_on_are_joined_and_strange_ones_counted():
    data = (
        "080101 000000 1 INFO a: one\n"
        "java.io.IOException: gone\n"
        "\tat org.x.Y(Z.java:1)\n"
        "\n" + "080101 000001 1 INFO a: two\r\n" * 40 + "what is this?\n"
    ).encode()
    table, counts = read(data, "hdfs")
    assert table["message"][0].as_py() == "one\njava.io.IOException: gone\n\tat org.x.Y(Z.java:1)"
    assert table["message"][1].as_py() == "two"
    assert table["line"].to_pylist() == [1, *range(5, 45)]
    said = (counts.n_lines, counts.n_blank, counts.n_joined, counts.n_unparsed)
    assert said == (45, 1, 2, 1)
    assert counts.first_unparsed == 45


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=12)


@given(
    st.lists(
        st.one_of(
            TEXT.map(lambda one: HDFS.format(n=7, text=one)),
            TEXT.map(lambda one: "\t" + one),
            st.just(""),
        ),
        max_size=40,
    ),
    st.integers(1, 50),
    st.integers(1, 200),
)
@settings(max_examples=60)
def test_however_the_file_is_cut_its_rows_are_those_of_a_plain_loop(written, size, block):
    """`re` line by line is the truth; blocks of any size give the same."""
    pattern = re.compile(r"\d{6} \d{6} \d+ +[A-Z]+ +[^\s:]+: ?(.*)", re.ASCII)
    expected: list[str] = []
    for line in written:
        found = pattern.fullmatch(line)
        if found:
            expected.append(found[1])
        elif line.strip() and expected:
            expected[-1] += "\n" + line
    data = "\n".join(["081109 203600 148 INFO dfs.A: first", *written]).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", block)
        table, counts = read(data, "hdfs", size=size)
    first = ["first"]
    for line in written:  # lines before the first record go on with ours
        if pattern.fullmatch(line):
            break
        if line.strip():
            first.append(line)
    assert table["message"].to_pylist() == ["\n".join(first), *expected]
    assert counts.n_unparsed == 0


def test_entities_by_prefix_give_a_row_each_and_lines_without_are_counted():
    data = b"\n".join(
        HDFS.format(n=n, text=text).encode()
        for n, text in enumerate(["got blk_1, blk_-2 (blk_1)", "nothing", "xblk_3", "to blk_4."])
    )
    table, counts = read(data, "hdfs", entity_prefix="blk_")
    assert table["key"].to_pylist() == ["blk_1", "blk_-2", "blk_4"]
    assert table["line"].to_pylist() == [1, 1, 4]
    assert (counts.n_without_entity, counts.n_further_entities) == (2, 1)


def test_the_formats_own_key_becomes_the_source():
    line = b"Jun 14 15:16:01 combo sshd[9]: job_7 failed"
    row = read(line, "syslog", entity_prefix="job_")[0].to_pylist()[0]
    assert (row["key"], row["source"]) == ("job_7", "combo")
    assert "time" not in row  # no year, no time


def test_more_than_one_line_in_twenty_of_another_format_is_refused_without_a_word_of_it():
    good = [HDFS.format(n=n % 60, text="fine") for n in range(94)]
    data = "\n".join([*good, *["Secret line here"] * 6]).encode()
    with pytest.raises(DataError) as caught:
        read(data, "hdfs")
    assert (caught.value.code, caught.value.row) == ("log_format", 95)
    assert "Secret" not in str(caught.value) + str(caught.value.details)
    assert read("\n".join([*good, *["x"] * 4]).encode(), "hdfs")[1].n_unparsed == 4


def test_the_wrong_format_says_which_would_be_right():
    data = b"Jun 14 15:16:01 combo sshd[9]: check pass\n" * 30
    with pytest.raises(DataError) as caught:
        read(data, "hdfs")
    assert caught.value.details["better"] == [{"log_format": "syslog", "share": 1.0}]


@pytest.mark.parametrize(
    ("data", "code", "row"),
    [
        (b"a b\nc d\nk \xff\xfe\n", "encoding", 3),
        (b"a b\nc \0d\n", "nul_byte", 2),
        (b"a b\nc " + b"d" * 70_000 + b"\ne f\n", "cell_too_long", 2),
    ],
)
def test_lines_that_no_table_would_take(data, code, row):
    with pytest.raises(DataError) as caught:
        read(data, "key_message")
    assert (caught.value.code, caught.value.row) == (code, row)


def test_a_line_that_never_ends_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(lines, "BLOCK_BYTES", 2**17)
    read_on = []

    def endless():
        for number in range(1_000):
            read_on.append(number)
            yield b"x" * 2**16

    with pytest.raises(DataError) as caught:
        list(read_log(endless(), LogReading.of("key_message")))
    assert caught.value.code == "cell_too_long"
    assert len(read_on) < 10


def test_a_message_that_goes_on_and_on_is_cut_and_counted():
    data = b"k first\n" + (b"\t" + b"z" * 999 + b"\n") * 200
    table, counts = read(data, "key_message")
    assert len(table["message"][0].as_py().encode()) == 64 * 1024
    assert counts.n_cut == 1


@pytest.mark.parametrize("name", ["hdfs", "jsonl", "key_message", "common"])
def test_nothing_is_no_rows(name):
    assert list(read_log([], LogReading.of(name))) == []
    assert list(read_log([b"\n\n"], LogReading.of(name))) == []


def test_a_time_that_no_calendar_has_makes_a_line_unparsed():
    good = [HDFS.format(n=1, text="fine")] * 40
    table, counts = read("\n".join([*good, "081131 203615 1 INFO a: x"]).encode(), "hdfs")
    assert (table.num_rows, counts.n_unparsed) == (40, 1)


@given(st.binary(max_size=400), st.sampled_from(["hdfs", "jsonl", "syslog", "key_message"]))
@settings(max_examples=80)
def test_any_bytes_are_rows_or_a_data_error(data, name):
    try:
        table = list(read_log([data], LogReading.of(name, entity_prefix="b")))
    except DataError as error:
        assert error.code in ("log_format", "encoding", "nul_byte")
    else:
        assert sum(one.num_rows for one in table) <= len(data)


LOGHUB = {
    "Apache": ("apache_error", {}),
    "Hadoop": ("log4j", {}),
    "Linux": ("syslog", {"year": 2005}),
    "OpenSSH": ("syslog", {"year": 2005}),
    "OpenStack": (
        "columns",
        {"positions": {"time": [1, 2], "level": 4, "component": 5, "message": 6}},
    ),
    "Zookeeper": ("log4j", {}),
}


@pytest.mark.data
@pytest.mark.parametrize("system", LOGHUB)
def test_every_line_of_the_samples_is_a_row_with_a_time(system, shared_data):
    name, about = LOGHUB[system]
    data = gzip.decompress((shared_data / "loghub_misc" / f"{system}_2k.log.gz").read_bytes())
    table, counts = read(data, name, **about)
    assert (table.num_rows, counts.n_unparsed, counts.n_joined) == (2_000, 0, 0)
    assert table["time"].null_count == 0
    written = data.decode().splitlines()
    assert all(
        line.endswith(message)
        for line, message in zip(written, table["message"].to_pylist(), strict=True)
    )


@pytest.mark.data
def test_hdfs_lines_are_those_that_were_split_by_hand(shared_data):
    import pandas as pd

    folder = shared_data / "hdfs"
    data = gzip.decompress((folder / "HDFS_2k.log.gz").read_bytes())
    by_hand = pd.read_csv(folder / "HDFS_2k.log_structured.csv.gz", dtype=str)
    table, _ = read(data, "hdfs")
    for ours, theirs in (("level", "Level"), ("component", "Component"), ("thread", "Pid")):
        assert table[ours].to_pylist() == by_hand[theirs].tolist()
    assert [one.strip() for one in table["message"].to_pylist()] == [
        one.strip() for one in by_hand["Content"]
    ]
    times = [
        datetime.strptime(f"{day.zfill(6)} {clock.zfill(6)}", "%y%m%d %H%M%S")  # noqa: DTZ007
        for day, clock in zip(by_hand["Date"], by_hand["Time"], strict=True)
    ]
    assert table["time"].to_pylist() == times
    named, _ = read(data, "hdfs", entity_prefix="blk_")
    pairs = [
        (number, block)
        for number, text in enumerate(by_hand["Content"], start=1)
        for block in dict.fromkeys(re.findall(r"blk_-?\d+", text))
    ]
    assert list(zip(named["line"].to_pylist(), named["key"].to_pylist(), strict=True)) == pairs
