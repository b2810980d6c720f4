"""Samples that keep the rare positives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.dataset import Dataset

# Picking on 10:1 samples lost 1.6 % average precision, mostly noise of selection; final models
# at 20:1 were 99.7 % as good as on all rows (docs/method.md, Sample).
N_POSITIVE = 600
NEGATIVES_PER_POSITIVE = 10
FINAL_NEGATIVES_PER_POSITIVE = 20
# ... and take so many rows at most: 20,000 positives with all of their negatives, or more positives
# with fewer, up to as many of each. One boosted model on 100,000 positives and 320,000 negatives
# has 0.992 of the average precision of 1.5 million rows, on 20,000 and 400,000 it has 0.961.
FINAL_ROWS = 420_000
ALL_ROWS_SHARE = 0.4  # a screening sample above this share of the rows saves too little
ALL_ROWS_BELOW = 50_000  # finals use all rows up to here


@dataclass(frozen=True, kw_only=True)
class CaseControl:
    """Orders rows so that short prefixes hold many positives.

    First a screening block, `n_positive` positives and `negatives_per_positive` negatives for
    each; then a block that brings in the positives, `final_positives` at most, and fills up to
    `final_negatives_per_positive` for each, or to `most_rows` in all; then the other rows. Within
    a block the classes are evenly mixed, so any prefix has both. How long the blocks are is said by
    `screening_rows` and `final_rows`.

    The negatives of a prefix are a simple random sample of the negatives and likewise the
    positives, so that `automl.sampling.prior` corrects a model fitted to it.
    """

    n_positive: int = N_POSITIVE
    negatives_per_positive: int = NEGATIVES_PER_POSITIVE
    final_negatives_per_positive: int = FINAL_NEGATIVES_PER_POSITIVE
    final_positives: int = FINAL_ROWS // 2
    most_rows: int = FINAL_ROWS

    def order(self, dataset: Dataset, *, seed: int) -> npt.NDArray[np.intp]:
        """Return a permutation of the rows, shape (n_rows,)."""
        rng = np.random.default_rng(seed)
        positives = rng.permutation(np.flatnonzero(dataset.y == 1))
        negatives = rng.permutation(np.flatnonzero(dataset.y == 0))
        return self._blocks(positives, negatives)

    def screening_rows(self, dataset: Dataset) -> int:
        """Rows of the screening rung: its block, or all where that would save little."""
        n_positive, n_negative = self._screening(dataset.n_positive, _negatives(dataset))
        n_rows = n_positive + n_negative
        return dataset.n_rows if n_rows >= ALL_ROWS_SHARE * dataset.n_rows else n_rows

    def final_rows(self, dataset: Dataset) -> int:
        """Rows of the final rung: those of `final_classes`."""
        return sum(self.final_classes(dataset.n_positive, _negatives(dataset)))

    def final_classes(self, n_positive: int, n_negative: int) -> tuple[int, int]:
        """Positives and negatives of the final rung, of so many.

        All up to 50,000 rows; above, 20 negatives for each positive, and 420,000 rows at most,
        of which up to half are positives.

        >>> CaseControl().final_classes(1_000, 999_000), CaseControl().final_classes(10**5, 10**6)
        ((1000, 20000), (100000, 320000))
        """
        if n_positive + n_negative <= ALL_ROWS_BELOW:
            return n_positive, n_negative
        return self._final(n_positive, n_negative)

    def _screening(self, n_positive: int, n_negative: int) -> tuple[int, int]:
        n_kept = min(n_positive, self.n_positive)
        return n_kept, min(n_negative, self.negatives_per_positive * n_kept)

    def _final(self, n_positive: int, n_negative: int) -> tuple[int, int]:
        n_kept = min(n_positive, self.final_positives)
        n_screened = self._screening(n_positive, n_negative)[1]
        wanted = max(n_screened, self.final_negatives_per_positive * n_kept)
        return n_kept, min(n_negative, wanted, self.most_rows - n_kept)

    def _blocks(
        self, positives: npt.NDArray[np.intp], negatives: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.intp]:
        n_kept, n_screened = self._screening(len(positives), len(negatives))
        n_final, filled = self._final(len(positives), len(negatives))
        return np.concatenate(
            [
                mix(positives[:n_kept], negatives[:n_screened]),
                mix(positives[n_kept:n_final], negatives[n_screened:filled]),
                mix(positives[n_final:], negatives[filled:]),
            ]
        )


def mix(first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Interleave two sequences evenly, each in its own order.

    >>> mix(np.array([1, 2]), np.array([10, 20, 30, 40])).tolist()
    [10, 1, 20, 30, 2, 40]
    """
    place = np.concatenate([(np.arange(len(s)) + 0.5) / max(len(s), 1) for s in (second, first)])
    return np.concatenate([second, first])[np.argsort(place, kind="stable")]


def _negatives(dataset: Dataset) -> int:
    return dataset.n_rows - dataset.n_positive
