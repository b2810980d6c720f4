"""Which kinds of feature groups there are: one line each, imported when one is used."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass

from automl.features.group import FittedGroup, Group
from automl.features.values import Sort, names_of
from automl.relations.tables import EventTable


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Where a kind's classes are, and for which tables it is.

    Parameters
    ----------
    module : of `automl.features`
    group, fitted : names of its classes
    roles : of tables that it can be computed from
    needs : sorts of columns, one of each of which it works on
        Its cost is that of one column (of each), times how many there are; at most `most` of
        each are used.
    windowed : whether it sees no more of a long series than the widest window
    """

    module: str
    group: str
    fitted: str
    roles: tuple[str, ...] = ("events", "series", "log", "static")
    needs: tuple[tuple[Sort, ...], ...] = ()
    most: int = 1_000
    windowed: bool = False

    def columns(self, table: EventTable) -> int:
        """How many columns, or pairs, of a table it works on; 1 where they do not matter."""
        return math.prod(min(len(names_of(table, *sorts)), self.most) for sorts in self.needs)


KINDS: dict[str, Kind] = {
    "recency": Kind(module="recency", group="Recency", fitted="FittedRecency", windowed=True),
    "aggregates": Kind(
        module="aggregates",
        group="Aggregates",
        fitted="FittedAggregates",
        needs=(("number", "date"),),
        windowed=True,
    ),
    "trends": Kind(
        module="aggregates",
        group="Trends",
        fitted="FittedAggregates",
        roles=("events", "series", "log"),
        needs=(("number",),),
        windowed=True,
    ),
    "categories": Kind(
        module="categories",
        group="Categories",
        fitted="FittedCategories",
        needs=(("text", "code"),),
        windowed=True,
    ),
    "conditional": Kind(
        module="conditional",
        group="Conditional",
        fitted="FittedConditional",
        needs=(("text", "code"), ("number",)),
        most=4,
        windowed=True,
    ),
    "shape": Kind(
        module="shape",
        group="Shape",
        fitted="FittedShape",
        roles=("events", "series"),
        needs=(("number",),),
    ),
    "convolutions": Kind(
        module="convolutions",
        group="Convolutions",
        fitted="FittedConvolutions",
        roles=("series",),
    ),
    "rolling": Kind(
        module="rolling",
        group="Rolling",
        fitted="FittedRolling",
        roles=("series",),
        needs=(("number",),),
    ),
    "templates": Kind(
        module="templates", group="LogTemplates", fitted="FittedTemplates", roles=("log",)
    ),
    "sequences": Kind(
        module="sequences", group="Sequences", fitted="FittedSequences", roles=("log",)
    ),
    "levels": Kind(
        module="levels", group="LogLevels", fitted="FittedLevels", roles=("log", "events")
    ),
    "parameters": Kind(
        module="parameters", group="Parameters", fitted="FittedParameters", roles=("log",)
    ),
    "words": Kind(module="words", group="Words", fitted="FittedWords", roles=("log", "events")),
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
    return [
        name for name, kind in KINDS.items() if table.role in kind.roles and kind.columns(table) > 0
    ]


def _module(kind: str) -> object:
    return importlib.import_module(f"automl.features.{KINDS[kind].module}")
