"""What the API says is wrong with a spec, beside the fields of the form that it is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.pages.spec_form import tables_of, target_of

# Of a table that could not be read, by the code of its problem: the field that is to be mended.
OF_TABLE = {
    "orphan_events": "to",
    "key_type_mismatch": "key",
    "duplicate_key": "key",
    "missing_key": "key",
    "join_too_large": "to",
    "future_events": "time",
    "time_format": "time_format",
    "ambiguous_date": "time",
    "uri_not_found": "source",
    "dataset_not_ready": "source",
}
OF_SPEC = {
    "cut_off": "cut_off.column",
    "duplicate_entity": "key",
    "no_windows": "windows.length",
    "target_not_found": "target",
    "positive_not_found": "positive",
}
# Fields of the spec that the form calls otherwise.
CALLED = {"cut_off": "cut_off.how", "windows": "made", "entities": "made"}


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Sentences by the form's field, and those that are of no field."""

    fields: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def of_table(self, name: str) -> bool:
        """Whether any of them is of this table."""
        return any(one.startswith(f"tables.{name}.") for one in self.fields)


def faults_of(
    problem: Mapping[str, Any] | None, *, spec: Mapping[str, Any], known: Collection[str]
) -> Faults:
    """The faults of a problem document, each at the field of the form that is nearest to it.

    Parameters
    ----------
    problem : an answer of the API, or what made a data set INVALID
    known : the names of the form's fields

    >>> told = {"errors": [{"field": "spec.tables.a.key.list[str].1", "detail": "too short"}]}
    >>> faults_of(told, spec={}, known=["tables.a.key"]).fields
    {'tables.a.key': 'too short'}
    """
    if not problem:
        return Faults()
    deepest: dict[str, tuple[int, list[str]]] = {}
    others = []
    for path, told in _told(problem, spec, known):
        place = _nearest(path, known)
        if place is None:
            others.append(f"{path}: {told}" if path else told)
            continue
        # Of the ways in which a field may be written, the one that came furthest is meant.
        depth, said = path.count("."), deepest.get(place, (-1, []))
        if depth > said[0]:
            deepest[place] = (depth, [told])
        elif depth == said[0] and told not in said[1]:
            said[1].append(told)
    fields = {place: "; or ".join(said) for place, (_, said) in deepest.items()}
    return Faults(fields=fields, others=tuple(others))


def _told(
    problem: Mapping[str, Any], spec: Mapping[str, Any], known: Collection[str]
) -> list[tuple[str, str]]:
    detail = str(problem.get("detail") or "")
    items = [
        (str(one.get("field") or "").removeprefix("spec."), str(one.get("detail") or ""))
        for one in problem.get("errors") or ()
    ]
    details = problem.get("details") or {}
    if not items and isinstance(details.get("field"), str):
        items = [(details["field"].removeprefix("spec."), detail)]
    if not items:
        place = _by_code(problem, spec)
        items = [(place, detail)] if place else []
    found = []
    for path, told in items:
        if path == "tables":  # which tables are those of the entities
            roles = [
                f"tables.{name}.role"
                for name, one in tables_of(spec).items()
                if one.get("role") == "entities"
            ]
            found += [(one, told) for one in [*roles, "made"] if one in known]
        else:
            found.append((path, told))
    return found


def _by_code(problem: Mapping[str, Any], spec: Mapping[str, Any]) -> str | None:
    """The field for a problem that names a table and perhaps a column, but no field."""
    code, table, column = (problem.get(one) for one in ("code", "table", "column"))
    about = tables_of(spec).get(str(table))
    if code in OF_SPEC:
        return OF_SPEC[str(code)]
    if about is None:
        return None
    if code in OF_TABLE:
        return f"tables.{table}.{OF_TABLE[str(code)]}"
    for part in ("time", "message", "key", "exclude", "where"):
        said = about.get(part)
        if column is not None and (
            said == column or (not isinstance(said, str) and column in (said or ()))
        ):
            return f"tables.{table}.{part}"
    for name, one in tables_of(spec).items():
        where, columns = target_of(one)
        if where == table and column in columns:
            return f"tables.{name}.to"
    for part in ("target", "key"):
        said = spec.get(part)
        if column is not None and (said == column or (isinstance(said, list) and column in said)):
            return part
    return f"tables.{table}.role"


def _nearest(path: str, known: Collection[str]) -> str | None:
    while path:
        if path in CALLED:
            path = CALLED[path]
        if path in known:
            return path
        path = path.rpartition(".")[0]
    return None
