from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from automl.data.bank import generate
from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.tables import ingest
from automl.errors import DataError
from tests.automl.data.reading import read, refused, refused_at_once

HDFS = "081109 2036{n:02} 148 INFO dfs.A$B: {text}\n"


def test_the_demos_contacts_are_stored_as_they_were_written(tmp_path):
    bank = generate(300, seed=1)
    contacts = bank.write(tmp_path)["contacts"]
    profile, table = read(contacts.read_bytes(), log_format="iso_message")
    assert profile["format"] == "log"
    assert table.column_names == ["line", "time", "key", "channel", "message"]
    assert table["line"].to_pylist() == list(range(1, table.num_rows + 1))
    for ours, theirs in (("key", "customer_id"), ("channel", "channel"), ("message", "message")):
        assert table[ours].to_pylist() == bank.contacts[theirs].to_pylist()
    times = [one.replace(microsecond=0) for one in bank.contacts["time"].to_pylist()]
    assert [one.replace(tzinfo=None) for one in table["time"].to_pylist()] == [
        one.replace(tzinfo=None) for one in times
    ]
    assert profile["warnings"] == []


def test_a_gzip_of_another_encoding_with_rows_by_entity():
    text = "".join(HDFS.format(n=n, text=f"café blk_{n} and blk_{n + 1}") for n in range(20))
    profile, table = read(
        gzip.compress(text.encode("utf-16")),
        log_format="hdfs",
        entity_prefix="blk_",
        encoding="utf-16",
        timezone="Europe/Paris",
    )
    assert table["key"].to_pylist()[:3] == ["blk_0", "blk_1", "blk_1"]
    assert table["time"][0].as_py() == datetime(2008, 11, 9, 19, 36, tzinfo=UTC)
    assert table["message"][0].as_py().startswith("café")
    assert [one["code"] for one in profile["warnings"]] == ["several_entities"]


def test_what_became_of_the_lines_is_said():
    text = "stray\n" + HDFS.format(n=1, text="blk_1 fine") * 60 + "\tmore of it\n"
    text += HDFS.format(n=1, text="of nobody")
    profile, table = read(text, log_format="hdfs", entity_prefix="blk_")
    said = {one["code"]: one["detail"] for one in profile["warnings"]}
    assert said["unparsed_lines"].startswith("1 of 63 lines")
    assert "line 1" in said["unparsed_lines"]
    assert said["continued_lines"].startswith("1 ")
    assert said["lines_without_entity"].startswith("1 ")
    assert table.num_rows == 60


def test_keys_are_numbers_where_all_are_and_text_from_the_first_that_is_not():
    assert str(read("17 a\n4 b\n", log_format="key_message")[1].schema.field("key").type) == "int64"
    lines = "17 a message\n" * 100_000 + "C4 b\n"
    assert str(read(lines, log_format="key_message")[1].schema.field("key").type) == "string"
    declared = read("17 a\n4 b\n", log_format="key_message", types={"key": "string"})[1]
    assert declared["key"].to_pylist() == ["17", "4"]


def test_a_syslog_has_times_once_its_year_is_said():
    text = "Dec 31 23:59:59 host cron[1]: old\nJan  1 00:00:00 host cron[1]: new\n"
    profile, table = read(text, log_format="syslog")
    assert "time" not in table.column_names
    assert "no_year" in [one["code"] for one in profile["warnings"]]
    _, table = read(text, log_format="syslog", log_year=2023)
    assert [one.year for one in table["time"].to_pylist()] == [2023, 2024]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("what is this\n" * 9, "log_format"),
        ("\n\n", "no_rows"),
        (HDFS.format(n=1, text="nobody"), "log_format"),
        (b"PAR1" + b"x" * 100, "unsupported_format"),
        (HDFS.format(n=1, text="blk_1 \0"), "nul_byte"),
    ],
)
def test_files_that_the_first_look_refuses(data, code):
    error = refused_at_once(data, log_format="hdfs", entity_prefix="blk_")
    assert error.code == code


def test_a_fault_far_into_the_file_is_found_when_it_is_read():
    good = HDFS.format(n=1, text="fine") * 40_000
    assert refused(good + "no such line\n" * 9_000, log_format="hdfs").code == "log_format"
    error = refused(good.encode() + b"\xff\xfe\n", log_format="hdfs")
    assert (error.code, error.row) == ("encoding", 40_001)


@pytest.mark.parametrize(
    "options",
    [
        {"log_format": "mine"},
        {"log_format": "hdfs", "format": "csv"},
        {"log_format": "hdfs", "log_columns": {"message": 0}},
        {"log_format": "columns"},
        {"log_format": "columns", "log_columns": {"message": "x"}},
        {"log_format": "hdfs", "entity_prefix": "(a+)+$"},
        {"log_format": "hdfs", "entity_prefix": ""},
        {"entity_prefix": "blk_"},
        {"log_format": "syslog", "log_year": 12},
    ],
)
def test_options_that_cannot_be_meant(tmp_path, options):
    source = tmp_path / "log"
    source.write_text("a b c\n")
    with pytest.raises(DataError) as caught:
        ingest(
            source,
            tmp_path / "s",
            options=ReadingOptions.from_json(options),
            limits=ReadingLimits(),
        )
    assert caught.value.code == "invalid_option"


def test_options_there_and_back():
    options = {"log_format": "columns", "log_columns": {"time": [0, 1], "message": 2}}
    chosen = ReadingOptions.from_json(options)
    assert ReadingOptions.from_json(chosen.to_json()) == chosen
