"""Which rows judge the candidates, and what each of them counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
import numpy.typing as npt

from automl.data.dataset import Dataset
from automl.data.split import Fold, folds
from automl.search.metrics import Bootstrap

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

# docs/method.md, Validation: an average of three members makes the number of folds nearly
# irrelevant, so two of five are fitted where positives are few and one where they are not ...
N_FOLDS = 5
MANY_POSITIVES = 1500
# ... and all of them where many candidates are compared, the luckiest of which wins: below so many
# positives, and from there on (docs/method.md, Best).
PARTS = {False: (2, 1), True: (N_FOLDS, 2)}
# On more rows a final fit is most of a search, and five of each would leave a budget no second one.
THOROUGH_ROWS = 50_000
# ... as long as this many validation positives are judged by; with fewer in all of the folds the
# weights of the members are noise and stay equal.
FEW_POSITIVES = 25
# More negatives than this per positive do not make an average precision any steadier, as long as
# one that is kept stands for few: where it stood for forty, the same model's score had a standard
# deviation of half of itself (docs/method.md, Validation). The last is a limit on what it costs.
NEGATIVES_PER_POSITIVE, MOST_STOOD_FOR, MOST_NEGATIVES = 30, 4, 40_000
# Of more positives in a fold so many judge: an average precision is known within 1 % of itself by
# them, and 100 times a trial's bootstrap goes over all rows that judge.
MOST_POSITIVES = 4_000


@dataclass(frozen=True, kw_only=True)
class Part:
    """One fold as it is used: rows to fit on, and the validation rows that are kept."""

    train: Rows
    valid: Rows
    weight: Floats  # of the validation rows

    def thinned(self, n_rows: int, *, y: npt.NDArray[np.int8], seed: int) -> tuple[Rows, Floats]:
        """About `n_rows` of the validation rows with their weights: the positives, some negatives.

        For early stopping, which scores them after every round: more rows to stop by than to fit
        on would make the race on small samples cost as much as a fit on all rows. The negatives
        that are kept, at least as many as there are positives, count for those that are not.
        """
        if n_rows >= len(self.valid):
            return self.valid, self.weight
        positive = y[self.valid] == 1
        negatives = np.flatnonzero(~positive)
        n_positive = len(self.valid) - len(negatives)
        n_kept = min(len(negatives), max(n_rows - n_positive, n_positive))
        drawn = np.random.default_rng(seed).choice(negatives, n_kept, replace=False)
        kept = positive.copy()
        kept[drawn] = True
        weight = np.where(positive, 1.0, len(negatives) / n_kept) * self.weight
        return self.valid[kept], weight[kept]


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The out-of-fold rows, the same for every candidate at every rung.

    `rows`, `y` and `weight` have one entry per validation row, part after part. Weights bring the
    thinned negatives back to their true share, so scores are at the true prevalence.
    """

    parts: tuple[Part, ...]
    rows: Rows
    y: npt.NDArray[np.int8]
    weight: Floats
    seed: int

    @property
    def n_positive(self) -> int:
        return int(self.y.sum())

    @property
    def few_positives(self) -> bool:
        return self.n_positive < FEW_POSITIVES

    @property
    def prevalence(self) -> float:
        return float(np.average(self.y, weights=self.weight))

    @cached_property
    def bootstrap(self) -> Bootstrap:
        return Bootstrap(self.y, self.weight, seed=self.seed)


def parts_wanted(n_positive: int, *, n_rows: int, thorough: bool = False) -> int:
    """How many folds of `N_FOLDS` judge, as long as they hold enough positives.

    >>> [parts_wanted(200, n_rows=n, thorough=True) for n in (5_000, 500_000)]
    [5, 2]
    """
    return PARTS[thorough and n_rows <= THOROUGH_ROWS][n_positive >= MANY_POSITIVES]


def plan_validation(dataset: Dataset, *, seed: int, thorough: bool = False) -> Validation:
    """Choose folds by the number of positives, thin their negatives, weight them back.

    `thorough` asks for more of them; not forward in time, where further folds are older ones, whose
    models learnt from fewer rows and would stay in the mean.

    Raises
    ------
    DataError
        No fold has both classes on both sides.
    """
    made = folds(dataset, seed=seed, k=N_FOLDS)
    rng = np.random.default_rng(seed)
    thorough = thorough and dataset.time is None
    n_wanted = parts_wanted(dataset.n_positive, n_rows=dataset.n_rows, thorough=thorough)
    parts: list[Part] = []
    n_positive = 0
    for fold in made:
        if len(parts) >= n_wanted and n_positive >= FEW_POSITIVES:
            break
        valid, weight = _thinned(dataset, fold, rng=rng)
        parts.append(Part(train=fold.train, valid=valid, weight=weight))
        n_positive += int(dataset.y[valid].sum())
    rows = np.concatenate([part.valid for part in parts])
    weight = np.concatenate([part.weight for part in parts])
    return Validation(parts=tuple(parts), rows=rows, y=dataset.y[rows], weight=weight, seed=seed)


def judged_by(dataset: Dataset, *, train: Rows, valid: Rows, seed: int) -> Validation:
    """One part with these rows on its sides, for a model that was fitted before."""
    fold = Fold(train=train, valid=valid)
    rows, weight = _thinned(dataset, fold, rng=np.random.default_rng(seed))
    part = Part(train=train, valid=rows, weight=weight)
    return Validation(parts=(part,), rows=rows, y=dataset.y[rows], weight=weight, seed=seed)


def _thinned(dataset: Dataset, fold: Fold, *, rng: np.random.Generator) -> tuple[Rows, Floats]:
    y = dataset.y[fold.valid]
    positives, negatives = fold.valid[y == 1], fold.valid[y == 0]
    judges = _some(positives, MOST_POSITIVES, rng)
    enough = min(ceil(len(negatives) / MOST_STOOD_FOR), MOST_NEGATIVES)
    kept = _some(negatives, max(NEGATIVES_PER_POSITIVE * len(judges), enough), rng)
    rows = np.sort(np.concatenate([judges, kept]))
    own = np.ones(len(rows)) if dataset.weight is None else dataset.weight[rows]
    stood_for = len(positives) / len(judges), len(negatives) / len(kept)
    return rows, own * np.where(dataset.y[rows] == 1, *stood_for)


def _some(rows: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    return rows if len(rows) <= n_rows else rng.choice(rows, n_rows, replace=False)
