"""Sums and means of a table's numbers apart for each level of its categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from automl.features.categories import (
    SHARED,
    Levels,
    find_levels,
    labels_of,
    levels_from_json,
    levels_to_json,
)
from automl.features.group import Column
from automl.features.identifiers import identifiers
from automl.features.segments import Stretches, blocks, kept_before
from automl.features.summaries import positive, present
from automl.features.values import names_of
from automl.features.windows import Window, choose_windows
from automl.relations.tables import EventTable, Floats, Spans

# Columns of levels, levels of each, and columns of numbers that are crossed at most.
MOST_COLUMNS = 4
MOST_LEVELS = 8
MOST_NUMBERS = 4
MOST_FEATURES = 400
STATISTICS = ("sum", "mean", "portion")


@dataclass(frozen=True, kw_only=True)
class FittedConditional:
    """Features such as `table.amount.sum[type=debit].window`.

    `portion` is the sum over the sum of all sizes: debits as part of what is moved.
    """

    kind = "conditional"
    table: str
    windows: tuple[Window, ...]
    levels: tuple[Levels, ...]
    numbers: tuple[str, ...]
    columns: Sequence[str]

    @property
    def reads(self) -> Sequence[str]:
        """Columns of which a feature is left."""
        return [*(of.column for of in self.levels), *self.numbers]

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """One array of shape (n_entities,), float32, for each of `columns`."""
        found = {
            name: np.full(len(spans.start), 0.0 if _is_sum(name) else np.nan, dtype=np.float32)
            for name in self.columns
        }
        crossed = {
            (number, of.column, label)
            for number in self.numbers
            for of in self.levels
            for label in labels_of(of)
            if any(
                f"{self.table}.{number}.{one}[{of.column}={label}].{window.name}" in found
                for one in STATISTICS
                for window in self.windows
            )
        }
        starts = [window.start(table, spans) for window in self.windows]
        for block in blocks(starts[0], spans.end):
            inside = [block.since(start) for start in starts]
            values = {name: block.numbers(table, name) for name in self.numbers}
            sizes = {
                name: [one.sum(np.abs(np.nan_to_num(of))) for one in inside]
                for name, of in values.items()
            }
            for of in self.levels:
                code = block.codes(table, of.column, of.levels)
                for at, label in enumerate(labels_of(of)):
                    # What no feature asks for is not computed: a champion uses few levels.
                    asked = [name for name in self.numbers if (name, of.column, label) in crossed]
                    if not asked:
                        continue
                    is_level = code == at
                    before = kept_before(is_level)
                    kept = [one.kept(before) for one in inside]
                    for name in asked:
                        computed = self._of(
                            name, f"{of.column}={label}", values[name][is_level], kept, sizes[name]
                        )
                        for feature, column in computed.items():
                            if feature in found:
                                found[feature][block.rows] = column
        return [found[name] for name in self.columns]

    def _of(
        self,
        name: str,
        label: str,
        values: Floats,
        inside: Sequence[Stretches],
        sizes: Sequence[Floats],
    ) -> dict[str, Floats]:
        known, _, stretches = present(values, values, inside)
        found = {}
        for window, one, size in zip(self.windows, stretches, sizes, strict=True):
            total = one.sum(known)
            for statistic, computed in (
                ("sum", total),
                ("mean", total / positive(one.count)),
                ("portion", total / positive(size)),
            ):
                found[f"{self.table}.{name}.{statistic}[{label}].{window.name}"] = computed
        return found

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its columns; what they do not need is no longer read."""
        kept = [name for name in self.columns if name in set(columns)]
        levels, numbers = set(), set()
        for of in self.levels:
            for number in self.numbers:
                if set(kept) & set(names_of_crossed(self.table, of, number, self.windows)):
                    levels.add(of.column)
                    numbers.add(number)
        return replace(
            self,
            columns=kept,
            levels=tuple(of for of in self.levels if of.column in levels),
            numbers=tuple(name for name in self.numbers if name in numbers),
        )

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {
            "kind": self.kind,
            "table": self.table,
            "windows": [window.to_json() for window in self.windows],
            "levels": [levels_to_json(of) for of in self.levels],
            "numbers": list(self.numbers),
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            windows=tuple(Window.from_json(one) for one in data["windows"]),
            levels=tuple(levels_from_json(one) for one in data["levels"]),
            numbers=tuple(data["numbers"]),
            columns=list(data["columns"]),
        )


class Conditional:
    """Decides which numbers are crossed with which levels; those of fewest levels come first."""

    kind = "conditional"
    # Of one column of numbers and one of five levels.
    seconds_per_million = 0.07

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedConditional | None:
        """Levels and windows from training rows; None where there are no levels or no numbers."""
        levels = [of for of in find_levels(table, spans) if of.levels]
        levels = sorted(levels, key=lambda of: of.n_distinct)[:MOST_COLUMNS]
        levels = [replace(of, levels=of.levels[:MOST_LEVELS]) for of in levels]
        taken = {of.column for of in levels}
        taken |= identifiers(table, spans, names_of(table, "number"))
        numbers = [
            name
            for name in names_of(table, "number")
            if name not in taken and not pa.types.is_boolean(table.columns.schema.field(name).type)
        ][:MOST_NUMBERS]
        if not levels or not numbers:
            return None
        windows = choose_windows(table, spans)[:SHARED]
        names = [
            feature
            for of in levels
            for number in numbers
            for feature in names_of_crossed(table.name, of, number, windows)
        ]
        return FittedConditional(
            table=table.name,
            windows=windows,
            levels=tuple(levels),
            numbers=tuple(numbers),
            columns=names[:MOST_FEATURES],
        )


def _is_sum(feature: str) -> bool:
    return feature.partition("[")[0].endswith(".sum")


def names_of_crossed(table: str, of: Levels, number: str, windows: Sequence[Window]) -> list[str]:
    """The features of a column of numbers and a column of levels."""
    names = []
    for label in labels_of(of):
        for window in windows:
            statistics = STATISTICS if window is windows[0] else ("sum", "portion")
            names += [
                f"{table}.{number}.{statistic}[{of.column}={label}].{window.name}"
                for statistic in statistics
            ]
    return names
