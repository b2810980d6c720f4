"""Keys of one table found in another: Arrow batches to positions, millions of rows a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from automl.errors import DataError
from automl.relations.hashing import text_hashes
from automl.relations.key_columns import (
    DIGITS,
    PLAIN_INTEGER,
    Bools,
    KeyColumn,
    all_match,
    key_column,
)
from automl.relations.tables import Integers

# A table over the whole range of integer keys is quicker than a hash table, and smaller up to here.
DENSE = 4


class KeyIndex:
    """The distinct keys of some rows, numbered as they first come, and rows that look for them.

    Parameters
    ----------
    columns : Arrow columns of the same length
    names, table : what they are called, for errors

    Attributes
    ----------
    codes : array of shape (n_rows,), int64
        The number of each row's key; -1 where a part of it is missing.
    n_keys : int

    >>> index = KeyIndex([pa.array([7, 7, 9])], names=("id",), table="loan")
    >>> index.codes.tolist(), index.find([pa.array(["9", "8", None])], names=("id",), table="log")
    ([0, 0, 1], array([ 1, -1, -1]))
    """

    def __init__(
        self, columns: Sequence[pa.Array | pa.ChunkedArray], *, names: Sequence[str], table: str
    ) -> None:
        self._columns: list[_ColumnIndex] = []
        self._pairs: list[_Numbers] = []
        codes: Integers | None = None
        for column, name in zip(columns, names, strict=True):
            index = _ColumnIndex(key_column(column), name=name, table=table)
            self._columns.append(index)
            if codes is None:
                codes = index.codes
                continue
            both = _paired(codes, index.codes, index.n_keys)
            pairs = _Numbers(both, both >= 0)
            self._pairs.append(pairs)
            codes = pairs.codes
        if codes is None:
            raise ValueError("a key has at least one column")
        self.codes = codes
        self.n_keys = self._pairs[-1].n_keys if self._pairs else self._columns[0].n_keys

    def find(
        self,
        columns: Sequence[pa.Array | pa.ChunkedArray],
        *,
        names: Sequence[str] = (),
        table: str = "",
    ) -> Integers:
        """The number of each row's key, -1 where it is missing or not among them.

        Raises
        ------
        DataError
            ``key_type_mismatch``: texts on one side, numbers or times on the other.
        """
        names = names or [""] * len(columns)
        codes: Integers | None = None
        for at, (column, name) in enumerate(zip(columns, names, strict=True)):
            index = self._columns[at]
            found = index.find(column, name=name, table=table)
            if codes is None:
                codes = found
            else:
                both = _paired(codes, found, index.n_keys)
                codes = self._pairs[at - 1].find(both, both >= 0)
        assert codes is not None
        return codes


class _Numbers:
    """Distinct int64 values and where they stand."""

    def __init__(self, values: Integers, valid: Bools) -> None:
        kept = values if valid.all() else values[valid]
        self._low = int(kept.min()) if len(kept) else 0
        n_places = int(kept.max()) - self._low + 1 if len(kept) else 0
        self._places: npt.NDArray[np.int32] | None = None
        self._index: pd.Index[int] | None = None
        if n_places <= DENSE * len(kept) + 1024 and len(kept) < 2**31:
            codes, self._places = _numbered(kept - self._low, n_places)
            self.n_keys = int(self._places.max(initial=-1)) + 1
        else:
            codes, uniques = pd.factorize(kept)
            self.n_keys = len(uniques)
            unique: Integers = np.asarray(uniques, dtype=np.int64)
            self._index = pd.Index(unique)
        self.codes = codes
        if len(kept) < len(values):
            self.codes = np.full(len(values), -1, dtype=np.int64)
            self.codes[valid] = codes

    def find(self, values: Integers, valid: Bools) -> Integers:
        if self._places is None:
            assert self._index is not None
            found = self._index.get_indexer(pd.Index(values)).astype(np.int64)
            return found if valid.all() else np.where(valid, found, -1)
        if not len(self._places):
            return np.full(len(values), -1, dtype=np.int64)
        high = self._low + len(self._places) - 1
        inside = valid & (values >= self._low) & (values <= high)
        if inside.all():
            return self._places[values - self._low].astype(np.int64)
        at = np.where(inside, values, self._low) - self._low
        return np.where(inside, self._places[at], -1).astype(np.int64)


class _ColumnIndex:
    """Distinct values of one column."""

    def __init__(self, key: KeyColumn, *, name: str, table: str) -> None:
        self.name, self.table, self.family = name, table, key.family
        self._texts: pa.Array | None = None
        self._is_plain = False
        self._plain: _ColumnIndex | None = None
        if key.texts is None:
            assert key.values is not None
            self._numbers = _Numbers(key.values, key.valid)
        else:
            first, second = _text_numbers(key.texts)
            self._numbers = _Numbers(first, key.valid)
            at = _first_places(self._numbers.codes, self._numbers.n_keys)
            self._second = second[at]
            if (self._second[self._numbers.codes[key.valid]] != second[key.valid]).any():
                raise DataError(
                    f"two keys of '{table}.{name}' have the same 64-bit hash",
                    code="key_collision",
                    table=table,
                    column=name,
                )
            texts = key.texts.take(pa.array(at))
            self._is_plain = all_match(texts, PLAIN_INTEGER)
            if self._is_plain or all_match(texts, DIGITS):
                self._texts = texts  # may be asked for as integers
        self.codes, self.n_keys = self._numbers.codes, self._numbers.n_keys

    def find(self, column: pa.Array | pa.ChunkedArray, *, name: str, table: str) -> Integers:
        if not isinstance(column, pa.ChunkedArray) and pa.types.is_dictionary(column.type):
            codes = self.find(column.dictionary, name=name, table=table)
            at = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
            spread: Integers = np.append(codes, -1)[at]
            return spread
        key = key_column(column)
        if not key.valid.any():
            return np.full(len(key.valid), -1, dtype=np.int64)
        if self.family == "text":
            if key.family == "text":
                found = self._find_texts(key)
                if (found < 0).all():
                    self._refuse_zeros(key, name=name, table=table)
                return found
            if key.family != "integer" or not self._is_plain:
                raise self._mismatch(key, name=name, table=table)
            return self._as_integers().find(column, name=name, table=table)
        if key.family == "text":
            if self.family != "integer" or not key.is_plain:
                raise self._mismatch(key, name=name, table=table)
            assert key.texts is not None
            key = key_column(key.texts.cast(pa.int64()))
        if (self.family == "time") != (key.family == "time"):
            raise self._mismatch(key, name=name, table=table)
        assert key.values is not None
        values, valid = key.values, key.valid
        if self.family == "float" and key.family == "integer":
            values = values.astype(np.float64).view(np.int64)
        elif self.family == "integer" and key.family == "float":
            numbers = values.view(np.float64)
            valid = valid & (numbers == np.rint(numbers)) & (np.abs(numbers) <= 2.0**53)
            values = np.where(valid, numbers, 0.0).astype(np.int64)
        return self._numbers.find(values, valid)

    def _find_texts(self, key: KeyColumn) -> Integers:
        assert key.texts is not None
        first, second = _text_numbers(key.texts)
        found = self._numbers.find(first, key.valid)
        # a stranger with the hash of a key is no key: 128 bits agree
        same = (found >= 0) & (np.append(self._second, 0)[found] == second)
        return np.where(same, found, -1)

    def _as_integers(self) -> _ColumnIndex:
        if self._plain is None:
            assert self._texts is not None
            numbers = key_column(self._texts.cast(pa.int64()))
            self._plain = _ColumnIndex(numbers, name=self.name, table=self.table)
        return self._plain

    def _refuse_zeros(self, key: KeyColumn, *, name: str, table: str) -> None:
        """Raise where no text is a key, and half of them would be without leading zeros."""
        if self._texts is None or key.texts is None or not all_match(key.texts, DIGITS):
            return
        found = self._as_integers().find(key.texts.cast(pa.int64()), name=name, table=table)
        if 2 * (found >= 0).sum() >= key.valid.sum():
            raise DataError(
                f"'{table}.{name}' and '{self.table}.{self.name}' have the same keys with and "
                "without leading zeros; declare the type integer for both",
                code="key_type_mismatch",
                table=table,
                column=name,
                details={"columns": [f"{table}.{name}", f"{self.table}.{self.name}"]},
            )

    def _mismatch(self, key: KeyColumn, *, name: str, table: str) -> DataError:
        words = {"integer": "integers", "float": "numbers", "time": "times", "text": "texts"}
        return DataError(
            f"'{table}.{name}' has {words[key.family]} and '{self.table}.{self.name}' "
            f"{words[self.family]}: 00123 is not 123; declare the same type for both columns",
            code="key_type_mismatch",
            table=table,
            column=name,
            details={"columns": [f"{table}.{name}", f"{self.table}.{self.name}"]},
        )


def _numbered(values: Integers, n_places: int) -> tuple[Integers, npt.NDArray[np.int32]]:
    """Values from 0 to `n_places` as they first come: each one's number, and that of each value.

    A hash table would take several times the memory; of ten million keys, more than half a GB.

    >>> _numbered(np.array([3, 0, 3]), 4)[1].tolist()
    [1, -1, -1, 0]
    """
    places = np.full(n_places, -1, dtype=np.int32)
    places[values[::-1]] = np.arange(len(values) - 1, -1, -1, dtype=np.int32)  # the last one stays
    first = places[places >= 0]
    is_first = np.zeros(len(values), dtype=bool)
    is_first[first] = True
    numbers = np.cumsum(is_first, dtype=np.int32) - np.int32(1)
    places[places >= 0] = numbers[first]
    return places[values].astype(np.int64), places


def _text_numbers(texts: pa.Array) -> tuple[Integers, Integers]:
    first, second = text_hashes(texts, n_lanes=2)
    return first.view(np.int64), second.view(np.int64)


def _paired(first: Integers, second: Integers, n_second: int) -> Integers:
    missing = (first < 0) | (second < 0)
    return np.where(missing, -1, first * max(n_second, 1) + second)


def _first_places(codes: Integers, n_keys: int) -> Integers:
    first = np.zeros(n_keys, dtype=np.int64)
    at = np.flatnonzero(codes >= 0)[::-1]
    first[codes[at]] = at
    return first
