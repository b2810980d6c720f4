"""The positives of a job: which rows have them, and whether they are enough."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.data.target import labels, matches, wanted
from automl.errors import DataError

N_FOLDS = 5
# Two positives per fold; below that the average precision of a fold is one number or another.
MIN_POSITIVES = 2 * N_FOLDS
FEW_POSITIVES = 50
MAX_MISSING_TARGET = 0.2
MAX_FLOAT_LEVELS = 20

Labels = npt.NDArray[np.int8]


def read_labels(
    array: pa.Array, column: Mapping[str, Any], request: Mapping[str, Any]
) -> tuple[Labels, list[Any]]:
    """Labels (1, 0, -1 for missing) and the values that count as positive.

    Raises
    ------
    DataError
        ``constant_target, no_positives, not_binary, positive_label_required``.
    """
    target, positive = request["target"], wanted(request.get("positive"))
    levels = pc.unique(array).drop_null()
    n_levels = len(levels)
    where = f"target '{target}'"
    if n_levels == 1 and not matches(levels, [True] if positive is None else positive).any():
        zero = column["type"] == "boolean" or _is_zero(levels[0].as_py())
        if positive is not None or zero:
            raise _no_positives(target, len(array), n_levels)
    if n_levels < 2:
        raise DataError(
            f"{where} has {n_levels} value(s) in {len(array):,} rows; 2 are needed",
            code="constant_target",
            column=target,
            details={"n_values": n_levels},
        )
    many = column["type"] == "number" and n_levels > MAX_FLOAT_LEVELS
    if column["type"] == "timestamp" or many or (positive is None and n_levels > 2):
        raise DataError(
            f"{where} has {n_levels:,} values; name those that are positive"
            if positive is None and not many
            else f"{where} is of type {column['type']} with {n_levels:,} values, not two classes",
            code="not_binary",
            column=target,
            details={"n_values": n_levels},
        )
    if positive is None:
        exact = column["type"] == "boolean" or (
            column["type"] == "integer" and set(levels.to_pylist()) == {0, 1}
        )
        if not exact:
            raise DataError(
                f"{where} has two values that are not exactly 0 and 1; name the positive one",
                code="positive_label_required",
                column=target,
            )
        positive = [True]
    found = matches(levels, positive)
    y = labels(array, positive)
    if not found.any():
        raise _no_positives(target, len(y), n_levels)
    if found.all():
        raise DataError(
            f"all rows with a value in {where} are positive",
            code="constant_target",
            column=target,
            details={"n_values": n_levels},
        )
    return y, levels.filter(pa.array(found)).to_pylist()


def check_values(
    array: pa.Array, request: Mapping[str, Any], warnings: list[dict[str, Any]]
) -> None:
    """Warn of named positives that no row has: of several, one may be misspelt."""
    levels = pc.unique(array).drop_null()
    named = wanted(request.get("positive")) or []
    absent = sum(not matches(levels, [one]).any() for one in named)
    if absent:
        warnings.append(
            {
                "code": "positive_not_found",
                "detail": f"{absent} of {len(named)} values named as positive are in no row of "
                f"target '{request['target']}'; compare them with its values in the profile",
                "column": request["target"],
                "n": absent,
            }
        )


def _is_zero(value: Any) -> bool:
    return type(value) in (int, float) and value == 0


def _no_positives(target: str, n_rows: int, n_levels: int) -> DataError:
    return DataError(
        f"none of {n_rows:,} rows has a positive value in target '{target}'",
        code="no_positives",
        column=target,
        details={"n_rows": n_rows, "n_values": n_levels},
    )


def check_missing(y: Labels, request: Mapping[str, Any], warnings: list[dict[str, Any]]) -> None:
    """Warn of rows without a target; refuse (``target_missing``) when they are many."""
    missing = int((y < 0).sum())
    if not missing:
        return
    share = missing / len(y)
    detail = f"{missing:,} of {len(y):,} rows ({share:.1%}) have no target and are left out"
    if share > MAX_MISSING_TARGET and not request.get("accept_missing_target"):
        raise DataError(
            f"{detail}; set accept_missing_target if that is meant",
            code="target_missing",
            column=request["target"],
            details={"n_missing": missing, "share": share, "limit": MAX_MISSING_TARGET},
        )
    warnings.append({"code": "target_missing", "detail": detail, "column": request["target"]})


def interval_width(n_positive: int) -> float:
    """Width of a 95 % interval of a share near one half measured on so many positives.

    Recall, and with it average precision, is known no better than that. (Normal approximation.)

    >>> round(interval_width(25), 2)
    0.39
    """
    return 2 * 1.96 * sqrt(0.25 / n_positive)


def check_counts(y: Labels, warnings: list[dict[str, Any]]) -> None:
    """Refuse classes too small for the folds (``too_few_positives, fold_without_class``)."""
    n_positive, n_negative = int((y == 1).sum()), int((y == 0).sum())
    for n, name, code in (
        (n_positive, "positive", "too_few_positives"),
        (n_negative, "negative", "fold_without_class"),
    ):
        if n < MIN_POSITIVES:
            raise DataError(
                f"{n} {name} row(s) of {n_positive + n_negative:,}; "
                f"{MIN_POSITIVES} are needed for {N_FOLDS} folds",
                code=code,
                details={
                    "n_positive": n_positive,
                    "n_negative": n_negative,
                    "needed": MIN_POSITIVES,
                },
            )
    if n_positive < FEW_POSITIVES:
        width = interval_width(n_positive)
        warnings.append(
            {
                "code": "too_few_positives",
                "detail": f"{n_positive} positives: a recall near one half is known to within "
                f"{width:.2f} (95 % interval), so close candidates cannot be told apart",
                "interval_width": round(width, 3),
            }
        )
    if n_positive > n_negative:
        warnings.append(
            {
                "code": "positive_label_inverted?",
                "detail": f"{n_positive:,} rows are positive and {n_negative:,} are not; "
                "the rare class is expected to be the positive one",
            }
        )
