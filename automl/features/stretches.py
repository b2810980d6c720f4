"""The known numbers of one column in each entity's stretch, and the last of them as a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.features.values import numbers
from automl.relations.tables import EventTable, Floats, Integers, Spans

Truths = npt.NDArray[np.bool_]

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


def covered(one: Known) -> Truths:
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


def last_at(one: Known, part: slice, width: int) -> tuple[Integers, Truths]:
    """Positions of the last `width` values of each entity in order of time, and which exist.

    Both of shape (n_entities, width); what is missing is at the left and points at row 0.
    """
    at = one.end[part, None] + np.arange(-width, 0)
    valid = at >= one.start[part, None]
    return np.where(valid, at, 0), valid


def dense(columns: Sequence[Known], *, most: int) -> Iterator[tuple[Integers, Integers, Floats]]:
    """Stretches of equally many known values together, of all columns: less work for each.

    Yields which column and which entity each row is of, and a matrix without gaps of their last
    values, at most `most` each, of shape (n, n_values). Those without any are left out.
    """
    ends, lengths, offset = [], [], 0
    for one in columns:
        lengths.append(np.minimum(one.end - one.start, most))
        ends.append(one.end + offset)
        offset += len(one.values)
    values = np.concatenate([one.values for one in columns])
    end, length = np.concatenate(ends), np.concatenate(lengths)
    n_entities = len(columns[0].start)
    order = np.argsort(length, kind="stable")
    length = length[order]
    for n_values in np.unique(length[length > 0]).tolist():
        low, high = np.searchsorted(length, [n_values, n_values + 1])
        for part in blocks(high - low, n_values):
            who = order[low:high][part]
            raw = values[end[who, None] + np.arange(-n_values, 0)]
            yield who // n_entities, who % n_entities, raw


def mean(values: Floats, valid: Truths, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Mean and standard deviation (of the population) of each row's valid values; NaN if none."""
    share = valid.astype(np.float64) if weights is None else valid * weights
    total = share.sum(axis=1)
    total = np.where(total > 0, total, np.nan)
    centre = (values * share).sum(axis=1) / total
    away = (values - centre[:, None]) ** 2
    spread = np.where(valid, away, 0.0)
    return centre, np.sqrt((spread * share).sum(axis=1) / total)


def median(values: Floats, valid: Truths) -> Floats:
    """Of each row's valid values; NaN where there are none."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    ordered = np.sort(np.where(valid, values, np.inf), axis=1)
    n = valid.sum(axis=1)
    low = np.take_along_axis(ordered, np.maximum((n - 1) // 2, 0)[:, None], axis=1)[:, 0]
    high = np.take_along_axis(ordered, np.minimum(n // 2, values.shape[1] - 1)[:, None], axis=1)
    middle = np.where(n % 2 == 1, low, (low + np.where(n > 0, high[:, 0], low)) / 2)
    return np.where(n > 0, middle, np.nan)
