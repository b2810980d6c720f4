"""Several tables put together: the spec as proposed, edited in fields or as JSON, and posted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from api.pages.asking import Refused, ask, get

together = Blueprint("together", __name__)

ROLES = {
    "entities": "the rows to be predicted",
    "events": "events with a time",
    "series": "a series: the same columns at each time",
    "log": "a log with a text",
    "static": "looked up, without a time",
}
FORMATS = (
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
ORPHANS = ("refuse", "drop")
FIELDS = ("role", "key", "to", "time", "time_format", "message", "exclude", "orphans")
MOST_NAME = 63


def table_name(text: str, *, known: Mapping[str, Any]) -> str:
    """A name of a table from that of a data set; another one where it is taken.

    >>> table_name("trans (2024).csv", known={}), table_name("2 a", known={"t_2_a": 0})
    ('trans_2024', 't_2_a_2')
    """
    stem = re.sub(r"(\.[a-z]{2,7})+$", "", text.lower())
    name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_") or "table"
    name = (name if name[0].isalpha() else f"t_{name}")[: MOST_NAME - 3]
    found, number = name, 2
    while found in known:
        found, number = f"{name}_{number}", number + 1
    return found


@together.get("/datasets/together")
def propose() -> Any:
    """The spec proposed for the data sets that were chosen, or that of one to be changed."""
    if request.args.get("from"):
        old = get(f"/v1/datasets/{request.args['from']}")
        if old["spec"] is None:
            told = Refused(422, {"detail": "that data set is one table: it has no spec"})
            return _page({}, error=told), 422
        return _page(old["spec"], name=old["name"])
    named: dict[str, dict[str, Any]] = {}
    for one in request.args.getlist("id"):
        dataset = get(f"/v1/datasets/{one}")
        named[table_name(dataset["name"], known=named)] = dataset
    if len(named) < 2:
        told = Refused(422, {"detail": "choose two data sets or more, that are ready"})
        return _page({}, error=told), 422
    body: dict[str, Any] = {"tables": {name: {"dataset": one["id"]} for name, one in named.items()}}
    if request.args.get("target"):
        body["target"] = request.args["target"]
    try:
        proposal = ask("POST", "/v1/datasets/infer", body=body)
    except Refused as refused:
        return _page({}, error=refused), refused.status
    return _page(proposal["spec"], proposal=proposal)


@together.post("/datasets/together")
def create() -> Any:
    """Make the data set, or show the spec again with what is to be mended."""
    form = request.form
    name = form.get("name", "").strip() or "tables"
    try:
        spec = _edited(form)
        if form.get("do") == "fields":
            return _page(spec, name=name)
        made = ask("POST", "/v1/datasets", body={"name": name, "spec": spec})
    except Refused as refused:
        try:
            spec = _edited(form)
        except Refused:
            spec = {}
        return _page(spec, name=name, error=refused, text=form.get("json")), refused.status
    return redirect(url_for("datasets.show", dataset_id=made["id"]), 303)


def _edited(form: MultiDict[str, str]) -> dict[str, Any]:
    """The spec that the form says: its JSON, with the fields above it where those were changed.

    Raises
    ------
    Refused
        The text is no JSON object.
    """
    try:
        spec: Any = json.loads(form.get("json", ""))
    except ValueError as wrong:
        raise _no_json(f"this is no JSON: {wrong}") from None
    if not isinstance(spec, dict) or not isinstance(spec.get("tables"), dict):
        raise _no_json('a spec is an object with "tables"')
    found: dict[str, Any] = spec if form.get("do") == "json" else _with_fields(spec, form)
    return found


def _no_json(text: str) -> Refused:
    return Refused(422, {"detail": text, "errors": [{"field": "json", "detail": text}]})


def _with_fields(spec: dict[str, Any], form: MultiDict[str, str]) -> dict[str, Any]:
    tables = {}
    for name, table in spec["tables"].items():
        one = dict(table) if isinstance(table, Mapping) else {}
        for field in FIELDS:
            if f"{name}.{field}" not in form:
                continue
            value = form[f"{name}.{field}"].strip()
            if field in ("key", "to", "exclude"):
                several = [part.strip() for part in value.split(",") if part.strip()]
                one[field] = several if field == "exclude" or len(several) > 1 else "".join(several)
            else:
                one[field] = value
            if not one[field]:
                del one[field]
        tables[name] = one
    found = {**spec, "tables": tables}
    for field in ("key", "target"):
        if field in form:
            several = [part.strip() for part in form[field].split(",") if part.strip()]
            found[field] = several if len(several) > 1 else "".join(several)
            if not found[field]:
                del found[field]
    if form.get("positive", "").strip():
        values = [_value(part.strip()) for part in form["positive"].split(",")]
        found["positive"] = values if len(values) > 1 else values[0]
    return found


def _value(text: str) -> Any:
    """A label as JSON has it: numbers as numbers, everything else as text.

    >>> _value("1"), _value("B"), _value("true")
    (1, 'B', 'true')
    """
    try:
        return int(text)
    except ValueError:
        return text


def _page(
    spec: Mapping[str, Any],
    *,
    name: str | None = None,
    proposal: Mapping[str, Any] | None = None,
    error: Refused | None = None,
    text: str | None = None,
) -> Any:
    faults = {} if error is None else error.field_errors()
    return render_template(
        "pages/dataset_together.html",
        spec=spec,
        text=text if text is not None and not spec else json.dumps(spec, indent=2),
        name=name or "customers",
        proposal=proposal,
        roles=ROLES,
        formats=FORMATS,
        orphans=ORPHANS,
        error=error,
        faults=faults,
        entities=next(
            (
                key
                for key, one in (spec.get("tables") or {}).items()
                if one.get("role") == "entities"
            ),
            None,
        ),
    )
