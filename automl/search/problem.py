"""What every trial of one search shares: encoded rows, their order, who validates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.cells import column_kind
from automl.data.dataset import Dataset
from automl.data.encoding import EncoderInfo, TableEncoder
from automl.data.freed import give_back
from automl.errors import DataError
from automl.meta.portfolio import FEW_ROWS
from automl.models.expected import SELF_TRAINED, CostModel
from automl.models.rounds import MORE_TREES
from automl.models.unlabelled import Unlabelled
from automl.sampling.base import Sampler
from automl.sampling.prior import logit_shift
from automl.sampling.stratified import CaseControl
from automl.sampling.temporal import RecentFirst
from automl.search.objective import Objective
from automl.search.validation import Part, Validation, plan_validation
from automl.trial import Candidate

# Fewer rows without a label than this for each that has one are not worth a trial; more than this
# for each that is fitted are not looked at: what all of them weigh stays, what they cost does not.
ENOUGH_UNLABELLED, MOST_UNLABELLED = 0.5, 2.0

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

# Rows in which the values of a column are counted, for what a fit is expected to cost, and the
# most cells that are.
COUNTED_ROWS, MOST_COUNTED = 2_000, 2_000_000


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A dataset made ready: encoded once, ordered once, folds chosen once.

    Everything here follows from the dataset and the seed alone, so that a resumed search sees
    the same problem.
    """

    dataset: Dataset  # without its features, which are in the matrix
    encoder: TableEncoder
    schema: tuple[dict[str, str], ...]  # name and kind of every feature
    fingerprint: str  # of the dataset with its features
    monotone: tuple[int, ...]  # by encoded column; empty where none is
    matrix: npt.NDArray[np.float32]  # shape (n_rows, n_columns)
    order: Rows  # a permutation of the rows; a sample is a prefix
    screening_rows: int
    final_rows: int
    validation: Validation
    objective: Objective
    seed: int
    costs: CostModel = field(default_factory=CostModel.shipped)
    more_trees: int = 1  # times as many in a forest

    @property
    def alert_rate(self) -> float:
        return self.objective.alert_rate

    @property
    def n_columns(self) -> int:
        return int(self.matrix.shape[1])

    @cached_property
    def info(self) -> EncoderInfo:
        return replace(self.encoder.info, monotone=self.monotone)

    @cached_property
    def unlabelled(self) -> Unlabelled | None:
        """Rows without a label, encoded, where they are enough to be learnt from."""
        rows = self.dataset.unlabelled
        if rows is None or not self.n_unlabelled(self.dataset.n_rows):
            return None
        rate = float(np.average(self.dataset.y, weights=self.dataset.weight))
        drawn = np.random.default_rng(self.seed).permutation(len(rows))
        drawn = drawn[: self.n_unlabelled(self.dataset.n_rows)]
        return Unlabelled(rows=self.encoder.transform(rows.iloc[drawn]), rate=rate)

    def n_unlabelled(self, n_rows: int) -> int:
        """How many rows without a label a fit on so many labelled ones learns from."""
        rows = self.dataset.unlabelled
        if rows is None or len(rows) < ENOUGH_UNLABELLED * self.dataset.n_rows:
            return 0
        return min(len(rows), round(MOST_UNLABELLED * n_rows))

    def unlabelled_for(self, candidate: Candidate, n_rows: int) -> Unlabelled | None:
        """What a fit of the candidate on so many labelled rows learns from besides, if it does."""
        if candidate.model != SELF_TRAINED or self.unlabelled is None:
            return None
        return replace(self.unlabelled, rows=self.unlabelled.rows[: self.n_unlabelled(n_rows)])

    @cached_property
    def n_wide(self) -> int:
        """Columns with every level of a category of few levels as one of its own."""
        info = self.encoder.info
        sizes = zip(info.kinds, info.cardinality, strict=True)
        return sum(size if kind == "category" else 1 for kind, size in sizes)

    @cached_property
    def n_bins(self) -> int:
        """Different values of the columns in a sample of rows, at most 255 each, added up."""
        n_rows = min(len(self.matrix), max(255, MOST_COUNTED // self.n_columns), COUNTED_ROWS)
        sample = np.sort(self.matrix[self.order[:n_rows]], axis=0)
        # Missing cells come last, and none of them is equal to another.
        different = 1 + (sample[1:] > sample[:-1]).sum(axis=0)
        return int(np.minimum(different, 255).sum())

    def n_positive(self, n_rows: int) -> int:
        """Positives among the first rows of the order."""
        if n_rows not in self._n_positive:  # asked for each candidate, of the same few numbers
            self._n_positive[n_rows] = int(self.dataset.y[self.order[:n_rows]].sum())
        return self._n_positive[n_rows]

    @cached_property
    def _n_positive(self) -> dict[int, int]:
        return {}

    def rows_to_fit(self, n_rows: int, part: Part | None) -> Rows:
        """The rung's rows on the training side of a part, ascending; None is all rows.

        Of a training side that is a share of all rows, the same share of `n_rows` is taken from
        the front of the order: forward in time, the front may otherwise be all validation.
        """
        if part is None:
            return np.sort(self.order[:n_rows])
        if n_rows >= self.dataset.n_rows:
            return part.train
        inside = np.zeros(self.dataset.n_rows, dtype=bool)
        inside[part.train] = True
        ordered = self.order[inside[self.order]]
        n_kept = max(2, round(n_rows * len(part.train) / self.dataset.n_rows))
        return np.sort(ordered[:n_kept])

    def prior_shift(self, fitted: Rows, part: Part | None) -> float:
        """What brings the logit of a model fitted on these rows to the true prevalence."""
        population = slice(None) if part is None else part.train
        if part is not None and len(fitted) == len(part.train):
            return 0.0
        if part is None and len(fitted) == self.dataset.n_rows:
            return 0.0
        y, weight = self.dataset.y, self.dataset.weight
        rates = [
            float(np.average(y[rows], weights=None if weight is None else weight[rows]))
            for rows in (fitted, population)
        ]
        return logit_shift(sampled_rate=rates[0], true_rate=rates[1])


def prepare(
    dataset: Dataset,
    *,
    seed: int,
    objective: Objective | None = None,
    whole: bool = False,
    thorough: bool = False,
    encoder: TableEncoder | None = None,
    validation: Validation | None = None,
) -> Problem:
    """Encode the table, order its rows, and choose who validates.

    `whole` lets the final rung use all rows however many there are. `thorough` has more folds
    judge, and on few rows no sample but all of them, and larger forests. An `encoder` and a
    `validation` that are given are taken as they are.

    Raises
    ------
    DataError
        Fewer than two rows of a class, no usable column, or no fold with both classes.
    """
    n_positive, n_negative = dataset.n_positive, dataset.n_rows - dataset.n_positive
    if not n_positive:
        raise DataError(f"none of {dataset.n_rows:,} rows is positive", code="no_positives")
    if not n_negative:
        raise DataError(f"all {dataset.n_rows:,} rows are positive", code="constant_target")
    if min(n_positive, n_negative) < 2:
        raise DataError(
            f"{n_positive:,} positives and {n_negative:,} negatives; at least 2 of each are needed",
            code="too_few_positives",
            details={"n_positive": n_positive, "n_negative": n_negative},
        )
    encoder = TableEncoder().fit(dataset.X) if encoder is None else encoder
    fingerprint, schema = dataset.fingerprint(), schema_of(dataset.X)
    monotone = encoder.monotone(dataset.monotone)
    give_back(4 * dataset.X.size)  # what was looked at, before there are two tables for a moment
    matrix = encoder.transform(dataset.X)
    dataset = dataset.without_features()
    give_back(matrix.nbytes)
    few = thorough and dataset.n_rows <= FEW_ROWS
    sampler: Sampler = CaseControl() if dataset.time is None else RecentFirst()
    made = Problem(
        dataset=dataset,
        encoder=encoder,
        schema=schema,
        fingerprint=fingerprint,
        monotone=monotone,
        matrix=matrix,
        order=sampler.order(dataset, seed=seed),
        screening_rows=dataset.n_rows if few else sampler.screening_rows(dataset),
        final_rows=dataset.n_rows if whole else sampler.final_rows(dataset),
        validation=plan_validation(dataset, seed=seed, thorough=thorough)
        if validation is None
        else validation,
        objective=Objective() if objective is None else objective,
        seed=seed,
        more_trees=MORE_TREES if few else 1,
    )
    give_back(matrix.nbytes)  # of choosing folds
    return made


def schema_of(X: pd.DataFrame) -> tuple[dict[str, str], ...]:
    """Name and kind of every column: ``number``, ``category`` or ``datetime``."""
    return tuple(
        {"name": str(name), "type": column_kind(X.iloc[:, i])} for i, name in enumerate(X.columns)
    )
