"""Reports as one HTML file: our style inside, nothing to fetch, nothing that runs."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Response, render_template
from markupsafe import Markup

from api.auth import negotiated

JSON, HTML, MARKDOWN = "application/json", "text/html", "text/markdown"
FORMS = {"json": JSON, "html": HTML, "markdown": MARKDOWN}
STYLES = ("frugal.css", "report.css")


def wanted(form: str | None) -> str:
    """The media type asked for: by the query's `format`, else by Accept."""
    return negotiated(JSON, HTML, MARKDOWN) if form is None else FORMS[form]


def as_markdown(text: str) -> Response:
    """Markdown as an answer."""
    return Response(text, content_type=f"{MARKDOWN}; charset=utf-8")


def as_html(template: str, **values: Any) -> Response:
    """A page of templates/reports as an answer, its style by checksum the only one allowed."""
    style = _style()
    text = render_template(f"reports/{template}", style=Markup(style), **values)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    response = Response(text, content_type=f"{HTML}; charset=utf-8")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    return response


@cache
def _style() -> str:
    """Our style sheets in one; they are ours, so no tag can be in them."""
    folder = Path(__file__).parent / "static"
    return "\n" + "\n".join((folder / name).read_text("utf-8") for name in STYLES)
