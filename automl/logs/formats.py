"""Named formats of log lines, and which of them fits a file.

Patterns are ours and run in RE2, in time linear in the line; a user names a format, and never
sends a pattern.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from automl.errors import DataError
from automl.logs import clocks

COLUMNS = ("time", "key", "level", "component", "message")
# Lines that go on with the message before: indented ones, and what stack traces begin with.
CONTINUED = (
    r"^(?:\s|Caused by: |Traceback \(most recent|\.\.\. \d+ more|[\w$]+(?:\.[\w$]+)*"
    r"(?:Exception|Error|Throwable)\b|[})\]]\s*$)"
)
# More lines than this that are of no format, and the file is of another.
MAX_UNPARSED = 0.05
SAMPLE_LINES = 2_000
MAX_POSITION = 64
MESSAGE = r"(?P<message>.*)$"
# What JSON lines call these; the first that is there is taken.
JSON_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "@timestamp", "ts", "datetime", "date"),
    "key": ("key", "entity", "entity_id", "id"),
    "level": ("level", "severity", "log_level", "loglevel", "levelname"),
    "component": ("component", "logger", "service", "module", "name"),
    "message": ("message", "msg", "log", "text", "event"),
}


@dataclass(frozen=True, kw_only=True)
class LineFormat:
    """How lines are written.

    Parameters
    ----------
    pattern : regular expression of RE2 with a named group for each column; empty for JSON lines
    clock : how `time` is written, one of `clocks.PATTERNS`; None: lines have no time, or (in
        `columns`, JSON lines) it is found in a sample
    example : a line
    missing : texts of fields that mean missing
    names : for JSON lines, what each column is called there
    """

    name: str
    pattern: str = ""
    clock: str | None = None
    example: str
    missing: tuple[str, ...] = ("",)
    names: Mapping[str, tuple[str, ...]] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The usual columns first, then the format's own, and the message last."""
        found = list(self.names or re.findall(r"\(\?P<(\w+)>", self.pattern))
        usual = [name for name in COLUMNS[:-1] if name in found]
        own = [name for name in found if name not in COLUMNS]
        return (*usual, *own, "message")


_REQUEST = r'"(?P<message>(?:(?P<method>[A-Z]+) (?P<path>[^\s?"]*))?(?:[^"\\]|\\.)*)"'
_COMMON = (
    r"^(?P<key>\S+) \S+ (?P<user>\S+) \[(?P<time>"
    + clocks.PATTERNS["apache"]
    + r")\] "
    + _REQUEST
    + r" (?P<level>\d{3}) (?P<size>\d+|-)"
)
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"

# The more a format asks of a line, the earlier it stands: of those that fit alike, the first.
FORMATS: Mapping[str, LineFormat] = {
    one.name: one
    for one in (
        LineFormat(
            name="combined",
            pattern=_COMMON + r' "(?P<referrer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"\s*$',
            clock="apache",
            missing=("", "-"),
            example='192.0.2.1 - ann [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 23 "-" "x"',
        ),
        LineFormat(
            name="common",
            pattern=_COMMON + r"\s*$",
            clock="apache",
            missing=("", "-"),
            example='192.0.2.1 - ann [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326',
        ),
        LineFormat(
            name="apache_error",
            pattern=r"^\[(?P<time>"
            + clocks.PATTERNS["asctime"]
            + r")\] \[(?:(?P<component>[\w-]*):)?(?P<level>\w+)\] (?:\[pid [^\]]*\] )?"
            r"(?:\[client (?P<key>\d+\.\d+\.\d+\.\d+|[^\]]+?)(?::\d+)?\] )?" + MESSAGE,
            clock="asctime",
            example="[Sun Dec 04 04:47:44 2005] [error] [client 192.0.2.1] file does not exist",
        ),
        LineFormat(
            name="hdfs",
            pattern=r"^(?P<time>\d{6} \d{6}) (?P<thread>\d+) +(?P<level>[A-Z]+) +"
            r"(?P<component>[^\s:]+): ?" + MESSAGE,
            clock="yymmdd",
            example="081109 203615 148 INFO dfs.DataNode$PacketResponder: Received block blk_3",
        ),
        LineFormat(
            name="bgl",
            pattern=r"^(?P<label>\S+) \d{9,10} \d{4}\.\d\d\.\d\d (?P<key>\S+) (?P<time>"
            + clocks.PATTERNS["bgl"]
            + r") \S+ (?P<kind>\S+) (?P<component>\S+) (?P<level>\S+) ?"
            + MESSAGE,
            clock="bgl",
            example="- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL "
            "INFO instruction cache parity error corrected",
        ),
        LineFormat(
            name="log4j",
            pattern=r"^(?P<time>" + _ISO + r") (?:- )?(?P<level>[A-Z]{4,8}) +(?:- )?"
            r"(?:\[(?P<thread>.*?)\] )?(?:- )?(?:(?P<component>[A-Za-z_][\w.$]*): )?" + MESSAGE,
            clock="iso",
            example="2015-10-18 18:01:47,978 INFO [main] org.apache.Master: Created master",
        ),
        LineFormat(
            name="syslog",
            pattern=r"^(?:<(?P<priority>\d{1,3})>)?(?P<time>"
            + clocks.PATTERNS["syslog"]
            + r") (?P<key>\S+) +(?P<component>[^\s:\[]+)(?:\[(?P<pid>\d+)\])?:? ?"
            + MESSAGE,
            clock="syslog",
            example="Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure",
        ),
        LineFormat(
            name="jsonl",
            names=JSON_NAMES,
            example='{"time": "2024-01-02T03:04:05Z", "key": "C1", "message": "card ordered"}',
        ),
        LineFormat(
            name="iso_message",
            pattern=r"^(?P<time>" + _ISO + r") (?P<key>\S+) (?P<channel>\S+) " + MESSAGE,
            clock="iso",
            example="2024-01-02T03:04:05Z C0000012 phone new card ordered, reference 17",
        ),
        LineFormat(
            name="key_message",
            pattern=r"^(?P<key>\S+)[ \t]+" + MESSAGE,
            example="blk_38865049064139660 Receiving block",
        ),
    )
}
NAMES = (*FORMATS, "columns")
# Anything fits `key_message`; a guess of it asks for ids, which have a digit.
_WITH_ID = r"^[^\s\"'\[({<,;]*\d[^\s\"'\[({<,;]*[ \t]+\S"


def format_of(name: str, positions: Mapping[str, Any] | None = None) -> LineFormat:
    """The format of a name.

    Parameters
    ----------
    positions : for `columns`, the position of each column among the words of a line, from 0; a
        list of two neighbours where a time is two words. The message is all from its position on.
        For `jsonl`, what the columns are called there.

    Raises
    ------
    DataError
        ``invalid_option``

    >>> form = format_of("columns", {"time": [0, 1], "level": 3, "message": 4})
    >>> form.columns
    ('time', 'level', 'message')
    """
    if name == "columns":
        return _by_positions(positions or {})
    if name not in FORMATS:
        raise _invalid("log_format", f"one of {', '.join(NAMES)} is needed")
    form = FORMATS[name]
    if not positions:
        return form
    if form.names is None:
        raise _invalid("log_columns", "it is for the formats columns and jsonl")
    names: dict[str, tuple[str, ...]] = {}
    for column, called in positions.items():
        if not isinstance(called, str) or not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", str(column)):
            raise _invalid("log_columns", "a name in the JSON objects for each column is needed")
        names[column] = (called,)
    return replace(form, names={**JSON_NAMES, **names})


def _by_positions(positions: Mapping[str, Any]) -> LineFormat:
    at: dict[int, str] = {}
    for column, position in positions.items():
        places = position if isinstance(position, list) else [position]
        whole = all(type(one) is int and 0 <= one <= MAX_POSITION for one in places)
        if not whole or not places or places != list(range(places[0], places[0] + len(places))):
            raise _invalid("log_columns", "positions of words from 0, neighbours in a list")
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", str(column)) or set(places) & set(at):
            raise _invalid("log_columns", "each column has a name and its own position")
        at |= dict.fromkeys(places, str(column))
    message = next((place for place, column in at.items() if column == "message"), None)
    if message is None or message != max(at):
        raise _invalid("log_columns", "message is needed, and is the last: all from there on")
    parts: list[str] = []
    before: str | None = None
    for place in range(message):
        here = at.get(place)
        if here is not None and here == before:
            parts[-1] = parts[-1][:-1] + r"\s+\S+)"
        else:
            parts.append(rf"(?P<{here}>\S+)" if here is not None else r"\S+")
        before = here
    pattern = "^" + "".join(part + r"\s+" for part in parts) + MESSAGE
    return LineFormat(name="columns", pattern=pattern, example="")


def _invalid(option: str, why: str) -> DataError:
    return DataError(
        f"the reading option {option}: {why}", code="invalid_option", details={"option": option}
    )


def guess_format(head: bytes) -> tuple[str, float]:
    """The format that fits the first lines best, and the share of lines that it fits.

    Blank lines and those that go on with a message do not count. Of those that fit at least 95 %,
    it is the one that asks most.

    >>> guess_format(b"081109 203615 148 INFO dfs.A: Received block blk_3\\n" * 3)
    ('hdfs', 1.0)
    """
    shares = fitting(head)
    for name, share in shares.items():
        if share >= 1 - MAX_UNPARSED:
            return name, share
    return max(shares.items(), key=lambda item: item[1])


def fitting(head: bytes) -> dict[str, float]:
    """The share of the first lines that each format fits, in order of how much it asks."""
    lines = head.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()
    if len(lines) > 1 and not head.endswith((b"\n", b"\r")):
        lines.pop()  # perhaps cut
    return _shares([line for line in lines[:SAMPLE_LINES] if line.strip()])


def _shares(lines: Sequence[str]) -> dict[str, float]:
    texts = pa.array(lines, pa.string())
    continued = pc.match_substring_regex(texts, CONTINUED)
    shares: dict[str, float] = {}
    for name, form in FORMATS.items():
        if form.names is not None:
            fits = pa.array([_is_object(line) for line in lines], pa.bool_())
        else:
            fits = pc.match_substring_regex(
                texts, _WITH_ID if name == "key_message" else form.pattern
            )
        asked = pc.or_(fits, pc.invert(continued))
        n = pc.sum(asked, min_count=0).as_py()
        shares[name] = pc.sum(fits, min_count=0).as_py() / n if n else 0.0
    return shares


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def better_formats(head: bytes, name: str) -> list[dict[str, object]]:
    """Formats that fit better than the one that was declared, the best first, with their shares."""
    shares = fitting(head)
    own = shares.get(name, 0.0)
    better = [(share, one) for one, share in shares.items() if share > max(own, 0.5)]
    better.sort(key=lambda item: -item[0])
    return [{"log_format": one, "share": round(share, 3)} for share, one in better]
