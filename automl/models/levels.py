"""How often each level of a column, and each pair of levels, was positive: cross-fitted.

Numbers have levels too. Prices and weights that repeat tell goods apart that no other column
names, and trees need hundreds of leaves to cut each of them out (docs/method.md, Categories).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from automl.models.base import Floats, Labels, X

Codes = npt.NDArray[np.int64]
# Of each column they are kept while the others are looked at.
Places = npt.NDArray[np.int32]

N_FOLDS = 5
# A level is believed as if this many rows of the prevalence had been seen besides: the
# regularised target encoding of Pargent et al. (arXiv:2104.00629), shrunk by count.
PRIOR_ROWS = 10.0
# A column with fewer levels is cut apart by a few splits, one with no repeats has no rates.
LEAST_LEVELS, LEAST_ROWS_PER_LEVEL = 25, 1.5
MOST_COLUMNS = 200  # looked at, the first ones that qualify
MOST_SINGLES, PAIRED, MOST_PAIRS = 6, 3, 6
# Where a column's own levels explain this much more of the labels' entropy than 25 ranges of its
# values do, levels are identities and not amounts. On screening samples of 22 tables it was 0.14
# and 0.13 where rates raised the test average precision by half and more, at most 0.045
# elsewhere, where they raised nothing (docs/method.md, Categories).
IDENTITIES, RANGES = 0.08, 25


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Smoothed positive rates of the levels of one column, or of two taken together.

    `values` are each column's levels, ascending, missing last; `keys` the levels or pairs seen.
    """

    columns: tuple[int, ...]
    values: tuple[npt.NDArray[np.float32], ...]
    keys: Codes
    rates: Floats
    prior: float

    def encode(self, X: X) -> Floats:
        """The rate of each row's level, the prevalence for one never seen; shape (n_rows,)."""
        codes = np.zeros(len(X), dtype=np.int64)
        known = np.ones(len(X), dtype=bool)
        for column, values in zip(self.columns, self.values, strict=True):
            at, seen = _positions(values, X[:, column])
            codes = codes * len(values) + at
            known &= seen
        place = np.minimum(np.searchsorted(self.keys, codes), len(self.keys) - 1)
        known &= self.keys[place] == codes
        return np.where(known, self.rates[place], self.prior)


class LevelRates:
    """Rates of the columns and pairs of columns whose levels tell most.

    Each row that is fitted on gets the rate among the other folds' rows, so that its own label
    is not in it; later rows get the rate among all. The best columns by the likelihood of these
    rates are kept, then pairs of the best three with any column where the pair tells more than
    either.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.kept: list[Rates] = []

    def fit_transform(self, X: X, y: Labels, *, weight: Floats | None = None) -> Floats:
        """Choose and learn; cross-fitted rates of shape (n_rows, n_kept)."""
        fitting = _Fitting(X, y, weight, seed=self.seed)
        singles: dict[tuple[int, ...], Floats] = {}
        gains: dict[tuple[int, ...], float] = {}
        for column in fitting.eligible():
            rates = fitting.crossed((column,))
            gains[column,], singles[column,] = fitting.gain(rates), rates
        best = [key for key in sorted(gains, key=lambda k: (-gains[k], k)) if gains[key] > 0]
        chosen = {key: singles[key] for key in best[:MOST_SINGLES]}
        pairs: dict[tuple[int, ...], float] = {}
        for (first,) in best[:PAIRED]:
            for second in fitting.pairable():
                pair: tuple[int, ...] = (min(first, second), max(first, second))
                if first == second or pair in pairs:
                    continue
                own = max(gains.get((column,), 0.0) for column in pair)
                gain = fitting.gain(fitting.crossed(pair))
                pairs[pair] = gain if gain > own else 0.0
        for pair in sorted(pairs, key=lambda k: (-pairs[k], k))[:MOST_PAIRS]:
            if pairs[pair] > 0:
                chosen[pair] = fitting.crossed(pair)
        self.kept = [fitting.whole(key) for key in chosen]
        return _stacked(list(chosen.values()), len(X))

    def transform(self, X: X) -> Floats:
        """Rates among all rows fitted on; shape (n_rows, n_kept)."""
        return _stacked([rates.encode(X) for rates in self.kept], len(X))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Plain arrays by name, for numpy's own file format."""
        arrays: dict[str, npt.NDArray[Any]] = {"n_kept": np.array(len(self.kept))}
        for i, kept in enumerate(self.kept):
            arrays |= {
                f"{i}_columns": np.array(kept.columns, dtype=np.int64),
                f"{i}_keys": kept.keys,
                f"{i}_rates": kept.rates,
                f"{i}_prior": np.array(kept.prior),
            }
            arrays |= {f"{i}_values_{j}": values for j, values in enumerate(kept.values)}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """What `to_arrays` gave."""
        made = cls(seed=0)
        for i in range(int(arrays["n_kept"])):
            columns = tuple(int(column) for column in arrays[f"{i}_columns"])
            made.kept.append(
                Rates(
                    columns=columns,
                    values=tuple(arrays[f"{i}_values_{j}"] for j in range(len(columns))),
                    keys=arrays[f"{i}_keys"],
                    rates=arrays[f"{i}_rates"],
                    prior=float(arrays[f"{i}_prior"]),
                )
            )
        return made


def identities_tell(X: X, y: Labels, *, weight: Floats | None = None, seed: int) -> float:
    """How much more of the labels' entropy the levels of a column explain than ranges do.

    The most of any column, cross-fitted; compare it with `IDENTITIES`. A few hundredths of a
    CPU-second on a screening sample.
    """
    fitting = _Fitting(X, y, weight, seed=seed)
    prior = fitting.prior
    entropy = -(prior * np.log(prior) + (1 - prior) * np.log1p(-prior))
    most = 0.0
    for column in fitting.eligible():
        told = fitting.gain(fitting.crossed((column,)))
        if told > most * entropy:
            ranges = fitting.gain(fitting.ranged(column))
            most = max(most, (told - max(ranges, 0.0)) / entropy)
    return float(most)


class _Fitting:
    """The rows fitted on, their folds, and codes of columns once they were asked for."""

    def __init__(self, X: X, y: Labels, weight: Floats | None, *, seed: int) -> None:
        self.X = X
        self.weight = np.ones(len(y)) if weight is None else weight
        self.y = np.asarray(y, dtype=np.float64)
        self.prior = float(np.average(self.y, weights=self.weight))
        self.fold = _dealt(self.y, seed=seed)
        self.codes: dict[int, tuple[npt.NDArray[np.float32], Places]] = {}

    def coded(self, column: int) -> tuple[npt.NDArray[np.float32], Places]:
        if column not in self.codes:
            values, codes = np.unique(self.X[:, column], return_inverse=True)
            self.codes[column] = values, codes.astype(np.int32)
        return self.codes[column]

    def eligible(self) -> list[int]:
        """Columns with many levels that repeat."""
        found = []
        for column in range(self.X.shape[1]):
            n_levels = len(self.coded(column)[0])
            if LEAST_LEVELS < n_levels <= len(self.X) / LEAST_ROWS_PER_LEVEL:
                found.append(column)
            if len(found) == MOST_COLUMNS:
                break
        return found

    def pairable(self) -> list[int]:
        return [column for column, (values, _) in self.codes.items() if len(values) > 1]

    def keyed(self, columns: tuple[int, ...]) -> tuple[Codes, Codes]:
        """Keys seen, ascending, and each row's position among them."""
        whole = np.zeros(len(self.X), dtype=np.int64)
        for column in columns:
            values, codes = self.coded(column)
            whole = whole * len(values) + codes
        keys, at = np.unique(whole, return_inverse=True)
        return keys, at.astype(np.int64)

    def crossed(self, columns: tuple[int, ...]) -> Floats:
        keys, at = self.keyed(columns)
        return self._out_of_fold(at, len(keys))

    def ranged(self, column: int) -> Floats:
        """As `crossed`, of neighbouring levels that hold about as many rows together."""
        at = self.coded(column)[1]
        counts = np.bincount(at)
        middle = np.cumsum(counts) - counts / 2
        return self._out_of_fold((middle * RANGES / len(at)).astype(np.int64)[at], RANGES)

    def _out_of_fold(self, at: Codes, n_keys: int) -> Floats:
        place = self.fold * n_keys + at
        shape = (N_FOLDS, n_keys)
        sums = [
            np.bincount(place, weights=w, minlength=shape[0] * shape[1]).reshape(shape)
            for w in (self.weight * self.y, self.weight)
        ]
        positive, seen = (one.sum(axis=0) - one for one in sums)
        rates: Floats = ((positive + PRIOR_ROWS * self.prior) / (seen + PRIOR_ROWS)).ravel()[place]
        return rates

    def whole(self, columns: tuple[int, ...]) -> Rates:
        keys, at = self.keyed(columns)
        positive = np.bincount(at, weights=self.weight * self.y, minlength=len(keys))
        seen = np.bincount(at, weights=self.weight, minlength=len(keys))
        return Rates(
            columns=columns,
            values=tuple(self.coded(column)[0] for column in columns),
            keys=keys,
            rates=(positive + PRIOR_ROWS * self.prior) / (seen + PRIOR_ROWS),
            prior=self.prior,
        )

    def gain(self, rates: Floats) -> float:
        """Log-likelihood of the labels above that of the prevalence, per row."""
        told = np.where(self.y == 1, np.log(rates), np.log1p(-rates))
        base = np.where(self.y == 1, np.log(self.prior), np.log1p(-self.prior))
        return float(np.average(told - base, weights=self.weight))


def _dealt(y: Floats, *, seed: int) -> Codes:
    """Fold of each row, the positives dealt evenly."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(y), dtype=np.int64)
    for rows in (np.flatnonzero(y == 1), np.flatnonzero(y != 1)):
        fold[rng.permutation(rows)] = np.arange(len(rows)) % N_FOLDS
    return fold


def _positions(
    values: npt.NDArray[np.float32], cells: npt.NDArray[np.float32]
) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Where cells are among ascending values with a missing one last, and whether they are."""
    at = np.minimum(np.searchsorted(values, cells), len(values) - 1)
    seen = (values[at] == cells) | (np.isnan(values[at]) & np.isnan(cells))
    return at.astype(np.int64), seen


def _stacked(columns: Sequence[Floats], n_rows: int) -> Floats:
    return np.column_stack(columns) if columns else np.empty((n_rows, 0))
