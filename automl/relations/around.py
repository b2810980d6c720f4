"""What is known while the tables around entity rows are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from automl.relations.events import require
from automl.relations.keys import KeyIndex
from automl.relations.paths import Lookup, Route
from automl.relations.spec import Spec


@dataclass(kw_only=True)
class Around:
    """What is known while the tables around entity rows are put together.

    Parameters
    ----------
    spec : Spec
    tables : by name, what is read so far; lookups are joined to them as they are found
    n_entities : rows of the entity table
    streamed : tables whose rows the caller reads
    kinds : lookup, child or events, by table; what is told beforehand stays
    strict : refuse what is wrong with the data; a request's rows are taken as they are
    """

    spec: Spec
    tables: dict[str, pa.Table]
    n_entities: int
    streamed: Sequence[str] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    strict: bool = True
    routes: dict[str, Route] = field(default_factory=dict)
    lookups: dict[str, list[Lookup]] = field(default_factory=dict)
    indexes: dict[tuple[str, tuple[str, ...]], KeyIndex] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, dict[str, Any]] = field(default_factory=dict)

    def index(self, name: str, columns: tuple[str, ...]) -> KeyIndex:
        """The distinct keys of a table's columns."""
        if (name, columns) not in self.indexes:
            rows = self.tables[name]
            require(rows, list(columns), self.spec.tables[name])
            self.indexes[name, columns] = KeyIndex(
                [rows.column(one) for one in columns], names=columns, table=name
            )
        return self.indexes[name, columns]

    def forget(self, name: str) -> None:
        """Keys of a table whose rows have changed."""
        self.indexes = {at: one for at, one in self.indexes.items() if at[0] != name}


def inwards(spec: Spec) -> list[str]:
    """All tables but the entities, those furthest from them first."""

    def steps(name: str) -> int:
        link = spec.tables[name].link
        if spec.tables[name].role == "entities" or link.table is None:
            return 0
        return 1 + steps(link.table)

    names = [name for name, table in spec.tables.items() if table.role != "entities"]
    return sorted(names, key=lambda name: -steps(name))
