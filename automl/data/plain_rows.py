"""A few rows of JSON to encoded columns, where every cell is plainly what its column is.

Reading rows through Arrow and pandas takes ten times what predicting one takes. Here cells go
straight to the numbers that `automl.data.bodies` and `TableEncoder` make of them. Whatever is not
plain (a number as text, a time with an offset, a column that is not there) is declined as a
whole, so that everything odd has one reader and one set of errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.codes import LONGEST_LEVEL, date_part
from automl.data.columns import LARGEST_EXACT
from automl.data.encoding import LARGEST, TableEncoder
from automl.data.options import ReadingLimits, ReadingOptions

Array = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]
Report = dict[str, Any]

MANY_ROWS = 1_000  # from here on Arrow is as quick
LONGEST_NAME = 128
LONGEST_CELL = 1_000
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?")
EARLIEST, LATEST = 1800, 2200  # years, as `automl.data.checks` has them
MICROSECOND = 1e-6


class NotPlain(Exception):
    """A cell, or a column, is for the reader of everything."""


class PlainRows:
    """Encodes rows for one encoder, as `read_rows` and `TableEncoder.transform` do.

    Parameters
    ----------
    encoder : TableEncoder
        What the columns become.
    columns : the model's columns, those too that the encoder dropped
    types : by column string, integer, number, boolean or timestamp: how its cells are read
    """

    def __init__(
        self,
        encoder: TableEncoder,
        *,
        columns: Sequence[str],
        types: Mapping[str, str],
        options: ReadingOptions,
        limits: ReadingLimits,
    ) -> None:
        self._nulls = frozenset(options.null_values)
        self._most_columns = limits.max_columns
        self._own = {name: types.get(name) for name in columns}
        self._used = [spec["name"] for spec in encoder.columns]
        self._needed = frozenset(self._used)
        self._readers: dict[str, Callable[[list[Any]], Any]] = {}
        self._width = len(encoder.info.kinds)
        # By kind of column: what it is called, and where its encoded cells are.
        self._numbers: list[str] = []
        numbers: list[tuple[int, float, float, float]] = []
        self._levels: list[tuple[str, int, _Ranks]] = []
        self._times: list[tuple[Mapping[str, Any], int]] = []
        # Times that follow a format or a zone of the upload are read by all of its rules.
        plain_times = options.date_format is None and options.timezone is None
        at = 0
        self.can = True
        for spec in encoder.columns:
            name, kind = spec["name"], spec["kind"]
            told = self._own.get(name)
            if kind == "category" and told == "string":
                ranks = _Ranks(encoder, name)
                self._levels.append((name, at, ranks))
                at += 2 if ranks.frequencies else 1
            elif kind == "datetime" and told == "timestamp" and plain_times:
                self._times.append((spec, at))
                at += len(spec["parts"])
            elif kind == "number" and told in ("number", "integer", "boolean"):
                self._numbers.append(name)
                numbers.append((at, spec["min"], spec["max"], spec["offset"]))
                at += 1
            else:
                self.can = False
        self._at = np.array([one[0] for one in numbers], dtype=np.intp)
        self._low, self._high, self._offset = (
            np.array([one[i] for one in numbers], dtype=np.float64) for i in (1, 2, 3)
        )

    def encode(self, rows: Sequence[Row]) -> tuple[Array, Report] | None:
        """Encoded rows of shape (n_rows, n_encoded), and how they look; None where not plain.

        The report has ``extra_columns``, ``unseen_categories``, ``out_of_range`` and
        ``out_of_range_share`` as `automl.search.champion.checked` has them.
        """
        if not self.can or not 0 < len(rows) < MANY_ROWS:
            return None
        try:
            return self._encode(rows)
        except NotPlain:
            return None

    def _encode(self, rows: Sequence[Row]) -> tuple[Array, Report]:
        names = dict.fromkeys(name for row in rows for name in row)
        if len(names) > self._most_columns:
            raise NotPlain
        if any(not self._needed <= row.keys() for row in rows):
            raise NotPlain
        extra = [name for name in names if name not in self._own]
        for name in extra:
            if len(name) > LONGEST_NAME or "\0" in name:
                raise NotPlain
            _harmless(row.get(name) for row in rows)
        out = np.empty((len(rows), self._width), dtype=np.float32)
        report: Report = {"unseen_categories": {}, "out_of_range": {}, "extra_columns": extra}
        numbers = np.empty((len(rows), len(self._numbers)))
        for j, name in enumerate(self._numbers):
            read = _truth if self._own[name] == "boolean" else _number
            numbers[:, j] = [read(row.get(name)) for row in rows]
        beyond = self._put(out, numbers)
        outside = {name: float(n) for name, n in zip(self._numbers, beyond, strict=True) if n}
        for name, at, ranks in self._levels:
            unseen = ranks.put(out, at, [self._text(row.get(name)) for row in rows])
            if unseen:
                report["unseen_categories"][name] = unseen
        for spec, at in self._times:
            share = self._put_times(out, at, spec, [row.get(spec["name"]) for row in rows])
            if share:
                outside[spec["name"]] = share
        for name in self._own:
            if name in names and name not in self._used:
                self._dropped(name, [row.get(name) for row in rows])
        # In the order of the columns, as the encoder's own report.
        report["out_of_range"] = {name: outside[name] for name in self._used if name in outside}
        report["out_of_range_share"] = max(outside.values(), default=0.0)
        return out, report

    def _put(self, out: Array, numbers: Floats) -> Floats:
        """Encode the columns of numbers, shape (n_rows, n_numbers); the share outside, of each."""
        if not len(self._at):
            return np.empty(0)
        numbers = _narrowed(numbers)
        outside = (numbers < self._low) | (numbers > self._high)
        out[:, self._at] = np.clip(numbers - self._offset, -LARGEST, LARGEST)
        return np.asarray(outside.mean(axis=0))

    def _put_times(self, out: Array, at: int, spec: Mapping[str, Any], cells: list[Any]) -> float:
        """Encode a column of times; the share outside."""
        texts = [None if cell is None else self._text(cell) for cell in cells]
        if len({len(text) for text in texts if text is not None}) > 1:
            raise NotPlain  # written in two ways
        missing = np.array([text is None for text in texts])
        micros = np.array([0 if text is None else _micros(text) for text in texts], dtype=np.int64)
        for i, part in enumerate(spec["parts"]):
            values = date_part(micros, part, origin=spec["origin"])
            out[:, at + i] = np.where(missing, np.nan, values)
        beyond = ~missing & ((micros < spec["origin"]) | (micros > spec["max"]))
        return float(beyond.mean())

    def _text(self, cell: Any) -> str | None:
        if cell is None:
            return None
        if type(cell) is not str:
            raise NotPlain
        return None if cell in self._nulls else cell

    def _dropped(self, name: str, cells: list[Any]) -> None:
        """A column that says nothing has to be readable all the same."""
        told = self._own[name]
        for cell in cells:
            if told == "string":
                _clean(self._text(cell))
            elif told in ("number", "integer"):
                _number(cell)
            elif told == "boolean":
                _truth(cell)
            elif cell is not None:
                raise NotPlain


class _Ranks:
    """The codes of one column's levels."""

    def __init__(self, encoder: TableEncoder, name: str) -> None:
        levels = encoder.levels(name)
        self.frequencies = levels.frequencies
        self._codes = {text: float(i) for i, text in enumerate(levels.levels)}
        self._unseen = float(len(levels.levels)) if self.frequencies else math.nan
        self._capped = levels.n_distinct > len(levels.levels)

    def put(self, out: Array, at: int, texts: list[str | None]) -> int:
        """Encode texts into column `at`, and the next where shares are kept; how many unseen."""
        unseen = 0
        for i, text in enumerate(texts):
            code = math.nan if text is None else self._codes.get(text)
            share = math.nan
            if code is None:
                _clean(text)
                if len(text or "") > LONGEST_LEVEL:  # kept by its digest
                    raise NotPlain
                code, share, unseen = self._unseen, 0.0, unseen + 1
            elif text is not None and self.frequencies:
                share = self.frequencies[int(code)]
            out[i, at] = code
            if self.frequencies:
                out[i, at + 1] = share
        return 0 if self._capped else unseen


def _number(cell: Any) -> float:
    if cell is None:
        return math.nan
    if type(cell) is not float and type(cell) is not int:
        raise NotPlain
    try:
        value = float(cell)
    except OverflowError:
        raise NotPlain from None
    if not math.isfinite(value):
        raise NotPlain
    return value


def _truth(cell: Any) -> float:
    if cell is None:
        return math.nan
    if type(cell) is not bool:
        raise NotPlain
    return float(cell)


def _micros(text: str) -> int:
    """UTC microseconds since 1970 of an ISO time without an offset."""
    if not TIME.fullmatch(text):
        raise NotPlain
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise NotPlain from None
    if not EARLIEST <= moment.year < LATEST:
        raise NotPlain
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _clean(text: str | None) -> None:
    """Decline what a cell of text may not hold."""
    if text is None:
        return
    if len(text) > LONGEST_CELL or "\0" in text:
        raise NotPlain
    if not text.isascii() and any("\ud800" <= one <= "\udfff" for one in text):
        raise NotPlain


def _harmless(cells: Iterable[Any]) -> None:
    """Decline a column nobody asks for unless no reader could stumble over it.

    A text that may be a time is not harmless: of some, day and month cannot be told apart.
    """
    kinds = set()
    for cell in cells:
        if cell is None:
            continue
        kinds.add(type(cell))
        if type(cell) is str:
            _clean(cell)
            if not cell.isalnum() and any(one.isdigit() for one in cell):
                raise NotPlain
        elif type(cell) is not bool and abs(_number(cell)) > LARGEST_EXACT:
            raise NotPlain
    if len(kinds) > 1:
        raise NotPlain


def _narrowed(numbers: Floats) -> Floats:
    """Columns rounded to float32 where `automl.data.series` keeps them as that."""
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = numbers.astype(np.float32).astype(np.float64)
        size = np.abs(numbers)
        finite = np.isfinite(numbers)
        largest = np.where(finite, size, 0).max(axis=0)
        whole = np.where(finite, numbers == np.rint(numbers), True).all(axis=0)
        exact = np.where(finite, narrow == numbers, True).all(axis=0)
    kept = (largest > np.finfo(np.float32).max) | np.where(whole, ~exact, largest > 2**24)
    return np.where(kept, numbers, narrow)
