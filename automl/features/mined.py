"""The templates of a log's rows, found once and shared by the groups that are made of them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.features.group import Narrowing
from automl.features.segments import BLOCK, Block, blocks
from automl.logs.templates import TemplateMiner, Templates
from automl.logs.tree import UNSEEN
from automl.relations.tables import EventTable, Integers, Spans

Codes = npt.NDArray[np.int32]
Booleans = npt.NDArray[np.bool_]

# What only one or two entities said may tell who they are, and cannot be learnt from.
MIN_ENTITIES = 3
MAX_TEMPLATES = 1_000
ROWS = 1 << 17
# Counts by entity and template that are held at once, some arrays of 16 MiB each.
MOST_CELLS = 1 << 21
KEPT = 4  # results of as many tables and templates are kept for the next group


@dataclass(frozen=True)
class _Fitted:
    columns: weakref.ref[pa.Table]
    start: Integers
    end: Integers
    templates: Templates | None


@dataclass(frozen=True)
class _Assigned:
    columns: weakref.ref[pa.Table]
    templates: Templates
    codes: Codes
    done: Booleans


_fitted: list[_Fitted] = []
_assigned: list[_Assigned] = []


@dataclass(frozen=True, kw_only=True)
class MinedGroup(Narrowing):
    """What the fitted groups that are made of templates share."""

    kind: ClassVar[str]
    message: str
    templates: Templates

    @property
    def reads(self) -> Sequence[str]:
        return (self.message,)

    def _shared(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "table": self.table,
            "message": self.message,
            "templates": self.templates.to_json(),
            "columns": list(self.columns),
        }

    @staticmethod
    def _read(data: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that `_shared` tells."""
        return {
            "table": data["table"],
            "message": data["message"],
            "templates": Templates.from_json(data["templates"]),
            "columns": list(data["columns"]),
        }


def templates_of(table: EventTable, spans: Spans) -> Templates | None:
    """Templates of the rows that training rows see, each of at least three subjects.

    None where the table has no message, or says nothing twice.
    """
    if table.message is None or table.message not in table.columns.column_names:
        return None
    _forget()
    for one in _fitted:
        if (
            one.columns() is table.columns
            and np.array_equal(one.start, spans.start)
            and np.array_equal(one.end, spans.end)
        ):
            return one.templates
    found = _mined(table, spans)
    _fitted.append(_Fitted(weakref.ref(table.columns), spans.start, spans.end, found))
    del _fitted[:-KEPT]
    return found


def codes_of(table: EventTable, spans: Spans, templates: Templates) -> Codes:
    """The template of each row that is seen, -1 for none; shape (n_rows,), other rows are 0.

    A row's template depends on its message alone.
    """
    _forget()
    for one in _assigned:
        if one.columns() is table.columns and one.templates == templates:
            break
    else:
        one = _Assigned(
            weakref.ref(table.columns),
            templates,
            np.zeros(table.n_rows, dtype=np.int32),
            np.zeros(table.n_rows, dtype=np.bool_),
        )
        _assigned.append(one)
        del _assigned[:-KEPT]
    messages = table.columns.column(table.message)
    for at in _parts(seen(table, spans) & ~one.done):
        one.codes[at] = templates.assign(_taken(messages, at))
        one.done[at] = True
    return one.codes


def _forget() -> None:
    """Let go of what was kept for tables that are no more."""
    _fitted[:] = [one for one in _fitted if one.columns() is not None]
    _assigned[:] = [one for one in _assigned if one.columns() is not None]


def seen(table: EventTable, spans: Spans) -> Booleans:
    """Which rows of the table some entity row sees, shape (n_rows,)."""
    change = np.zeros(table.n_rows + 1, dtype=np.int64)
    some = spans.start < spans.end
    np.add.at(change, spans.start[some], 1)
    np.add.at(change, spans.end[some], -1)
    return np.asarray(np.cumsum(change[:-1]) > 0)


def _mined(table: EventTable, spans: Spans) -> Templates | None:
    miner = TemplateMiner()
    messages = table.columns.column(table.message)
    for at in _parts(seen(table, spans)):
        miner.update(_taken(messages, at))
    found = miner.templates(min_lines=MIN_ENTITIES)
    if not len(found):
        return None
    codes = codes_of(table, spans, found)
    n_subjects = np.zeros(len(found), dtype=np.int64)
    at = np.flatnonzero(seen(table, spans))
    known = at[codes[at] != UNSEEN]
    pairs = np.unique(np.column_stack([table.subject[known], codes[known]]), axis=0)
    np.add.at(n_subjects, pairs[:, 1], 1)
    kept = np.flatnonzero(n_subjects >= MIN_ENTITIES)[:MAX_TEMPLATES]
    return found.only(kept.tolist()) if len(kept) else None


def _parts(mask: Booleans) -> Iterator[Integers]:
    at = np.flatnonzero(mask)
    for first in range(0, len(at), ROWS):
        yield at[first : first + ROWS]


def _taken(column: pa.ChunkedArray, at: Integers) -> pa.ChunkedArray:
    low, high = int(at[0]), int(at[-1]) + 1
    part = column.slice(low, high - low)
    return part if high - low == len(at) else part.take(pa.array(at - low))


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A block with the template of each row, rows between stretches left out.

    Parameters
    ----------
    stretch : array of shape (n_rows,), int64: which stretch of the block a row is in
    codes : array of shape (n_rows,), int32
    at : array of shape (n_rows,), int64: its place in the block
    """

    block: Block
    stretch: Integers
    codes: Codes
    at: Integers

    @property
    def n_stretches(self) -> int:
        return len(self.block.rows)


def coded_blocks(
    table: EventTable, start: Integers, end: Integers, codes: Codes, *, n_columns: int
) -> Iterator[Coded]:
    """Entity rows with events, in blocks, with the template of each of their rows.

    The more columns are counted for each of them, the fewer rows a block has.
    """
    size = min(BLOCK, max(MOST_CELLS // n_columns, 1))
    for block in blocks(start, end, size=size):
        whole = block.whole
        length = whole.count
        stop = np.cumsum(length)
        stretch = np.repeat(np.arange(len(length)), length)
        at = np.arange(int(stop[-1])) + np.repeat(whole.start - stop + length, length)
        yield Coded(block=block, stretch=stretch, codes=block.take(codes)[at], at=at)
