"""What a client may declare about an upload, and how much of it is read."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from automl.errors import DataError

COLUMN_TYPES = ("string", "integer", "number", "boolean", "timestamp")
LOG_FORMATS = (
    "common",
    "combined",
    "apache_error",
    "syslog",
    "hdfs",
    "bgl",
    "log4j",
    "jsonl",
    "key_message",
    "iso_message",
    "columns",
)
# The directives whose text we can check again after parsing: C's strptime turns 31/02 into 2 March.
DATE_DIRECTIVES = "dmYyHMSbBpITzfj"
# Text encodings only: Python also knows codecs that decompress (zlib) or rewrite (idna).
ENCODINGS = re.compile(
    r"utf-?8(-sig)?|utf-?16(-?[lb]e)?|iso-?8859-?\d{1,2}|latin-?1|cp\d{3,4}|mac-?roman|us-ascii"
    r"|windows-?12\d{2}|ascii|koi8-[ru]|gb18030|gbk|big5|shift-?jis|euc-(jp|kr)"
)


@dataclass(frozen=True, kw_only=True)
class ReadingLimits:
    """How much is read of one upload, whatever it says about itself."""

    max_decoded_bytes: int = 64 * 2**30
    max_columns: int = 5_000
    min_columns: int = 2  # of Parquet: rows that windows made may be a key and nothing else
    max_cell_bytes: int = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """What the client declares about an upload; None means: guess, and say so.

    Parameters
    ----------
    null_values : tuple of str
        Texts that mean "missing"; only the empty one unless told otherwise.
    date_format : str, optional
        As in `strptime`, e.g. ``%d/%m/%Y``; ISO 8601 is always understood.
    timezone : str, optional
        IANA name for times that carry no offset; without it they are taken as UTC.
    non_finite : "error" or "null"
        What to do with an infinite number.
    types : mapping of column to one of string, integer, number, boolean, timestamp
    key : str, optional
        The column that names the entity; it must then be unique.
    log_format : one of `LOG_FORMATS`, optional
        The file is a raw log: its lines become the columns time, key, level, component, message
        and line, as far as the format has them.
    log_columns : mapping, optional
        For the format columns: the position of each column among the words of a line, from 0 (a
        list of neighbours where a time is two words). For jsonl: what columns are called there.
    entity_prefix : str, optional
        How the words of a message begin that name a line's entities, e.g. ``blk_``.
    log_year : int, optional
        Of the first line of a syslog, which has no years.
    """

    format: Literal["csv", "parquet", "jsonl"] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    quote: str | None = None
    header: bool | None = None
    null_values: tuple[str, ...] = ("",)
    date_format: str | None = None
    timezone: str | None = None
    non_finite: Literal["error", "null"] = "error"
    types: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    log_format: str | None = None
    log_columns: Mapping[str, int | str | list[int]] | None = None
    entity_prefix: str | None = None
    log_year: int | None = None

    def __post_init__(self) -> None:
        _require(self.format in (None, "csv", "parquet", "jsonl"), "format")
        _require(self.encoding is None or _is_encoding(self.encoding), "encoding")
        _require(
            self.delimiter is None or _is_character(self.delimiter, banned='"\r\n'), "delimiter"
        )
        _require(self.decimal in (None, ".", ","), "decimal")
        _require(self.quote in (None, "") or _is_character(self.quote, banned="\r\n"), "quote")
        _require(self.quote is None or self.quote != self.delimiter, "quote")
        _require(self.header in (None, True, False), "header")
        _require(isinstance(self.null_values, tuple), "null_values")
        _require(
            len(self.null_values) <= 64
            and all(isinstance(one, str) and len(one) <= 64 for one in self.null_values),
            "null_values",
        )
        _require(self.date_format is None or _is_date_format(self.date_format), "date_format")
        _require(self.timezone is None or _is_timezone(self.timezone), "timezone")
        _require(self.non_finite in ("error", "null"), "non_finite")
        _require(isinstance(self.types, Mapping), "types")
        _require(
            all(isinstance(k, str) and v in COLUMN_TYPES for k, v in self.types.items()), "types"
        )
        _require(self.key is None or (isinstance(self.key, str) and bool(self.key)), "key")
        _require(self.log_format is None or self.log_format in LOG_FORMATS, "log_format")
        _require(self.log_format is None or self.format is None, "format")
        _require(self.log_columns is None or isinstance(self.log_columns, Mapping), "log_columns")
        _require(self.log_columns is None or self.log_format in ("columns", "jsonl"), "log_columns")
        _require(
            self.entity_prefix is None
            or (isinstance(self.entity_prefix, str) and self.log_format is not None),
            "entity_prefix",
        )
        _require(
            self.log_year is None or (type(self.log_year) is int and 1970 <= self.log_year < 2200),
            "log_year",
        )

    @classmethod
    def from_json(cls, options: Mapping[str, Any]) -> Self:
        """Options from a JSON object.

        Raises
        ------
        DataError
            ``invalid_option``: an unknown name, or a value that cannot be meant.
        """
        if not isinstance(options, Mapping):
            raise DataError("the reading options are not an object", code="invalid_option")
        known = dict(options)
        unknown = sorted(set(known) - set(cls.__dataclass_fields__))
        if unknown:
            raise DataError(
                f"{len(unknown)} reading option(s) are unknown",
                code="invalid_option",
                details={"known": sorted(cls.__dataclass_fields__)},
            )
        if isinstance(known.get("null_values"), list):
            known["null_values"] = tuple(known["null_values"])
        for name in ("null_values", "non_finite", "types"):
            if known.get(name, 0) is None:
                del known[name]
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """The same options as a JSON object."""
        return {
            **asdict(self),
            "types": dict(self.types),
            "null_values": list(self.null_values),
        }


# What a declaration says of cells, and not of how one file was written.
OF_CELLS = ("null_values", "date_format", "timezone", "non_finite")


def for_more_rows(options: Mapping[str, Any], *, profile: Mapping[str, Any]) -> dict[str, Any]:
    """The options to read further rows by, so that a text means what it meant in this upload.

    What was declared of cells stays: 03/04 is the same day, and 10:00 the same instant. A date
    format that was guessed stays too, where the columns agree on one: a single row would not
    tell day and month apart. Encoding, delimiter and the like are those of the next file.

    >>> columns = [{"name": "day", "type": "timestamp", "date_format": "%d/%m/%Y"}]
    >>> for_more_rows({"timezone": "Europe/Paris", "delimiter": ";"}, profile={"columns": columns})
    {'timezone': 'Europe/Paris', 'date_format': '%d/%m/%Y'}
    """
    kept = {name: options[name] for name in OF_CELLS if options.get(name) is not None}
    guessed = {column.get("date_format") for column in profile.get("columns", ())} - {None}
    if "date_format" not in kept and len(guessed) == 1:
        kept["date_format"] = guessed.pop()
    return kept


def _require(fulfilled: bool, name: str) -> None:
    if not fulfilled:
        raise DataError(
            f"the reading option {name} has a value that is not understood",
            code="invalid_option",
            details={"option": name},
        )


def _is_character(value: object, *, banned: str) -> bool:
    return (
        isinstance(value, str)
        and len(value) == 1
        and value.isascii()
        and value not in banned + "\0"
    )


def _is_encoding(value: object) -> bool:
    if not isinstance(value, str) or not ENCODINGS.fullmatch(value.lower().replace("_", "-")):
        return False
    try:
        codecs.lookup(value)
    except LookupError:
        return False
    return True


def _is_timezone(value: object) -> bool:
    if not isinstance(value, str) or len(value) > 64:
        return False
    try:
        ZoneInfo(value)
    except (LookupError, ValueError, OSError):
        return False
    return True


def _is_date_format(value: object) -> bool:
    if not isinstance(value, str) or not 2 <= len(value) <= 64:
        return False
    directives = re.findall(r"%(.?)", value)
    return bool(directives) and all(one and one in DATE_DIRECTIVES for one in directives)
