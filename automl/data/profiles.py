"""What a table holds, counted while it streams by: the profile."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.data.columns import NULL_TOKENS, ColumnPlan, Strays
from automl.data.dates import n_folded
from automl.data.dialect import Dialect
from automl.data.options import ReadingOptions
from automl.data.roles import assign_roles, rank_targets
from automl.data.sketch import (
    DistinctSketch,
    Hashes,
    LevelCounter,
    RepeatCounter,
    encode,
    hash_values,
    mix,
)
from automl.data.unique import first_repeat
from automl.errors import DataError

MAX_LEVELS = 20
ODD = np.uint64(0x9FB21C651E98DF25)


class ColumnProfile:
    """Counts of one column, updated block by block."""

    def __init__(self, plan: ColumnPlan) -> None:
        self.plan = plan
        self.n_missing = 0
        self.distinct = DistinctSketch()
        self.levels = LevelCounter(MAX_LEVELS)
        self.minimum: Any = None
        self.maximum: Any = None
        self.digest = np.uint64(0)  # equal columns have equal digests
        self.rises = True
        self.text_bytes = 0
        self.n_numeric_texts = 0
        self.n_folded = 0
        self._last: Any = None

    def update(self, array: pa.Array, places: Hashes, *, options: ReadingOptions) -> Hashes:
        """Add a block; returns the hash of each cell. `places` are hashes of row numbers."""
        self.n_missing += array.null_count
        if self.distinct.full:
            hashes = hash_values(array)
            self.distinct.update(hashes)
        else:
            hashes = self._coded(array)
        self.digest = np.sum(np.append(hashes * places, self.digest))
        if pa.types.is_string(array.type):
            self.text_bytes += pc.sum(pc.binary_length(array), min_count=0).as_py()
            self.rises = False
        elif not pa.types.is_boolean(array.type):
            self._span(array)
        if options.timezone is not None and pa.types.is_timestamp(array.type):
            self.n_folded += n_folded(array, timezone=options.timezone)
        return hashes

    def _coded(self, array: pa.Array) -> Hashes:
        values, counts, places = encode(array)
        hashes = hash_values(values)
        self.distinct.update(hashes)
        self.levels.update(values, counts)
        null = hash_values(pa.nulls(1, values.type))
        return np.concatenate([hashes, null])[places]

    def _span(self, array: pa.Array) -> None:
        span = pc.min_max(array)
        low, high = span["min"], span["max"]
        if not low.is_valid:
            return
        if pa.types.is_timestamp(array.type):
            low, high = low.cast(pa.int64()), high.cast(pa.int64())
        low, high = low.as_py(), high.as_py()
        self.minimum = low if self.minimum is None else min(self.minimum, low)
        self.maximum = high if self.maximum is None else max(self.maximum, high)
        if self.rises and pa.types.is_int64(array.type):
            numbers = array.drop_null().to_numpy()
            first = self._last is None or numbers[0] > self._last
            self.rises = bool(first and (np.diff(numbers) > 0).all())
            self._last = numbers[-1]

    def n_distinct(self, n_rows: int) -> int:
        """Distinct values, missing not counted."""
        count = self.distinct.count() - (1 if self.n_missing and self.distinct.full else 0)
        return min(count, n_rows - self.n_missing)

    def to_json(self, n_rows: int) -> dict[str, Any]:
        """The column's part of the profile; roles come later."""
        column: dict[str, Any] = {
            "name": self.plan.name,
            "type": self.plan.type,
            "n_missing": self.n_missing,
            "n_distinct": self.n_distinct(n_rows),
            "distinct_is_approximate": self.distinct.full,
        }
        if self.minimum is not None:
            column["min"], column["max"] = self._edge(self.minimum), self._edge(self.maximum)
        if self.levels.counts is not None:
            ordered = sorted(self.levels.counts.items(), key=lambda item: (-item[1], str(item[0])))
            column["levels"] = [{"value": _json(v), "count": n} for v, n in ordered]
        if self.plan.type == "timestamp" and self.plan.format not in (None, "epoch"):
            column["date_format"] = self.plan.format
        column["roles"] = []
        column["why"] = self.plan.why
        return column

    def _edge(self, value: Any) -> Any:
        if self.plan.type == "timestamp":
            return datetime.fromtimestamp(value / 1e6, tz=UTC).isoformat()
        return value


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


class Profiler:
    """Profile of a table, updated block by block in bounded memory."""

    def __init__(self, plans: list[ColumnPlan], *, options: ReadingOptions) -> None:
        self.columns = [ColumnProfile(plan) for plan in plans]
        self.options = options
        self.n_rows = 0
        self.notes: list[dict[str, str]] = []  # what the reader says of the file
        self._repeats = RepeatCounter()

    def update(self, table: pa.Table) -> None:
        """Add a block of rows."""
        if not table.num_rows:
            return
        numbers = np.arange(self.n_rows + 1, self.n_rows + table.num_rows + 1, dtype=np.uint64)
        places = mix(numbers)
        rows = np.zeros(table.num_rows, dtype=np.uint64)
        for profile, chunked in zip(self.columns, table.columns, strict=True):
            array = chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()
            hashes = profile.update(array, places, options=self.options)
            rows *= ODD
            rows += hashes
            rows ^= rows >> np.uint64(29)
        self.n_rows += table.num_rows
        self._repeats.update(rows)

    def profile(
        self,
        stored: Path,
        *,
        dialect: Dialect,
        plans: list[ColumnPlan],
        options: ReadingOptions,
        bytes_in: int,
        key: str | None = None,
    ) -> dict[str, Any]:
        """The profile as JSON values.

        `key` names the rows too, but may have a value twice: of a table that was appended to.

        Raises
        ------
        DataError
            ``duplicate_entity``: the declared key has a value twice.
        """
        if options.key is not None:
            row = first_repeat(stored, options.key)
            if row is not None:
                raise DataError(
                    f"row {row:,} repeats a value of the key '{options.key}'",
                    code="duplicate_entity",
                    column=options.key,
                    row=row,
                )
        columns = [column.to_json(self.n_rows) for column in self.columns]
        assign_roles(
            columns, self.columns, n_rows=self.n_rows, stored=stored, key=key or options.key
        )
        return {
            "n_rows": self.n_rows,
            "n_columns": len(columns),
            "bytes_in": bytes_in,
            "bytes_stored": stored.stat().st_size,
            "format": dialect.format,
            "dialect": dialect.to_json(),
            "columns": columns,
            "warnings": [*self._warnings(dialect), *self.notes, *_suspected(columns)],
            "duplicate_rows": self._repeats.repeats(),
            "duplicate_rows_is_approximate": not self._repeats.exact,
            "target_candidates": rank_targets(columns, n_rows=self.n_rows),
        }

    def _warnings(self, dialect: Dialect) -> list[dict[str, str]]:
        found = []

        def warn(code: str, detail: str, column: str | None = None) -> None:
            found.append({"code": code, "detail": detail} | ({"column": column} if column else {}))

        if "encoding" in dialect.guessed:
            warn("encoding_guessed", f"the text is not UTF-8; it was read as {dialect.encoding}")
        if dialect.format == "csv" and not dialect.header:
            warn(
                "no_header", "the first row names no columns; they are called column_1, column_2, …"
            )
        for profile in self.columns:
            plan = profile.plan
            if plan.type == "string" and "2^53" in plan.why:
                warn(
                    "large_integers",
                    f"'{plan.name}' has integers above 2^53 and is kept as text",
                    plan.name,
                )
            if plan.strays is not None:
                warn("mixed_types", _mixed(plan.name, plan.strays), plan.name)
            if plan.tokens and "NA means missing" in plan.why:
                warn(
                    "null_tokens_guessed",
                    f"NA and the like mean missing among the numbers of '{plan.name}'",
                    plan.name,
                )
            if profile.n_missing == self.n_rows:
                warn("all_missing", f"'{plan.name}' has no value in any row", plan.name)
            if profile.n_folded:
                warn(
                    "dst_fold",
                    f"{profile.n_folded:,} times of '{plan.name}' fall into an hour that the "
                    "timezone has twice; the first one is meant",
                    plan.name,
                )
            if plan.type == "timestamp" and not plan.aware and self.options.timezone is None:
                warn("timezone_guessed", f"times of '{plan.name}' are taken as UTC", plan.name)
            tokens = _null_tokens(profile)
            if tokens:
                warn(
                    "null_like_text",
                    f"'{plan.name}' is text with {tokens:,} cell(s) such as NA; declare "
                    "null_values if they mean missing",
                    plan.name,
                )
        return found


def _mixed(name: str, strays: Strays) -> str:
    kind = "times" if strays.type == "timestamp" else "numbers"
    return (
        f"'{name}' is text only because {strays.n_other:,} of the {strays.n_cells:,} cells that "
        f"decide its type are not {kind}, the first in row {strays.first_row:,}; correct them, "
        "declare null_values if they mean missing, or the column's type in types"
    )


def _suspected(columns: list[dict[str, Any]]) -> list[dict[str, str]]:
    """A warning for each column that tells the likeliest target outright."""
    return [
        {
            "code": "leakage_suspected",
            "detail": f"'{column['name']}' alone tells '{role.removeprefix('leaks:')}'; exclude it "
            "if it is known only afterwards",
            "column": column["name"],
        }
        for column in columns
        for role in column["roles"]
        if role.startswith("leaks:")
    ]


def _null_tokens(profile: ColumnProfile) -> int:
    counts = profile.levels.counts
    if profile.plan.type != "string" or not counts:
        return 0
    return sum(count for value, count in counts.items() if str(value).strip() in NULL_TOKENS)
