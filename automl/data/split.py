"""Rows to fit on and rows to judge by."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.codes import first_nested
from automl.data.dataset import Dataset
from automl.errors import DataError

Rows = npt.NDArray[np.intp]
# Dropping the validated entities' past costs at most this share of the training rows, else
# entities are dealt to folds as well (a panel, where every entity is in every period).
MOST_LOST = 0.2
# Kinds of values, as pandas infers them, that cannot be compared with each other.
UNORDERED = ("mixed", "mixed-integer")


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Disjoint rows, ascending; both classes are on both sides."""

    train: Rows
    valid: Rows


def folds(dataset: Dataset, *, seed: int, k: int = 5) -> list[Fold]:
    """Split the rows, by the strictest rule that the dataset's roles ask for.

    No roles: stratified, each row validates once. Group: no entity on both sides, positives dealt
    evenly. Time: training strictly before validation, an expanding window whose cuts hold equal
    shares of the positives; the most recent fold comes first, since it is the largest and most
    like the future, and the earliest rows never validate. Time and group: both rules.

    With a gap, a row trains only if it lies at least that long before the first validation row:
    the label of a later one was not known yet.

    Where the rows allow fewer than `k` folds with both classes on both sides, there are fewer.

    Raises
    ------
    DataError
        Not one fold with both classes on both sides (``fold_without_class``), or a row without
        time or group (``missing_time``, ``missing_group``).
    """
    if k < 2:
        raise ValueError(f"k is {k}; at least 2 folds are needed")
    y = np.asarray(dataset.y).astype(bool)
    groups = None if dataset.group is None else _codes(dataset.group, "group")
    if dataset.time is not None:
        times = _codes(dataset.time, "time")
        known = _known(dataset.time, times, gap=dataset.gap)
        made = _forward(y, times, groups, known=known, seed=seed, k=k)
    elif groups is not None:
        made = _by_part(_deal_groups(y, groups, seed=seed, k=k))
    else:
        made = _by_part(_deal_rows(y, seed=seed, k=k))
    if dataset.time is not None and not made and times.max() == 0:
        raise DataError(
            f"all {dataset.n_rows:,} rows have the same time: nothing is later than anything else "
            "to be judged by; leave the time out",
            code="fold_without_class",
            details={"n_rows": dataset.n_rows, "n_times": 1, "roles": ["time"]},
        )
    if not made:
        roles = [name for name in ("time", "group") if getattr(dataset, name) is not None]
        raise DataError(
            f"{dataset.n_rows:,} rows with {dataset.n_positive:,} positives"
            + (f" cannot be split by {' and '.join(roles)}" if roles else " cannot be split")
            + " into training and validation rows with both classes on both sides"
            + (f", with labels known {dataset.gap:g} after their time" if dataset.gap else ""),
            code="fold_without_class",
            details={
                "n_rows": dataset.n_rows,
                "n_positive": dataset.n_positive,
                "n_negative": dataset.n_rows - dataset.n_positive,
                "roles": roles,
            },
        )
    return made


def _codes(values: npt.NDArray[Any], role: str) -> Rows:
    """Ranks of sortable values, 0 the smallest.

    Raises
    ------
    DataError
        A row has none (``missing_time``, ``missing_group``), a list or the like, or times are
        numbers and texts together, which have no order (``unsupported_type``).
    """
    series = pd.Series(values)
    if series.dtype == "O":
        row = first_nested(series)
        if row is not None:
            kind = type(series.iloc[row - 1]).__name__
            raise DataError(
                f"the {role} of row {row:,} is a {kind}, not one value",
                code="unsupported_type",
                row=row,
            )
        if role == "time" and pd.api.types.infer_dtype(series, skipna=True) in UNORDERED:
            raise DataError(
                "times are of several kinds, such as numbers and texts, and have no order",
                code="unsupported_type",
            )
    if role == "time" and series.dtype.kind == "f" and np.isinf(series).any():
        row = int(np.argmax(np.isinf(series))) + 1
        raise DataError(f"the time of row {row:,} is infinity", code="missing_time", row=row)
    codes, _ = pd.factorize(series, sort=True)
    n_missing = int((codes < 0).sum())
    if n_missing:
        raise DataError(
            f"{n_missing:,} of {len(codes):,} rows have no {role}",
            code=f"missing_{role}",
            row=int(np.argmax(codes < 0)) + 1,
        )
    return codes.astype(np.intp)


# What `gap` counts where times are dates.
DAY = pd.Timedelta(days=1)


def _known(values: npt.NDArray[Any], times: Rows, *, gap: float) -> Rows:
    """By time that a validation begins at: how many of the times have known labels then.

    A time is known from `gap` after it on, and never at itself. Shape (n_times,).

    Raises
    ------
    DataError
        Times that are neither numbers nor dates have no unit for a gap (``gap_without_unit``).
    """
    n_times = int(times.max()) + 1
    if not gap:
        return np.arange(n_times, dtype=np.intp)
    series = pd.Series(values)
    if pd.api.types.infer_dtype(series) in ("datetime", "date"):
        series = pd.to_datetime(series)
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(series.dtype):
        amounts = ((series - series.min()) / DAY).to_numpy(dtype=np.float64)
    elif pd.api.types.is_numeric_dtype(series.dtype):
        amounts = series.to_numpy(dtype=np.float64)
    else:
        raise DataError(
            f"a gap of {gap:g} needs times that are numbers or dates; they are {series.dtype}",
            code="gap_without_unit",
        )
    distinct = np.empty(n_times)
    distinct[times] = amounts
    # Sums of dates in days are off by 1e-11 of a day or so; a label due right then is known.
    slack = 1e-9 * gap
    known = np.searchsorted(distinct, distinct - gap + slack, side="right")
    return np.minimum(known, np.arange(n_times)).astype(np.intp)


def _by_part(part: npt.NDArray[np.intp] | None) -> list[Fold]:
    if part is None:
        return []
    return [
        Fold(train=np.flatnonzero(part != i), valid=np.flatnonzero(part == i))
        for i in range(int(part.max()) + 1)
    ]


def _deal_rows(y: npt.NDArray[np.bool_], *, seed: int, k: int) -> Rows | None:
    """Part of each row, 0..k-1, with equal shares of both classes."""
    n_positive = int(y.sum())
    k = min(k, n_positive, len(y) - n_positive)
    if k < 2:
        return None
    rng = np.random.default_rng(seed)
    part = np.empty(len(y), dtype=np.intp)
    dealt = 0
    for rows in (np.flatnonzero(y), np.flatnonzero(~y)):
        # Dealing on from where the positives ended keeps the parts' sizes within one row.
        part[rng.permutation(rows)] = (np.arange(len(rows)) + dealt) % k
        dealt += len(rows)
    return part


def _deal_groups(y: npt.NDArray[np.bool_], groups: Rows, *, seed: int, k: int) -> Rows | None:
    """Part of each row, whole groups at a time, with near-equal positives, then rows.

    The semantics are those of scikit-learn's StratifiedGroupKFold, in n log n. Each part first
    gets what gives it both classes: a mixed group, or a group of each class. There are
    min(k, mixed + min(only positive, only negative)) such starts, so no fewer parts than needed.
    """
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    size = np.bincount(groups, minlength=n_groups)
    positives = np.bincount(groups, weights=y, minlength=n_groups).astype(np.int64)
    shuffled = np.random.default_rng(seed).permutation(n_groups)
    # Largest first; equals stay shuffled, since the sort is stable.
    order = shuffled[np.lexsort((-size[shuffled], -positives[shuffled]))]
    mixed = [g for g in order if 0 < positives[g] < size[g]]
    only_positive = [g for g in order if positives[g] == size[g]]
    only_negative = [g for g in order if positives[g] == 0]
    starts = [(g,) for g in mixed] + list(zip(only_positive, only_negative, strict=False))
    k = min(k, len(starts))
    if k < 2:
        return None
    of_group = np.full(n_groups, -1, dtype=np.intp)
    for i, start in enumerate(starts[:k]):
        of_group[list(start)] = i
    for weight, rest in ((positives, order[positives[order] > 0]), (size, order)):
        loads = [
            (int(weight[of_group == i].sum()), int(size[of_group == i].sum()), i) for i in range(k)
        ]
        heapq.heapify(loads)
        for g in rest[of_group[rest] < 0]:
            load, rows, i = loads[0]
            of_group[g] = i
            heapq.heapreplace(loads, (load + int(weight[g]), rows + int(size[g]), i))
    return of_group[groups]


def _forward(
    y: npt.NDArray[np.bool_], times: Rows, groups: Rows | None, *, known: Rows, seed: int, k: int
) -> list[Fold]:
    """Folds forward in time, most recent first; `known` is what `_known` gives."""
    if y.all() or not y.any():
        return []
    best: list[Fold] = []
    for n_folds in range(k, 0, -1):
        cuts = _cuts(y, times, n_folds)
        made = _windows(y, times, groups, cuts=cuts, known=known, seed=seed)
        if len(made) == n_folds:
            return made
        best = max(best, made, key=len)
    if best:
        return best
    # Last resort: any single cut that works, the nearest to the middle of the positives first.
    before = np.cumsum(np.bincount(times, weights=y))[:-1]
    by_middle = np.argsort(np.abs(before - y.sum() / 2), kind="stable") + 1
    # Both classes have been seen before it and both are to come: else there is no need to look.
    seen = max(times[y].min(), times[~y].min())
    left = min(times[y].max(), times[~y].max())
    for cut in by_middle[(known[by_middle] > seen) & (by_middle <= left)]:
        made = _windows(y, times, groups, cuts=[int(cut)], known=known, seed=seed)
        if made:
            return made
    return []


def _cuts(y: npt.NDArray[np.bool_], times: Rows, n_folds: int) -> list[int]:
    """Times at which a validation window begins: equal shares of the positives between them."""
    positives = np.cumsum(np.bincount(times, weights=y))
    shares = positives[-1] * np.arange(1, n_folds + 1) / (n_folds + 1)
    cuts = np.searchsorted(positives, shares, side="left") + 1
    return sorted({int(cut) for cut in cuts if cut < len(positives)})


def _windows(
    y: npt.NDArray[np.bool_],
    times: Rows,
    groups: Rows | None,
    *,
    cuts: list[int],
    known: Rows,
    seed: int,
) -> list[Fold]:
    made = []
    ends = [*cuts[1:], int(times.max()) + 1] if cuts else []
    for i, (cut, end) in enumerate(zip(cuts, ends, strict=True)):
        train, valid = times < known[cut], (times >= cut) & (times < end)
        if groups is not None:
            train, valid = _part_entities(train, valid, groups, part=i, seed=seed)
        if all(y[side].any() and not y[side].all() for side in (train, valid)):
            made.append(Fold(train=np.flatnonzero(train), valid=np.flatnonzero(valid)))
    return made[::-1]


def _part_entities(
    train: npt.NDArray[np.bool_],
    valid: npt.NDArray[np.bool_],
    groups: Rows,
    *,
    part: int,
    seed: int,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Make the entities of both sides disjoint, losing as few rows as may be."""
    validated = np.zeros(int(groups.max()) + 1, dtype=bool)
    validated[groups[valid]] = True
    left = train & ~validated[groups]
    if left.sum() >= (1 - MOST_LOST) * train.sum():
        return left, valid
    held = np.random.default_rng((seed, part)).permutation(len(validated)) % 5 == 0
    return train & ~held[groups], valid & held[groups]
