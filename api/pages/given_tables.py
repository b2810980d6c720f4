"""Rows and events for a prediction by hand: typed as JSON, or files of them, table by table."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from flask import request

from api.pages.asking import Json, Refused, get_or_none

ROWS, NOW = "rows", "now"  # fields of the body beside `tables`
MOST_KEPT = 50_000  # characters of a file that are put back into its field, to be mended
MOST_COLUMNS = 60  # of a row that is shown to be filled in
# A number as a program writes it: ids such as 007 are none.
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")


def tables_of(dataset: Mapping[str, Any]) -> list[Json]:
    """A field for the entities and one for each table around them, with what they may have.

    `id` is the field's, `name` the table's, `text` what to fill in, `types` by column.
    """
    spec = dataset.get("spec") or {}
    tables = spec.get("tables") or {}
    found = []
    for place, (name, one) in enumerate(tables.items()):
        is_entity = one.get("role") == "entities"
        types = _types(one)
        left = {*one.get("exclude", ()), *([spec.get("target")] if is_entity else ())}
        columns = [column for column in types if column not in left][:MOST_COLUMNS]
        row = json.dumps([dict.fromkeys(columns)], indent=1, ensure_ascii=False)
        key = spec.get("key") if is_entity else one.get("key")
        key = [key] if isinstance(key, str) else key
        found.append(
            {
                "id": ROWS if is_entity else f"t{place}",
                "name": name,
                "role": one.get("role"),
                "key": key or [],
                "time": one.get("time"),
                "columns": columns,
                "text": row if is_entity else "",
                "types": types,
            }
        )
    if not any(one["id"] == ROWS for one in found):  # made by windows of a table: by its key
        key = list(spec.get("key") or ())
        text = json.dumps([dict.fromkeys(key)], indent=1, ensure_ascii=False)
        own: Json = {"role": "entities", "key": key, "time": None, "columns": key, "types": {}}
        found.append({"id": ROWS, "name": "rows", "text": text, **own})
    return sorted(found, key=lambda one: one["id"] != ROWS)


def _types(table: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a table's data set; none where its rows are elsewhere or deleted."""
    source = (table.get("source") or {}).get("dataset")
    profile = get_or_none(f"/v1/datasets/{source}/profile") if source else None
    return {one["name"]: one["type"] for one in (profile or {}).get("columns", ())}


def sent(tables: list[Json]) -> tuple[Json, dict[str, str]]:
    """The body that the form describes, and what is wrong with it by field.

    What was typed, or stood in a file that is small, is put back into each field.
    """
    body: Json = {ROWS: [], "tables": {}}
    faults: dict[str, str] = {}
    for one in tables:
        file = request.files.get(f"{one['id']}-file")
        text = request.form.get(one["id"], "")
        if file is not None and file.filename:
            try:
                text = file.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                faults[one["id"]] = "this file is no text in UTF-8: save it as CSV or JSON"
                continue
        one["text"] = text if len(text) <= MOST_KEPT else ""
        try:
            rows = rows_of(text, types=one["types"], is_log=one["role"] == "log")
        except ValueError as wrong:
            faults[one["id"]] = str(wrong)
            if len(text) > MOST_KEPT:
                faults[one["id"]] += "; choose the file again once it is mended"
            continue
        if one["id"] == ROWS:
            body[ROWS] = rows
            if not rows:
                faults[ROWS] = "give one row at least: of nothing there is nothing to predict"
        elif rows:
            body["tables"][one["name"]] = rows
    if request.form.get(NOW, "").strip():
        body[NOW] = request.form[NOW].strip()
    return body, faults


def rows_of(text: str, *, types: Mapping[str, str], is_log: bool) -> Any:
    """Rows as the API takes them, of JSON, JSON Lines or CSV; of a log its lines.

    Raises
    ------
    ValueError
        It is none of them; the text says where, and repeats no cell.

    >>> rows_of("id,at\\n007,2026-11-23\\n,", types={"id": "string"}, is_log=False)
    [{'id': '007', 'at': '2026-11-23'}, {'id': None, 'at': None}]
    >>> rows_of('{"id": 1}\\n{"id": 2}', types={}, is_log=False)
    [{'id': 1}, {'id': 2}]
    >>> rows_of("2026-11-23 C1 called", types={}, is_log=True)
    {'log': '2026-11-23 C1 called'}
    """
    text = text.strip()
    if not text:
        return []
    if text[0] == "[" and not (is_log and not _is_json(text)):
        return _objects(_json(text))
    if text[0] == "{":
        try:
            one = json.loads(text)
        except ValueError:
            lines = [line for line in text.splitlines() if line.strip()]
            return _objects([_json(line, row=row) for row, line in enumerate(lines, start=1)])
        return one if is_log and set(one) == {"log"} else _objects([one])
    return {"log": text} if is_log else _csv(text, types)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _json(text: str, *, row: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as wrong:
        where = f"line {row or wrong.lineno}, character {wrong.colno}"
        raise ValueError(f"this is no JSON: {wrong.msg} at {where}") from None


def _objects(rows: Any) -> list[Json]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('give a list of rows, such as [{"column": 1}]')
    return rows


def _csv(text: str, types: Mapping[str, str]) -> list[Json]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    if delimiter not in head and types and head.strip() not in types:
        raise ValueError("this is neither JSON nor CSV whose first line has the column names")
    try:
        names, *lines = list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error:
        raise ValueError("this CSV has a quotation mark that is never closed") from None
    found = []
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(names):
            raise ValueError(f"line {number} has {len(cells)} cells, the first has {len(names)}")
        pairs = zip(names, cells, strict=True)
        found.append({name: _cell(cell, types.get(name)) for name, cell in pairs})
    return found


def _cell(text: str, kind: str | None) -> Any:
    """A cell of CSV as its column has it; where the column is not known, by how it looks."""
    text = text.strip()
    if not text:
        return None
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("number", "integer") or (kind is None and NUMBER.fullmatch(text)):
        try:
            value = float(text)
        except ValueError:
            return text  # the API says which row it is
        if math.isfinite(value):
            return int(text) if re.fullmatch(r"-?[0-9]+", text) else value
    return text


def faults_of(refused: Refused, tables: list[Json]) -> dict[str, str]:
    """A refusal beside the field of the table that it is of."""
    problem = refused.problem
    field = str((problem.get("details") or {}).get("field") or problem.get("field") or "")
    name = problem.get("table") or field.removeprefix("tables.")
    at = [one["id"] for one in tables if one["name"] == name]
    if not at and field in (ROWS, NOW):
        at = [field]
    if not at and problem.get("column") is not None and problem.get("table") is None:
        at = [ROWS]
    return {at[0]: str(refused)} if at else refused.field_errors()
