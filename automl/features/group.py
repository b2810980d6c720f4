"""A group of features: what is computed together from one table, and paid for together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from automl.relations.tables import EventTable, Spans

Column = npt.NDArray[np.float32]


class FittedGroup(Protocol):
    """Features of one table that were decided on training rows; computes them for any rows.

    The same entity with the same events gives the same bytes, whatever other rows there are.

    Attributes
    ----------
    kind : which class reads its JSON
    table : name of the table that it reads
    columns : names of its features, in order, each beginning with the table's name
    reads : columns of the table that it needs (key and time apart)
    """

    kind: str
    table: str
    columns: Sequence[str]
    reads: Sequence[str]

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """One array of shape (n_entities,), float32, for each of `columns`; NaN is unknown."""
        ...

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its columns, for a champion that uses no others."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Everything that `from_json` needs; no value that tells of one entity."""
        ...

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        ...


class Group(Protocol):
    """How a group is decided on training rows.

    Attributes
    ----------
    kind : as that of what it fits, e.g. `aggregates`
    seconds_per_million : CPU-seconds for a million event rows, measured; the cheap come first
    """

    kind: str
    seconds_per_million: float

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedGroup | None:
        """Decide what to compute from training rows; None where the table offers nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """A fitted group whose features can be left out one by one, with nothing else to drop."""

    table: str
    columns: Sequence[str]

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its columns."""
        return replace(self, columns=[name for name in self.columns if name in set(columns)])
