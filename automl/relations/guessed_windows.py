"""Entities proposed from one log or one series alone: sessions by a key, or windows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from automl.relations.guessed_keys import KEY_NAMES
from automl.relations.guessed_tables import MESSAGE, GuessedTable

KEY, LINE = "key", "line"  # columns that a raw log is read into
LABEL_NAMES = re.compile(r"(label|target|y|.*anomal.*|fault|failure)$", re.I)
NO_ALERT = "-"  # of the label of a BGL line (Oliner and Stearley, 2007)
# A key is evident where so many of the lines have one, and fewer keys than lines.
NAMED = 0.8
FEWEST_SESSIONS = 10
LOOKED_AT = 20_000  # messages in which names are looked for
# What begins a name: letters and a joint, before a number or eight hexadecimal digits.
NAME = re.compile(r"(?<![\w.:/-])([A-Za-z][A-Za-z0-9]{0,20}[_#:=-])(?:-?\d{3,}|[0-9a-f]{8,})\b")
MOST_POSITIVE = 50  # values of a label that are listed
LINES, ROWS = 100, 50  # most of a window
SHORT = 10  # a series has as many windows at least


def windows_of(
    table: GuessedTable,
    *,
    raw: bool,
    target: str | None,
    is_series: Callable[[GuessedTable, str, str], bool],
) -> tuple[dict[str, Any], list[dict[str, str]], list[str]] | None:
    """The spec of a log or a series as JSON, its reasons and what is open; None of any other.

    Parameters
    ----------
    raw : it was read from a raw log; any other has to be readings at regular times
    target : column that says of a line or reading whether the event happened
    is_series : whether a table's rows are readings by a key and a time
    """
    time = "time" if "time" in table.times else min(table.times, default=None)
    about: dict[str, Any] = {"role": "log" if raw else "series"}
    where = f"tables.{table.name}"
    reasons = [{"field": where, "reason": "it was read from a raw log"}]
    key = _session_key(table) if raw else None
    if not raw:
        # What tells rows apart beside their time makes them entities of their own.
        others = table.unique - set(table.times)
        if time is None or others:
            return None
        key = next((one for one in _keys(table) if is_series(table, one, time)), None)
        if key is None and not _is_one_series(table, time, is_series):
            return None
        each = "for each time" if key is None else f"for each {key} and time"
        reasons[0]["reason"] = f"one reading {each}, at times that are shared or regular"
    if time is not None:
        about["time"] = time
        if table.times[time] != "iso":
            about["time_format"] = table.times[time]
    else:
        about["time_format"] = "order"
        why = "a log without times: the order of its lines stands in for them"
        reasons.append({"field": f"{where}.time_format", "reason": why})
    if MESSAGE in table.data.column_names and raw:
        about["message"] = MESSAGE
    if raw:
        about["exclude"] = [LINE]
        why = f"{LINE} is where a line stands in its file: it would tell files apart"
        reasons.append({"field": f"{where}.exclude", "reason": why})
    if key is not None:
        about["key"] = key
    label, positive = _label(table, target)
    windows: dict[str, Any] = {"table": table.name}
    questions = []
    if raw and key is not None:
        windows["sessions"] = key
        reasons.append({"field": "windows.sessions", "reason": _sessions_reason(table, key)})
    else:
        told, why_so, asked = _lengths(table, key, raw=raw)
        windows |= told
        reasons += why_so
        questions += asked
    spec: dict[str, Any] = {"tables": {table.name: about}, "windows": windows}
    what = "sessions" if "sessions" in windows else "windows"
    if label is None:
        questions.append(_no_label(table, what, key))
    else:
        windows["label"] = label
        why = f"{label} of its rows: any of them makes its {what[:-1]} positive"
        reasons.append({"field": "windows.label", "reason": why})
        if positive is None:
            questions.append(f"which values of {label} are positive?")
        else:
            spec["positive"] = positive
            why = f"the values of {label} but the commonest"
            reasons.append({"field": "positive", "reason": why})
    return spec, reasons, questions


def key_prefix(messages: pa.ChunkedArray) -> str | None:
    """How the names begin that nearly all messages have, such as ``blk_``; None where none do.

    >>> lines = [f"Receiving block blk_{1000 + i % 30} src: /10.0.0.{i}" for i in range(90)]
    >>> key_prefix(pa.chunked_array([lines]))
    'blk_'
    """
    texts = [one for one in messages.slice(0, LOOKED_AT).to_pylist() if one]
    counts: Counter[str] = Counter()
    names: dict[str, set[str]] = {}
    for text in texts:
        found = {one[1]: one[0] for one in NAME.finditer(text)}
        counts.update(found.keys())
        for prefix, name in found.items():
            names.setdefault(prefix, set()).add(name)
    for prefix, n in counts.most_common():
        if n >= NAMED * len(texts) and len(names[prefix]) >= FEWEST_SESSIONS:
            return prefix
    return None


def _session_key(table: GuessedTable) -> str | None:
    """The key that most lines have, of fewer values than lines."""
    for name in _keys(table):
        column = table.column(name)
        n_distinct = len(table.distinct(name))
        some = len(column) - column.null_count
        if some >= NAMED * len(column) and FEWEST_SESSIONS <= n_distinct < some:
            return name
    return None


def _keys(table: GuessedTable) -> list[str]:
    names = [name for name in table.data.column_names if name not in table.times]
    named = [name for name in names if KEY_NAMES.match(name)]
    texts = [
        name
        for name in names
        if name not in named and pa.types.is_string(table.column(name).type) and name != MESSAGE
    ]
    return sorted(named, key=lambda one: one != KEY) + texts


def _is_one_series(
    table: GuessedTable, time: str, is_series: Callable[[GuessedTable, str, str], bool]
) -> bool:
    """Whether all rows are one series, at regular times."""
    one = pa.array([""]).take(pa.array([0] * table.data.num_rows))
    name = "series"
    while name in table.data.column_names:
        name += "_"
    data = table.data.append_column(name, one)
    whole = GuessedTable(name=table.name, data=data, times=table.times)
    return table.data.num_rows >= SHORT and is_series(whole, name, time)


def _sessions_reason(table: GuessedTable, key: str) -> str:
    n_rows, n_keys = table.data.num_rows, len(table.distinct(key))
    return f"{n_keys:,} values of {key} in {n_rows:,} lines that were looked at: one session each"


def _lengths(
    table: GuessedTable, key: str | None, *, raw: bool
) -> tuple[dict[str, Any], list[dict[str, str]], list[str]]:
    """Windows of so many rows of a series, and a fifth of that ahead, which is also the step.

    So each row lies ahead of one window, and no label is in two of them or in none.
    """
    n_rows = table.data.num_rows
    if key is not None:
        counts = table.data.group_by(key).aggregate([([], "count_all")]).column("count_all")
        n_rows = sorted(counts.to_pylist())[len(counts) // 2]
    length = max(2, min(LINES if raw else ROWS, n_rows // SHORT))
    ahead = max(1, length // 5)
    told = {"length": length, "step": ahead, "horizon": ahead}
    noun = "lines" if raw else "readings"
    each = "it" if key is None else f"a series by {key}"
    why = f"{each} has {n_rows:,} {noun} that were looked at"
    if raw:
        why += ", and no column that says which belong together"
    reasons = [
        {"field": "windows.length", "reason": f"{why}: windows of {length} of them"},
        {
            "field": "windows.step",
            "reason": "as far as the horizon: each row lies ahead of one window",
        },
        {
            "field": "windows.horizon",
            "reason": f"so many {noun} ahead of each window are predicted",
        },
    ]
    questions = [
        f"how much is known and how far ahead is predicted? As proposed {length} {noun}, and the "
        f"{ahead} after them"
    ]
    prefix = key_prefix(table.data.column(MESSAGE)) if raw and _has_text(table) else None
    if prefix is not None:
        questions.insert(
            0,
            f"nearly all lines of {table.name} name something that begins with {prefix}: read in "
            f"with entity_prefix={prefix}, its sessions can be the entities instead of windows",
        )
    return told, reasons, questions


def _has_text(table: GuessedTable) -> bool:
    names = table.data.column_names
    return MESSAGE in names and pa.types.is_string(table.column(MESSAGE).type)


def _label(table: GuessedTable, target: str | None) -> tuple[str | None, Any]:
    """The column that labels rows, and its positive values where they are plain."""
    named = [one for one in table.data.column_names if LABEL_NAMES.match(one)]
    name = target if target is not None else next(iter(named), None)
    if name is None or name in table.times:
        return None, None
    counts = pc.value_counts(table.column(name).drop_null()).to_pylist()
    levels = [one["values"] for one in sorted(counts, key=lambda one: one["counts"])]
    if len(levels) < 2 and name != target:
        return None, None
    if NO_ALERT in levels and len(levels) <= MOST_POSITIVE:
        return name, [one for one in levels if one != NO_ALERT]
    return name, levels[0] if len(levels) == 2 else None


def _no_label(table: GuessedTable, what: str, key: str | None) -> str:
    text = (
        f"which {what} are positive? Name the column of {table.name} that says so of a row "
        "(windows.label)"
    )
    if what == "sessions":
        text += (
            f", or add a table with one row for each {key} and its label as the entities; without "
            "either a job with a target of null ranks them by how odd they are"
        )
    else:
        text += "; without it a job with a target of null ranks them by how odd they are"
    return text
