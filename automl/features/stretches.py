"""The known numbers of one column in each entity's stretch, and the last of them as a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.features.values import numbers
from automl.relations.tables import EventTable, Floats, Integers, Spans

# 16 MB of float64 at once: more gains no speed, and there are a few copies of it.
BLOCK_CELLS = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Known:
    """A column without its gaps: missing and infinite cells are left out, not counted as values.

    Parameters
    ----------
    values, time : arrays of shape (n_known,), float64
    subject : array of shape (n_known,), int64
    start, end : arrays of shape (n_entities,), int64
        The stretch of each entity among the known values.
    """

    values: Floats
    time: Floats
    subject: Integers
    start: Integers
    end: Integers


def known(table: EventTable, spans: Spans, column: str) -> Known:
    """The known values of a column between the first and the last row that anyone may see."""
    some = spans.end > spans.start
    low = int(spans.start[some].min()) if some.any() else 0
    high = int(spans.end[some].max()) if some.any() else 0
    cells = numbers(table.columns[column].slice(low, high - low).combine_chunks())
    finite = np.isfinite(cells)
    before = np.concatenate([[0], np.cumsum(finite)]).astype(np.int64)
    return Known(
        values=cells[finite],
        time=table.time[low:high][finite],
        subject=table.subject[low:high][finite],
        start=np.where(some, before[np.clip(spans.start - low, 0, high - low)], 0),
        end=np.where(some, before[np.clip(spans.end - low, 0, high - low)], 0),
    )


def covered(one: Known) -> npt.NDArray[np.bool_]:
    """Which values are in at least one stretch, shape (n_known,)."""
    change = np.zeros(len(one.values) + 1, dtype=np.int64)
    np.add.at(change, one.start, 1)
    np.add.at(change, one.end, -1)
    return np.asarray(np.cumsum(change)[:-1] > 0)


def blocks(n_entities: int, width: int) -> Iterator[slice]:
    """Slices of entities whose matrices of this width fit into a block."""
    step = max(1, BLOCK_CELLS // max(width, 1))
    for first in range(0, n_entities, step):
        yield slice(first, min(first + step, n_entities))


def last_at(one: Known, part: slice, width: int) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Positions of the last `width` values of each entity in order of time, and which exist.

    Both of shape (n_entities, width); what is missing is at the left and points at row 0.
    """
    at = one.end[part, None] + np.arange(-width, 0)
    valid = at >= one.start[part, None]
    return np.where(valid, at, 0), valid


def dense(one: Known, *, most: int) -> Iterator[tuple[Integers, Floats]]:
    """Entities of equally many known values together: who they are, and their last values.

    At most `most` values each; a matrix of shape (n, n_values) without gaps. Those without any
    are left out.
    """
    length = np.minimum(one.end - one.start, most)
    order = np.argsort(length, kind="stable")
    for n_values in np.unique(length[length > 0]).tolist():
        low, high = np.searchsorted(length[order], [n_values, n_values + 1])
        for part in blocks(high - low, n_values):
            who = order[low:high][part]
            yield who, one.values[one.end[who, None] + np.arange(-n_values, 0)]
