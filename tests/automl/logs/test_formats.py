from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.data.options import LOG_FORMATS
from automl.errors import DataError
from automl.logs.formats import FORMATS, NAMES, better_formats, format_of, guess_format
from automl.logs.reading import LogReading, read_log


def one_row(line: str, name: str, **about) -> dict:
    (table,) = read_log([line.encode()], LogReading.of(name, **about))
    (row,) = table.to_pylist()
    return row


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_guessed_from_its_own_lines(name):
    head = (FORMATS[name].example + "\n").encode() * 20
    assert guess_format(head) == (name, 1.0)
    tables = read_log([head], LogReading.of(name, year=2020))
    assert sum(one.num_rows for one in tables) == 20


def test_options_know_the_same_formats():
    assert set(LOG_FORMATS) == set(NAMES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "common",
            {
                "key": "192.0.2.1",
                "user": "ann",
                "level": "200",
                "method": "GET",
                "path": "/a",
                "size": "2326",
            },
        ),
        ("combined", {"key": "192.0.2.1", "path": "/a", "referrer": None, "agent": "x"}),
        ("apache_error", {"key": "192.0.2.1", "level": "error", "message": "file does not exist"}),
        (
            "hdfs",
            {
                "level": "INFO",
                "component": "dfs.DataNode$PacketResponder",
                "thread": "148",
                "message": "Received block blk_3",
            },
        ),
        (
            "bgl",
            {
                "label": "-",
                "key": "R02-M1",
                "component": "KERNEL",
                "level": "INFO",
                "message": "instruction cache parity error corrected",
            },
        ),
        (
            "log4j",
            {
                "level": "INFO",
                "thread": "main",
                "component": "org.apache.Master",
                "message": "Created master",
            },
        ),
        (
            "syslog",
            {
                "key": "combo",
                "component": "sshd(pam_unix)",
                "pid": "19939",
                "message": "authentication failure",
                "level": None,
            },
        ),
        ("jsonl", {"key": "C1", "message": "card ordered"}),
        (
            "iso_message",
            {"key": "C0000012", "channel": "phone", "message": "new card ordered, reference 17"},
        ),
        ("key_message", {"key": "blk_38865049064139660", "message": "Receiving block"}),
    ],
)
def test_fields_of_the_examples(name, expected):
    row = one_row(FORMATS[name].example, name)
    assert {column: row[column] for column in expected} == expected
    assert row["line"] == 1


def test_the_severity_of_a_syslog_is_in_its_priority():
    row = one_row("<34>Oct 11 22:14:15 host su: 'su root' failed", "syslog", year=2003)
    assert (row["level"], row["component"], row["time"].year) == ("crit", "su", 2003)


def test_a_request_that_is_none_is_a_message_still():
    line = '192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "\\x16\\x03\\"" 400 -'
    row = one_row(line, "common")
    assert (row["message"], row["method"], row["size"]) == ('\\x16\\x03\\"', None, None)


def test_columns_by_position():
    form = {"time": [1, 2], "level": 4, "component": 5, "message": 6}
    row = one_row(
        "x.log 2017-05-16 00:00:00.008 25746 INFO nova.api [req-1] GET  /v2",
        "columns",
        positions=form,
    )
    assert row["time"].microsecond == 8_000
    assert (row["level"], row["component"], row["message"]) == (
        "INFO",
        "nova.api",
        "[req-1] GET  /v2",
    )


def test_json_lines_by_other_names_and_from_within():
    line = '{"ts": 1117838570, "customer": {"id": 7}, "what": "caf\\u00e9"}'
    names = {"key": "customer.id", "message": "what"}
    row = one_row(line, "jsonl", positions=names)
    assert (row["key"], row["message"], row["time"].year) == ("7", "café", 2005)


@pytest.mark.parametrize(
    "positions",
    [
        {},
        {"message": -1},
        {"time": 0},
        {"message": 1, "level": 2},
        {"message": 3, "level": 1, "key": 1},
        {"message": 3, "time": [0, 2]},
        {"message": 3, "a(b": 0},
        {"message": "2"},
        {"message": True},
        {"message": 10**9},
    ],
)
def test_positions_that_cannot_be_meant(positions):
    with pytest.raises(DataError) as caught:
        format_of("columns", positions)
    assert caught.value.code == "invalid_option"


def test_formats_that_fit_better_are_named():
    head = (FORMATS["hdfs"].example + "\n").encode() * 5
    assert better_formats(head, "syslog")[0] == {"log_format": "hdfs", "share": 1.0}


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_any_bytes_have_a_guess(head):
    name, share = guess_format(head)
    assert name in FORMATS
    assert 0.0 <= share <= 1.0
