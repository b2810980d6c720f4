"""How much of an entity's log are warnings and errors, and how long ago the last one was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.features.group import Column, Narrowing
from automl.features.mined import MIN_ENTITIES, seen
from automl.features.segments import Block, Stretches, blocks, kept_before
from automl.features.windows import Window, choose_windows
from automl.relations.tables import SECONDS_PER_DAY, EventTable, Floats, Integers, Spans

Levels = npt.NDArray[np.int8]

NAMES = ("debug", "info", "warning", "error", "fatal")
WARNING, ERROR = 2, 3
COLUMN_NAMES = ("level", "severity", "log_level", "loglevel", "levelname", "priority", "status")
# Severities of syslog (RFC 5424, 6.2.1), of the usual logging libraries, and their first letters.
WORDS: Mapping[str, int] = {
    **dict.fromkeys(("trace", "debug", "verbose", "fine", "finer", "finest", "d", "t", "v"), 0),
    **dict.fromkeys(("info", "information", "informational", "notice", "i", "n", "ok"), 1),
    **dict.fromkeys(("warn", "warning", "w"), 2),
    **dict.fromkeys(("error", "err", "severe", "failure", "e"), 3),
    **dict.fromkeys(("fatal", "crit", "critical", "alert", "emerg", "emergency", "panic", "f"), 4),
}
# A log without levels says it in words, the gravest first.
SAID = (
    (4, r"(?i)\b(?:fatal|panic|critical|emergency)\b"),
    (3, r"(?i)(?:error|exception|\bfail|refused|denied|abort|timed? ?out|corrupt|unable to)"),
    (2, r"(?i)(?:\bwarn|\bretry)"),
)
# A column is one of levels where so many of its values are.
MOST = 0.9


@dataclass(frozen=True, kw_only=True)
class FittedLevels(Narrowing):
    """Counts and shares of warnings and errors over windows.

    `T.level.error.count.7d` is the number of lines that are errors or worse in the last 7 days,
    `T.level.since_error` how long before the cut-off (else the last line) the last one was, in
    days or the units of the time, and `T.level.lines_since_error` how many lines ago.

    Parameters
    ----------
    column : of levels, or the message, where a word in it tells
    """

    kind = "levels"
    column: str
    is_said: bool
    windows: tuple[Window, ...]

    @property
    def reads(self) -> Sequence[str]:
        return (self.column,)

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """Counts of none are 0, the rest NaN; shape (n_entities,), float32."""
        n_rows, prefix = len(spans.start), f"{self.table}.level."
        wanted = [name.removeprefix(prefix) for name in self.columns]
        found = {name: np.full(n_rows, 0.0 if ".count" in name else np.nan) for name in wanted}
        starts = [window.start(table, spans) for window in self.windows]
        for block in blocks(starts[0], spans.end):
            for name, values in self._of(block, table, spans, starts).items():
                if name in found:
                    found[name][block.rows] = values
        return [found[name].astype(np.float32) for name in wanted]

    def _of(
        self, block: Block, table: EventTable, spans: Spans, starts: Sequence[Integers]
    ) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        levels = levels_of(block.arrow(table.columns.column(self.column)), is_said=self.is_said)
        is_error = levels >= ERROR
        before = {
            "warning": kept_before(levels == WARNING),
            "error": kept_before(is_error),
        }
        for window, start in zip(self.windows, starts, strict=True):
            inside = block.since(start)
            n = np.where(inside.count > 0, inside.count, np.nan)
            for name, counted in before.items():
                total = inside.total(counted)
                found[f"{name}.count.{window.name}"] = total.astype(float)
                found[f"{name}.share.{window.name}"] = total / n
        whole = block.whole
        for code, name in enumerate(NAMES):
            if name not in before:
                total = whole.total(kept_before(levels == code))
                found[f"{name}.share.{self.windows[0].name}"] = total / whole.count
        found |= self._since(block, table, spans, is_error, before["error"])
        return found

    def _since(
        self,
        block: Block,
        table: EventTable,
        spans: Spans,
        is_error: npt.NDArray[np.bool_],
        before: Integers,
    ) -> dict[str, Floats]:
        unit = SECONDS_PER_DAY if table.dated else 1.0
        time = block.take(table.time)
        at = np.flatnonzero(is_error)
        kept: Stretches = block.whole.kept(before)
        last_at = kept.last(at.astype(np.float64))
        cut_off = spans.cut_off[block.rows]
        end = np.where(np.isfinite(cut_off), cut_off, block.whole.last(time))
        return {
            "since_error": (end - kept.last(time[at])) / unit,
            "lines_since_error": block.whole.end - 1 - last_at,
        }

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {
            "kind": self.kind,
            "table": self.table,
            "column": self.column,
            "is_said": self.is_said,
            "windows": [window.to_json() for window in self.windows],
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            column=data["column"],
            is_said=data["is_said"],
            windows=tuple(Window.from_json(one) for one in data["windows"]),
            columns=list(data["columns"]),
        )


class LogLevels:
    """Finds the column of levels, else takes words of the message for them."""

    kind = "levels"
    seconds_per_million = 1.0

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedLevels | None:
        """None where fewer than three subjects of training rows have a warning or an error."""
        rows = np.flatnonzero(seen(table, spans))
        if not len(rows):
            return None
        names = [one for one in table.columns.column_names if one.lower() in COLUMN_NAMES]
        tried = [(name, False) for name in names]
        tried += [(table.message, True)] if table.message in table.columns.column_names else []
        for column, is_said in tried:
            assert column is not None
            levels = levels_of(table.columns.column(column).take(pa.array(rows)), is_said=is_said)
            if (levels >= 0).mean() < MOST:
                continue
            if len(np.unique(table.subject[rows[levels >= WARNING]])) < MIN_ENTITIES:
                continue
            windows = choose_windows(table, spans)
            wide = windows[0].name
            parts = [
                f"{name}.{what}.{window.name}"
                for window in windows
                for name in ("warning", "error")
                for what in ("count", "share")
            ]
            parts += [f"{NAMES[code]}.share.{wide}" for code in (0, 1, 4) if (levels == code).any()]
            parts += ["since_error", "lines_since_error"]
            return FittedLevels(
                table=table.name,
                column=column,
                is_said=is_said,
                windows=windows,
                columns=[f"{table.name}.level.{name}" for name in parts],
            )
        return None


def levels_of(values: pa.Array | pa.ChunkedArray, *, is_said: bool) -> Levels:
    """Levels from 0 (debug) to 4 (fatal) of texts or status codes, -1 unknown.

    >>> levels_of(pa.array(["WARN", "503", "x", None]), is_said=False).tolist()
    [2, 3, -1, -1]
    >>> levels_of(pa.array(["Got exception while serving", "done"]), is_said=True).tolist()
    [3, 1]
    """
    coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0)
    words = coded.dictionary.cast(pa.string())
    if is_said:
        of_words = np.ones(len(words), dtype=np.int8)
        for level, pattern in reversed(SAID):
            says = pc.match_substring_regex(words, pattern).to_numpy(zero_copy_only=False)
            of_words[says.astype(bool)] = level
    else:
        of_words = np.array([_level(one) for one in words.to_pylist()], dtype=np.int8)
    places = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    found: Levels = np.append(of_words, np.int8(-1))[places]
    return found


def _level(word: str | None) -> int:
    text = (word or "").strip().lower()
    if len(text) == 3 and text.isdigit() and text[0] in "12345":  # a status of HTTP
        return {"4": WARNING, "5": ERROR}.get(text[0], 1)
    return WORDS.get(text, -1)
