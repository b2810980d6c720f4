"""Columns that tell the target outright, on a bounded sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SUSPECT_AUC = 0.995  # an honest column can reach it (depth of water in forest cover): a warning
SAMPLE_POSITIVES = 5_000
SAMPLE_NEGATIVES = 20_000
FEWEST_TO_HINT = 20  # rows of the rarer value: fewer are separated by chance


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A column that alone separates the classes; `identical` when it is the target or inverse."""

    column: str
    auc: float
    identical: bool


def find_leaks(
    read: Callable[[str], pa.Array], y: npt.NDArray[np.int8], features: Sequence[str]
) -> list[Leak]:
    """Columns with an AUC above 0.995 alone.

    Parameters
    ----------
    read : gives a column by its name, all rows
    y : int8 array of shape (n_rows,)
        1, 0, or -1 where unknown.

    Notes
    -----
    The AUC is taken on up to 5,000 positives and 20,000 negatives spread evenly over the rows;
    texts and missing values rank by the share of positives that the other half of the sample has.
    Identity is decided on all rows, and only for columns that pass on the sample.
    """
    places = np.sort(
        np.concatenate([_spread(y, 1, SAMPLE_POSITIVES), _spread(y, 0, SAMPLE_NEGATIVES)])
    )
    labels = y[places]
    leaks = []
    for name in features:
        array = read(name)
        sample = array.take(pa.array(places))
        auc = alone(sample, labels)
        identical = _separates(sample, labels) and _separates(array, y)
        if identical or auc > SUSPECT_AUC:
            leaks.append(Leak(column=name, auc=auc, identical=identical))
    return leaks


def leaks_to(
    target: str, *, stored: Path, features: Sequence[str], n_rows: int
) -> list[tuple[str, float]]:
    """Columns that alone tell a column of two values, and their AUC, by the first `n_rows` rows.

    A hint for whoever has not named a target yet; a job looks at the target that it names, and
    at all rows.
    """
    with pq.ParquetFile(stored) as file:
        names = list(file.schema_arrow.names)
        batch = next(file.iter_batches(batch_size=n_rows), None)
    if batch is None:
        return []
    coded = pc.dictionary_encode(batch.column(names.index(target)))
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    counts = [int((codes == side).sum()) for side in (0, 1)]
    if len(coded.dictionary) != 2 or min(counts) < FEWEST_TO_HINT:
        return []
    y = np.where(codes < 0, -1, codes == int(np.argmin(counts))).astype(np.int8)
    found = find_leaks(lambda name: batch.column(names.index(name)), y, features)
    return [(leak.column, leak.auc) for leak in found]


def _spread(y: npt.NDArray[np.int8], side: int, size: int) -> npt.NDArray[np.intp]:
    rows = np.flatnonzero(y == side)
    if len(rows) <= size:
        return rows
    return rows[np.linspace(0, len(rows) - 1, size).astype(np.intp)]


def _separates(array: pa.Array, y: npt.NDArray[np.int8]) -> bool:
    """Whether the column has two values (missing counts as one), one per class."""
    coded = pc.dictionary_encode(array, null_encoding="encode")
    if len(coded.dictionary) != 2:
        return False
    first = coded.indices.to_numpy(zero_copy_only=False) == 0
    known = y >= 0
    agree = first[known] == (y[known] == 1)
    return bool(agree.all() or not agree.any())


def alone(sample: pa.Array, labels: npt.NDArray[np.int8]) -> float:
    """AUC of a column alone, in its better direction; texts by the shares of their levels."""
    kind = sample.type
    if pa.types.is_string(kind):
        return _by_level(sample, labels)
    if pa.types.is_timestamp(kind):
        sample = sample.cast(pa.int64())
    elif pa.types.is_boolean(kind):
        sample = sample.cast(pa.int8())
    values = sample.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    missing = np.isnan(values)
    known = values[~missing]
    if not len(known):
        return 0.5
    # missing values may stand at either end; the better one counts
    return max(
        auc(np.where(missing, edge, values), labels)
        for edge in ((known.min() - 1, known.max() + 1) if missing.any() else (0.0,))
    )


def _by_level(sample: pa.Array, labels: npt.NDArray[np.int8]) -> float:
    """AUC of the share of positives per level, that share taken from the other half."""
    codes = pc.dictionary_encode(sample, null_encoding="encode").indices.to_numpy()
    half = np.zeros(len(labels), dtype=bool)
    for side in (0, 1):
        half[np.flatnonzero(labels == side)[::2]] = True
    overall = labels.mean()
    scores = np.empty(len(labels))
    for part in (half, ~half):
        n = np.bincount(codes[~part], minlength=codes.max() + 1)
        positives = np.bincount(codes[~part], weights=labels[~part], minlength=codes.max() + 1)
        scores[part] = ((positives + overall) / (n + 1))[codes[part]]
    return auc(scores, labels)


def auc(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.int8]) -> float:
    """Area under the ROC curve in its better direction, ties counted half.

    >>> auc(np.array([1.0, 2.0, 3.0, 3.0]), np.array([1, 1, 0, 0], dtype=np.int8))
    1.0
    """
    n_positive = int(labels.sum())
    n_negative = len(labels) - n_positive
    if not n_positive or not n_negative:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2.0)[inverse]
    area = (ranks[labels == 1].sum() - n_positive * (n_positive + 1) / 2) / (
        n_positive * n_negative
    )
    return float(max(area, 1 - area))
