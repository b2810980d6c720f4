"""One row per entity: the only shape of data that the search sees."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.errors import DataError

HASHED_ROWS = 65_536  # at a time, by the fingerprint
# The largest weight over the smallest: models have them as float32.
MOST_WEIGHT_RATIO = 1e30


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A table with a rare target, one row per entity; immutable.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Features only: keys, target, time and group are not among its columns unless they are
        meant to be used as features too.
    y : array of shape (n_rows,), int8
        1 is the rare, positive class.
    time : array of shape (n_rows,), optional
        When the row was known, sortable; if given, validation is forward in time.
    group : array of shape (n_rows,), optional
        The entity; if given, no entity is on both sides of a split.
    weight : array of shape (n_rows,), optional
        Importance of the row, finite and above 0; `relative_weights` makes their mean 1.
    gap : float
        How long after its time the label of a row is known, in units of `time`; days where these
        are dates. Rows whose label was not known yet when a fold's validation begins do not train.
    monotone : mapping, optional
        By column of numbers: 1 where a higher value may never lower the score, -1 where it may
        never raise it.
    unlabelled : DataFrame of shape (n_unlabelled, n_features), optional
        Rows of the same columns whose label is not known.

    Raises
    ------
    DataError
        Lengths differ, y has other values than 0 and 1, a weight is no number above 0
        (``bad_weight``), a gap is negative or has no time to count in, or a monotone column is
        none of X (``column_not_found``) or its direction neither 1 nor -1.
    """

    X: pd.DataFrame
    y: npt.NDArray[np.int8]
    time: npt.NDArray[Any] | None = None
    group: npt.NDArray[Any] | None = None
    weight: npt.NDArray[np.float64] | None = None
    monotone: Mapping[str, int] = field(default_factory=dict)
    unlabelled: pd.DataFrame | None = None
    gap: float = 0.0

    def __post_init__(self) -> None:
        for name in ("y", "time", "group", "weight"):
            values = getattr(self, name)
            if values is not None and np.ndim(values) != 1:
                raise DataError(
                    f"{name} has {np.ndim(values)} dimensions; it is one value for each row",
                    code="length",
                )
            if values is not None and len(values) != len(self.X):
                raise DataError(
                    f"X has {len(self.X):,} rows and {name} has {len(values):,}", code="length"
                )
        if not np.isin(self.y, (0, 1)).all():
            raise DataError("the target has other values than 0 and 1", code="not_binary")
        if self.weight is not None:
            _check_weight(self.weight)
        if not (np.isfinite(self.gap) and self.gap >= 0):
            raise DataError(f"the gap is {self.gap}; it must be 0 or a number above", code="gap")
        if self.gap and self.time is None:
            raise DataError(f"a gap of {self.gap:g} needs the time of each row", code="gap")
        names = {str(name) for name in self.X.columns}
        for name, direction in self.monotone.items():
            if name not in names:
                raise DataError(
                    f"the monotone column {name!r} is not a feature",
                    code="column_not_found",
                    column=name,
                )
            if direction not in (-1, 1):
                raise DataError(
                    f"the direction of the monotone column {name!r} is {direction!r}; it must be "
                    "1 or -1",
                    code="monotone_direction",
                    column=name,
                )

    def without_features(self) -> Dataset:
        """The same rows with their roles and no column: what a search keeps of a table.

        Once a table is encoded nobody reads it, and holding it would double the memory of a
        search. Whoever made the dataset must let go of it as well.
        """
        bare = pd.DataFrame(index=pd.RangeIndex(len(self.X)))
        return replace(self, X=bare, monotone={})

    @property
    def n_rows(self) -> int:
        return len(self.X)

    @property
    def n_positive(self) -> int:
        return int(self.y.sum())

    def fingerprint(self) -> str:
        """SHA-256 of column names, dtypes, values and target: the same data, the same string."""
        digest = hashlib.sha256()
        for name, dtype in self.X.dtypes.items():
            digest.update(f"{name}:{dtype};".encode())
        for start in range(0, len(self.X), HASHED_ROWS):  # a row's hash is its own
            rows = self.X.iloc[start : start + HASHED_ROWS]
            try:
                hashed = pd.util.hash_pandas_object(rows, index=False)
            except UnicodeEncodeError:
                raise _no_unicode(rows, start) from None
            digest.update(hashed.to_numpy().tobytes())
        digest.update(np.ascontiguousarray(self.y).tobytes())
        return digest.hexdigest()


def _no_unicode(rows: pd.DataFrame, start: int) -> DataError:
    """Where a text is half of a pair of surrogates, which no file can hold."""
    for position, name in enumerate(rows.columns):
        for row, cell in enumerate(rows.iloc[:, position].tolist(), start=start + 1):
            if isinstance(cell, str) and not cell.isascii():
                try:
                    cell.encode()
                except UnicodeEncodeError:
                    return DataError(
                        f"row {row:,} of column {str(name)!r} is a text that is not Unicode",
                        code="encoding",
                        column=str(name),
                        row=row,
                    )
    return DataError("a text of the table is not Unicode", code="encoding")


def relative_weights(weight: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weights of people with a mean of 1: only their ratios are meant to count.

    Models do not see it so: to LightGBM rows of weight 0.0001 are next to no evidence, and an
    average precision of 0.65 became one of 0.31 when all weights of a table were that.

    Raises
    ------
    DataError
        ``bad_weight``.

    >>> relative_weights(np.array([0.001, 0.003])).tolist()
    [0.5, 1.5]
    """
    _check_weight(weight)
    return weight / weight.mean() if len(weight) else weight


def _check_weight(weight: npt.NDArray[np.float64]) -> None:
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight > 0)))
    if len(bad):
        raise DataError(
            f"{len(bad):,} of {len(weight):,} weights are missing, infinite, or not above 0; "
            "leave out rows that are to count for nothing",
            code="bad_weight",
            row=int(bad[0]) + 1,
            details={"n_bad": len(bad)},
        )
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.isfinite(total):
        raise DataError("the weights are so large that their sum is infinite", code="bad_weight")
    if len(weight) and weight.max() > MOST_WEIGHT_RATIO * weight.min():
        raise DataError(
            f"the largest weight is more than {MOST_WEIGHT_RATIO:g} times the smallest, which then "
            "counts for nothing",
            code="bad_weight",
            row=int(np.argmax(weight)) + 1,
        )
