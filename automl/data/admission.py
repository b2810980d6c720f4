"""May this job run on this data? What it would be trained on, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import floor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from automl.data.leakage import find_leaks
from automl.data.naming import near_names
from automl.data.overlap import count_overlap
from automl.data.positives import (
    Labels,
    check_counts,
    check_missing,
    check_values,
    read_labels,
)
from automl.data.role_columns import check_gap, check_group, check_time, check_weight
from automl.data.stored import StoredColumns
from automl.errors import DataError

# Below this share of repeated rows what they lend a score is far below its interval, and dealing
# groups instead of rows costs more CPU than it is worth.
FEW_DUPLICATES = 0.01
# Without a target: fewer rows tell no rarity.
MIN_RANKED = 20
DEFAULT_ALERT_RATE = 0.01


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a job is trained on.

    excluded are columns left out unasked, with the reason; n_features is what remains.
    group_identical says that rows alike in all features are kept on one side of every split.
    """

    n_rows: int
    n_labelled: int
    n_positive: int
    positive_values: list[Any]
    n_features: int
    warnings: list[dict[str, Any]] = field(default_factory=list)
    excluded: list[dict[str, str]] = field(default_factory=list)
    group_identical: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return asdict(self)


def admit(rows: Path, request: Mapping[str, Any], *, profile: Mapping[str, Any]) -> Admission:
    """Check a job's request against stored rows.

    Parameters
    ----------
    rows : Path
        The Parquet that `tables.ingest` wrote.
    request : mapping
        The job's request.
    profile : mapping
        What `tables.ingest` returned.

    Raises
    ------
    DataError
        ``target_not_found, column_not_found, target_missing, not_binary, positive_label_required,
        no_positives, too_few_positives, constant_target, time_is_text, gap_without_unit,
        gap_too_long, fold_without_class, monotone_not_numeric, monotone_not_feature,
        bad_weight, leakage_suspected, no_usable_features``, and for a request without a target
        ``too_few_rows``.
    """
    if request["target"] is None:
        return _admit_rows(request, profile)
    columns = {column["name"]: column for column in profile["columns"]}
    _check_names(request, list(columns))
    target = request["target"]
    warnings: list[dict[str, Any]] = []
    with pq.ParquetFile(rows) as file:
        stored = StoredColumns(file)
        array = stored.read(target)
        y, values = read_labels(array, columns[target], request)
        check_values(array, request, warnings)
        check_missing(y, request, warnings)
        check_counts(y, warnings)
        time = _read(stored, request.get("time_column"))
        if time is not None:
            check_time(time, y, request["time_column"])
            if request.get("gap") is not None:
                check_gap(time, y, request["time_column"], gap=float(request["gap"]))
        group = _read(stored, request.get("group_column"))
        if group is not None:
            check_group(group, y, request["group_column"], warnings)
        weight = _read(stored, request.get("weight_column"))
        if weight is not None:
            check_weight(weight, y, request["weight_column"])
        features, excluded = _features(columns, request)
        _check_monotone(columns, features, excluded, request, warnings)
        _check_leaks(stored, y, features, request, warnings)
    group_identical = _check_overlap(rows, y, features, request, profile, warnings)
    _check_features(features, excluded, profile)
    return Admission(
        n_rows=len(y),
        n_labelled=int((y >= 0).sum()),
        n_positive=int((y == 1).sum()),
        positive_values=values,
        n_features=len(features),
        warnings=warnings,
        excluded=excluded,
        group_identical=group_identical,
    )


def _admit_rows(request: Mapping[str, Any], profile: Mapping[str, Any]) -> Admission:
    """What rows are ranked by where no target is named."""
    columns = {column["name"]: column for column in profile["columns"]}
    _check_names(request, list(columns))
    features, excluded = _features(columns, request)
    _check_features(features, excluded, profile)
    n_rows = int(profile["n_rows"])
    if n_rows < MIN_RANKED:
        raise DataError(
            f"{n_rows:,} rows; at least {MIN_RANKED} are needed to say which of them is odd",
            code="too_few_rows",
            details={"n_rows": n_rows, "least": MIN_RANKED},
        )
    warnings: list[dict[str, Any]] = []
    rate = float((request.get("objective") or {}).get("alert_rate") or DEFAULT_ALERT_RATE)
    if n_rows * rate < 1:
        warnings.append(
            {
                "code": "no_alerts",
                "detail": f"an alert rate of {rate:g} is less than one of {n_rows:,} rows: only "
                "rows odder than all of them are alerted",
            }
        )
    found = profile.get("target_candidates") or ()
    named = [one["name"] for one in found if "named like a target" in one["why"]]
    likely = [name for name in named if name in features]
    if likely:
        warnings.append(
            {
                "code": "target_suspected",
                "detail": f"'{likely[0]}' looks like a target; rows are ranked by it as by any "
                "other column: name it as the target, or exclude it",
                "column": likely[0],
            }
        )
    return Admission(
        n_rows=n_rows,
        n_labelled=0,
        n_positive=0,
        positive_values=[],
        n_features=len(features),
        warnings=warnings,
        excluded=excluded,
    )


def _check_features(
    features: Sequence[str], excluded: Sequence[Mapping[str, str]], profile: Mapping[str, Any]
) -> None:
    """Raise where there is nothing to learn from; tables around the rows have some of their own."""
    tables = (profile.get("relations") or {}).get("tables") or {}
    around = [one for one in tables.values() if one.get("kind") not in ("entities", "lookup")]
    if not features and not around:
        raise DataError(
            "no column is left to learn from: the others are constant, empty, named like keys, "
            "or excluded",
            code="no_usable_features",
            details={"excluded": [one["column"] for one in excluded]},
        )


def _check_names(request: Mapping[str, Any], names: list[str]) -> None:
    target = request["target"]
    if target is not None and target not in names:
        raise DataError(
            f"the data has no column '{target}'",
            code="target_not_found",
            column=target,
            details={"near": near_names(target, names)},
        )
    asked: list[tuple[str, str]] = [
        (role, request[role])
        for role in ("time_column", "group_column", "weight_column")
        if request.get(role) is not None
    ]
    for role in ("exclude", "accept_leakage", "monotone", "subgroups"):
        asked += [(role, name) for name in request.get(role) or ()]
    for role, name in asked:
        if name not in names:
            raise DataError(
                f"the data has no column '{name}', named in {role}",
                code="column_not_found",
                column=name,
                details={"near": near_names(name, names), "field": role},
            )
        if name == target and role != "accept_leakage":
            raise DataError(
                f"the target '{name}' is also named in {role}",
                code="target_has_two_roles",
                column=name,
                details={"field": role},
            )


def _check_monotone(
    columns: Mapping[str, Mapping[str, Any]],
    features: Sequence[str],
    excluded: Sequence[Mapping[str, str]],
    request: Mapping[str, Any],
    warnings: list[dict[str, Any]],
) -> None:
    """Only a number that is learnt from can be monotone; one left out unasked is a warning."""
    why = {one["column"]: one["why"] for one in excluded}
    for name in request.get("monotone") or ():
        kind = columns[name]["type"]
        if kind not in ("integer", "number", "boolean"):
            raise DataError(
                f"column '{name}' is named in monotone and is a {kind}; only numbers have a "
                "direction",
                code="monotone_not_numeric",
                column=name,
                details={"field": "monotone", "type": kind},
            )
        if name in why:
            detail = f"column '{name}' is named in monotone but not learnt from: {why[name]}"
            warnings.append({"code": "monotone_unused", "detail": detail, "column": name})
        elif name not in features:
            raise DataError(
                f"column '{name}' is named in monotone and has another role, or is excluded",
                code="monotone_not_feature",
                column=name,
                details={"field": "monotone"},
            )


def _read(stored: StoredColumns, name: str | None) -> pa.Array | None:
    return None if name is None else stored.read(name)


def _features(
    columns: Mapping[str, Mapping[str, Any]], request: Mapping[str, Any]
) -> tuple[list[str], list[dict[str, str]]]:
    """Columns to learn from, and those left out unasked with the reason."""
    roles = {request.get(f"{role}_column") for role in ("time", "group", "weight")}
    named = {request["target"], *roles, *(request.get("exclude") or ())}
    accepted = set(request.get("accept_leakage") or ())
    features, excluded = [], []
    for name, column in columns.items():
        if name in named:
            continue
        why = next((WHY[one] for one in column["roles"] if one in WHY), None)
        twin = next((one for one in column["roles"] if one.startswith("duplicate_of:")), None)
        if why is not None and name not in accepted:
            excluded.append({"column": name, "why": why})
        elif twin is not None and twin.removeprefix("duplicate_of:") in features:
            original = twin.removeprefix("duplicate_of:")
            excluded.append({"column": name, "why": f"equal to '{original}' in every row"})
        else:
            features.append(name)
    return features, excluded


WHY = {
    "key": "it names the row",
    "id_like": "nearly every row has its own value, so it can only be learnt by heart",
    "constant": "it has one value",
    "all_missing": "it has no value",
}


def _check_leaks(
    stored: StoredColumns,
    y: Labels,
    features: list[str],
    request: Mapping[str, Any],
    warnings: list[dict[str, Any]],
) -> None:
    leaks = find_leaks(stored.read, y, features)
    accepted = set(request.get("accept_leakage") or ())
    same = [leak.column for leak in leaks if leak.identical and leak.column not in accepted]
    if same:
        raise DataError(
            f"column '{same[0]}' is the target itself or its inverse; exclude it, or accept it "
            "with accept_leakage",
            code="leakage_suspected",
            column=same[0],
            details={"columns": same},
        )
    for leak in leaks:
        what = (
            "is the target or its inverse, and was accepted"
            if leak.identical
            else f"alone ranks the rows with an AUC of {leak.auc:.4f}; "
            "exclude it if it is known only afterwards"
        )
        warnings.append(
            {
                "code": "leakage_suspected",
                "detail": f"'{leak.column}' {what}",
                "column": leak.column,
            }
        )


def _check_overlap(
    rows: Path,
    y: Labels,
    features: list[str],
    request: Mapping[str, Any],
    profile: Mapping[str, Any],
    warnings: list[dict[str, Any]],
) -> bool:
    """Warn of rows alike; whether they have to be kept on one side of every split."""
    overlap = count_overlap(rows, y, features)
    free = request.get("group_column") is None and request.get("time_column") is None
    forced = free and overlap.duplicates >= FEW_DUPLICATES * int((y >= 0).sum())
    about = "about " if overlap.approximate else ""
    if overlap.duplicates:
        treatment = (
            "rows alike are kept on one side of every split"
            if forced
            else "the named group or time decides how they are split"
            if not free
            else f"fewer than {FEW_DUPLICATES:.0%} of the rows, so they are split like any other"
        )
        warnings.append(
            {
                "code": "duplicate_rows",
                "detail": f"{about}{overlap.duplicates:,} row(s) repeat the features of another; "
                f"{treatment}",
                "n": overlap.duplicates,
            }
        )
    if overlap.conflicting:
        warnings.append(
            {
                "code": "conflicting_duplicates",
                "detail": f"{about}{overlap.conflicting:,} row(s) have the features of a row with "
                f"the other label; no model can be right on more than "
                f"{floor(overlap.ceiling * 1e6) / 1e4}% of the rows",
                "n": overlap.conflicting,
                "accuracy_ceiling": round(overlap.ceiling, 6),
            }
        )
    if request.get("group_column") is None:
        for column in profile["columns"]:
            if "group_candidate" in column["roles"] and column["name"] in features:
                warnings.append(
                    {
                        "code": "entity_repeats",
                        "detail": f"'{column['name']}' looks like an entity with several rows; "
                        "name it as group_column so that no entity is on both sides of a split",
                        "column": column["name"],
                    }
                )
    return bool(overlap.duplicates) and forced
