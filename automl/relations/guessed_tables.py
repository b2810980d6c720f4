"""A table as its columns let one guess: which are unique, which are times, which is a message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from automl.relations.guessed_times import time_format

MESSAGE = "message"  # a column that every raw log is read into
MESSAGE_NAMES = re.compile(r"(message|msg|text|line|content|body)$", re.I)
# Fewest characters and words of a text that is a message rather than a category.
MESSAGE_LENGTH, MESSAGE_DISTINCT = 20, 0.2
BIRTH = re.compile(r".*(birth|born|dob).*", re.I)


@dataclass(kw_only=True)
class GuessedTable:
    """A table, its columns without repeats, its times with their formats, and its message."""

    name: str
    data: pa.Table
    unique: set[str] = field(default_factory=set)
    times: dict[str, str] = field(default_factory=dict)
    message: str | None = None
    seen: dict[str, pa.Array] = field(default_factory=dict)

    def distinct(self, name: str) -> pa.Array:
        """The values of a column; kept, since many others are looked for in it."""
        if name not in self.seen:
            self.seen[name] = pc.unique(self.column(name).drop_null())
        return self.seen[name]

    def column(self, name: str) -> pa.Array:
        return self.data.column(name).combine_chunks()


def looked_at(name: str, data: pa.Table) -> GuessedTable:
    """What the columns of a table look like."""
    table = GuessedTable(name=name, data=data)
    for field_ in data.schema:
        column = table.column(field_.name)
        if _is_unique(column):
            table.unique.add(field_.name)
        written = time_format(field_.name, column)
        if written is not None and not BIRTH.match(field_.name):
            table.times[field_.name] = written
        elif table.message is None and _is_message(field_.name, column):
            table.message = field_.name
    return table


def _is_unique(column: pa.Array) -> bool:
    if not len(column) or column.null_count or pa.types.is_floating(column.type):
        return False
    return bool(pc.count_distinct(column).as_py() == len(column))


def _is_message(name: str, column: pa.Array) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    head = column.drop_null().slice(0, 2000)
    if not len(head):
        return False
    long = (pc.mean(pc.utf8_length(head)).as_py() or 0) >= MESSAGE_LENGTH
    spaced = pc.mean(pc.count_substring(head, " ")).as_py() >= 2
    varied = pc.count_distinct(head).as_py() >= MESSAGE_DISTINCT * len(head)
    return bool(long and spaced and (varied or MESSAGE_NAMES.match(name)))
