"""Data sets: the list, one with its profile, and its deletion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from api.pages.asking import Json, Refused, ask, get, get_or_none

datasets = Blueprint("datasets", __name__)

LISTED = 100
COLUMNS_PER_PAGE = 100
TOP_LEVELS = 3
BARS = 12
# What can be sorted by, and which way round it begins.
LIST_SORTS = {"name": False, "rows": True, "size": True, "saved": True, "when": True}
COLUMN_SORTS = {"place": False, "name": False, "missing": True, "distinct": True}


@datasets.get("/datasets")
def index() -> Any:
    """All data sets, the newest first; those that were deleted are only counted."""
    answer = get("/v1/datasets", limit=LISTED, cursor=request.args.get("cursor"))
    items = [one for one in answer["items"] if one["state"] != "DELETED"]
    # Of a part of the list an order would be a false one.
    whole = answer["next_cursor"] is None and "cursor" not in request.args
    sort = request.args.get("sort", "when")
    if whole and sort in LIST_SORTS:
        items.sort(key=lambda one: _list_key(one, sort), reverse=LIST_SORTS[sort])
    return render_template(
        "pages/datasets.html",
        items=items,
        n_deleted=len(answer["items"]) - len(items),
        next_cursor=answer["next_cursor"],
        whole=whole,
        sort=sort,
    )


def _list_key(one: Mapping[str, Any], sort: str) -> Any:
    if sort == "name":
        return str(one["name"]).lower()
    if sort == "saved":
        return saved(one["bytes_in"], one["bytes_stored"]) or -1e9
    return one[{"rows": "n_rows", "size": "bytes_in", "when": "created_at"}[sort]] or 0


def saved(n_before: int | None, n_after: int | None) -> float | None:
    """The share of bytes that is no longer needed; below 0 where it is more than before.

    >>> saved(1000, 400), saved(1000, 1100), saved(1000, None)
    (0.6, -0.1, None)
    """
    if not n_before or n_after is None:
        return None
    return round(1 - n_after / n_before, 6)


@datasets.get("/datasets/<dataset_id>")
def show(dataset_id: str) -> Any:
    """One data set: its state, and what is in it once it was read."""
    dataset = get(f"/v1/datasets/{dataset_id}")
    profile = get_or_none(f"/v1/datasets/{dataset_id}/profile")
    versions = get_or_none(f"/v1/datasets/{dataset_id}/versions")
    found: Sequence[Json] = profile["columns"] if profile else ()
    query = request.args.get("q", "").strip()
    wanted = [one for one in found if query.lower() in one["name"].lower()]
    sort = request.args.get("sort", "place")
    if sort in COLUMN_SORTS and sort != "place":
        wanted.sort(key=lambda one: _column_key(one, sort), reverse=COLUMN_SORTS[sort])
    n_pages = max(1, ceil(len(wanted) / COLUMNS_PER_PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), n_pages)
    shown = wanted[(page - 1) * COLUMNS_PER_PAGE : page * COLUMNS_PER_PAGE]
    return render_template(
        "pages/dataset.html",
        dataset=dataset,
        profile=profile,
        size=_size(dataset),
        versions=versions["items"] if versions else [],
        columns=[described(one, n_rows=profile["n_rows"]) for one in shown],
        n_columns=len(found),
        n_wanted=len(wanted),
        query=query,
        sort=sort,
        page=page,
        n_pages=n_pages,
        jobs=_jobs(dataset_id),
    )


def _column_key(column: Mapping[str, Any], sort: str) -> Any:
    if sort == "name":
        return str(column["name"]).lower()
    return column[{"missing": "n_missing", "distinct": "n_distinct"}[sort]]


def _size(dataset: Mapping[str, Any]) -> Json:
    """Bytes before and after; of several tables those of their own files."""
    storage = dataset["storage"] or {}
    before = storage.get("bytes_before", dataset["bytes_in"])
    after = storage.get("bytes_after", dataset["bytes_stored"])
    return {"before": before, "after": after, "saved": saved(before, after)}


def _jobs(dataset_id: str) -> list[Json]:
    """Jobs on this data set among the latest hundred."""
    return [one for one in get("/v1/jobs", limit=100)["items"] if one["dataset"] == dataset_id]


def described(column: Mapping[str, Any], *, n_rows: int) -> Json:
    """A column's part of the profile as the page shows it.

    `bars` are heights from 0 to 1 of its most frequent values, `top` the first of them with the
    share of the rows that have it.
    """
    levels = column.get("levels") or []
    most = max((one["count"] for one in levels), default=0)
    target = "target_candidate" in column["roles"]
    return {
        **column,
        "missing": column["n_missing"] / n_rows if n_rows else 0.0,
        "bars": [max(0.04, one["count"] / most) for one in levels[:BARS] if most],
        "top": [
            {"value": shown(one["value"]), "share": one["count"] / n_rows if n_rows else 0.0}
            for one in levels[:TOP_LEVELS]
        ],
        "n_more": max(0, len(levels) - TOP_LEVELS),
        "is_target": target,
        "labels": [_role(one) for one in column["roles"]],
    }


def _role(role: str) -> str:
    """A role in words.

    >>> _role("leaks:y"), _role("id_like"), _role("target_candidate")
    ('gives y away', 'id like', 'possible target')
    """
    kind, _, other = role.partition(":")
    named = {"leaks": "gives {} away", "duplicate_of": "same as {}"}
    if kind in named:
        return named[kind].format(other)
    return "possible target" if kind == "target_candidate" else role.replace("_", " ")


def shown(value: Any) -> str:
    """A value of a column as text.

    >>> shown(True), shown(3.0), shown("yes"), shown(None)
    ('true', '3.0', 'yes', 'missing')
    """
    if value is None:
        return "missing"
    return str(value).lower() if isinstance(value, bool) else str(value)


@datasets.route("/datasets/<dataset_id>/delete", methods=["GET", "POST"])
def delete(dataset_id: str) -> Any:
    """Ask whether it is meant, then delete the data set and what was built on it."""
    dataset = get(f"/v1/datasets/{dataset_id}")
    refused = None
    if request.method == "POST":
        force = "true" if "force" in request.form else None
        try:
            ask("DELETE", f"/v1/datasets/{dataset_id}", force=force)
            return redirect(url_for("datasets.index"), 303)
        except Refused as error:
            refused = error
    versions = get_or_none(f"/v1/datasets/{dataset_id}/versions")
    later = [
        one
        for one in (versions["items"] if versions else [])
        if one["version"] > dataset["version"] and one["state"] != "DELETED"
    ]
    used = [one for one in _jobs(dataset_id) if one["finished_at"] is None]
    page = render_template(
        "pages/dataset_delete.html", dataset=dataset, later=later, used=used, error=refused
    )
    return page, 200 if refused is None else refused.status
