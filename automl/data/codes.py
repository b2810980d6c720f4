"""Codes of levels and parts of dates: what the encoder keeps per column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.errors import DataError

LONGEST_LEVEL = 64  # characters kept as they are; longer ones are kept as a digest
DAY = 86_400_000_000  # microseconds
NESTED = (list, tuple, dict, set, frozenset, np.ndarray)
DATE_PARTS = ("days", "month", "day", "weekday", "hour")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The levels of one column and the codes they get.

    With few levels the code is the position in their natural order. With many, it is the rank by
    falling frequency, `frequencies` has the share of each level, and levels beyond the cap as
    well as unseen ones share the last code at frequency 0.
    """

    levels: tuple[str, ...]
    frequencies: tuple[float, ...]  # empty with few levels
    n_distinct: int  # before the cap

    @property
    def n_codes(self) -> int:
        return len(self.levels) + bool(self.frequencies)

    @classmethod
    def fit(cls, values: pd.Series[Any], *, low: int, most: int) -> Levels:
        """Count the levels of a column; more than `low` are ranked, at most `most` are kept."""
        codes, texts = level_texts(values)
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))
        seen = [i for i in range(len(texts)) if counts[i]]
        if len(seen) <= low:
            order = _natural(values, [texts[i] for i in seen])
            return cls(levels=tuple(order), frequencies=(), n_distinct=len(seen))
        kept = sorted(seen, key=lambda i: (-counts[i], texts[i]))[:most]
        n_rows = len(values)
        return cls(
            levels=tuple(texts[i] for i in kept),
            frequencies=tuple(float(counts[i]) / n_rows for i in kept),
            n_distinct=len(seen),
        )

    def encode(self, values: pd.Series[Any]) -> tuple[Floats, Floats | None, int]:
        """Codes, shares (None with few levels) and the number of unseen cells."""
        codes, texts = level_texts(values)
        rank = {text: float(i) for i, text in enumerate(self.levels)}
        ranked = bool(self.frequencies)
        unseen_code = float(len(self.levels)) if ranked else np.nan
        # The last entry answers for code -1, a missing cell.
        table = np.array([*(rank.get(text, unseen_code) for text in texts), np.nan])
        known = np.array([*(text in rank for text in texts), True])
        shares = None
        if ranked:
            share = dict(zip(self.levels, self.frequencies, strict=True))
            shares = np.array([*(share.get(text, 0.0) for text in texts), np.nan])[codes]
        # Levels beyond the cap cannot be told from unseen ones: then nothing is counted.
        capped = self.n_distinct > len(self.levels)
        unseen = 0 if capped else int((~known[codes]).sum())
        return table[codes], shares, unseen

    def to_json(self) -> dict[str, Any]:
        return {
            "levels": list(self.levels),
            "frequencies": list(self.frequencies),
            "n_distinct": self.n_distinct,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Levels:
        return cls(
            levels=tuple(value["levels"]),
            frequencies=tuple(value["frequencies"]),
            n_distinct=value["n_distinct"],
        )


def level_texts(values: pd.Series[Any]) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Codes (-1 = missing) into distinct texts of the cells.

    The text is the same however the cell came in: the integer 3, the number 3.0 and the string
    "3" are one level, so that a table read from CSV and rows sent as JSON agree.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy().astype(np.intp)
        uniques: Any = values.cat.categories
    else:
        held = pd.api.types.infer_dtype(values, skipna=True) if values.dtype == "O" else ""
        if held.startswith("mixed"):  # hashing takes False for 0; their texts differ
            check_cells(values)
            values = values.map(_text, na_action="ignore")
        codes, uniques = pd.factorize(values)
        codes = codes.astype(np.intp)
    texts = [_text(value) for value in uniques]
    if not texts or pd.api.types.is_string_dtype(uniques.dtype):
        return codes, texts  # distinct strings are distinct texts
    merged: dict[str, int] = {}
    into = np.array([merged.setdefault(text, len(merged)) for text in texts] + [-1], dtype=np.intp)
    return into[codes], list(merged)


def check_cells(values: pd.Series[Any]) -> None:
    """Raise DataError where a cell is a list, a mapping or the like, which is no level."""
    row = first_nested(values)
    if row is not None:
        kind = type(values.iloc[row - 1]).__name__
        raise DataError(
            f"row {row:,} of column {str(values.name)!r} holds a {kind}; a cell is a number, a "
            "text, a date, a truth value or missing",
            code="unsupported_type",
            column=str(values.name),
            row=row,
        )


def first_nested(values: Iterable[Any]) -> int | None:
    """Row, from 1, of the first cell that is a list, a mapping, a set, an array, or nameless.

    Nameless is an object whose text is its address in memory, which is another each time.
    """
    for row, value in enumerate(values, start=1):
        if isinstance(value, NESTED) or _is_nameless(type(value)):
            return row
    return None


def _is_nameless(kind: Any) -> bool:
    own: Any = object
    return bool(kind.__str__ is own.__str__ and kind.__repr__ is own.__repr__)


def _text(value: Any) -> str:
    if type(value) is str and len(value) <= LONGEST_LEVEL:
        return value
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    text = str(int(value)) if whole else str(value)
    if len(text) > LONGEST_LEVEL:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return f"sha256:{digest[:32]}"  # shorter than the longest level: a text of itself
    return text


def _natural(values: pd.Series[Any], texts: list[str]) -> list[str]:
    """Levels in the order people would put them in: declared, numeric, else alphabetic."""
    if isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        place = {_text(value): i for i, value in enumerate(values.cat.categories)}
        return sorted(texts, key=lambda text: place[text])
    try:
        return sorted(texts, key=lambda text: (float(text), text))
    except ValueError:
        return sorted(texts)


def date_part(micros: npt.NDArray[np.int64], part: str, *, origin: int) -> Floats:
    """One part of UTC timestamps in microseconds; ``days`` counts from `origin`.

    >>> micros = np.array([0, 36 * 3_600_000_000])
    >>> [date_part(micros, part, origin=0).tolist() for part in ("days", "weekday", "hour")]
    [[0.0, 1.5], [3.0, 4.0], [0.0, 12.0]]
    """
    if part == "days":
        elapsed: Floats = (micros - origin) / DAY
        return elapsed
    days = micros // DAY
    if part == "weekday":  # 1970-01-01 was a Thursday; Monday is 0
        return ((days + 3) % 7).astype(np.float64)
    if part == "hour":
        return (micros % DAY // 3_600_000_000).astype(np.float64)
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    if part == "month":
        return (months.astype(np.int64) % 12 + 1).astype(np.float64)
    since_first = (dates - months.astype("datetime64[D]")).astype(np.int64)
    day: Floats = (since_first + 1).astype(np.float64)
    return day
