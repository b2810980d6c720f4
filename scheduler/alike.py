"""Whether a data set is put together as the one that a model of several tables learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.errors import DataError

# What of a table decides which rows an entity has, and what they say.
OF_A_TABLE = ("role", "key", "to", "time", "time_format", "message", "where", "first")
OF_WINDOWS = ("table", "length", "by_time", "sessions")
# Time formats whose values are counted, not dates; as `automl.relations.times` has them.
COUNTED = ("month_number", "number", "order")
NUMBERS = ("integer", "number")
KINDS = {
    "lookup": "one row for each key",
    "child": "several rows for each key",
    "events": "dated rows",
    "entities": "entities",
}


def check_alike(
    learnt: Mapping[str, Any],
    not_read: Mapping[str, Sequence[str] | None],
    given: Mapping[str, Any],
) -> None:
    """Raise where a model cannot predict a data set, before anything is read.

    Tables of which the model reads nothing may be missing or be others. Where the rows come from,
    what of them is to be predicted, and how the cut-off is told may differ; that it is told, in the
    same units and with the same gap, may not.

    Parameters
    ----------
    learnt : the champion's `spec`, `about` and `types`, as it keeps them
    not_read : by table, columns that it does not read; None where it reads nothing of the table
    given : what the data set's profile says of its `relations`

    Raises
    ------
    DataError
        ``other_spec`` with `details.field`; ``missing_columns`` and ``wrong_type`` with table and
        column.
    """
    mine, theirs = learnt["spec"], given["spec"]
    used = _used(mine, not_read)
    for name in used:
        one, other = mine["tables"][name], theirs["tables"].get(name)
        if other is None:
            raise _other(f"tables.{name}", f"the model learnt from a table {name!r}")
        for field in OF_A_TABLE:
            if one.get(field) != other.get(field):
                raise _other(f"tables.{name}.{field}", "the model learnt from another one")
        kind, now = learnt["about"]["kinds"].get(name), given["tables"].get(name, {}).get("kind")
        if None not in (kind, now) and kind != now:
            raise _other(
                f"tables.{name}",
                f"the model learnt from {KINDS[kind]}, and here there is {KINDS[now]}",
            )
        _check_columns(name, learnt, not_read, given)
    for field in OF_WINDOWS:
        if _window(mine, field) != _window(theirs, field):
            raise _other(f"windows.{field}", "the model learnt from another one")
    _check_cut_off(mine, theirs)


def check_columns(like: Mapping[str, Any], types: Mapping[str, Mapping[str, str]]) -> None:
    """Raise where tables no longer have the columns of the version before; new ones are no matter.

    Parameters
    ----------
    like : what the profile of the version before says of its `relations`
    types : by table, those of the columns that are there now

    Raises
    ------
    DataError
        ``missing_columns``, ``wrong_type`` and, of a column by which rows find their entity,
        ``key_type_mismatch``; with table and column.
    """
    tables = like["spec"]["tables"]
    for name, before in like["types"].items():
        here = types.get(name)
        if here is None or name not in tables:
            continue
        left = set(tables[name].get("exclude", ()))
        wanted = {one: kind for one, kind in before.items() if one not in left}
        absent = [one for one in wanted if one not in here]
        if absent:
            raise DataError(
                f"table {name!r} lacks {len(absent)} column(s) that it had in the version before, "
                f"first {absent[0]!r}",
                code="missing_columns",
                table=name,
                column=absent[0],
                details={"columns": absent[:20]},
            )
        for one, kind in wanted.items():
            if not _alike(kind, here[one]):
                is_key = one in _keys(like["spec"], name)
                raise DataError(
                    f"'{name}.{one}' is of type {here[one]}; it was {kind} in the version before"
                    + (", and rows find their entity by it" if is_key else ""),
                    code="key_type_mismatch" if is_key else "wrong_type",
                    table=name,
                    column=one,
                    details={"before": kind, "now": here[one]},
                )


def check_kinds(like: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise where a table has become of another kind, such as two rows for a key where one was.

    Both are what a profile says of its `relations`. Raises DataError ``other_kind``.
    """
    for name, before in like["tables"].items():
        one, other = before.get("kind"), given["tables"].get(name, {}).get("kind")
        if None not in (one, other) and one != other:
            raise DataError(
                f"table {name!r} had {KINDS[one]} in the version before, and now has "
                f"{KINDS[other]}",
                code="other_kind",
                table=name,
                column=_first(like["spec"]["tables"][name].get("key")),
            )


def _keys(spec: Mapping[str, Any], name: str) -> set[str]:
    """Columns of a table by which it finds another, or is found."""
    found = {*_listed(spec["tables"][name].get("key"))}
    if name == spec.get("entities"):
        found |= {*_listed(spec.get("key"))}
    for other in spec["tables"].values():
        for text in _listed(other.get("to")):
            table, _, column = text.partition(".")
            if table == name:
                found |= {column} if column else {*_listed(other.get("key"))}
    return found


def _listed(names: Any) -> list[str]:
    if not names:
        return []
    return [names] if isinstance(names, str) else [str(one) for one in names]


def _first(names: Any) -> str | None:
    return next(iter(_listed(names)), None)


def _used(spec: Mapping[str, Any], not_read: Mapping[str, Sequence[str] | None]) -> list[str]:
    """The tables that are read, those that they are found over, and those they look up."""
    tables = spec["tables"]
    towards = {name: _points_to(one) for name, one in tables.items()}
    found = {name for name, one in tables.items() if one["role"] == "entities"}
    events = {name for name in not_read if not_read[name] is None}
    for name in tables:
        if name not in events:
            at: str | None = name
            while at is not None and at in tables:
                found.add(at)
                at = towards[at]
    return [name for name in tables if name in found]


def _points_to(table: Mapping[str, Any]) -> str | None:
    to = table.get("to")
    return None if not to else str(to[0]).partition(".")[0]


def _check_columns(
    name: str,
    learnt: Mapping[str, Any],
    not_read: Mapping[str, Sequence[str] | None],
    given: Mapping[str, Any],
) -> None:
    """Columns that are read are there, and of a like type."""
    types, here = learnt["types"].get(name), given["types"].get(name)
    if types is None or here is None or name == learnt["spec"].get("entities"):
        return  # rows of entities are looked at as those of any data set are
    left = not_read.get(name, ())
    own = learnt["about"]["columns"].get(name, {})
    excluded = learnt["spec"]["tables"][name].get("exclude", ())
    read = [] if left is None else [one for one in own if one not in {*left, *excluded}]
    absent = [one for one in read if one in types and one not in here]
    if absent:
        raise DataError(
            f"table {name!r} lacks {len(absent)} column(s) that the model needs, first "
            f"{absent[0]!r}",
            code="missing_columns",
            table=name,
            column=absent[0],
            details={"columns": absent},
        )
    for one in read:
        if one in types and not _alike(types[one], here[one]):
            raise DataError(
                f"'{name}.{one}' is of type {here[one]}; the model was trained on {types[one]}",
                code="wrong_type",
                table=name,
                column=one,
            )


def _alike(one: str, other: str) -> bool:
    return one == other or (one in NUMBERS and other in NUMBERS)


def _window(spec: Mapping[str, Any], field: str) -> Any:
    return (spec.get("windows") or {}).get(field) or None


def _check_cut_off(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    kinds = [_units(spec) for spec in (mine, theirs)]
    if kinds[0] != kinds[1]:
        raise _other("cut_off", f"the model learnt with {kinds[0]}, and here there is {kinds[1]}")
    gaps = [(spec.get("cut_off") or {}).get("gap", 0.0) for spec in (mine, theirs)]
    if gaps[0] != gaps[1]:
        raise _other("cut_off.gap", f"the model learnt with a gap of {gaps[0]:g}, not {gaps[1]:g}")


def _units(spec: Mapping[str, Any]) -> str:
    cut_off = spec.get("cut_off") or {}
    if cut_off.get("column") is not None:
        counted = cut_off.get("time_format", "iso") in COUNTED
    elif cut_off.get("after_first") is not None:
        table = spec["tables"].get(cut_off.get("table"), {})
        counted = table.get("time_format", "iso") in COUNTED
    elif cut_off.get("now") is not None:
        counted = not isinstance(cut_off["now"], str)
    else:
        return "no cut-off"
    return "cut-offs in its own units" if counted else "cut-offs that are dates"


def _other(field: str, why: str) -> DataError:
    return DataError(
        f"the data set is put together in another way than that of the model's training: {field}: "
        f"{why}",
        code="other_spec",
        details={"field": field},
    )


def check_rows(types: Mapping[str, str], profile: Mapping[str, Any]) -> None:
    """Raise where rows lack columns that a model reads, or have them as another type.

    Parameters
    ----------
    types : of the model's own columns, by name
    profile : of the rows

    Raises
    ------
    DataError
        ``missing_columns``, ``wrong_type``.
    """
    here = {one["name"]: one for one in profile.get("columns", ())}
    absent = [name for name in types if name not in here]
    if absent:
        raise DataError(
            f"{len(absent)} column(s) that the model needs are missing, first {absent[0]!r}",
            code="missing_columns",
            column=absent[0],
            details={"columns": absent},
        )
    for name, kind in types.items():
        found = here[name]
        nothing = found.get("n_missing") == profile.get("n_rows")
        if not nothing and not _alike(kind, found["type"]):
            raise DataError(
                f"column {name!r} is of type {found['type']}; the model was trained on {kind}",
                code="wrong_type",
                column=name,
            )
