"""Tables to numbers, without looking at the target.

Columns get internal names f0..fn, so that a name with any characters works. The state is JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.cells import as_micros, as_numbers, check_unique, column_kind
from automl.data.codes import DATE_PARTS, Levels, date_part
from automl.errors import DataError

# Ordinal codes were as good as native categories up to 25 levels; above, frequency order keeps
# rare levels together and a frequency column tells how rare (docs/method.md, Columns).
LOW_CARDINALITY = 25
MAX_LEVELS = 20_000  # the state stays below about 2 MB per column; rarer levels share one code
FLOAT32_EXACT = 2**24  # integers up to here are exact in float32
# Numbers beyond are as good as this one: sums and medians of float32 stay finite.
LARGEST = 1e30
# Numbers are encoded so many at a time: whole columns as float64, four times over, are a third
# of a table.
BLOCK_ROWS = 65_536
# Codes of levels more at a time: the levels, up to 20,000, are looked up each time.
CODED_ROWS = 4 * BLOCK_ROWS

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderInfo:
    """What a model may know about the encoded columns; shape (n_columns,) each.

    kinds are ``numeric``, ``category`` (an ordinal code, few levels), ``rank`` (a code by falling
    frequency, many levels) and ``frequency`` (the share of the level, beside each ``rank``).
    """

    kinds: tuple[str, ...]
    cardinality: tuple[int, ...]  # number of codes; 0 for numbers
    # 1 or -1 where the score may only rise or fall with the column, else 0; empty where all are 0.
    monotone: tuple[int, ...] = ()

    @property
    def names(self) -> list[str]:
        return [f"f{i}" for i in range(len(self.kinds))]

    @property
    def categorical(self) -> list[int]:
        return [i for i, kind in enumerate(self.kinds) if kind in ("category", "rank")]

    def where(self, *kinds: str) -> list[int]:
        """Positions of the columns of these kinds."""
        return [i for i, kind in enumerate(self.kinds) if kind in kinds]

    @classmethod
    def numeric(cls, n_columns: int) -> EncoderInfo:
        """A table of numbers only."""
        return cls(kinds=("numeric",) * n_columns, cardinality=(0,) * n_columns)


class TableEncoder:
    """Any table to a float32 matrix, the same way each time.

    Numbers stay numbers (shifted by a constant where float32 would round them), booleans are 0
    and 1, timestamps become days since the first and their calendar parts, categories become
    codes. Missing cells are NaN. Constant and all-missing columns are dropped. The target is
    never seen, so fitting on rows that later validate leaks nothing about them.

    >>> X = pd.DataFrame({"age": [30, 41, 57], "city": ["a", "b", None]})
    >>> encoder = TableEncoder().fit(X)
    >>> encoder.transform(X).tolist()
    [[30.0, 0.0], [41.0, 1.0], [57.0, nan]]
    """

    def __init__(self) -> None:
        self.columns: list[dict[str, Any]] = []
        self.dropped: list[dict[str, str]] = []
        self._levels: dict[str, Levels] = {}

    def fit(self, X: pd.DataFrame) -> TableEncoder:
        """Learn the columns of `X`.

        Raises
        ------
        DataError
            Two columns share a name, no column has two different values, or a cell is no single
            value (``unsupported_type``).
        """
        names = [str(name) for name in X.columns]
        check_unique(names)
        self.columns, self.dropped, self._levels = [], [], {}
        for position, name in enumerate(names):
            spec = self._learn(name, X.iloc[:, position])
            if isinstance(spec, str):
                self.dropped.append({"column": name, "why": spec})
            else:
                self.columns.append(spec)
        if not self.columns:
            raise DataError(
                f"none of {len(names)} columns has two different values", code="no_features"
            )
        return self

    @property
    def info(self) -> EncoderInfo:
        """Kinds and cardinalities of the encoded columns, for the models."""
        kinds: list[str] = []
        sizes: list[int] = []
        for spec in self.columns:
            if spec["kind"] == "datetime":
                kinds += ["numeric"] * len(spec["parts"])
                sizes += [0] * len(spec["parts"])
            elif spec["kind"] == "category":
                levels = self._levels[spec["name"]]
                kinds += ["rank", "frequency"] if levels.frequencies else ["category"]
                sizes += [levels.n_codes, 0] if levels.frequencies else [levels.n_codes]
            else:
                kinds.append("numeric")
                sizes.append(0)
        return EncoderInfo(kinds=tuple(kinds), cardinality=tuple(sizes))

    def levels(self, name: str) -> Levels:
        """The levels of a column of categories."""
        return self._levels[name]

    @property
    def names(self) -> list[str]:
        """Internal names of the encoded columns: f0, f1, …"""
        return self.info.names

    @property
    def categorical(self) -> list[int]:
        """Positions of the encoded columns that are codes of levels."""
        return self.info.categorical

    @property
    def cardinality(self) -> tuple[int, ...]:
        """Number of codes per encoded column, 0 for numbers."""
        return self.info.cardinality

    @property
    def sources(self) -> list[str]:
        """The table's own name for each encoded column, with its part: ``opened (month)``."""
        names: list[str] = []
        for spec in self.columns:
            name = spec["name"]
            if spec["kind"] == "datetime":
                names += [f"{name} ({part})" for part in spec["parts"]]
            elif spec["kind"] == "category" and self._levels[name].frequencies:
                names += [name, f"{name} (frequency)"]
            else:
                names.append(name)
        return names

    @property
    def origins(self) -> list[str]:
        """The table's own name for each encoded column, without its part."""
        names: list[str] = []
        for spec in self.columns:
            name = spec["name"]
            n_parts = len(spec["parts"]) if spec["kind"] == "datetime" else 1
            if spec["kind"] == "category" and self._levels[name].frequencies:
                n_parts = 2
            names += [name] * n_parts
        return names

    def monotone(self, directions: Mapping[str, int]) -> tuple[int, ...]:
        """Directions by the table's columns as directions of the encoded ones; empty if none.

        Raises
        ------
        DataError
            A column is not one of numbers (``monotone_not_numeric``). A constant one says nothing.
        """
        kinds = {spec["name"]: spec["kind"] for spec in self.columns}
        for name in directions:
            if kinds.get(name, "number") != "number":
                raise DataError(
                    f"column {name!r} is a {kinds[name]}; only numbers can be monotone",
                    code="monotone_not_numeric",
                    column=name,
                )
        found = tuple(directions.get(name, 0) for name in self.origins)
        return found if any(found) else ()

    def transform(self, X: pd.DataFrame) -> Array:
        """Encode rows; float32 of shape (n_rows, n_columns), C order.

        A level that was not in the table it was fitted on is missing, or, among many levels, as
        rare as can be.

        Raises
        ------
        DataError
            A column is absent (``missing_column``).
        """
        return self._encode(X)[0]

    def report(self, X: pd.DataFrame) -> dict[str, Any]:
        """How far these rows are from those it was fitted on, in counts; no cell values.

        ``unseen_categories``, ``non_finite`` and ``unreadable`` count cells per column,
        ``out_of_range`` is the share of a column's cells outside the range once seen. Columns
        with nothing to say are left out.
        """
        return self._encode(X)[1]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        columns = []
        for spec in self.columns:
            levels = self._levels.get(spec["name"])
            columns.append(spec if levels is None else {**spec, "levels": levels.to_json()})
        return {"version": 1, "columns": columns, "dropped": self.dropped}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> TableEncoder:
        """The same encoder again; its output is equal bit by bit."""
        encoder = cls()
        encoder.dropped = [dict(one) for one in state["dropped"]]
        for one in state["columns"]:
            spec = dict(one)
            levels = spec.pop("levels", None)
            if levels is not None:
                encoder._levels[spec["name"]] = Levels.from_json(levels)
            encoder.columns.append(spec)
        return encoder

    def _learn(self, name: str, values: pd.Series[Any]) -> dict[str, Any] | str:
        kind = column_kind(values)
        if kind == "category":
            levels = Levels.fit(values, low=LOW_CARDINALITY, most=MAX_LEVELS)
            if levels.n_distinct == 0:
                return "all_missing"
            if levels.n_distinct == 1 and not values.isna().any():
                return "constant"
            self._levels[name] = levels
            return {"name": name, "kind": kind}
        if kind == "datetime":
            micros, missing = as_micros(values)
            if missing.all():
                return "all_missing"
            origin = int(micros[~missing].min())
            parts = []
            for part in DATE_PARTS:
                seen = date_part(micros[~missing], part, origin=origin)
                if (part == "days" and missing.any()) or seen.min() < seen.max():
                    parts.append(part)
            if not parts:
                return "constant"
            top = int(micros[~missing].max())
            return {"name": name, "kind": kind, "origin": origin, "max": top, "parts": parts}
        numbers = as_numbers(values)[0]
        seen = numbers[np.isfinite(numbers)]
        if not len(seen):
            return "all_missing"
        low, high = float(seen.min()), float(seen.max())
        if low == high and len(seen) == len(numbers):
            return "constant"
        return {"name": name, "kind": kind, "min": low, "max": high, "offset": _offset(seen)}

    def _encode(self, X: pd.DataFrame) -> tuple[Array, dict[str, Any]]:
        at = {str(name): position for position, name in enumerate(X.columns)}
        absent = [spec["name"] for spec in self.columns if spec["name"] not in at]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(self.columns)} columns are absent: "
                + ", ".join(map(repr, absent[:5])),
                code="missing_column",
                column=absent[0],
                details={"columns": absent},
            )
        out = np.empty((len(X), len(self.info.kinds)), dtype=np.float32)
        report: dict[str, Any] = {"n_rows": len(X)} | {key: {} for key in REPORTED}
        i = 0
        for spec in self.columns:
            name, values = spec["name"], X.iloc[:, at[spec["name"]]]
            if spec["kind"] == "category":
                levels = self._levels[name]
                unseen = 0
                # Texts that are not coded yet are levels only once all of them are seen.
                coded = isinstance(values.dtype, pd.CategoricalDtype)
                for rows in _blocks(len(X), CODED_ROWS if coded else max(len(X), 1)):
                    codes, shares, n_unseen = levels.encode(values.iloc[rows])
                    out[rows, i] = codes
                    if shares is not None:
                        out[rows, i + 1] = shares
                    unseen += n_unseen
                i += 2 if levels.frequencies else 1
                if unseen:
                    report["unseen_categories"][name] = unseen
            elif spec["kind"] == "datetime":
                micros, missing = as_micros(values)
                for part in spec["parts"]:
                    column = date_part(micros, part, origin=spec["origin"])
                    out[:, i] = np.where(missing, np.nan, column)
                    i += 1
                beyond = ~missing & ((micros < spec["origin"]) | (micros > spec["max"]))
                if beyond.any():
                    report["out_of_range"][name] = float(beyond.mean())
            else:
                n_beyond = unreadable = infinite = 0
                for rows in _blocks(len(X)):
                    numbers, *counts = as_numbers(values.iloc[rows])
                    with np.errstate(invalid="ignore"):
                        outside = (numbers < spec["min"]) | (numbers > spec["max"])
                    shifted = numbers - spec["offset"]
                    out[rows, i] = np.clip(shifted, -LARGEST, LARGEST)
                    n_beyond += int(outside.sum())
                    unreadable += counts[0]
                    infinite += counts[1]
                i += 1
                if n_beyond:
                    report["out_of_range"][name] = n_beyond / len(X)
                if unreadable:
                    report["unreadable"][name] = unreadable
                if infinite:
                    report["non_finite"][name] = infinite
        return out, report


REPORTED = ("unseen_categories", "out_of_range", "non_finite", "unreadable")


def _blocks(n_rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    for start in range(0, n_rows, size):
        yield slice(start, start + size)


def _offset(seen: npt.NDArray[np.float64]) -> float:
    """What to subtract so that float32 keeps the differences; 0 where it already does."""
    low, high = float(seen.min()), float(seen.max())
    reach = max(abs(low), abs(high))
    if reach <= FLOAT32_EXACT or high - low > reach / 4:
        return 0.0
    return low
