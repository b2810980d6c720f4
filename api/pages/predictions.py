"""Predictions: of one customer with the reasons, and of every row of a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api import charts
from api.pages import given_tables
from api.pages.asking import Refused, ask, get, get_or_none, newest
from api.pages.models import about, version_asked

predictions = Blueprint("predictions", __name__)

N_REASONS = 8
MOST_SHOWN = 24  # columns of a form, before the others are folded away
MOST_LEVELS = 30
MOST_PREDICTED = 100  # rows whose predictions are shown
MISSING = ("", "null")
TRUE, FALSE = "true", "false"


def fields_of(card: Mapping[str, Any], profile: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A field for each column that the model reads, with what the data say of it.

    >>> fields_of({"columns": ["age"], "types": {"age": "number"}},
    ...           {"columns": [{"name": "age", "min": 18, "max": 90}]})[0]["hint"]
    '18 to 90 in training'
    """
    known = {column["name"]: column for column in (profile or {}).get("columns", ())}
    types = card.get("types") or {}
    found = []
    for place, column in enumerate(card.get("columns") or ()):
        name = column["name"] if isinstance(column, Mapping) else str(column)
        told = known.get(name, {})
        low, high = told.get("min"), told.get("max")
        levels = [str(level["value"]) for level in told.get("levels") or ()][:MOST_LEVELS]
        kind = types.get(name) or told.get("type") or "string"
        found.append(
            {
                "id": f"c{place}",
                "name": name,
                "type": kind,
                "levels": [TRUE, FALSE] if kind == "boolean" else levels,
                "hint": "" if low is None or high is None else f"{low} to {high} in training",
                "value": levels[0] if levels and kind == "string" else "",
            }
        )
    return found


def cell(text: str, kind: str) -> Any:
    """What was typed, as a cell of its column; nothing is missing.

    Raises
    ------
    ValueError
        It cannot be of this kind.

    >>> cell("41", "number"), cell("", "number"), cell("true", "boolean"), cell("41", "string")
    (41, None, True, '41')
    """
    text = text.strip()
    if text in MISSING:
        return None
    if kind == "boolean":
        if text.lower() not in (TRUE, FALSE):
            raise ValueError("true or false")
        return text.lower() == TRUE
    if kind in ("number", "integer"):
        try:
            value = float(text.replace(" ", ""))
        except ValueError:
            raise ValueError("give a number, with a point before decimals") from None
        if not math.isfinite(value):
            raise ValueError("give a finite number")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return text


@predictions.route("/models/<name>/row", methods=["GET", "POST"])
def row(name: str) -> Any:
    """A form for one row's values; sent, the prediction and what moved it."""
    found = about(name)
    version = found["model"]["version"]
    card = get(f"/v1/models/{name}/card", version=version)
    dataset = get_or_none(f"/v1/datasets/{found['model']['dataset']}") or {}
    several = dataset.get("spec") is not None
    profile = None
    if not several:
        profile = get_or_none(f"/v1/datasets/{found['model']['dataset']}/profile")
    fields = [] if several else fields_of(card, profile)
    tables = given_tables.tables_of(dataset) if several else []
    answer, error = None, None
    faults: dict[str, str] = {}
    if request.method == "POST":
        body: Any = None
        if several:
            body, faults = given_tables.sent(tables)
        else:
            values, faults = _values(fields)
            body = {"rows": [values]}
            if not faults and all(value is None for value in values.values()):
                empty = "fill in one field at least: of nothing there is nothing to predict"
                error = Refused(422, {"detail": empty})
        if not faults and error is None:
            try:
                answer = ask(
                    "POST",
                    f"/v1/models/{name}/predict",
                    body=body,
                    version=version,
                    reasons=N_REASONS,
                )
            except Refused as refused:
                error = refused
                column = refused.problem.get("column")
                faults |= {
                    one["id"]: str(refused) for one in fields if one["name"] == column
                } or given_tables.faults_of(refused, tables)
    found_all = (answer or {}).get("predictions") or [None]
    prediction = found_all[0]
    reasons = (prediction or {}).get("reasons") or []
    told = reasons and charts.bars(
        reasons, name="column", value="contribution", title="contribution to the log-odds"
    )
    page = render_template(
        "pages/model_row.html",
        **found,
        tab="row",
        card=card,
        several=several,
        tables=tables,
        now=request.form.get(given_tables.NOW, ""),
        predicted=found_all[:MOST_PREDICTED] if len(found_all) > 1 else [],
        n_predicted=len(found_all),
        fields=fields[:MOST_SHOWN],
        more=fields[MOST_SHOWN:],
        faults=faults,
        error=error or ("please mend what is marked" if faults else None),
        prediction=prediction,
        reasons=reasons,
        chart=told,
        report=(answer or {}).get("report") or {},
    )
    return page, (422 if faults or error else 200)


def _values(fields: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """The row that the form describes, and what is wrong with it by field."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for one in fields:
        one["value"] = request.form.get(one["id"], "")
        try:
            values[one["name"]] = cell(one["value"], one["type"])
        except ValueError as wrong:
            faults[one["id"]] = str(wrong)
    return values, faults


@predictions.get("/models/<name>/predictions")
def index(name: str) -> Any:
    """Predictions of whole data sets by this model, newest first; and a form for more."""
    return _batches(name)


def _batches(name: str, *, error: Refused | None = None) -> Any:
    found = about(name)
    page = get("/v1/predictions", limit=100, cursor=request.args.get("cursor"))
    datasets = newest("/v1/datasets")
    return render_template(
        "pages/model_predictions.html",
        **found,
        tab="predictions",
        batches=[one for one in page["items"] if one["model"] == name],
        following=page["next_cursor"],
        names={one["id"]: one["name"] for one in datasets},
        datasets=[one for one in datasets if one["state"] == "READY"],
        chosen=request.form.get("dataset") or request.args.get("dataset"),
        format=request.form.get("format", "csv"),
        error=error,
    )


@predictions.post("/models/<name>/predictions")
def create(name: str) -> Any:
    """Begin the prediction of every row of a data set."""
    body = {name: request.form.get(name, "") for name in ("dataset", "format")}
    version = version_asked()
    try:
        ask("POST", f"/v1/models/{name}/predictions", body=body, version=version)
    except Refused as refused:
        return _batches(name, error=refused), refused.status
    return redirect(url_for("predictions.index", name=name, version=version), 303)


@predictions.post("/models/<name>/predictions/<batch>/delete")
def delete(name: str, batch: str) -> Any:
    """Delete predictions and their file; those under way are ended."""
    ask("DELETE", f"/v1/predictions/{batch}")
    return redirect(url_for("predictions.index", name=name, version=version_asked()), 303)
