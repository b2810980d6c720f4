"""What a data set of several tables is made of, as its user declares it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from automl.errors import DataError

ROLES = ("entities", "events", "series", "log", "static")
# How a time column is written. `number` keeps its own units; `order` is the order of the file.
TIME_FORMATS = (
    "iso",
    "epoch_s",
    "epoch_ms",
    "epoch_us",
    "yymmdd",
    "yyyymmdd",
    "month_number",
    "number",
    "order",
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, kw_only=True)
class Link:
    """Where a table's rows belong: its own columns, and the table and columns they are found in.

    With `table` None the rows belong to every entity (a calendar, one weather station).
    """

    columns: tuple[str, ...] = ()
    table: str | None = None
    to: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """One table: its role, how its rows are dated, and how they find their entity.

    Parameters
    ----------
    role : entities, events, series, log or static
        A series has one row per entity and time with the same columns each; a log has a message
        column. A static table has no time: one row per key (its columns are looked up), or many
        (they are summed up).
    link : Link
        For all roles but `entities`. Steps are followed from table to table until the entities.
    time, time_format : the column and how it is written, one of `TIME_FORMATS`
        With `order` there is no column: rows come in the order of the file.
    message : str, optional
        The column of a log's text.
    exclude : columns that are not to be learnt from
    where : mapping of str to str
        Only rows whose columns have these values, compared as text.
    first : int, optional
        Only so many first rows of each entity (an early variant).
    orphans : refuse or drop
        What happens when more than 5 % of the rows belong to nothing in the table they point to:
        an error, or they are left out, where that table is meant to be a part (labelled rows).
    source, reading : mappings
        Where its rows are (`dataset`, `uri` or `file`) and how they are read (the options of an
        upload); the library passes them on.
    """

    name: str
    role: str
    link: Link = field(default_factory=Link)
    time: str | None = None
    time_format: str = "iso"
    message: str | None = None
    exclude: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    first: int | None = None
    orphans: str = "refuse"
    source: Mapping[str, str] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_timed(self) -> bool:
        return self.time is not None or self.time_format == "order"


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """When a row is to be predicted: nothing at or after it may be used.

    One of: a `column` of the entity table written in `time_format`; `now`, an ISO date and time or
    a number, the same for all; `after_first`, so much time after the entity's first row in `table`.
    None of them: everything is known (said in a warning). A further `gap` is kept free before the
    cut-off. Both are in days for dates, else in the units of the time.
    """

    column: str | None = None
    time_format: str = "iso"
    now: str | float | None = None
    after_first: float | None = None
    table: str | None = None
    gap: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Entities that are made from a series or a log: stretches of it, each with a horizon ahead.

    Each entity is a `length` of rows of `table`, moved on by `step`; the cut-off is its end, and it
    is positive if any row of the `horizon` after it (0: of the window itself) has the `label`. With
    `by_time` the three are days, or units of the table's time where it is no date. With `sessions`,
    one entity for each value of that column.
    """

    table: str
    length: float | None = None
    step: float | None = None
    horizon: float = 0.0
    by_time: bool = False
    label: str | None = None
    sessions: str | None = None


@dataclass(frozen=True, kw_only=True)
class Spec:
    """An entity table and any number of others around it.

    Parameters
    ----------
    tables : by name
    entities : name of the entity table; None where `windows` make one
    key : columns of the entity table that name an entity; rows of one entity stay together
    target, positive : as a job has them; both may also be said by the job
    cut_off : CutOff
    windows : Windows, optional
    """

    tables: Mapping[str, TableSpec]
    entities: str | None = None
    key: tuple[str, ...] = ()
    target: str | None = None
    positive: Any = None
    cut_off: CutOff = field(default_factory=CutOff)
    windows: Windows | None = None

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what a user wrote.

        A link is written `"key": "account_id"` (or a list) and `"to": "loan.account_id"` (or
        `"loan"` where the columns are called alike, or null where rows belong to everyone).

        Raises
        ------
        DataError
            ``bad_spec``, with `details.field`: where in the object it is wrong.
        """
        read: Self = _read(cls, data)
        return read

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it; defaults are left out."""
        return _written(self)


def check(spec: Spec) -> None:
    """Raise ``bad_spec`` for what can be seen to be wrong without the data."""
    names = set(spec.tables)
    entities = [name for name, table in spec.tables.items() if table.role == "entities"]
    if spec.windows is None and entities != [spec.entities]:
        raise _bad("tables", f"one table has the role entities, here {len(entities)}: {entities}")
    if spec.windows is not None and entities:
        raise _bad("tables", "windows make the entities; no table has the role entities as well")
    if spec.windows is not None and spec.windows.table not in names:
        raise _bad("windows.table", f"there is no table {spec.windows.table!r}")
    for name, table in spec.tables.items():
        where = f"tables.{name}"
        if not NAME.fullmatch(name):
            raise _bad(where, f"{name!r}: a table is called by letters, digits and _")
        if table.role not in ROLES:
            raise _bad(f"{where}.role", f"{table.role!r} is none of {', '.join(ROLES)}")
        if table.time_format not in TIME_FORMATS:
            raise _bad(
                f"{where}.time_format",
                f"{table.time_format!r} is none of {', '.join(TIME_FORMATS)}",
            )
        if table.role in ("events", "series", "log") and not table.is_timed:
            raise _bad(
                f"{where}.time",
                f"{name!r} is a table of role {table.role} and needs a time column; where its "
                'rows come in order without one, say "time_format": "order"',
            )
        if table.role == "log" and table.message is None:
            raise _bad(f"{where}.message", f"which column of the log {name!r} is its text?")
        if table.link.table is not None and table.link.table not in names:
            raise _bad(f"{where}.to", f"there is no table {table.link.table!r}")
        if len(table.link.columns) != len(table.link.to) and table.link.table is not None:
            raise _bad(f"{where}.to", "as many columns on one side of the link as on the other")
        if table.orphans not in ("refuse", "drop"):
            raise _bad(f"{where}.orphans", "refuse or drop")
        if table.first is not None and table.first < 1:
            raise _bad(f"{where}.first", "at least one row of each entity is kept")
    _check_cut_off(spec)
    for name in names:
        _check_path(spec, name)


def _check_cut_off(spec: Spec) -> None:
    """There is one way to tell the cut-off: of two, one would be ignored without a word."""
    ways = [
        one for one in ("column", "now", "after_first") if getattr(spec.cut_off, one) is not None
    ]
    if len(ways) > 1:
        raise _bad("cut_off", f"say one of column, now and after_first, here {', '.join(ways)}")
    table = spec.cut_off.table
    if ways == ["after_first"] and table is None:
        raise _bad("cut_off.table", "which table has the first row that after_first counts from?")
    if table is not None and table not in spec.tables:
        raise _bad("cut_off.table", f"there is no table {table!r}")


def _check_path(spec: Spec, name: str) -> None:
    """Follow the links to the entities. Raises where they go in a circle."""
    seen, at = [name], spec.tables[name]
    while at.role != "entities" and at.link.table is not None:
        if at.link.table in seen:
            circle = " -> ".join([*seen, at.link.table])
            raise _bad(f"tables.{name}.to", f"the links go in a circle: {circle}")
        seen.append(at.link.table)
        at = spec.tables[at.link.table]


def _bad(where: str, why: str) -> DataError:
    return DataError(f"spec, {where}: {why}", code="bad_spec", details={"field": where})


_TABLE_FIELDS = {one.name for one in fields(TableSpec)} - {"name", "link"} | {"key", "to"}


def _read(cls: type[Spec], data: Any) -> Any:
    if not isinstance(data, Mapping):
        raise _bad("spec", "an object is needed")
    _only(data, {one.name for one in fields(Spec)}, "spec")
    tables = data.get("tables")
    if not isinstance(tables, Mapping) or not tables:
        raise _bad("tables", "an object with at least one table is needed")
    read = {str(name): _table(str(name), about) for name, about in tables.items()}
    entities = data.get("entities")
    found = [name for name, table in read.items() if table.role == "entities"]
    return cls(
        tables=read,
        entities=entities if entities is not None or len(found) != 1 else found[0],
        key=_names(data.get("key"), "key"),
        target=data.get("target"),
        positive=data.get("positive"),
        cut_off=_part(CutOff, data.get("cut_off"), "cut_off"),
        windows=None if data.get("windows") is None else _part(Windows, data["windows"], "windows"),
    )


def _table(name: str, about: Any) -> TableSpec:
    where = f"tables.{name}"
    if not isinstance(about, Mapping):
        raise _bad(where, "an object is needed")
    _only(about, _TABLE_FIELDS, where)
    if "role" not in about:
        raise _bad(f"{where}.role", f"one of {', '.join(ROLES)} is needed")
    key, to = _names(about.get("key"), f"{where}.key"), about.get("to")
    if to is not None and not isinstance(to, (str, list)):
        raise _bad(f"{where}.to", 'a text such as "loan.account_id" is needed, or a list of them')
    targets = [to] if isinstance(to, str) else list(to or ())
    split = [str(one).partition(".") for one in targets]
    if len({one[0] for one in split}) > 1:
        raise _bad(f"{where}.to", "all columns of a link are of one table")
    table = split[0][0] if split else None
    columns = tuple(one[2] for one in split if one[2]) or key
    first = about.get("first")
    return TableSpec(
        name=name,
        role=str(about["role"]),
        link=Link(columns=key, table=table, to=columns if table is not None else ()),
        time=about.get("time"),
        time_format=str(about.get("time_format") or "iso"),
        message=about.get("message"),
        exclude=_names(about.get("exclude"), f"{where}.exclude"),
        where={str(one): str(value) for one, value in (about.get("where") or {}).items()},
        first=None if first is None else int(first),
        orphans=str(about.get("orphans") or "refuse"),
        source=dict(about.get("source") or {}),
        reading=dict(about.get("reading") or {}),
    )


def _part(cls: Any, data: Any, where: str) -> Any:
    if data is None:
        return cls()
    if not isinstance(data, Mapping):
        raise _bad(where, "an object is needed")
    _only(data, {one.name for one in fields(cls)}, where)
    try:
        return cls(**data)
    except TypeError as error:
        raise _bad(where, str(error)) from None


def _only(data: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(map(str, data)) - known)
    if unknown:
        raise _bad(f"{where}.{unknown[0]}", f"no such field; known: {', '.join(sorted(known))}")


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = () if value is None else (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(name, str) for name in names):
        raise _bad(where, "names of columns are needed")
    return names


def _written(spec: Spec) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for name, table in spec.tables.items():
        about: dict[str, Any] = {"role": table.role}
        if table.link.columns:
            about["key"] = list(table.link.columns)
        if table.link.table is not None:
            about["to"] = [f"{table.link.table}.{one}" for one in table.link.to]
        about |= _beyond_defaults(table, leave=("name", "role", "link"))
        tables[name] = about
    whole = {"tables": tables} | _beyond_defaults(spec, leave=("tables", "cut_off", "windows"))
    whole["cut_off"] = _beyond_defaults(spec.cut_off)
    if spec.windows is not None:
        whole["windows"] = _beyond_defaults(spec.windows)
    return whole


def _beyond_defaults(record: Any, *, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    found = {}
    for one in fields(record):
        value = getattr(record, one.name)
        if one.name not in leave and value not in (one.default, (), {}, None):
            found[one.name] = list(value) if isinstance(value, tuple) else value
    return found
