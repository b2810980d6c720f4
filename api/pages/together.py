"""Several tables put together: the spec as proposed, edited in fields or as JSON, and posted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api.pages.asking import Json, Refused, ask, get
from api.pages.rights import may
from api.pages.spec_by_hand import begun
from api.pages.spec_form import edited
from api.pages.spec_view import columns_of, kinds_of, seen, stepped, text_of, unchanged

together = Blueprint("together", __name__)

MOST_NAME = 63
# What a proposal says besides the spec; the form carries it from one answer to the next.
CARRIED = ("reasons", "open_questions", "was")


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
            return _nothing("that data set is one table: it has no spec")
        return _page(old["spec"], name=old["name"], problem=old["problem"])
    ids = list(dict.fromkeys(request.args.getlist("id")))
    if not ids:
        return _nothing("choose one data set or more, that are ready")
    if not may("inferring.propose"):
        return _page({})
    named: dict[str, Json] = {}
    for one in ids:
        dataset = get(f"/v1/datasets/{one}")
        named[table_name(dataset["name"], known=named)] = dataset
    sources = {name: {"dataset": one["id"]} for name, one in named.items()}
    body: Json = {"tables": sources}
    if request.args.get("target"):
        body["target"] = request.args["target"]
    try:
        proposal = ask("POST", "/v1/datasets/infer", body=body)
    except Refused as refused:
        if refused.problem.get("code") not in ("no_entities", "not_inferred"):
            return _page({}, problem=refused.problem), refused.status
        columns = {name: columns_of(one["id"]) for name, one in named.items()}
        read = {name: (one["options"] or {}).get("log_format") for name, one in named.items()}
        logs = {name: str(one) for name, one in read.items() if one}
        spec, reasons = begun(sources, columns=columns, logs=logs)
        return _page(spec, proposal={"reasons": reasons, "open_questions": [str(refused)]})
    return _page(proposal["spec"], proposal=proposal)


@together.post("/datasets/together")
def create() -> Any:
    """Make the data set, or show the spec again with what is to be mended."""
    # A spec of many wide tables is longer than what forms hold otherwise.
    request.max_form_memory_size = request.max_content_length
    form = request.form
    proposal = _carried(form.get("proposal", ""))
    name = form.get("name", "").strip() or "tables"
    more: Json = {"name": name, "proposal": proposal}
    try:
        spec = _said(form)
    except Refused as refused:
        if form.get("do") == "step":
            return refused.problem, refused.status
        return _page({}, problem=refused.problem, text=form.get("json"), **more), refused.status
    if form.get("do") == "step":
        return stepped(spec)
    if form.get("do") == "fields":
        return _page(spec, **more)
    try:
        made = ask("POST", "/v1/datasets", body={"name": name, "spec": spec})
    except Refused as refused:
        return _page(spec, problem=refused.problem, **more), refused.status
    return redirect(url_for("datasets.show", dataset_id=made["id"]), 303)


def _said(form: Mapping[str, str]) -> Json:
    """The spec that was sent: the JSON where that was edited, else it with the fields.

    Raises
    ------
    Refused
        The text is no JSON object with tables.
    """
    text = form.get("json", "")
    try:
        spec: Any = json.loads(text)
    except ValueError as wrong:
        raise _no_json(f"this is no JSON: {wrong}") from None
    except RecursionError:
        raise _no_json("this is no JSON: it is nested too deeply") from None
    if not isinstance(spec, dict) or not isinstance(spec.get("tables"), dict):
        raise _no_json('a spec is an object with "tables"')
    if not unchanged(text, form.get("json_was")):
        return spec
    found: Json = edited(spec, form, kinds_of(spec, form))
    return found


def _no_json(text: str) -> Refused:
    return Refused(422, {"detail": text, "errors": [{"field": "json", "detail": text}]})


def _carried(text: str) -> Json:
    """The reasons as the form brought them back; nothing where they are not what was sent."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    reasons = [
        {"field": str(one.get("field")), "reason": str(one.get("reason"))}
        for one in found.get("reasons") or ()
        if isinstance(one, dict)
    ]
    questions = [str(one) for one in found.get("open_questions") or ()]
    was = found.get("was")
    was = {str(one): str(text) for one, text in was.items()} if isinstance(was, dict) else {}
    return {"reasons": reasons, "open_questions": questions, "was": was}


def _nothing(text: str) -> Any:
    return _page({}, problem={"detail": text}), 422


def _page(
    spec: Mapping[str, Any],
    *,
    name: str | None = None,
    proposal: Mapping[str, Any] | None = None,
    problem: Mapping[str, Any] | None = None,
    text: str | None = None,
) -> Any:
    proposal = {one: (proposal or {}).get(one) for one in CARRIED}
    shown = seen(spec, proposal=proposal, problem=problem)
    return render_template(
        "pages/dataset_together.html",
        name=name or shown["entity_table"] or "tables",
        text=text_of(spec) if text is None else text,
        carried=json.dumps({**proposal, "was": shown["was"]}),
        **shown,
    )
