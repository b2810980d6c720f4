"""A spec as the fields of a form, and the spec that the fields say.

`fields_of` and `edited` are each other's inverse: a field that comes back as it was shown leaves
its part of the spec as it was, and so does whatever has no field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from api.pages.spec_texts import items, listed, names, value, values, values_text

Json = dict[str, Any]
Kinds = Mapping[str, Mapping[str, str]]
# Of each role the parts of a table that it has; a table whose role changes loses the others.
TIMED = ("key", "to", "orphans", "time", "time_format", "first")
PARTS: Mapping[str, tuple[str, ...]] = {
    "entities": (),
    "events": TIMED,
    "series": TIMED,
    "log": (*TIMED, "message"),
    "static": ("key", "to", "orphans"),
}
UNDATED = ("number", "order", "month_number")
ROWS, WINDOWS, SESSIONS = "rows", "windows", "sessions"
LENGTHS = ("length", "step", "horizon")


def fields_of(spec: Mapping[str, Any], kinds: Kinds) -> dict[str, str]:
    """What stands in each field, by its name.

    Parameters
    ----------
    kinds : by table and column, the column's type

    >>> found = fields_of({"tables": {"a": {"role": "entities"}}, "target": "y"}, {})
    >>> found["tables.a.role"], found["target"], found["made"], found["cut_off.how"]
    ('entities', 'y', 'rows', 'none')
    """
    cut_off, windows = _part(spec, "cut_off"), _part(spec, "windows")
    found = {
        "key": listed(spec.get("key")),
        "target": _text(spec.get("target")),
        "positive": values_text(spec.get("positive"), _kind_of_target(spec, kinds)),
        "made": made_of(spec),
        "windows.table": _text(windows.get("table")),
        "windows.by_time": "time" if windows.get("by_time") else "rows",
        "windows.label": _text(windows.get("label")),
        "windows.sessions": _text(windows.get("sessions")),
        **{f"windows.{one}": _text(windows.get(one)) for one in LENGTHS},
        "cut_off.how": next(
            (one for one in ("column", "now", "after_first") if cut_off.get(one) is not None),
            "none",
        ),
        "cut_off.time_format": _text(cut_off.get("time_format")) or "iso",
        "cut_off.now": _now_text(cut_off.get("now"), dated=is_dated(spec)),
        **{f"cut_off.{one}": _text(cut_off.get(one)) for one in ("column", "after_first", "table")},
        "cut_off.gap": _text(cut_off.get("gap")),
    }
    for name, table in tables_of(spec).items():
        found |= {f"tables.{name}.{one}": text for one, text in _fields_of_table(table).items()}
    return found


def _fields_of_table(table: Mapping[str, Any]) -> dict[str, str]:
    to_table, to = target_of(table)
    found = {
        "role": _text(table.get("role")),
        "key": listed(table.get("key")),
        "to_table": to_table,
        "to": listed(to),
        "time": _text(table.get("time")),
        "time_format": _text(table.get("time_format")) or "iso",
        "message": _text(table.get("message")),
        "exclude": listed(table.get("exclude")),
        "orphans": _text(table.get("orphans")) or "refuse",
        "first": _text(table.get("first")),
        "source.uri": _text(_part(table, "source").get("uri")),
    }
    where = [(str(one), str(other)) for one, other in _part(table, "where").items()]
    for number, (column, wanted) in enumerate([*where, ("", "")]):
        found |= {f"where.{number}.column": column, f"where.{number}.value": wanted}
    return found


def tables_of(spec: Mapping[str, Any]) -> dict[str, Json]:
    """The tables of a spec, as far as they are objects."""
    return {str(name): dict(one) for name, one in _part(spec, "tables").items() if _is_object(one)}


def made_of(spec: Mapping[str, Any]) -> str:
    """What a row to be predicted is: one of the entity table, a window, or a session."""
    windows = spec.get("windows")
    if windows is None:
        return ROWS
    return SESSIONS if _is_object(windows) and windows.get("sessions") is not None else WINDOWS


def target_of(table: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The table that another one's rows are found in, and by which of its columns.

    >>> target_of({"to": ["loan.a", "loan.b"]}), target_of({"to": "loan"}), target_of({})
    (('loan', ['a', 'b']), ('loan', []), ('', []))
    """
    to = table.get("to")
    several = [to] if isinstance(to, str) else to if isinstance(to, list) else []
    split = [str(one).partition(".") for one in several]
    return (split[0][0], [one[2] for one in split if one[2]]) if split else ("", [])


def is_dated(spec: Mapping[str, Any]) -> bool:
    """Whether the tables' times are dates, so that lengths of time are days."""
    timed = [
        one for one in tables_of(spec).values() if one.get("role") in ("events", "series", "log")
    ]
    return not timed or any(one.get("time_format", "iso") not in UNDATED for one in timed)


def _kind_of_target(spec: Mapping[str, Any], kinds: Kinds) -> str | None:
    if _is_object(spec.get("windows")):
        windows = _part(spec, "windows")
        return kinds.get(str(windows.get("table")), {}).get(str(windows.get("label")))
    entities = next(
        (name for name, one in tables_of(spec).items() if one.get("role") == "entities"), ""
    )
    return kinds.get(entities, {}).get(str(spec.get("target")))


def edited(spec: Mapping[str, Any], form: Mapping[str, str], kinds: Kinds) -> Json:
    """The spec with what was changed in the fields.

    A number that cannot be read stays the text that it is: the API says what is wrong with it.
    """
    before = fields_of(spec, kinds)
    changed = {
        name: text.strip()
        for name, text in form.items()
        if _plain(text) != _plain(before.get(name, ""))
    }
    found: Json = {**spec, "tables": {}}
    for name, table in _part(spec, "tables").items():
        if f"tables.{name}.out" not in form:
            found["tables"][name] = _table(table, f"tables.{name}.", form, changed)
    if any(name.startswith("tables.") and name.endswith((".role", ".out")) for name in changed):
        found.pop("entities", None)  # the role says which it is
    _windows(found, form, changed)
    for name in ("key", "target"):
        if name in changed:
            _put(found, name, _columns(changed[name]) if name == "key" else changed[name])
    if {"positive", "target", "windows.label", "windows.table"} & set(changed):
        said = values(form.get("positive", before["positive"]), _kind_of_target(found, kinds))
        _put(found, "positive", said if len(said) > 1 else (said or [None])[0])
    if any(name.startswith("cut_off.") for name in changed):
        _put(found, "cut_off", _cut_off(found, {**before, **form}))
    return found


def _table(table: Any, prefix: str, form: Mapping[str, str], changed: Mapping[str, str]) -> Any:
    here = {
        name.removeprefix(prefix): text for name, text in changed.items() if name.startswith(prefix)
    }
    if not here or not _is_object(table):
        return table
    found = dict(table)
    for name in ("role", "time", "message"):
        if name in here:
            _put(found, name, here[name])
    for name, usual in (("time_format", "iso"), ("orphans", "refuse")):
        if name in here:
            _put(found, name, "" if here[name] == usual else here[name])
    if "exclude" in here:
        _put(found, "exclude", names(here["exclude"]))
    if "key" in here:
        _put(found, "key", _columns(here["key"]))
    if "first" in here:
        _put(found, "first", number(here["first"]))
    if "source.uri" in here:
        found["source"] = {**_part(found, "source"), "uri": here["source.uri"]}
    if {"to", "to_table"} & set(here):
        where, columns = target_of(table)
        where = form.get(f"{prefix}to_table", where).strip()
        columns = names(form[f"{prefix}to"]) if f"{prefix}to" in form else columns
        _put(found, "to", where and ([f"{where}.{one}" for one in columns] or where))
    if any(name.startswith("where.") for name in here):
        _put(found, "where", _where(form, f"{prefix}where."))
    if here.get("time_format") == "order":
        found.pop("time", None)
    if "role" in here:
        left = {one for parts in PARTS.values() for one in parts} - set(
            PARTS.get(here["role"], TIMED)
        )
        found = {name: one for name, one in found.items() if name not in left}
    return found


def _where(form: Mapping[str, str], prefix: str) -> dict[str, str]:
    numbers = [
        name.removeprefix(prefix).removesuffix(".column")
        for name in form
        if name.startswith(prefix) and name.endswith(".column")
    ]
    said = [(form[f"{prefix}{n}.column"], form.get(f"{prefix}{n}.value", "")) for n in numbers]
    return {column: wanted.strip() for column, wanted in said if column.strip()}


def _windows(spec: Json, form: Mapping[str, str], changed: Mapping[str, str]) -> None:
    """Put what the entities are made of into the spec, or take it out."""
    made = form.get("made", made_of(spec))
    if "made" in changed and made == ROWS:
        spec.pop("windows", None)
    if made == ROWS or not any(name == "made" or name.startswith("windows.") for name in changed):
        return
    before = _part(spec, "windows")
    say = {
        name: form.get(f"windows.{name}", _text(before.get(name))).strip()
        for name in ("table", "label", "sessions", *LENGTHS)
    }
    found: Json = {"table": say["table"]}
    if made == SESSIONS:
        found["sessions"] = say["sessions"]
    else:
        found |= {name: number(say[name]) for name in LENGTHS if say[name]}
        if form.get("windows.by_time", "time" if before.get("by_time") else "rows") == "time":
            found["by_time"] = True
    if say["label"]:
        found["label"] = say["label"]
    spec["windows"] = found
    if {"made", "windows.table"} & set(changed) and say["table"] in spec["tables"]:
        # Its rows belong to what is made of them.
        made_from = dict(_part(spec["tables"], say["table"]))
        spec["tables"][say["table"]] = {
            name: one for name, one in made_from.items() if name not in ("to", "orphans")
        }
    if "made" not in changed:
        return
    for name in ("key", "target", "entities"):  # the windows tell them
        spec.pop(name, None)
    if "column" in _part(spec, "cut_off"):
        spec["cut_off"] = {k: v for k, v in spec["cut_off"].items() if k == "gap"}
    table = spec["tables"].get(say["table"])
    if _is_object(table) and table.get("role") == "entities":
        spec["tables"][say["table"]] = {
            **table,
            "role": "log" if table.get("message") else "series",
        }


def _cut_off(spec: Mapping[str, Any], form: Mapping[str, str]) -> Json:
    how = "none" if made_of(spec) == WINDOWS else form["cut_off.how"]  # their end is the cut-off
    said = {name.removeprefix("cut_off."): text.strip() for name, text in form.items()}
    found: Json = {}
    if how == "column":
        found["column"] = said["column"]
        if said["time_format"] != "iso":
            found["time_format"] = said["time_format"]
    elif how == "now":
        one = (items(said["now"]) or [("", True)])[0]
        dated = one[1] or is_dated(spec)
        found["now"] = one[0] if dated else value(one[0], "number")
    elif how == "after_first":
        found["after_first"] = number(said["after_first"])
        _put(found, "table", said["table"])
    if said["gap"]:
        found["gap"] = number(said["gap"])
    return found


def number(text: str) -> Any:
    """A number that was typed; the text itself where it is none.

    >>> number("3"), number("0.5"), number("three")
    (3, 0.5, 'three')
    """
    return value(text, "number")


def _now_text(now: Any, *, dated: bool) -> str:
    text = _text(now)
    return f'"{text}"' if isinstance(now, str) and not dated and number(text) != text else text


def _columns(text: str) -> str | list[str]:
    found = names(text)
    return found[0] if len(found) == 1 else found


def _put(record: Json, name: str, found: Any) -> None:
    """Set a part of the spec; what is empty is not said at all."""
    if found in ("", [], {}, None):
        record.pop(name, None)
    else:
        record[name] = found


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(found: Any) -> str:
    return "" if found is None else str(found)


def _plain(text: str) -> str:
    """As a browser sends it back, which takes line breaks out of a field."""
    return re.sub(r"[\r\n]+", "", text).strip()


def _is_object(found: Any) -> bool:
    return isinstance(found, Mapping)
