"""A log's lines to columns, block by block, whatever the size of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.errors import DataError
from automl.logs import clocks, lines
from automl.logs.entities import PREFIX, named
from automl.logs.formats import (
    CONTINUED,
    MAX_UNPARSED,
    MESSAGE,
    LineFormat,
    better_formats,
    format_of,
)
from automl.logs.json_lines import fields_of
from automl.logs.lines import Lines

Booleans = npt.NDArray[np.bool_]

MAX_CELL_BYTES = 64 * 1024
# Lines that go on with a message are waited for so long, beyond the block of its first line.
MAX_WAITING = 2**20
SEVERITIES = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")


@dataclass(frozen=True, kw_only=True)
class LogReading:
    """What is known of a log before it is read.

    Parameters
    ----------
    form : LineFormat
    entity_prefix : str, optional
        Rows belong to the words of the message that begin so; the key of the format, if it has
        one, is the column `source` then.
    year : int, optional
        Of the first line, for the times of a syslog, which have none.
    max_cell_bytes : int
        No line is longer; a message that goes on over lines is cut there.
    """

    form: LineFormat
    entity_prefix: str | None = None
    year: int | None = None
    max_cell_bytes: int = MAX_CELL_BYTES

    @classmethod
    def of(
        cls,
        name: str,
        *,
        positions: Mapping[str, Any] | None = None,
        entity_prefix: str | None = None,
        year: int | None = None,
        max_cell_bytes: int = MAX_CELL_BYTES,
    ) -> LogReading:
        """How to read lines of a named format.

        Raises
        ------
        DataError
            ``invalid_option``
        """
        if entity_prefix is not None and not PREFIX.fullmatch(entity_prefix):
            raise DataError(
                "the reading option entity_prefix: up to 32 letters, digits and _.:#@/- are needed",
                code="invalid_option",
                details={"option": "entity_prefix"},
            )
        return cls(
            form=format_of(name, positions),
            entity_prefix=entity_prefix,
            year=year,
            max_cell_bytes=max_cell_bytes,
        )

    @property
    def has_time(self) -> bool:
        """Whether rows are dated: a syslog without a year is in order only."""
        return "time" in self.form.columns and (
            self.form.clock != "syslog" or self.year is not None
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns in order: `line`, then what the format has.

        It comes first since rows of one time are sorted by what is in them, column by column: so
        they stay in the order of the file.
        """
        names = ["level" if name == "priority" else name for name in self.form.columns]
        if not self.has_time and "time" in names:
            names.remove("time")
        if self.entity_prefix is not None:
            names = ["source" if name == "key" else name for name in names]
            names.insert(1 if names[0] == "time" else 0, "key")
        return ("line", *names)


@dataclass(kw_only=True)
class LogCounts:
    """What became of a file's lines; filled while it is read."""

    n_lines: int = 0
    n_rows: int = 0
    n_blank: int = 0
    n_joined: int = 0
    n_cut: int = 0
    n_unparsed: int = 0
    first_unparsed: int | None = None
    n_without_entity: int = 0
    n_further_entities: int = 0

    def to_json(self) -> dict[str, int | None]:
        """All counts by name."""
        return dict(vars(self))


@dataclass(kw_only=True)
class _State:
    counts: LogCounts
    clock: str | None
    year: int | None
    month: int | None = None
    head: bytes = b""
    held: bytes = field(default=b"")


def read_log(
    chunks: Iterable[bytes], reading: LogReading, *, counts: LogCounts | None = None
) -> Iterator[pa.Table]:
    """The rows of a log in UTF-8, from chunks of bytes without a byte order mark.

    Columns as `reading.columns` says: `time` is a timestamp in microseconds, of UTC where the
    lines say their offset and of the wall clock where they do not (`aware`, a further column of
    booleans, says which), `line` the number of the line in the file, all others strings, null
    where missing. A line that names several entities gives a row for each.

    Raises
    ------
    DataError
        ``log_format`` where more than 5 % of the lines are of another format; it says the first of
        them and formats that fit better, never what is in them. ``encoding, nul_byte,
        cell_too_long`` with the line.
    """
    counts = counts if counts is not None else LogCounts()
    state = _State(counts=counts, clock=reading.form.clock, year=reading.year)
    for block in lines.blocks(chunks, max_bytes=reading.max_cell_bytes):
        state.head = state.head or block[: 256 * 1024]
        table = _block(state.held + block, reading, state, last=False)
        if table.num_rows:
            yield table
    table = _block(state.held, reading, state, last=True)
    if table.num_rows:
        yield table
    n_asked = counts.n_lines - counts.n_blank - counts.n_joined
    if counts.n_unparsed > MAX_UNPARSED * n_asked:
        raise _unfit(reading.form.name, counts, n_asked, state.head)


def _unfit(name: str, counts: LogCounts, n_asked: int, head: bytes) -> DataError:
    better = better_formats(head, name)
    advice = f"; {better[0]['log_format']} fits more of the first ones" if better else ""
    return DataError(
        f"{counts.n_unparsed:,} of {n_asked:,} lines are not of the log format {name}, the first "
        f"is line {counts.first_unparsed:,}{advice}",
        code="log_format",
        row=counts.first_unparsed,
        details={
            "log_format": name,
            "n_unparsed": counts.n_unparsed,
            "n_lines": n_asked,
            "better": better,
        },
    )


def _block(data: bytes, reading: LogReading, state: _State, *, last: bool) -> pa.Table:
    """Rows of whole lines; the last record is held back, since it may go on in the next block."""
    counts = state.counts
    read = lines.split(data, first=counts.n_lines + 1, max_bytes=reading.max_cell_bytes)
    fields, fits = _fields(read.texts, reading, state)
    n_lines = len(read.texts)
    if not last:
        heads = np.flatnonzero(fits)
        start = int(heads[-1]) if len(heads) else 0
        if len(data) - int(read.starts[start]) <= MAX_WAITING:
            state.held = data[int(read.starts[start]) :]
            n_lines = start
            fits = fits[:start]
        else:
            state.held = b""
    counts.n_lines += n_lines
    fields = {name: one.slice(0, n_lines) for name, one in fields.items()}
    at = np.flatnonzero(fits)
    if len(at) < n_lines:
        fields["message"] = _joined(fields["message"], read, fits, reading, state)
    rows = {name: one.take(pa.array(at)) for name, one in fields.items()}
    rows["line"] = pa.array(at + read.first)
    return _named(rows, reading, state)


def _fields(
    texts: pa.Array, reading: LogReading, state: _State
) -> tuple[dict[str, pa.Array], Booleans]:
    """The columns of each line, and which lines are of the format with a time that there is."""
    form = reading.form
    if form.names is not None:
        found, fits = fields_of(texts, form)
    else:
        found, fits = _matched(texts, form)
    if "time" in found:
        times, fits = _timed(found.pop("time"), fits, reading, state)
        found = times | found
    for name in list(found):
        if name in ("time", "aware", "message"):
            continue
        missing = pc.is_in(found[name], value_set=pa.array(form.missing))
        found[name] = pc.if_else(missing, pa.scalar(None, pa.string()), found[name])
    if "priority" in found:
        found["level"] = _severity(found.pop("priority"))
    return found, fits


def _matched(texts: pa.Array, form: LineFormat) -> tuple[dict[str, pa.Array], Booleans]:
    """The groups of the format's pattern in each line.

    Where the message is all that is left of a line, the pattern need not run over it: what it
    takes grows with what it captures.
    """
    head = form.pattern.removesuffix(MESSAGE)
    if head == form.pattern:
        parts = pc.extract_regex(texts, form.pattern)
        fits = np.asarray(parts.is_valid().to_numpy(zero_copy_only=False))
        return {name: parts.field(name) for name in form.columns}, fits
    parts = pc.extract_regex(texts, f"^(?P<head>{head.removeprefix('^')})")
    fits = np.asarray(parts.is_valid().to_numpy(zero_copy_only=False))
    n_bytes = pc.binary_length(parts.field("head")).to_numpy(zero_copy_only=False)
    found = {name: parts.field(name) for name in form.columns if name != "message"}
    found["message"] = lines.after(texts, np.where(fits, n_bytes, 0).astype(np.int64))
    return found, fits


def _timed(
    texts: pa.Array, fits: Booleans, reading: LogReading, state: _State
) -> tuple[dict[str, pa.Array], Booleans]:
    """Times of the lines that fit; a line whose time no calendar has does not fit."""
    if not reading.has_time:
        return {}, fits
    texts = pc.replace_substring_regex(texts, r"\s+", " ") if state.clock is None else texts
    if state.clock is None and fits.any():
        state.clock = _clock_of(texts.filter(pa.array(fits)))
    if state.clock is None:
        return {}, np.zeros(len(fits), dtype=np.bool_)
    if reading.form.clock is None:
        looks = pc.match_substring_regex(texts, f"^(?:{clocks.PATTERNS[state.clock]})$")
        fits = fits & np.asarray(looks.fill_null(False).to_numpy(zero_copy_only=False))
    times = clocks.parse(texts.filter(pa.array(fits)), state.clock)
    at = np.flatnonzero(fits)[times.valid]
    values, aware = times.values[times.valid], times.aware[times.valid]
    if state.clock == "syslog" and len(values):
        assert state.year is not None
        values, state.year, state.month = clocks.with_years(
            values, year=state.year, last_month=state.month
        )
    whole = np.zeros(len(fits), dtype=np.int64)
    whole[at] = values
    dated = np.zeros(len(fits), dtype=np.bool_)
    dated[at] = True
    marks = np.zeros(len(fits), dtype=np.bool_)
    marks[at] = aware
    stamps = pa.array(whole, mask=~dated).cast(pa.timestamp("us"))
    return {"time": stamps, "aware": pa.array(marks)}, dated


def _clock_of(texts: pa.Array) -> str | None:
    """The clock that writes most of these times."""
    sample = texts.slice(0, 1_000)
    shares = {
        name: pc.sum(pc.match_substring_regex(sample, f"^(?:{pattern})$"), min_count=0).as_py()
        for name, pattern in clocks.PATTERNS.items()
        if name != "syslog"
    }
    best = max(shares, key=lambda name: int(shares[name]))
    return best if shares[best] else None


def _severity(priority: pa.Array) -> pa.Array:
    """The level in a syslog's priority: its remainder by 8 (RFC 3164, 4.1.1)."""
    numbers = priority.cast(pa.int64()).to_numpy(zero_copy_only=False)
    known = np.isfinite(numbers)
    codes = np.where(known, np.nan_to_num(numbers), 0).astype(np.int64) % 8
    return pa.array(np.array(SEVERITIES, dtype=object)[codes], pa.string(), mask=~known)


def _joined(
    messages: pa.Array, read: Lines, fits: Booleans, reading: LogReading, state: _State
) -> pa.Array:
    """Messages with the lines that go on with them; counts the lines that are of no format."""
    counts = state.counts
    at = np.flatnonzero(~fits)
    texts = read.texts.take(pa.array(at))
    blank = np.asarray(pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False))
    goes_on = np.asarray(pc.match_substring_regex(texts, CONTINUED).to_numpy(zero_copy_only=False))
    before = np.cumsum(fits)[at]  # number of records so far; 0: there is none to go on with
    goes_on &= ~blank & (before > 0)
    unparsed = ~blank & ~goes_on
    counts.n_blank += int(blank.sum())
    counts.n_joined += int(goes_on.sum())
    counts.n_unparsed += int(unparsed.sum())
    if counts.first_unparsed is None and unparsed.any():
        counts.first_unparsed = read.first + int(at[unparsed][0])
    if not goes_on.any():
        return messages
    heads = np.flatnonzero(fits)[before[goes_on] - 1]
    further: dict[int, list[str]] = {}
    for head, text in zip(heads.tolist(), texts.filter(pa.array(goes_on)).to_pylist(), strict=True):
        further.setdefault(head, []).append(text)
    places = np.array(sorted(further), dtype=np.int64)
    first = messages.take(pa.array(places)).to_pylist()
    whole = []
    for head, text in zip(places.tolist(), first, strict=True):
        joined = "\n".join([text or "", *further[head]]).encode()
        counts.n_cut += len(joined) > reading.max_cell_bytes
        whole.append(joined[: reading.max_cell_bytes].decode("utf-8", "ignore"))
    mask = np.zeros(len(messages), dtype=np.bool_)
    mask[places] = True
    return pc.replace_with_mask(messages, pa.array(mask), pa.array(whole, pa.string()))


def _named(rows: dict[str, pa.Array], reading: LogReading, state: _State) -> pa.Table:
    """Rows by the entities that their messages name, in the order of the columns."""
    counts = state.counts
    if reading.entity_prefix is not None:
        found = named(rows["message"], reading.entity_prefix)
        n_lines = len(rows["line"])
        n_with = len(np.unique(found.row))
        counts.n_without_entity += n_lines - n_with
        counts.n_further_entities += len(found.row) - n_with
        if "key" in rows:
            rows["source"] = rows.pop("key")
        rows = {name: one.take(pa.array(found.row)) for name, one in rows.items()}
        rows["key"] = found.key
    counts.n_rows += len(rows["line"])
    names = [*reading.columns, *(["aware"] if "aware" in rows else [])]
    empty = pa.nulls(len(rows["line"]), pa.string())
    return pa.table({name: rows.get(name, empty) for name in names})
