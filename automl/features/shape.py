"""The shape of a column's last values: catch22's cheap characteristics, with mean and spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from automl.features.characteristics import CHARACTERISTICS, LEAST_VALUES, Series, constant
from automl.features.group import Column
from automl.features.stretches import covered, dense, known
from automl.features.values import names_of
from automl.relations.tables import EventTable, Floats, Spans

KIND = "shape"
# Longer series are cut: cost stays linear, and one recent shape is meant.
MOST_VALUES = 256
# Two values have no shape: a switch is told by its aggregates.
FEW_VALUES = 3
# Of which the characteristics are independent; catch24 adds them.
MOMENTS = ("mean", "std")
WHATS = (*MOMENTS, *CHARACTERISTICS)
BATCH_VALUES = 8_000_000


@dataclass(frozen=True, kw_only=True)
class FittedShape:
    """Characteristics of the last `most_values` known values of columns of numbers.

    `features` are pairs of a column and a characteristic (`automl.features.characteristics`, or
    mean, or std with n - 1). Values count by their order, their times do not. NaN with fewer than
    eight known values, and, but for mean and std, where all are alike.
    """

    table: str
    features: Sequence[tuple[str, str]]
    most_values: int = MOST_VALUES
    kind: str = KIND

    @property
    def columns(self) -> list[str]:
        """Names of the features."""
        return [f"{self.table}.{column}.{what}" for column, what in self.features]

    @property
    def reads(self) -> list[str]:
        """Columns of the table, each once."""
        return list(dict.fromkeys(column for column, _ in self.features))

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """One array of shape (n_entities,) for each feature."""
        out = {
            (column, what): np.full(len(spans.start), np.nan, dtype=np.float32)
            for column, what in self.features
        }
        for columns in self._batches(table):
            found = [known(table, spans, column) for column in columns]
            wanted = [what for what in WHATS if any((column, what) in out for column in columns)]
            for of, who, raw in dense(found, most=self.most_values):
                if raw.shape[1] < LEAST_VALUES:
                    continue
                varied = ~constant(raw)
                series = Series.standardised(raw[varied])
                for what in wanted:
                    if what in MOMENTS:
                        values, kept = _moment(raw, what), np.ones_like(varied)
                    else:
                        values, kept = CHARACTERISTICS[what](series), varied
                    for number, column in enumerate(columns):
                        if (column, what) in out:
                            own = of[kept] == number
                            out[column, what][who[kept][own]] = values[own]
        return [out[column, what] for column, what in self.features]

    def _batches(self, table: EventTable) -> list[list[str]]:
        """Columns that are computed together: so many that their values take 64 MB."""
        step = max(1, BATCH_VALUES // max(table.n_rows, 1))
        return [self.reads[at : at + step] for at in range(0, len(self.reads), step)]

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its features."""
        kept = [
            one for one, name in zip(self.features, self.columns, strict=True) if name in columns
        ]
        return replace(self, features=kept)

    def to_json(self) -> dict[str, Any]:
        """Names only: nothing is learnt from values."""
        return {
            "kind": self.kind,
            "table": self.table,
            "features": [list(one) for one in self.features],
            "most_values": self.most_values,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            features=[(column, what) for column, what in data["features"]],
            most_values=int(data["most_values"]),
        )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The group `shape`: see `FittedShape`. Columns of one or two values are left out."""

    most_values: int = MOST_VALUES
    kind: ClassVar[str] = KIND
    # For each of the last values of an entity, of one column.
    seconds_per_million: float = 0.4

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedShape | None:
        """Choose the columns."""
        features = []
        for column in names_of(table, "number"):
            found = known(table, spans, column)
            if (found.end - found.start).max(initial=0) < LEAST_VALUES:
                continue
            if len(np.unique(found.values[covered(found)])) < FEW_VALUES:
                continue
            features += [(column, what) for what in WHATS]
        if not features:
            return None
        return FittedShape(table=table.name, features=features, most_values=self.most_values)


def _moment(raw: Floats, what: str) -> Floats:
    return np.asarray(raw.mean(axis=1) if what == "mean" else raw.std(axis=1, ddof=1))
