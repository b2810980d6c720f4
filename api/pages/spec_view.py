"""What the page of a spec shows beside its fields: columns, paths, reasons and faults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from api.pages.asking import Json, get_or_none, newest
from api.pages.spec_faults import faults_of
from api.pages.spec_form import Kinds, fields_of, is_dated, made_of, tables_of, target_of
from api.pages.spec_texts import listed

# Columns of a table that are offered while typing; any name can be typed.
OFFERED = 1000
FEW_TABLES = 8  # so many are shown opened
FEW_LEVELS = 12
ROLES = ("entities", "events", "series", "log", "static")
FORMATS = {
    "iso": "date or time, 2026-01-31",
    "epoch_s": "seconds since 1970",
    "epoch_ms": "milliseconds since 1970",
    "epoch_us": "microseconds since 1970",
    "yymmdd": "YYMMDD, 970401",
    "yyyymmdd": "YYYYMMDD, 20260131",
    "month_number": "number of the month",
    "number": "number, its own units",
    "order": "rows come in order",
}
ORPHANS = {"refuse": "refused above 5 %", "drop": "left out"}
# Where a proposal gives a reason, and the field that it stands beside.
BESIDE = {"entities": "made", "cut_off": "cut_off.how"}


def text_of(spec: Mapping[str, Any]) -> str:
    """A spec as the JSON of the page."""
    return json.dumps(spec, indent=2, ensure_ascii=False) if spec else ""


def digest(text: str) -> str:
    """What tells whether the JSON came back as it was sent; browsers change its line ends."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def unchanged(text: str, was: str | None) -> bool:
    """Whether the JSON is the one that was shown, so that the fields beside it count."""
    return was is None or digest(text) == was


def kinds_of(spec: Mapping[str, Any], form: Mapping[str, str]) -> Kinds:
    """By table and column the types of those tables that may hold the target."""
    wanted = {
        name
        for name, one in tables_of(spec).items()
        if "entities" in (one.get("role"), form.get(f"tables.{name}.role"))
    }
    windows = spec.get("windows")
    wanted |= {str(windows.get("table"))} if isinstance(windows, Mapping) else set()
    wanted |= {form.get("windows.table", "")}
    found = {}
    for name, one in tables_of(spec).items():
        if name in wanted:
            found[name] = {column["name"]: column["type"] for column in columns_of(_dataset(one))}
    return found


def stepped(spec: Mapping[str, Any]) -> Json:
    """What a script puts in the place of what it has: the JSON of the fields, and the paths."""
    text = text_of(spec)
    tables = {
        name: {"path": path_of(spec, name), "said": _in_short(spec, name)}
        for name, one in tables_of(spec).items()
    }
    return {"json": text, "digest": digest(text), "tables": tables, "unit": _unit(spec)}


def seen(
    spec: Mapping[str, Any],
    *,
    proposal: Mapping[str, Any],
    problem: Mapping[str, Any] | None,
) -> Json:
    """What the template needs of a spec, of the reasons it was proposed for, and of a problem."""
    tables = tables_of(spec)
    listing = {one["id"]: one for one in newest("/v1/datasets")} if tables else {}
    profiles = {name: columns_of(_dataset(one)) for name, one in tables.items()}
    kinds = {
        name: {one["name"]: one["type"] for one in columns} for name, columns in profiles.items()
    }
    fields = fields_of(spec, kinds)
    known = {*fields, *(f"tables.{name}.{one}" for name in tables for one in ("where", "source"))}
    faults = faults_of(problem, spec=spec, known={*known, "name", "json"})
    questions = [str(one) for one in proposal.get("open_questions") or ()]
    reasons = reasons_of(proposal.get("reasons") or ())
    about = {
        name: {
            "source": _source(one, listing),
            "columns": [(found["name"], found["type"]) for found in profiles[name][:OFFERED]],
            "n_columns": len(profiles[name]),
            "path": path_of(spec, name),
            "said": _in_short(spec, name),
            "is_made_from": name == _made_from(spec),
            "where": sum(key.startswith(f"tables.{name}.where.") for key in fields) // 2,
            "questions": [
                said.removeprefix(f"{name}: ") for said in questions if said.startswith(f"{name}: ")
            ],
            "is_open": len(tables) <= FEW_TABLES or faults.of_table(name),
        }
        for name, one in tables.items()
    }
    return {
        "spec": spec,
        "tables": about,
        "fields": fields,
        "faults": faults,
        "problem": problem,
        "reasons": reasons,
        # What was proposed, so that a reason is not told of what has taken its place.
        "was": proposal.get("was") or {one: fields[one] for one in reasons if one in fields},
        "questions": [one for one in questions if one.partition(": ")[0] not in tables],
        "levels": _levels(spec, profiles),
        "json_was": digest(text_of(spec)),
        "unit": _unit(spec),
        "choices": {"roles": ROLES, "formats": FORMATS, "orphans": ORPHANS},
        "entity_table": next((n for n, one in tables.items() if one.get("role") == "entities"), ""),
    }


def reasons_of(reasons: Any) -> dict[str, str]:
    """Reasons by the field of the form that each stands beside.

    >>> reasons_of([{"field": "tables.a", "reason": "x"}, {"field": "cut_off", "reason": "y"}])
    {'tables.a.role': 'x', 'cut_off.how': 'y'}
    """
    found = {}
    for one in reasons:
        place = str(one["field"])
        place = f"{place}.role" if place.count(".") == 1 and place.startswith("tables.") else place
        found[BESIDE.get(place, place)] = str(one["reason"])
    return found


def path_of(spec: Mapping[str, Any], name: str) -> str:
    """The steps from a table's rows to the entities, in words.

    >>> tables = {"loan": {"role": "entities"}, "card": {"key": "disp_id", "to": "disp"},
    ...           "disp": {"key": "account_id", "to": "loan.account_id"}}
    >>> path_of({"tables": tables}, "card")
    'card.disp_id → disp.disp_id, disp.account_id → loan.account_id'
    """
    tables, steps, at, passed = tables_of(spec), [], name, {name}
    while at in tables and tables[at].get("role") != "entities":
        where, columns = target_of(tables[at])
        if not where:
            break
        own = listed(tables[at].get("key"))
        steps.append(f"{at}.{own} → {where}.{listed(columns) or own}")
        if where in passed:
            return ", ".join(steps) + ": a circle"
        passed.add(where)
        at = where
    return ", ".join(steps)


def _made_from(spec: Mapping[str, Any]) -> str | None:
    """The table that the entities are made from."""
    windows = spec.get("windows")
    return str(windows.get("table")) if isinstance(windows, Mapping) else None


def _in_short(spec: Mapping[str, Any], name: str) -> str:
    """A table in one line, for those who look for another one."""
    table = tables_of(spec)[name]
    where, _ = target_of(table)
    parts = [str(table.get("role") or "")]
    if name == _made_from(spec):
        parts.append("the entities are made from it")
    elif table.get("role") != "entities":
        own = listed(table.get("key"))
        parts.append(f"{own} → {where}" if where else "of every entity")
    if table.get("time"):
        parts.append(f"at {table['time']}")
    return " · ".join(filter(None, parts))


def _unit(spec: Mapping[str, Any]) -> str:
    return "days" if is_dated(spec) else "units of the time"


def _dataset(table: Mapping[str, Any]) -> str | None:
    source = table.get("source")
    found = source.get("dataset") if isinstance(source, Mapping) else None
    return found if isinstance(found, str) and found.isalnum() else None


def columns_of(dataset: str | None) -> list[Json]:
    """The columns of a data set by its profile; none of what cannot be looked at."""
    profile = get_or_none(f"/v1/datasets/{dataset}/profile") if dataset else None
    return list(profile["columns"]) if profile else []


def _source(table: Mapping[str, Any], listing: Mapping[str, Json]) -> Json:
    dataset = _dataset(table)
    if dataset is None:
        return {}
    found = listing.get(dataset) or get_or_none(f"/v1/datasets/{dataset}") or {}
    options = found.get("options") or {}
    return {
        "dataset": dataset,
        "name": found.get("name") or dataset,
        "n_rows": found.get("n_rows"),
        "log_format": options.get("log_format"),
        "log_columns": options.get("log_columns"),
    }


def _levels(spec: Mapping[str, Any], profiles: Mapping[str, list[Json]]) -> list[Json]:
    """The most frequent values of the target, with how many rows have each."""
    if made_of(spec) == "rows":
        where = [name for name, one in tables_of(spec).items() if one.get("role") == "entities"]
        column = spec.get("target")
    else:
        windows = spec["windows"] if isinstance(spec["windows"], Mapping) else {}
        where, column = [str(windows.get("table"))], windows.get("label")
    for name in where:
        for one in profiles.get(name, ()):
            if one["name"] == column:
                return list(one.get("levels") or ())[:FEW_LEVELS]
    return []
