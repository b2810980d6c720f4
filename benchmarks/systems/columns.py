"""Texts to categories or codes for systems that do not read texts; learnt on the training rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd


class Categories:
    """Levels of every column that is not numeric; levels not seen in training are missing.

    >>> X = pd.DataFrame({"n": [1, 2], "c": ["b", "a"]})
    >>> Categories(X).codes(pd.DataFrame({"n": [3], "c": ["z"]})).tolist()
    [[3.0, nan]]
    """

    def __init__(self, X: pd.DataFrame) -> None:
        self.levels = {
            name: pd.Index(X[name].dropna().astype(str).unique()).sort_values()
            for name in X.columns
            if not pd.api.types.is_numeric_dtype(X[name])
        }

    def native(self, X: pd.DataFrame, *, most: int | None = None) -> pd.DataFrame:
        """Pandas categories; columns of more than `most` levels as numeric codes."""
        columns = {}
        for name in X.columns:
            if name not in self.levels:
                columns[name] = X[name]
            elif most is None or len(self.levels[name]) <= most:
                codes = self.levels[name].get_indexer(pd.Index(_texts(X[name])))
                coded = pd.Categorical.from_codes(codes, categories=self.levels[name])
                columns[name] = pd.Series(coded, index=X.index)
            else:
                columns[name] = pd.Series(self._coded(X[name], name), index=X.index)
        return pd.DataFrame(columns)

    def codes(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """All columns as numbers, NaN where missing; shape (n_rows, n_columns)."""
        return np.column_stack(
            [
                self._coded(X[name], name)
                if name in self.levels
                else X[name].to_numpy(dtype=np.float64, na_value=np.nan)
                for name in X.columns
            ]
        )

    def positions(self, X: pd.DataFrame) -> list[int]:
        """Where the coded columns are."""
        return [i for i, name in enumerate(X.columns) if name in self.levels]

    def _coded(self, column: pd.Series, name: str) -> npt.NDArray[np.float64]:
        codes = self.levels[name].get_indexer(pd.Index(_texts(column))).astype(np.float64)
        codes[codes < 0] = np.nan
        return codes


def _texts(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), None).map(_text)


def _text(value: object) -> object:
    return None if value is None else str(value)
