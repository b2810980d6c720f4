"""The columns that a job names for time, group and weight: can they be what they are named for?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.data.dataset import MOST_WEIGHT_RATIO
from automl.data.positives import N_FOLDS, Labels
from automl.errors import DataError

_SIDES = ((1, "positive"), (0, "negative"))
# Texts that sort as time passes: 2024-W07, 2024Q1, 202401.
YEAR_FIRST = r"^(19|20)[0-9]{2}($|[^0-9]|[0-9]{2})"


def check_time(time: pa.Array, y: Labels, name: str) -> None:
    """Each row has a time, times sort as they pass, and each part of them holds both classes.

    Raises
    ------
    DataError
        ``time_missing``, ``time_is_text``, ``fold_without_class``.
    """
    missing = int((time.is_null().to_numpy(zero_copy_only=False) & (y >= 0)).sum())
    if missing:
        raise DataError(
            f"{missing:,} labelled row(s) have no value in the time column '{name}'",
            code="time_missing",
            column=name,
            details={"n_missing": missing},
        )
    if pa.types.is_string(time.type):
        _check_text(time, name)
    labelled = y[y >= 0]
    ranks = pc.rank(time.filter(pa.array(y >= 0)), tiebreaker="min").to_numpy()
    # the windows of an expanding split: equal numbers of rows, ties kept together
    window = np.minimum((ranks - 1) * (N_FOLDS + 1) // max(1, len(labelled)), N_FOLDS)
    counts = [
        {label: int((labelled[window == at] == side).sum()) for side, label in _SIDES}
        for at in range(N_FOLDS + 1)
    ]
    if any(min(count.values()) == 0 for count in counts):
        raise DataError(
            f"a part of the time has rows of one class only (of {N_FOLDS + 1} parts with equally "
            "many rows)",
            code="fold_without_class",
            details={"windows": counts},
        )


def _check_text(time: pa.Array, name: str) -> None:
    """Texts are ordered as texts, which puts 12/2023 after 01/2024: then nothing is forward."""
    bad = pc.index(pc.match_substring_regex(time, YEAR_FIRST), pa.scalar(False)).as_py()
    if bad >= 0:
        raise DataError(
            f"the time column '{name}' is text that does not begin with a year, so its order is "
            "not that of time; declare its date_format, or its type, at the upload",
            code="time_is_text",
            column=name,
            row=int(bad) + 1,
        )


# What a gap counts where times are dates.
SECONDS_PER_DAY = 86_400


def check_gap(time: pa.Array, y: Labels, name: str, *, gap: float) -> None:
    """Times have a unit that a gap can count in, and both classes lie on both of its sides.

    Raises
    ------
    DataError
        ``gap_without_unit``, ``gap_too_long``.
    """
    labelled = time.filter(pa.array(y >= 0))
    if pa.types.is_temporal(time.type) and not pa.types.is_time(time.type):
        microseconds = labelled.cast(pa.timestamp("us")).cast(pa.int64())
        values = microseconds.to_numpy() / (SECONDS_PER_DAY * 1e6)
    elif pa.types.is_integer(time.type) or pa.types.is_floating(time.type):
        values = labelled.cast(pa.float64()).to_numpy()
    else:
        raise DataError(
            f"the time column '{name}' is {time.type}; a gap needs dates or numbers",
            code="gap_without_unit",
            column=name,
        )
    sides = [values[y[y >= 0] == side] for side, _ in _SIDES]
    # Validation may begin where both classes are still to come, and trains on what was seen of
    # both by then.
    longest = min(side.max() for side in sides) - max(side.min() for side in sides)
    if gap > longest:
        raise DataError(
            f"a gap of {gap:g} leaves no time at which both classes are known and both are still "
            f"to come; the times in '{name}' allow for {max(0.0, longest):.6g} at most",
            code="gap_too_long",
            column=name,
            details={"longest": max(0.0, float(longest))},
        )


def check_group(group: pa.Array, y: Labels, name: str, warnings: list[dict[str, Any]]) -> None:
    """Enough groups hold each class; rows without a group are counted in a warning.

    Raises
    ------
    DataError
        ``fold_without_class``.
    """
    missing = int((group.is_null().to_numpy(zero_copy_only=False) & (y >= 0)).sum())
    if missing:
        warnings.append(
            {
                "code": "group_missing",
                "detail": f"{missing:,} row(s) have no value in the group column '{name}'; they "
                "are taken as one group",
                "column": name,
                "n": missing,
            }
        )
    codes = pc.dictionary_encode(group, null_encoding="encode").indices.to_numpy()
    n_groups = {label: len(np.unique(codes[y == side])) for side, label in _SIDES}
    if min(n_groups.values()) < N_FOLDS:
        raise DataError(
            f"positives are in {n_groups['positive']:,} group(s) and negatives in "
            f"{n_groups['negative']:,}; {N_FOLDS} of each are needed for as many folds",
            code="fold_without_class",
            details={"groups": n_groups, "needed": N_FOLDS},
        )


def check_weight(weight: pa.Array, y: Labels, name: str) -> None:
    """The weight of every labelled row is a finite number above 0.

    Raises
    ------
    DataError
        ``bad_weight``.
    """
    if not (pa.types.is_integer(weight.type) or pa.types.is_floating(weight.type)):
        raise DataError(f"the weights in '{name}' are not numbers", code="bad_weight", column=name)
    values = weight.cast(pa.float64()).to_numpy(zero_copy_only=False)
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)) & (y >= 0))
    if len(bad):
        raise DataError(
            f"{len(bad):,} weight(s) in '{name}' are missing, or not above 0",
            code="bad_weight",
            column=name,
            row=int(bad[0]) + 1,
            details={"n_bad": len(bad)},
        )
    labelled = values[y >= 0]
    if len(labelled) and labelled.max() > MOST_WEIGHT_RATIO * labelled.min():
        raise DataError(
            f"the largest weight in '{name}' is more than {MOST_WEIGHT_RATIO:g} times the smallest",
            code="bad_weight",
            column=name,
            row=int(np.flatnonzero(values == labelled.max())[0]) + 1,
        )
