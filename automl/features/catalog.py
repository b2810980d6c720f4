"""Which kinds of feature groups there are: one line each, imported when one is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from automl.features.group import FittedGroup, Group
from automl.relations.tables import EventTable


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Where a kind's classes are, and for which tables it is.

    Parameters
    ----------
    module : of `automl.features`
    group, fitted : names of its classes
    roles : of tables that it can be computed from
    """

    module: str
    group: str
    fitted: str
    roles: tuple[str, ...] = ("events", "series", "log", "static")


KINDS: dict[str, Kind] = {
    "recency": Kind(module="recency", group="Recency", fitted="FittedRecency"),
    "aggregates": Kind(module="aggregates", group="Aggregates", fitted="FittedAggregates"),
    "categories": Kind(module="categories", group="Categories", fitted="FittedCategories"),
    "conditional": Kind(module="conditional", group="Conditional", fitted="FittedConditional"),
    "shape": Kind(module="shape", group="Shape", fitted="FittedShape", roles=("events", "series")),
    "convolutions": Kind(
        module="convolutions",
        group="Convolutions",
        fitted="FittedConvolutions",
        roles=("series",),
    ),
    "rolling": Kind(module="rolling", group="Rolling", fitted="FittedRolling", roles=("series",)),
}


def group_of(kind: str) -> Group:
    """What decides a group of this kind."""
    made: Group = getattr(_module(kind), KINDS[kind].group)()
    return made


def fitted_of(kind: str) -> type[FittedGroup]:
    """The class that reads a fitted group's JSON."""
    found: type[FittedGroup] = getattr(_module(kind), KINDS[kind].fitted)
    return found


def kinds_for(table: EventTable) -> list[str]:
    """Kinds that could be computed from a table."""
    return [name for name, kind in KINDS.items() if table.role in kind.roles]


def _module(kind: str) -> object:
    return importlib.import_module(f"automl.features.{KINDS[kind].module}")
