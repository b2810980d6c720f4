"""Which part each column may play, guessed from its values and name; every guess says why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from automl.data.leakage import leaks_to
from automl.data.unique import first_repeat

# Words that people give to keys, groups, times and targets; only hints, the values must agree.
KEY_WORDS = re.compile(
    r"(^|[_\W])(id|key|uuid|guid|nr|no|number|code|row_id|index)$|(?<=[a-z])Id$|ID$|id$"
)
GROUP_WORDS = re.compile(
    r"(customer|client|account|user|patient|household|machine|device|station|company|entity|unit|"
    r"merchant|card|engine)",
    re.IGNORECASE,
)
TIME_WORDS = re.compile(
    r"(date|time|_at$|_on$|day|month|cutoff|cut_off|created|timestamp)", re.IGNORECASE
)
TARGET_WORDS = re.compile(
    r"^(y|label|class|target|outcome|response|status)$|target|label|outcome|default|delinq|dlq|fraud"
    r"|churn|fragile|failure|fail|bad|anomaly|outlier|bankrupt|stroke|present|positive|approved|event",
    re.IGNORECASE,
)
ID_RATIO = 0.95
HIGH_CARDINALITY = 100
MAX_UNIQUE_CHECKS = 4
NOT_LEARNT_FROM = {"key", "id_like", "constant", "all_missing"}
# Rows that are looked at for columns that tell the target, and what they may take as Arrow arrays.
LEAK_ROWS, LEAK_BYTES = 100_000, 64 * 2**20


class Counted(Protocol):
    """What the roles need to know beyond the JSON of a column."""

    digest: Any
    rises: bool
    text_bytes: int


def assign_roles(
    columns: list[dict[str, Any]],
    counted: Sequence[Counted],
    *,
    n_rows: int,
    stored: Path,
    key: str | None,
) -> None:
    """Fill `roles` and `why` of each column's profile in place."""
    for column in columns:
        column["why"] = column["why"] or "declared"
    _empty_and_equal(columns, counted, n_rows=n_rows)
    _keys(columns, counted, n_rows=n_rows, stored=stored, key=key)
    _times(columns)
    _groups(columns, n_rows=n_rows)
    for column in columns:
        if (
            column["type"] == "string"
            and column["n_distinct"] > HIGH_CARDINALITY
            and "key" not in column["roles"]
        ):
            _give(
                column,
                "high_cardinality",
                f"{_about(column)}{column['n_distinct']:,} different texts",
            )
    candidates = rank_targets(columns, n_rows=n_rows)
    for candidate in candidates:
        column = next(one for one in columns if one["name"] == candidate["name"])
        _give(column, "target_candidate", candidate["why"])
    if candidates:
        _leaks(columns, counted, n_rows=n_rows, stored=stored, target=candidates[0]["name"])


def _leaks(
    columns: list[dict[str, Any]],
    counted: Sequence[Counted],
    *,
    n_rows: int,
    stored: Path,
    target: str,
) -> None:
    """Say which columns tell the likeliest target outright, by as many rows as memory allows."""
    features = [
        column["name"]
        for column in columns
        if column["name"] != target and not NOT_LEARNT_FROM & set(column["roles"])
    ]
    row_bytes = sum(profile.text_bytes for profile in counted) / n_rows + 9 * len(columns)
    looked_at = max(1, min(LEAK_ROWS, int(LEAK_BYTES / row_bytes)))
    leaks = dict(leaks_to(target, stored=stored, features=features, n_rows=looked_at))
    for column in columns:
        if column["name"] in leaks:
            auc = leaks[column["name"]]
            _give(column, f"leaks:{target}", f"alone ranks it with an AUC of {auc:.4f}")


def _give(column: dict[str, Any], role: str, why: str) -> None:
    column["roles"].append(role)
    column["why"] += f"; {role}: {why}"


def _about(column: dict[str, Any]) -> str:
    """A word before each number that is made of an estimate."""
    return "about " if column["distinct_is_approximate"] else ""


def _empty_and_equal(
    columns: list[dict[str, Any]], counted: Sequence[Counted], *, n_rows: int
) -> None:
    first: dict[tuple[int, int], str] = {}
    for column, profile in zip(columns, counted, strict=True):
        if column["n_missing"] == n_rows:
            _give(column, "all_missing", "no row has a value")
            continue
        if column["n_distinct"] == 1 and column["n_missing"] == 0:
            _give(column, "constant", "every row has the same value")
            continue
        same = (int(profile.digest), column["n_missing"])
        if same in first:
            _give(column, f"duplicate_of:{first[same]}", "equal in every row")
        else:
            first[same] = column["name"]


def _keys(
    columns: list[dict[str, Any]],
    counted: Sequence[Counted],
    *,
    n_rows: int,
    stored: Path,
    key: str | None,
) -> None:
    checks = 0
    found = key is not None
    for column, profile in zip(columns, counted, strict=True):
        if column["name"] == key:
            _give(column, "key", "declared, and unique")
            continue
        if column["type"] not in ("integer", "string") or n_rows < 20:
            continue
        ratio = column["n_distinct"] / n_rows
        if ratio <= ID_RATIO:
            continue
        named = bool(KEY_WORDS.search(column["name"]))
        short = column["type"] == "integer" or profile.text_bytes / n_rows <= 64
        rises = column["type"] == "integer" and profile.rises
        if not (named or rises or (column["type"] == "string" and short)):
            continue
        unique = False
        if (
            not found
            and (named or rises)
            and column["n_missing"] == 0
            and checks < MAX_UNIQUE_CHECKS
        ):
            checks += 1
            unique = first_repeat(stored, column["name"]) is None
        if unique:
            found = True
            _give(column, "key", "unique in every row" + (", named like a key" if named else ""))
        share = f"{_about(column)}{ratio:.0%} of its values are different"
        reason = "rises from row to row" if rises else share
        _give(column, "id_like", reason)


def _times(columns: list[dict[str, Any]]) -> None:
    times = [
        column
        for column in columns
        if column["type"] == "timestamp" and not {"constant", "all_missing"} & set(column["roles"])
    ]
    times.sort(key=lambda column: (column["n_missing"], not TIME_WORDS.search(column["name"])))
    if times:
        many = f", the most complete of {len(times)}" if len(times) > 1 else ""
        _give(times[0], "time", f"dates or times{many}")


def _groups(columns: list[dict[str, Any]], *, n_rows: int) -> None:
    for column in columns:
        if column["type"] not in ("integer", "string") or column["roles"]:
            continue
        named = KEY_WORDS.search(column["name"]) and GROUP_WORDS.search(column["name"])
        if named and MIN_GROUPS <= column["n_distinct"] <= 0.9 * n_rows:
            each = f"{_about(column)}{n_rows / column['n_distinct']:.1f} rows each"
            _give(column, "group_candidate", f"named like an entity, {each}")


MIN_GROUPS = 20


def rank_targets(columns: list[dict[str, Any]], *, n_rows: int) -> list[dict[str, Any]]:
    """Columns of two values, the likeliest target first, each with its reasons."""
    ranked = []
    for index, column in enumerate(columns):
        levels = column.get("levels")
        if levels is None or len(levels) != 2:
            continue
        rare = min(level["count"] for level in levels) / max(1, n_rows - column["n_missing"])
        score, why = 0.0, ["two values"]
        if TARGET_WORDS.search(column["name"]):
            score += 2
            why.append("named like a target")
        if index == len(columns) - 1:
            score += 1.5
            why.append("the last column")
        if rare < 0.2:
            score += 1 - rare
            why.append(f"the rarer value in {rare:.2%} of the rows")
        if column["n_missing"]:
            score -= 0.5
            why.append("with missing values")
        ranked.append((score, -index, column["name"], rare, ", ".join(why)))
    ranked.sort(reverse=True)
    return [
        {"name": name, "why": why, "minority_share": round(rare, 6)}
        for _, _, name, rare, why in ranked
    ]
