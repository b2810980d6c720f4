"""Random convolutions of a column's last values: MiniRocket.

Dempster, Schmidt & Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
classification", KDD 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from automl.features.group import Column
from automl.features.stretches import Known, blocks, covered, known
from automl.features.values import names_of
from automl.relations.tables import EventTable, Spans

Matrix = npt.NDArray[np.float32]

KIND = "convolutions"
# Nine weights: three of 2 and six of -1, in all 84 ways. They add up to 0, so a level that does
# not change, and the padding, answer with 0.
LENGTH, TWOS = 9, 3
KERNELS = tuple(combinations(range(LENGTH), TWOS))
# The paper takes 10,000 features of one column; here they are shared among columns.
N_FEATURES = 504
# A column gets no fewer, whatever there are.
LEAST_FEATURES = 12
MOST_DILATIONS = 32
MOST_VALUES = 256
FEW_VALUES = 3
# Sums of nine of these are still finite in float32.
MOST = 1e30
# Biases are quantiles of a training series: multiples of the golden ratio cover them evenly.
GOLDEN = (5**0.5 + 1) / 2


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """One feature: the share of places where a kernel's answer is above its bias.

    `padded`: places whose kernel reaches beyond the ends count as well, with zeros there, as every
    second feature has it. `number` is its place among those of its column.
    """

    column: str
    number: int
    kernel: int
    dilation: int
    bias: float
    padded: bool

    @property
    def name(self) -> str:
        """Within its table."""
        return f"{self.column}.ppv{self.number}"


@dataclass(frozen=True, kw_only=True)
class FittedConvolutions:
    """Convolution features of the last `length` known values of columns of numbers.

    A series comes less its mean, since its level is told by other groups and would make jumps of
    its ends; a shorter one is repeated to the left with its first value. Each column is on its
    own. NaN with fewer than three known values.
    """

    table: str
    features: Sequence[Convolution]
    length: int
    kind: str = KIND

    @property
    def columns(self) -> list[str]:
        """Names of the features."""
        return [f"{self.table}.{one.name}" for one in self.features]

    @property
    def reads(self) -> list[str]:
        """Columns of the table, each once."""
        return list(dict.fromkeys(one.column for one in self.features))

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """One array of shape (n_entities,) for each feature."""
        out = np.full((len(self.features), len(spans.start)), np.nan, dtype=np.float32)
        for column in self.reads:
            found = known(table, spans, column)
            wanted = [at for at, one in enumerate(self.features) if one.column == column]
            some = np.flatnonzero(found.end - found.start >= FEW_VALUES)
            for part in blocks(len(some), 4 * self.length):
                series = padded(found, some[part], self.length)
                for dilation in sorted({self.features[at].dilation for at in wanted}):
                    answers = Answers(series, dilation)
                    for at in wanted:
                        if self.features[at].dilation == dilation:
                            out[at, some[part]] = answers.above(self.features[at])
        return list(out)

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its features."""
        kept = set(columns)
        return replace(
            self, features=[one for one in self.features if f"{self.table}.{one.name}" in kept]
        )

    def to_json(self) -> dict[str, Any]:
        """Kernels by number, dilations and biases."""
        return {
            "kind": self.kind,
            "table": self.table,
            "features": [asdict(one) for one in self.features],
            "length": self.length,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            features=[Convolution(**one) for one in data["features"]],
            length=int(data["length"]),
        )


@dataclass(frozen=True, kw_only=True)
class Convolutions:
    """The group `convolutions`: see `FittedConvolutions`.

    `n_features` are shared among the columns that have at least three values in training; a column
    with fewer than 84 gets kernels drawn by the seed.
    """

    n_features: int = N_FEATURES
    most_values: int = MOST_VALUES
    kind: ClassVar[str] = KIND
    # For each of the last values of an entity, with all 504 features of one column.
    seconds_per_million: float = 1.2

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedConvolutions | None:
        """Choose columns, kernels and dilations; biases are quantiles of training series."""
        columns = {}
        for column in names_of(table, "number"):
            found = known(table, spans, column)
            if len(np.unique(found.values[covered(found)])) >= FEW_VALUES:
                columns[column] = found
        lengths = [found.end - found.start for found in columns.values()]
        # As long as nine in ten series are, so that few are padded much.
        length = min(
            self.most_values,
            max((int(np.quantile(one, 0.9)) for one in lengths), default=0),
        )
        if length < LENGTH:
            return None
        rng = np.random.default_rng(seed)
        each = max(LEAST_FEATURES, self.n_features // len(columns))
        features: list[Convolution] = []
        for column, found in columns.items():
            some = np.flatnonzero(found.end - found.start >= FEW_VALUES)
            if len(some):
                features += _chosen(column, found, some, length, each, rng)
        if not features:
            return None
        return FittedConvolutions(table=table.name, features=features, length=length)


class Answers:
    """Answers of kernels of one dilation to series of shape (n, length).

    -1 at all nine places is common to all kernels; each adds 3 at its own three.
    """

    def __init__(self, series: Matrix, dilation: int) -> None:
        n, length = series.shape
        self.reach = (LENGTH // 2) * dilation
        # float32 sums of nine in a fixed order: the same bytes for a row alone.
        wide = np.zeros((n, length + 2 * self.reach), dtype=np.float32)
        wide[:, self.reach : self.reach + length] = series
        self.shifted = [wide[:, at * dilation : at * dilation + length] for at in range(LENGTH)]
        self.base = -self.shifted[0]
        for one in self.shifted[1:]:
            self.base = self.base - one
        self._kernel = -1
        self._answer: Matrix = self.base

    def of(self, kernel: int) -> Matrix:
        """Answers at every place, shape (n, length)."""
        if kernel != self._kernel:
            one, two, three = (self.shifted[at] for at in KERNELS[kernel])
            self._kernel, self._answer = kernel, self.base + np.float32(3) * (one + two + three)
        return self._answer

    def above(self, feature: Convolution) -> Column:
        """Share of places whose answer is above the bias."""
        answer = self.inner(self.of(feature.kernel), padded=feature.padded)
        return np.asarray(
            np.count_nonzero(answer > np.float32(feature.bias), axis=1) / answer.shape[1],
            dtype=np.float32,
        )

    def inner(self, answer: Matrix, *, padded: bool) -> Matrix:
        """Without the places whose kernel reaches beyond the ends, unless these are padded."""
        end = answer.shape[1] - self.reach
        return answer if padded else np.asarray(answer[:, self.reach : end])


def padded(found: Known, who: npt.NDArray[np.int64], length: int) -> Matrix:
    """The last values of some entities, the first repeated to the left, shape (n, length)."""
    at = found.end[who, None] + np.arange(-length, 0)
    series = found.values[np.maximum(at, found.start[who, None])]
    away = series - series.mean(axis=1, keepdims=True)
    return np.asarray(np.clip(away, -MOST, MOST), dtype=np.float32)


def dilations(length: int, per_kernel: int) -> list[tuple[int, int]]:
    """Dilations of each kernel and how many features each gets, as the paper spaces them.

    Powers of two on an even grid up to the widest that fits the series.

    >>> dilations(100, 6)
    [(1, 2), (2, 1), (4, 1), (7, 1), (12, 1)]
    """
    n = min(per_kernel, MOST_DILATIONS)
    widest = np.log2(max(1, (length - 1) / (LENGTH - 1)))
    grid = np.logspace(0, widest, n, base=2).astype(np.int64)
    found, counts = np.unique(grid, return_counts=True)
    shares = (counts * (per_kernel / n)).astype(np.int64)
    for at in range(per_kernel - int(shares.sum())):
        shares[at % len(shares)] += 1
    return list(zip(found.tolist(), shares.tolist(), strict=True))


def _chosen(
    column: str,
    found: Known,
    some: npt.NDArray[np.int64],
    length: int,
    each: int,
    rng: np.random.Generator,
) -> list[Convolution]:
    """Features of one column: every kernel with its dilations, or some kernels with one each."""
    if each >= len(KERNELS):
        spread = dilations(length, each // len(KERNELS))
        plan = [(k, d) for d, n in spread for k in range(len(KERNELS)) for _ in range(n)]
    else:
        kernels = rng.permutation(len(KERNELS))[:each]
        of = [d for d, _ in dilations(length, MOST_DILATIONS)]
        plan = [(int(k), of[at % len(of)]) for at, k in enumerate(kernels)]
    features = []
    for at, (kernel, dilation) in enumerate(plan):
        one = some[int(rng.integers(len(some)))]
        answers = Answers(padded(found, np.array([one]), length), dilation)
        both = (kernel + at) % 2 == 0
        answer = answers.inner(answers.of(kernel), padded=both)
        share = ((at + 1) * GOLDEN) % 1
        bias = float(np.float32(np.quantile(answer.astype(np.float64), share)))
        features.append(
            Convolution(
                column=column,
                number=at,
                kernel=kernel,
                dilation=dilation,
                bias=bias,
                padded=both,
            )
        )
    return features
