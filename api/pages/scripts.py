"""The script of the charts: Vega-Embed as vl-convert bundles it, made once and kept."""

from __future__ import annotations

import gzip
import os
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request

from api.context import parts
from scheduler.child import call

scripts = Blueprint("scripts", __name__)

YEAR_SECONDS = 365 * 86400
CHILD_SECONDS = 120.0
_making = threading.Lock()


def _kept() -> Path:
    """The compressed script in the data folder; bundled by a child at the first request for it."""
    folder = parts().settings.data_dir / "cache"
    path = folder / f"charts-{version('vl-convert-python')}.js.gz"
    with _making:
        if not path.exists():
            made = call(
                "api.drawing:bundle",
                {},
                memory_bytes=None,
                cpu_seconds=CHILD_SECONDS,
                wall_seconds=CHILD_SECONDS,
            )
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".part")
            partial.write_bytes(gzip.compress(made["script"].encode(), mtime=0))
            os.replace(partial, path)
    return path


@scripts.get("/charts.js")
def charts() -> Any:
    """The script; its address names its version, so it is asked for once."""
    data = _kept().read_bytes()
    headers = {
        "Cache-Control": f"public, max-age={YEAR_SECONDS}, immutable",
        "Vary": "Accept-Encoding",
    }
    if request.accept_encodings["gzip"]:
        headers["Content-Encoding"] = "gzip"
    else:
        data = gzip.decompress(data)
    return Response(data, mimetype="text/javascript", headers=headers)
