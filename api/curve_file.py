"""The file of curves that was drawn when a champion was made, read with its checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from api.archive import MANIFEST, checked_file
from api.context import parts
from scheduler.records import Model

FILE = "curves.json"


def curves_of(model: Model) -> Mapping[str, Any] | None:
    """Curves of the champion and of its finalists; None of a version made before they were kept.

    Raises
    ------
    DataError, Corrupt
        ``corrupt_model``: a file is gone or is not what it was.
    """
    folder = parts().artifacts.path(model.artifact)
    files = json.loads(checked_file(folder, MANIFEST, model.sha256))["files"]
    if FILE not in files:
        return None
    found: Mapping[str, Any] = json.loads(checked_file(folder, FILE, files[FILE]))
    return found
