"""Rows that are appended to a data set, as its next version."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from api.context import parts
from api.pages.asking import Refused, ask, get, get_or_none, send

appending = Blueprint("appending", __name__)


@appending.get("/datasets/<dataset_id>/append")
def form(dataset_id: str) -> Any:
    """Choose a file whose rows come after those that are there."""
    return _page(dataset_id)


def _page(dataset_id: str, *, error: Refused | None = None) -> Any:
    dataset = get(f"/v1/datasets/{dataset_id}")
    versions = (get_or_none(f"/v1/datasets/{dataset_id}/versions") or {"items": []})["items"]
    profile = get_or_none(f"/v1/datasets/{dataset_id}/profile") or {}
    return render_template(
        "pages/dataset_append.html",
        dataset=dataset,
        newest=versions[-1] if versions else dataset,
        columns=[one["name"] for one in profile.get("columns") or ()],
        tables=sorted((dataset.get("spec") or {}).get("tables") or {}),
        most_bytes=parts().settings.max_body_bytes,
        error=error,
    )


@appending.post("/datasets/<dataset_id>/append")
def append(dataset_id: str) -> Any:
    """Append the rows of the file; of several tables, put them together again as they are now."""
    path = f"/v1/datasets/{dataset_id}/versions"
    try:
        if request.form.get("renew"):
            answer = ask("POST", path, body={})
        else:
            file = request.files.get("file")
            if file is None or not file.filename:
                raise Refused(422, {"detail": "choose a file"})
            status, _, body = send(
                "POST",
                path,
                query={"name": file.filename},
                data=file.read(),
                headers={"Content-Type": "application/octet-stream"},
            )
            answer = json.loads(body)
            if status >= 400:
                raise Refused(status, answer)
    except RequestEntityTooLarge:
        most = parts().settings.max_body_bytes // 10**6
        told = f"a file may have {most} MB here; larger ones go by the command line or the client"
        return _page(dataset_id, error=Refused(413, {"detail": told})), 413
    except Refused as refused:
        return _page(dataset_id, error=refused), refused.status
    return redirect(url_for("datasets.show", dataset_id=answer["id"]), 303)
