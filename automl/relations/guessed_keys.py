"""Which column of a table is found in which of another: the keys, guessed from names and values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from automl.relations.guessed_tables import GuessedTable

# A column belongs to a key when this share of its values is found there ...
FOUND = 0.9
# ... or this one, where both are called alike: a child may know entities that are left out.
FOUND_BY_NAME = 0.3
LOOKED_AT = 20_000  # values of a column that are looked for
KEY_NAMES = re.compile(r"(.*(_|\b)id|id|.*Id|.*ID|key|.*_key|.*_no|uuid)$")


def links_of(
    seen: Sequence[GuessedTable], entity: GuessedTable
) -> dict[str, tuple[str, str, str, str]]:
    """By table: its column, the table and column it is found in, and why."""
    linked = {entity.name}
    found: dict[str, tuple[str, str, str, str]] = {}
    options: list[tuple[float, str, str, tuple[str, str], str]] = []
    reached = [entity]  # tables whose pairs with the others are not looked at yet
    while True:
        options = [one for one in options if one[1] not in linked] + [
            (score, table.name, other.name, pair, why)
            for table in seen
            if table.name not in linked
            for other in reached
            for score, pair, why in _pairs(table, other, to_entity=other is entity)
        ]
        if not options:
            return found
        _, name, other_name, (own, theirs), why = max(options, key=lambda one: one[0])
        found[name] = (own, other_name, theirs, why)
        linked.add(name)
        reached = [one for one in seen if one.name == name]


def _pairs(
    table: GuessedTable, other: GuessedTable, *, to_entity: bool
) -> list[tuple[float, tuple[str, str], str]]:
    made = []
    columns = [
        [one for one in side.data.column_names if one not in side.times] for side in (table, other)
    ]
    keys = [{one for one in names if KEY_NAMES.match(one)} for names in columns]
    lower = {one: one.lower() for names in columns for one in names}
    unique = [one for one in columns[1] if one in other.unique]
    for own in columns[0]:
        for theirs in columns[1] if own in table.unique else unique:
            short, long = sorted((lower[own], lower[theirs]), key=len)
            alike = short == long
            if not (long.endswith(short) or own in keys[0] or theirs in keys[1]):
                continue
            share = _share(table, own, other, theirs)
            if share >= (FOUND_BY_NAME if alike else FOUND):
                score = share + 2 * alike + (own in keys[0]) + 0.5 * to_entity
                why = f"{share:.0%} of {own} are found in {other.name}.{theirs}"
                made.append((score, (own, theirs), why))
    return made


def _share(table: GuessedTable, own: str, other: GuessedTable, theirs: str) -> float:
    """Share of the values of one side that are found on the other: the larger of both ways.

    The entities may be few of those that a table knows, and a lookup may know more than is asked.
    """
    kinds = [one.data.schema.field(name).type for one, name in ((table, own), (other, theirs))]
    alike = kinds[0] == kinds[1]
    if any(map(pa.types.is_floating, kinds)):
        return 0.0
    if not alike and not all(map(pa.types.is_integer, kinds)):
        return 0.0
    sides = [table.distinct(own), other.distinct(theirs)]
    if not all(map(len, sides)):
        return 0.0
    if not alike:
        sides = [one.cast(pa.int64()) for one in sides]
    return max(
        float(pc.mean(pc.is_in(a.slice(0, LOOKED_AT), value_set=b).cast(pa.float64())).as_py())
        for a, b in (sides, sides[::-1])
    )


def own_key(entity: GuessedTable, links: Mapping[str, tuple[str, str, str, str]]) -> str | None:
    """The column that most other tables refer to; else a unique one that is called like a key."""
    to = [theirs for _, other, theirs, _ in links.values() if other == entity.name]
    if to:
        return max(sorted(set(to)), key=to.count)
    named = [
        name for name in entity.data.column_names if name in entity.unique and KEY_NAMES.match(name)
    ]
    return named[0] if named else None


def covers(
    table: GuessedTable, own: str, other: GuessedTable, theirs: str, *, share: float = FOUND
) -> bool:
    """Whether nearly each key of the other table is one here."""
    wanted, here = pc.unique(other.column(theirs).drop_null()), table.column(own)
    if wanted.type != here.type:
        wanted, here = wanted.cast(pa.int64()), here.cast(pa.int64())
    return float(pc.mean(pc.is_in(wanted, value_set=here).cast(pa.float64())).as_py() or 0) >= share


def n_orphans(table: GuessedTable, own: str, other: GuessedTable, theirs: str) -> int:
    """Rows of a table whose key is not one of the other."""
    wanted, here = table.column(own), pc.unique(other.column(theirs))
    if wanted.type != here.type:
        wanted, here = wanted.cast(pa.int64()), here.cast(pa.int64())
    return int(pc.sum(pc.invert(pc.is_in(wanted, value_set=here)), min_count=0).as_py())
